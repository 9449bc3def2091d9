// Package banking wires the banking service: what it owns and how it works is in README.md.
package banking

import (
	"context"
	"fmt"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/riverqueue/river"

	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/api"
	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/events"
	"github.com/sendtip/sendtip/services/banking/internal/jobs"
)

// callTimeout bounds a call to a peer; the ledger's own is shorter.
const callTimeout = 6 * time.Second

// New returns the service, ready to run. It connects to nothing yet, so services start in any order.
func New(ctx context.Context, cfg Config, host service.Host) (*service.Service, error) {
	spec := service.Spec{Name: "banking", Common: cfg.Common, Host: host, Queues: jobs.Queues}
	return service.Build(ctx, spec, func(p *service.Parts) (service.Own, error) {
		peers := p.Caller(cfg.Peers, callTimeout)
		ledger, err := transactionsclient.NewClientWithResponses(peers.GatewayURL(), transactionsclient.WithHTTPClient(peers))
		if err != nil {
			return service.Own{}, fmt.Errorf("ledger client: %w", err)
		}
		wallets, err := walletclient.NewClientWithResponses(peers.GatewayURL(), walletclient.WithHTTPClient(peers))
		if err != nil {
			return service.Own{}, fmt.Errorf("wallet client: %w", err)
		}
		users, err := userclient.NewClientWithResponses(peers.GatewayURL(), userclient.WithHTTPClient(peers))
		if err != nil {
			return service.Own{}, fmt.Errorf("user client: %w", err)
		}
		a := app.New(app.Deps{Parts: p, Ledger: ledger, Wallets: wallets, Users: users, Mpesa: daraja.New(cfg.daraja(p.Now)),
			Paystack: paystack.New(cfg.paystack(p.Now)), PaystackKeys: []string{cfg.PaystackKey.Reveal(), cfg.PaystackOld.Reveal()},
			EmailDomain: cfg.EmailDomain, PublicURL: string(cfg.PublicURL), Schedule: domain.Schedule{Speed: int64(cfg.TimeScale)}})
		return service.Own{
			Mount: func(r chi.Router) { api.Mount(r, a) }, Work: func(w *river.Workers) { jobs.Register(w, a) }, Sealed: app.Sealed(p.Sealer),
			Events: service.Events{Topics: events.Topics, Handlers: events.Handlers(a)},
			Loops: []service.Loop{{Name: "housekeeping", Run: a.Housekeep}, {Name: "rails", Run: a.Rails.Loop(p.Pool)},
				{Name: "approvals", Run: a.Approvals.ExpireLoop(p.Pool, p.Log)}},
		}, nil
	})
}

func (c Config) paystack(now func() time.Time) paystack.Config {
	return paystack.Config{BaseURL: c.PaystackURL, SecretKey: c.PaystackKey.Reveal(), PerSecond: int(c.PaystackPerSecond), Now: now}
}

func (c Config) daraja(now func() time.Time) daraja.Config {
	return daraja.Config{BaseURL: c.DarajaURL, ConsumerKey: c.Consumer.Reveal(), ConsumerSecret: c.Secret.Reveal(), ShortCode: c.ShortCode,
		Initiator: c.Initiator, InitiatorPassword: c.InitiatorPassword.Reveal(), Certificate: c.Certificate, PerSecond: int(c.PerSecond),
		Now: now}
}
