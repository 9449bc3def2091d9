// Package notification wires the notification service: what it owns and how it works is in README.md.
package notification

import (
	"context"
	"fmt"

	"github.com/go-chi/chi/v5"
	"github.com/riverqueue/river"

	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/providers/africastalking"

	"github.com/sendtip/sendtip/services/notification/internal/api"
	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
	"github.com/sendtip/sendtip/services/notification/internal/events"
	"github.com/sendtip/sendtip/services/notification/internal/jobs"
)

// maxBody is the largest request, in bytes: a delivery report.
const maxBody = 16 << 10

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, host service.Host) (*service.Service, error) {
	spec := service.Spec{Name: "notification", Common: cfg.Common, Host: host, Queues: jobs.Queues}
	return service.Build(ctx, spec, func(p *service.Parts) (service.Own, error) {
		texts, err := domain.NewTexts(cfg.Brand)
		if err != nil {
			return service.Own{}, err
		}
		mailer, err := app.NewMailer(cfg.mail())
		if err != nil {
			return service.Own{}, err
		}
		users, err := userclient.NewClientWithResponses(cfg.Peers.GatewayURL, userclient.WithHTTPClient(p.Caller(cfg.Peers, 0)))
		if err != nil {
			return service.Own{}, fmt.Errorf("user client: %w", err)
		}
		a := app.New(app.Deps{
			Parts: p, Users: users, Mail: mailer, Texts: texts,
			SMS:      africastalking.New(africastalking.Config{BaseURL: cfg.SMSURL, Username: cfg.SMSUsername, APIKey: cfg.SMSAPIKey.Reveal()}),
			SenderID: cfg.SMSSender,
		})
		return service.Own{
			Mount: func(r chi.Router) { api.Mount(r, a) }, MaxBody: maxBody, Work: func(w *river.Workers) { jobs.Register(w, a) },
			Sealed: app.Sealed(p.Sealer),
			Events: service.Events{Topics: events.Topics, Handlers: events.Handlers(a), Together: events.Together(a)},
		}, nil
	})
}
