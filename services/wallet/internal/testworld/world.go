// Package testworld is what surrounds the wallet service in its own tests: a real database, a scripted ledger and user service on their
// generated interfaces (checked against their contracts), and a scripted M-Pesa. Only tests import it.
package testworld

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/scopes"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/country"
	kitjobs "github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/providers/daraja"
	walletsql "github.com/sendtip/sendtip/sql/wallet"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/jobs"
)

// ShortCode is the paybill of the tests: the public one of Safaricom's sandbox.
const ShortCode = "174379"

// World is one test's surroundings.
type World struct {
	App    *app.App
	DB     *pgtest.DB
	Deps   app.Deps
	Sealer *seal.Sealer
	Ledger *Ledger
	Users  *Users
	Mpesa  *Mpesa
	Jobs   *kitjobs.Client

	t   testing.TB
	mu  sync.Mutex
	now time.Time
}

// New builds a world. Its clock starts at the real time, because jobs and databases have no other, and moves by Wait only.
func New(t testing.TB) *World {
	t.Helper()
	return On(t, pgtest.Open(t, "wallet", walletsql.Migrations()))
}

// Older is a database as an older version left it, which had these migrations, and a function that upgrades it.
func Older(t testing.TB, migrations ...string) (db *pgtest.DB, upgrade func()) {
	t.Helper()
	had := fstest.MapFS{}
	for _, name := range migrations {
		sql, err := fs.ReadFile(walletsql.Migrations(), name)
		if err != nil {
			t.Fatal(err)
		}
		had[name] = &fstest.MapFile{Data: sql}
	}
	db = pgtest.Open(t, "wallet", had)
	return db, func() {
		t.Helper()
		if err := pg.Migrate(t.Context(), db.OwnerURL, walletsql.Migrations()); err != nil {
			t.Fatal(err)
		}
	}
}

// On builds a world on a database that has rows already.
func On(t testing.TB, db *pgtest.DB) *World {
	t.Helper()
	w := &World{t: t, DB: db, now: time.Now().UTC().Truncate(time.Microsecond)}
	var err error
	if w.Sealer, err = seal.New(bytes.Repeat([]byte{7}, seal.KeySize)); err != nil {
		t.Fatal(err)
	}
	w.Ledger, w.Users = newLedger(), newUsers()
	gateway := newGateway(t, w.Ledger, w.Users)
	w.Mpesa = newMpesa(t)
	doer := call.NewClient(call.Config{GatewayURL: gateway, Service: "wallet", ServiceKey: config.NewSecret("key"), Timeout: 2 * time.Second})
	ledger, err := transactionsclient.NewClientWithResponses(gateway, transactionsclient.WithHTTPClient(doer))
	if err != nil {
		t.Fatal(err)
	}
	users, err := userclient.NewClientWithResponses(gateway, userclient.WithHTTPClient(doer))
	if err != nil {
		t.Fatal(err)
	}
	w.Deps = app.Deps{Pool: w.DB.Pool, Sealer: w.Sealer, Ledger: ledger, Users: users, Mpesa: w.Daraja(w.Mpesa.URL), ShortCode: ShortCode,
		AskPull:   true,
		PublicURL: "https://pay.example", Country: "KE", Log: slog.New(slog.DiscardHandler), Now: w.Now, SettleTimeout: 2 * time.Second}
	w.Rebuild(func(*app.Deps) {})
	return w
}

// Rebuild makes the use cases again, with some parts replaced.
func (w *World) Rebuild(change func(*app.Deps)) {
	w.t.Helper()
	change(&w.Deps)
	workers := river.NewWorkers()
	queue, err := kitjobs.NewClient(w.DB.Pool, workers, kitjobs.Config{Service: "wallet", Queues: jobs.Queues, Log: w.Deps.Log})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Deps.Jobs, w.Deps.Registry, w.Jobs = queue, prometheus.NewRegistry(), queue
	w.App = app.New(w.Deps)
	jobs.Register(workers, w.App)
}

// Daraja is a client of the M-Pesa at an address.
func (w *World) Daraja(url string) *daraja.Client {
	return daraja.New(daraja.Config{ //nolint:gosec // public values of the sandbox
		BaseURL: url, ConsumerKey: "sendtip-sandbox-consumer", ConsumerSecret: "sendtip-sandbox-consumer-secret",
		ShortCode: ShortCode, Passkey: "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919",
	})
}

// RunJobs works jobs until the test ends.
func (w *World) RunJobs() {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- kitjobs.Loop(w.Jobs)(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Errorf("jobs: %v", err)
		}
	})
}

// Now is the world's clock.
func (w *World) Now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Wait moves the clock.
func (w *World) Wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// SetClock moves the clock to a time.
func (w *World) SetClock(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = at
}

// KES is an amount in shillings.
func KES(shillings int64) money.Money { return money.Money{Amount: shillings * 100, Currency: "KES"} }

// Person is a customer with an open wallet in KES.
type Person struct {
	UserID, WalletID uuid.UUID
	Phone            string
}

