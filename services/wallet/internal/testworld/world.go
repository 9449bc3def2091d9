// Package testworld is what surrounds the wallet service in its own tests: a real database, a scripted ledger and user service on their
// generated interfaces (checked against their contracts), and a scripted M-Pesa. Only tests import it.
package testworld

import (
	"context"
	"io/fs"
	"net/http"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userapi "github.com/sendtip/sendtip/generated/user/api"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/sandbox"
	walletsql "github.com/sendtip/sendtip/sql/wallet"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/jobs"
)

// ShortCode is the paybill of the tests: the public one of Safaricom's sandbox.
const ShortCode = "174379"

// World is one test's surroundings.
type World struct {
	*servicetest.World

	App    *app.App
	Deps   app.Deps
	Ledger *Ledger
	Users  *Users
	Mpesa  *Mpesa

	t testing.TB
}

// New builds a world with an empty database.
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
	w := &World{World: servicetest.On(t, "wallet", db, jobs.Queues), Ledger: newLedger(), Users: newUsers(), Mpesa: newMpesa(t), t: t}
	peers := w.Peers(openapi.FS,
		servicetest.Peer{File: "transactions.yaml",
			Handler: w.Ledger.script(transactionsapi.HandlerFromMux(transactionsapi.NewStrictHandler(w.Ledger, nil), nil))},
		servicetest.Peer{File: "user.yaml", Handler: w.Users.script(userapi.HandlerFromMux(userapi.NewStrictHandler(w.Users, nil), nil))})
	ledger, err := transactionsclient.NewClientWithResponses(peers.GatewayURL(), transactionsclient.WithHTTPClient(peers))
	if err != nil {
		t.Fatal(err)
	}
	users, err := userclient.NewClientWithResponses(peers.GatewayURL(), userclient.WithHTTPClient(peers))
	if err != nil {
		t.Fatal(err)
	}
	w.Deps = app.Deps{Parts: w.Parts, Ledger: ledger, Users: users, Mpesa: w.Daraja(w.Mpesa.URL), ShortCode: ShortCode, AskPull: true,
		CanReverse: true, BalanceEvery: time.Hour, SuspenseAloneMinor: 500_000,
		PublicURL: "https://pay.example", Country: "KE", SettleTimeout: 2 * time.Second}
	w.build()
	return w
}

func (w *World) build() {
	w.App = app.New(w.Deps)
	jobs.Register(w.Workers, w.App)
}

// Rebuild makes the use cases again, with some parts replaced.
func (w *World) Rebuild(change func(*app.Deps)) {
	w.t.Helper()
	w.Parts = w.Again()
	w.Deps.Parts = w.Parts
	change(&w.Deps)
	w.build()
}

// Daraja is a client of the M-Pesa at an address.
func (w *World) Daraja(url string) *daraja.Client {
	return daraja.New(daraja.Config{ //nolint:gosec // public values of the sandbox
		BaseURL: url, ConsumerKey: "sendtip-sandbox-consumer", ConsumerSecret: "sendtip-sandbox-consumer-secret",
		Initiator: sandbox.DefaultInitiator, InitiatorPassword: sandbox.DefaultInitiatorPassword,
		Certificate: sandbox.DefaultCertificate, HTTP: &http.Client{Transport: w.Mpesa},
		ShortCode: ShortCode, Passkey: "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919", Now: w.Clock.Now,
	})
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
