// Package app holds the use cases of the banking service: who may withdraw, what is sent to the rails and when they are asked, what their
// messages mean, and what is booked. It decides, opens transactions, and asks the ledger, wallet, user and the rails outside of them.
package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/clients/ledger"
	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/keycheck"
	kitlog "github.com/sendtip/sendtip/kit/log"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/rail"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// topic is where this service publishes.
const topic = "sendtip.banking.v1"

// closeTimeout bounds the transaction that stores an answer, which a shutdown must not cut off.
const closeTimeout = 5 * time.Second

// What values are sealed for, followed by the row's id. They are part of stored data: never change one.
const (
	sealDestination = "banking.destination"
	sealName        = "banking.name"

	sealDepositPhone = "banking.deposit_phone"
)

// Deps are what the use cases work with.
type Deps struct {
	*service.Parts

	Ledger   *transactionsclient.ClientWithResponses
	Wallets  *walletclient.ClientWithResponses
	Users    *userclient.ClientWithResponses
	Mpesa    *daraja.Client // of the short code that pays out
	Paystack *paystack.Client
	// PaystackKeys sign webhooks: the client's, and perhaps the one before.
	PaystackKeys []string
	// EmailDomain is ours: the addresses that Paystack gets are there.
	EmailDomain string
	PublicURL   string // where Safaricom reaches our hooks, without a slash at the end
	Schedule    domain.Schedule
}

// App runs the use cases. It is safe for concurrent use.
type App struct {
	Deps
	q      *bankingdb.Queries
	idem   *idem.Store
	pages  *page.Pager
	ledger *ledger.Client

	results, events *hook.Hook

	// Approvals are the decisions that need two people.
	Approvals *approve.Desk

	// Rails is the watch over the operations of the rails.
	Rails *rail.Watch

	metrics metrics
	sampled *slog.Logger // for what strangers cause: they must not fill the log
}

// New returns the use cases and registers their metrics.
func New(d Deps) *App {
	a := &App{Deps: d, q: bankingdb.New(), idem: idem.New(d.Sealer, d.Now), pages: page.New(d.Sealer), ledger: ledger.New(d.Ledger, 0),
		metrics: newMetrics(), sampled: kitlog.Sampled(d.Log, d.Now)}
	a.results = hook.New(railResults, d.Sealer, d.Pool, d.Jobs, a.metrics.messages.WithLabelValues(kindResult, "wrong_token"))
	a.events = hook.New(paystackEvents, d.Sealer, d.Pool, d.Jobs, a.metrics.messages.WithLabelValues(kindEvent, "unsigned"))
	a.Rails = rail.New(rail.Config{Operations: domain.Operations, Now: d.Now, Log: d.Log, Changed: a.railChanged}, d.Registry)
	a.Approvals = approve.New(approve.Config{Service: "banking", Sealer: d.Sealer, Now: d.Now, Actions: a.actions()})
	d.Registry.MustRegister(a.metrics.all()...)
	return a
}

// Sealed are the columns that hold sealed values.
func Sealed(s *seal.Sealer) []keycheck.Sealed {
	return []keycheck.Sealed{
		keycheck.Column(s, "withdrawals", "destination_sealed", sealDestination+":"),
		keycheck.Column(s, "bank_accounts", "number_sealed", sealAccountNumber+":"),
		keycheck.Column(s, "deposits", "phone_sealed", sealDepositPhone+":"),
		keycheck.Column(s, "provider_events", "body_sealed", railResults.Sealed),
		keycheck.Column(s, "paystack_events", "body_sealed", paystackEvents.Sealed),
	}
}

// publish appends one of this service's events. The caller has locked the aggregate's row, or made it.
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
