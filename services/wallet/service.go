// Package wallet wires the wallet service: what it owns and how it works is in README.md.
package wallet

import (
	"context"
	"fmt"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/riverqueue/river"

	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/api"
	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/events"
	"github.com/sendtip/sendtip/services/wallet/internal/jobs"
)

// callTimeout bounds a call to a peer; the ledger's own is shorter (app.Deps).
const callTimeout = 6 * time.Second

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, host service.Host) (*service.Service, error) {
	spec := service.Spec{Name: "wallet", Common: cfg.Common, Host: host, Queues: jobs.Queues}
	return service.Build(ctx, spec, func(p *service.Parts) (service.Own, error) {
		peers := p.Caller(cfg.Peers, callTimeout)
		ledger, err := transactionsclient.NewClientWithResponses(peers.GatewayURL(), transactionsclient.WithHTTPClient(peers))
		if err != nil {
			return service.Own{}, fmt.Errorf("ledger client: %w", err)
		}
		users, err := userclient.NewClientWithResponses(peers.GatewayURL(), userclient.WithHTTPClient(peers))
		if err != nil {
			return service.Own{}, fmt.Errorf("user client: %w", err)
		}
		a := app.New(app.Deps{
			Parts: p, Ledger: ledger, Users: users, Mpesa: daraja.New(cfg.daraja(p.Now)),
			ShortCode: cfg.ShortCode, PublicURL: string(cfg.PublicURL), AskPull: cfg.Pull,
			Speed: int64(cfg.TimeScale), PullNumber: cfg.PullNumber, Country: cfg.Country,
			BalanceEvery: time.Duration(cfg.BalanceEvery) * time.Second,
			CanReverse:   cfg.Initiator != "", SuspenseAloneMinor: int64(cfg.SuspenseAloneMinor),
		})
		loops := []service.Loop{{Name: "housekeeping", Run: a.Housekeep}, {Name: "claims", Run: a.VerifyLoop},
			{Name: "lost payments", Run: a.FindLostLoop},
			{Name: "requests", Run: a.ExpireRequestsLoop},
			{Name: "rails", Run: a.Rails.Loop(p.Pool)},
			{Name: "balances", Run: a.BalanceLoop},
			{Name: "standing", Run: a.ConfirmUnanswered}, {Name: "approvals", Run: a.Approvals.ExpireLoop(p.Pool, p.Log)}}
		if cfg.RegisterC2b {
			loops = append(loops, service.Loop{Name: "paybill", Run: service.Once(a.EnqueueRegisterC2b)})
		}
		return service.Own{
			Mount: func(r chi.Router) { api.Mount(r, a) }, Work: func(w *river.Workers) { jobs.Register(w, a) }, Sealed: app.Sealed(p.Sealer),
			Events: service.Events{Topics: events.Topics, Handlers: events.Handlers(a)}, Loops: loops,
		}, nil
	})
}

func (c Config) daraja(now func() time.Time) daraja.Config {
	return daraja.Config{BaseURL: c.DarajaURL, ConsumerKey: c.Consumer.Reveal(), ConsumerSecret: c.Password.Reveal(), ShortCode: c.ShortCode,
		Passkey: c.Passkey.Reveal(), Now: now,
		Initiator: c.Initiator, InitiatorPassword: c.InitiatorPassword.Reveal(), Certificate: c.Certificate}
}
