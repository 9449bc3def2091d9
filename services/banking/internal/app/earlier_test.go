package app_test

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/servicetest"
	bankingsql "github.com/sendtip/sendtip/sql/banking"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/jobs"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// TestRowsOfBefore: a withdrawal that was under way before there were bank accounts goes on as one to M-Pesa.
func TestRowsOfBefore(t *testing.T) {
	t.Parallel()
	all, before := bankingsql.Migrations(), fstest.MapFS{}
	for _, name := range []string{"00001_init.sql", "00002_paystack_events.sql"} {
		data, err := fs.ReadFile(all, name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: data}
	}
	db := pgtest.Open(t, "banking", before)
	base := servicetest.On(t, "banking", db, jobs.Queues)
	p := testworld.Person{UserID: uuid.New(), WalletID: uuid.New()}
	id := uuid.New()
	sealed, err := base.Sealer.Seal("banking.destination:"+id.String(), []byte(testworld.Own))
	if err != nil {
		t.Fatal(err)
	}
	const rows = `WITH t AS (INSERT INTO withdrawal_transitions (withdrawal_id, seq, to_status, evidence, at, ledger_step, limit_step, done_at)
			VALUES ($1, 1, 'stored', 'request', $4, '', '', $4)), q AS (INSERT INTO withdrawal_quotes (id, user_id, wallet_id, rail,
			destination_sealed, currency, amount_minor, fee_minor, excise_minor, tariff_version, created_at, expires_at)
			VALUES ($1, $2, $3, 'mpesa', $5, 'KES', 100000, 2000, 300, '1', $4, $4))
		INSERT INTO withdrawals (id, quote_id, user_id, wallet_id, rail, destination_sealed, currency, amount_minor, fee_minor, excise_minor,
		status,
			seq, created_at, updated_at) VALUES ($1, $1, $2, $3, 'mpesa', $5, 'KES', 100000, 2000, 300, 'stored', 1, $4, $4)`
	if _, err := db.Pool.Exec(t.Context(), rows, id, p.UserID, p.WalletID, base.Now(), sealed); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), db.OwnerURL, all); err != nil {
		t.Fatal(err)
	}
	w := testworld.On(t, base)
	w.Wallet.Own(p)
	w.Ledger.Set(p.WalletID.String(), 5000_00)
	if err := w.App.Pay(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	hear(t, w, testworld.Known(t.Context()), 1, testworld.Success(id, testworld.Conversation(1), receipt, 1000))
	w.Settle(id)
	if got := w.Read(p, id); got.Status != domain.Paid || got.Phone != testworld.Own || got.Account != nil ||
		books(w) != [4]int64{1000, 20, 3, 0} {
		t.Errorf("%+v, %v", got, books(w))
	}
}
