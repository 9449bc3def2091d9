// Package user wires the user service: customers, PINs, codes, sessions, tokens and identity verification. What it owns and how
// it works is in README.md.
package user

import (
	"context"

	"github.com/go-chi/chi/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/providers/smileid"

	"github.com/sendtip/sendtip/services/user/internal/api"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/jobs"
)

const (
	name = "user"
	// maxBody is the largest request in bytes: a callback of Smile ID with a photograph. The gateway holds others to less.
	maxBody = 2 << 20
)

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, host service.Host) (*service.Service, error) {
	return service.Build(ctx, service.Spec{Name: name, Common: cfg.Common, Host: host}, func(p *service.Parts) (service.Own, error) {
		keys, err := app.NewKeys(cfg.SigningKey.Reveal(), cfg.SigningKeyPrevious.Reveal())
		if err != nil {
			return service.Own{}, err
		}
		a, err := app.New(p, app.Deps{
			Keys: keys, PublicURL: string(cfg.PublicURL),
			Smile: smileid.New(smileid.Config{BaseURL: cfg.smileHost(), PartnerID: cfg.SmilePartnerID, APIKey: cfg.SmileAPIKey.Reveal(),
				Now: p.Now}),
		})
		if err != nil {
			return service.Own{}, err
		}
		return service.Own{
			Mount: func(r chi.Router) { api.Mount(r, a) }, MaxBody: maxBody, Work: func(w *river.Workers) { jobs.Register(w, a) },
			Sealed: app.Sealed(p.Sealer), Keys: []keycheck.Key{keycheck.Public("signing", "SENDTIP_SIGNING_KEY", keys.Kids()...)},
			Loops: []service.Loop{{Name: "sweep", Run: a.SweepLoop}, {Name: "glass", Run: a.GlassLoop},
				{Name: "approvals", Run: a.Approvals.ExpireLoop(p.Pool, p.Log)}},
		}, nil
	})
}
