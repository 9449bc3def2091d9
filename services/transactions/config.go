package transactions

import (
	"errors"

	"github.com/sendtip/sendtip/kit/config"
)

// Config is the service's settings.
type Config struct {
	Common config.Common
}

// LoadConfig reads the settings.
func LoadConfig(environ map[string]string) (Config, error) { return config.Load[Config](environ) }

// Validate names the first setting that is missing.
func (c Config) Validate() error {
	if err := c.Common.Validate(); err != nil {
		return err
	}
	if len(c.Common.KafkaBrokers) == 0 {
		return errors.New("SENDTIP_KAFKA_BROKERS is not set")
	}
	return nil
}
