// Package testworld is what the tests of the ledger stand on, in whichever package they are: a ledger on a real database, with the pools
// that the service has. Only tests import it.
package testworld

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/servicetest"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"

	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// Origin names the ledgers of all tests.
const Origin = "sendtip.test/ledger"

// lockTimeout is more than the service's: how long a row is locked on a machine that does many tests at once is not what they ask.
const lockTimeout = 10 * time.Second

// The accounts of the chart that tests pay from and to.
var (
	Rail = domain.SystemAccountID("rail.mpesa.paybill.KES")
	Fees = domain.SystemAccountID("fees.revenue.KES")
)

// World is a ledger on a database of its own. Its time is the real one, because the migrations make the partitions of the month in which
// they run, and moves on by Advance or by Clock.
type World struct {
	*servicetest.World
	*app.App

	Ctx     context.Context      // of a service with all ledger scopes
	Signing app.CheckpointSigner // what the ledger signs with

	tb testing.TB
}

// New makes a world, and proves every invariant when the test ends.
func New(tb testing.TB) *World {
	tb.Helper()
	w := Open(tb)
	tb.Cleanup(w.Verify)
	return w
}

// Open is New without the proof at the end, for tests that break the ledger on purpose.
func Open(tb testing.TB) *World {
	tb.Helper()
	return On(tb, pgtest.Open(tb, "transactions", transactionssql.Migrations()))
}

// On makes a world, without the proof at the end, on a database that has been prepared.
func On(tb testing.TB, db *pgtest.DB) *World {
	tb.Helper()
	base := servicetest.On(tb, "transactions", db, nil)
	base.Clock.Set(0)
	var err error
	if base.Pool, err = base.OpenPool(tb.Context(), pg.Options{LockTimeout: lockTimeout}); err != nil {
		tb.Fatal(err)
	}
	w := &World{World: base, tb: tb, Signing: Signer(tb),
		Ctx: base.As("service:wallet", scopes.LedgerPost, scopes.LedgerRead, scopes.LedgerAccounts)}
	w.App = w.Ledger(w.Signing)
	return w
}

// Ledger is one more ledger on the same database, as another replica of the service is.
func (w *World) Ledger(with app.CheckpointSigner) *app.App {
	w.tb.Helper()
	return w.LedgerOver(app.Pools{Shared: w.Pool, Committers: Committers(w.tb, w.DB.AppURL, app.CommitParams())}, w.Log, with)
}

// LedgerOver is one more ledger, on connections of the test's own.
func (w *World) LedgerOver(pools app.Pools, log *slog.Logger, with app.CheckpointSigner) *app.App {
	return app.New(pools, w.Clock.Now, log, with, page.New(w.Sealer))
}

// Committers are the connections that a ledger commits on.
func Committers(tb testing.TB, url string, params map[string]string) *pgxpool.Pool {
	tb.Helper()
	pool, err := pg.Open(tb.Context(), url, pg.Options{MaxConns: app.CommitConns, LockTimeout: lockTimeout, Params: params})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	return pool
}

// Verify fails the test for each invariant that does not hold.
func (w *World) Verify() {
	w.tb.Helper()
	violations, err := check.Check(context.Background(), w.DB.Pool)
	if err != nil {
		w.tb.Fatalf("check: %v", err)
	}
	for _, v := range violations {
		w.tb.Errorf("broken invariant: %s", v)
	}
}

// Key is a new signing key, and its public one.
func Key(tb testing.TB) (signer note.Signer, public string) {
	tb.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, Origin)
	if err != nil {
		tb.Fatal(err)
	}
	if signer, err = note.NewSigner(secret); err != nil {
		tb.Fatal(err)
	}
	return signer, public
}

// Signer signs with a key of this test.
func Signer(tb testing.TB) app.CheckpointSigner {
	tb.Helper()
	signer, public := Key(tb)
	return app.CheckpointSigner{Origin: Origin, Signers: []note.Signer{signer}, VerifierKeys: []string{public}}
}

// SecretKey is a new Ed25519 key in PEM, as `sendtip keys init` makes it.
func SecretKey(tb testing.TB) string {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// KES is a posting in shillings.
func KES(source, destination uuid.UUID, amount int64) domain.Posting {
	return domain.Posting{Source: source, Destination: destination, Amount: amount, Currency: "KES"}
}
