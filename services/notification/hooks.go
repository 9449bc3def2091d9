package notification

import (
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/notification/internal/app"
)

// ReportPath returns the path under the public address that the SMS gateway must be told for its delivery reports. It holds a secret.
func ReportPath(cfg Config) (string, error) {
	sealer, err := service.NewSealer(cfg.Common)
	if err != nil {
		return "", err
	}
	return app.HookPath(sealer), nil
}
