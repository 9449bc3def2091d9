// Package transactions wires the ledger: what it owns and how it works is in README.md.
package transactions

import (
	"context"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/transactions/internal/api"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/jobs"
)

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, host service.Host) (*service.Service, error) {
	spec := service.Spec{Name: "transactions", Common: cfg.Common, Host: host}
	return service.Build(ctx, spec, func(p *service.Parts) (service.Own, error) {
		committers, err := p.OpenPool(ctx, pg.Options{MaxConns: app.CommitConns, Params: app.CommitParams()})
		if err != nil {
			return service.Own{}, err
		}
		signer, err := cfg.signer()
		if err != nil {
			return service.Own{}, err
		}
		a := app.New(app.Pools{Shared: p.Pool, Committers: committers}, p.Now, p.Log, signer, page.New(p.Sealer))
		a.Register(p.Registry)
		p.Registry.MustRegister(collectors.NewGoCollector())
		p.Jobs.PeriodicJobs().AddMany(jobs.Periodic())
		return service.Own{
			Mount: func(r chi.Router) { api.Mount(r, a) }, MaxBody: api.MaxBody, Work: func(w *river.Workers) { jobs.Register(w, a) },
			Keys: []keycheck.Key{
				keycheck.Fixed("origin", "SENDTIP_LEDGER_ORIGIN", cfg.Origin), // a part of the keys' names, so before them
				keycheck.Public("signing", "SENDTIP_SIGNING_KEY", signer.VerifierKeys...),
			},
			Loops: []service.Loop{
				{Name: "seal", Run: a.SealLoop}, {Name: "publish", Run: a.PublishLoop(p.Publisher)},
				{Name: "hold_expiry", Run: a.ExpiryLoop}, {Name: "room", Run: a.RoomLoop},
				// The daily job comes when River has found a leader, and the first payment may be before that.
				{Name: "partitions", Run: service.Once(func(ctx context.Context) error { _, err := a.CreatePartitions(ctx); return err })},
			},
		}, nil
	})
}