// Person makes a Kenyan customer of a tier with money on the ledger.
func (w *World) Person(tier int16, shillings int64) Person {
	w.t.Helper()
	return w.PersonIn(country.OrDefault("KE"), tier, shillings*100)
}

// PersonIn makes a customer of a country and tier with money on the ledger, in minor units.
func (w *World) PersonIn(c country.Country, tier int16, minor int64) Person {
	w.t.Helper()
	p := Person{UserID: uuid.Must(uuid.NewV7())}
	p.Phone = w.Users.add(p.UserID)
	w.stand(userapi.Standing{UserID: p.UserID, Status: "active", Tier: int32(tier), Country: c.Code, Version: 1})
	p.WalletID = w.WalletOf(p.UserID, c.Currency)
	if err := w.App.OpenAccount(w.t.Context(), p.WalletID); err != nil {
		w.t.Fatalf("open account: %v", err)
	}
	w.Ledger.Set(p.WalletID.String(), minor)
	return p
}

// Verify gives a customer a tier, and lets the service ask.
func (w *World) Verify(userID uuid.UUID, tier int16, version int64) {
	w.t.Helper()
	w.Status(userID, "active", tier, version)
}

// Status gives a customer a status and a tier, and lets the service ask.
func (w *World) Status(userID uuid.UUID, status string, tier int16, version int64) {
	w.t.Helper()
	w.stand(userapi.Standing{UserID: userID, Status: status, Tier: int32(tier), Country: "KE", Version: version})
}

func (w *World) stand(s userapi.Standing) {
	w.t.Helper()
	w.Users.Stand(s)
	if err := w.App.ConfirmStanding(context.Background(), s.UserID); err != nil {
		w.t.Errorf("confirm standing: %v", err)
	}
}

// Tx runs do in a transaction.
func (w *World) Tx(do func(ctx context.Context, tx pgx.Tx) error) {
	w.t.Helper()
	if err := pg.InTx(w.t.Context(), w.DB.Pool, func(tx pgx.Tx) error { return do(w.t.Context(), tx) }); err != nil {
		w.t.Fatal(err)
	}
}

// WalletOf finds a wallet.
func (w *World) WalletOf(userID uuid.UUID, currency string) uuid.UUID {
	w.t.Helper()
	var id uuid.UUID
	if err := w.DB.Pool.QueryRow(w.t.Context(), "SELECT id FROM wallets WHERE user_id = $1 AND currency = $2", userID,
		currency).Scan(&id); err != nil {
		w.t.Fatalf("find wallet: %v", err)
	}
	return id
}

// As is a request of a person.
func As(ctx context.Context, p Person) context.Context {
	return auth.With(ctx, auth.Principal{Subject: "user:" + p.UserID.String(),
		Scopes: []string{scopes.WalletRead, scopes.WalletWrite}, Operation: "test"})
}

// Known is a message of M-Pesa from one of its addresses; a context without it is a stranger's.
func Known(ctx context.Context) context.Context {
	return auth.With(ctx, auth.Principal{Subject: "provider:wallet-cb", Source: auth.SourceKnown, Operation: "test"})
}

// Approve adds a step-up token for a quote.
func (w *World) Approve(ctx context.Context, quoteID uuid.UUID) context.Context {
	p := auth.From(ctx)
	p.StepUp = &auth.StepUp{JTI: uuid.NewString(), Hash: domain.ApprovalHash(quoteID), ExpiresAt: w.Now().Add(5 * time.Minute)}
	return auth.With(ctx, p)
}

// Quote prices a transfer between two people.
func (w *World) Quote(from, to Person, shillings int64) domain.Quote {
	w.t.Helper()
	q, err := w.App.CreateTransferQuote(As(w.t.Context(), from),
		app.QuoteInput{WalletID: from.WalletID, RecipientPhone: to.Phone, Amount: KES(shillings)})
	if err != nil {
		w.t.Fatalf("quote: %v", err)
	}
	return q
}

// Count runs a query for one number.
func (w *World) Count(query string, args ...any) int64 {
	w.t.Helper()
	var n int64
	if err := w.DB.Pool.QueryRow(w.t.Context(), query, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// Text runs a query for one text.
func (w *World) Text(query string, args ...any) string {
	w.t.Helper()
	var s string
	if err := w.DB.Pool.QueryRow(w.t.Context(), query, args...).Scan(&s); err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
	return s
}

// Published returns the data of the events of a type, in order.
func (w *World) Published(eventType string) []map[string]any {
	w.t.Helper()
	rows, err := w.DB.Pool.Query(w.t.Context(), "SELECT payload FROM outbox ORDER BY id")
	if err != nil {
		w.t.Fatal(err)
	}
	payloads, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		w.t.Fatal(err)
	}
	out := []map[string]any{}
	for _, p := range payloads {
		var e struct {
			Type string
			Data map[string]any
		}
		if err := json.Unmarshal(p, &e); err != nil {
			w.t.Fatal(err)
		}
		if e.Type == eventType {
			out = append(out, e.Data)
		}
	}
	return out
}

// Eventually polls until done, at most 20 s.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	ticks := time.NewTicker(20 * time.Millisecond)
	defer ticks.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		case <-ticks.C:
		}
	}
}
