// Package app holds the use cases of the wallet service: customers and their wallets, limits and prices, transfers, M-Pesa top-ups and
// paybill deposits. It decides who owns what, opens transactions, and asks the ledger, user and M-Pesa outside of them.
package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/clients/ledger"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/idem"
	kitlog "github.com/sendtip/sendtip/kit/log"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/rail"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/together"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// topic is where this service publishes.
const topic = "sendtip.wallet.v1"

// closeTimeout bounds the last transaction of a payment, which the caller's connection does not.
const closeTimeout = 5 * time.Second

// Deps are what the use cases work with.
type Deps struct {
	*service.Parts

	Ledger    *transactionsclient.ClientWithResponses
	Users     *userclient.ClientWithResponses
	Mpesa     *daraja.Client
	ShortCode string // the paybill
	// AskPull says that Safaricom's books may be asked (Pull Transactions); without it each claim is a case at once.
	AskPull    bool
	PullNumber string // the number nominated for it; empty: the short code is registered already
	PublicURL  string // where Safaricom reaches our hooks, without a slash at the end
	// CanReverse says that the paybill's initiator is set, so that payments can be given back.
	CanReverse bool
	// BalanceEvery is how often the short code's balances are asked for; 0 is never.
	BalanceEvery time.Duration
	// SuspenseAloneMinor is up to which amount one person decides alone about money in suspense.
	SuspenseAloneMinor int64
	Country            string // whose prices a caller without a country gets
	// Speed divides the waits between questions to Safaricom, for trials; 0 and 1 are reality.
	Speed int64
	// SettleTimeout bounds one call to the ledger; zero means 5 s.
	SettleTimeout time.Duration
}

// App runs the use cases. It is safe for concurrent use.
type App struct {
	Deps
	q      *walletdb.Queries
	idem   *idem.Store
	pages  *page.Pager
	ledger *ledger.Client

	stk, c2b, rails *hook.Hook

	rulesMu     sync.Mutex
	rulesCache  domain.Rules
	rulesLoaded time.Time // on the monotonic clock
	rulesAt     time.Time // by the platform's clock

	// Rails is the watch over M-Pesa's prompts.
	Rails *rail.Watch

	// Approvals are the changes that need two people.
	Approvals *approve.Desk

	pulledMu sync.Mutex
	pulledTo time.Time // up to when Safaricom's books were read for lost top-ups

	closings *together.Group[closing, bool]
	metrics  metrics
	sampled  *slog.Logger // for what strangers cause: they must not fill the log
}

// New returns the use cases and registers their metrics.
func New(d Deps) *App {
	if d.SettleTimeout == 0 {
		d.SettleTimeout = 5 * time.Second
	}
	a := &App{Deps: d, q: walletdb.New(), idem: idem.New(d.Sealer, d.Now), pages: page.New(d.Sealer),
		ledger: ledger.New(d.Ledger, d.SettleTimeout), metrics: newMetrics(),
		sampled: kitlog.Sampled(d.Log, d.Now)}
	a.stk = hook.New(stkCallbacks, d.Sealer, d.Pool, d.Jobs, a.metrics.callbacks.WithLabelValues(kindStk, "wrong_token"))
	a.c2b = hook.New(c2bCallbacks, d.Sealer, d.Pool, d.Jobs, a.metrics.callbacks.WithLabelValues(kindC2b, "wrong_token"))
	a.rails = hook.New(railResults, d.Sealer, d.Pool, d.Jobs, a.metrics.callbacks.WithLabelValues(kindResult, "wrong_token"))
	a.Rails = rail.New(rail.Config{Operations: []string{domain.OperationStk}, Now: d.Now, Log: d.Log}, d.Registry)
	a.Approvals = approve.New(approve.Config{Service: "wallet", Sealer: d.Sealer, Now: d.Now, Actions: a.actions()})
	a.closings = newClosings(a.commitClosings, d.Log)
	d.Registry.MustRegister(a.metrics.all()...)
	return a
}

// publish appends one of this service's events. The caller has locked the aggregate's row.
func (a *App) publish(ctx context.Context, tx pgx.Tx, eventType string, key uuid.UUID, data any) error {
	e, err := event.New(topic, eventType, key.String(), a.Now(), data)
	if err != nil {
		return fmt.Errorf("event %s: %w", eventType, err)
	}
	return outbox.Append(ctx, tx, e)
}

// alarm reports something that a person must look at. what is a stable word; ids only, never personal data.
func (a *App) alarm(ctx context.Context, what string, args ...any) {
	a.metrics.alarms.WithLabelValues(what).Inc()
	a.Log.ErrorContext(ctx, "alarm: "+what, args...)
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

func newAccountNumber(kind byte) string {
	var random [domain.AccountNumberBytes]byte
	_, _ = rand.Read(random[:]) // crypto/rand never fails; it ends the program instead
	return domain.AccountNumber(kind, random)
}

// sealText seals a text of a row; an empty text stays absent.
func (a *App) sealText(purpose string, row uuid.UUID, text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	return a.Sealer.Seal(purpose+":"+row.String(), []byte(text))
}

func (a *App) openText(purpose string, row uuid.UUID, sealed []byte) (string, error) {
	if len(sealed) == 0 {
		return "", nil
	}
	text, err := a.Sealer.Open(purpose+":"+row.String(), sealed)
	if err != nil {
		return "", fmt.Errorf("%s: %w", purpose, err)
	}
	return string(text), nil
}

// shownText opens a text that is only shown. One that cannot be opened is absent, and a person must look: the key is not the one it was
// sealed under, or somebody wrote to the table.
func (a *App) shownText(ctx context.Context, purpose string, row uuid.UUID, sealed []byte) string {
	text, err := a.openText(purpose, row, sealed)
	if err != nil {
		a.alarm(ctx, "text_lost", "purpose", purpose, "row", row, "err", err)
	}
	return text
}
