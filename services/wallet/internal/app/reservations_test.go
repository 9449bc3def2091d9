package app_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// Limits of tier 1 in Kenya, for each kind but loans and savings.
const (
	perPayment = 7_000_000
	perDay     = 14_000_000
)

func asService(w *testworld.World, name string) context.Context {
	return w.As("service:"+name, scopes.LimitsReserve)
}

func demand(p testworld.Person, kind string, minor int64) domain.Demand {
	return domain.Demand{UserID: p.UserID, Kind: kind, Amount: money.Money{Amount: minor, Currency: "KES"}}
}

// used is the counters of a kind, day by day and month by month.
func used(w *testworld.World, user uuid.UUID, kind string) string {
	return w.Text(`SELECT COALESCE(string_agg(span || ' ' || starts_on || ' ' || amount_minor, ', ' ORDER BY span, starts_on), '')
		FROM limit_usage WHERE user_id = $1 AND kind = $2 AND amount_minor > 0`, user, kind)
}

func TestLimitReservation(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	ctx := asService(w, "banking")
	id := uuid.New()
	want := demand(p, domain.KindWithdrawal, 1_000_000)
	day := w.Now().Format(time.DateOnly)
	month := day[:8] + "01"
	for i := range 2 { // the answer to the first try may be lost
		r, created, err := w.App.PutLimitReservation(ctx, id, want)
		if err != nil || created != (i == 0) || r.Status != domain.Reserved || r.Demand != want || r.Period.Day.Format(time.DateOnly) != day {
			t.Errorf("try %d: %+v, %v, %v", i, r, created, err)
		}
	}
	other := w.Person(1, 0)
	for name, d := range map[string]domain.Demand{"amount": demand(p, want.Kind, 1_000_001), "kind": demand(p, domain.KindDeposit, 1_000_000),
		"customer": demand(other, want.Kind, 1_000_000)} {
		if _, _, err := w.App.PutLimitReservation(ctx, id, d); !errors.Is(err, domain.ErrReservationDiffers) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if got := used(w, p.UserID, want.Kind); got != "day "+day+" 1000000, month "+month+" 1000000" {
		t.Errorf("used: %s", got)
	}
	// Another service's row of the same id is another reservation.
	if _, created, err := w.App.PutLimitReservation(asService(w, "agents"), id, want); err != nil || !created {
		t.Errorf("another service: %v, %v", created, err)
	}
	if _, err := w.App.CommitLimitReservation(asService(w, "loans"), id); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("a third service's commit: %v", err)
	}
	w.Advance(31 * 24 * time.Hour)
	for range 2 {
		r, err := w.App.CommitLimitReservation(ctx, id)
		if err != nil || r.Status != domain.Committed || r.Period.Day.Format(time.DateOnly) != day {
			t.Errorf("commit: %+v, %v", r, err)
		}
		if err := w.App.ReleaseLimitReservation(ctx, id); !errors.Is(err, domain.ErrReservationCommitted) {
			t.Errorf("release after commit: %v", err)
		}
		if r, _, err := w.App.PutLimitReservation(ctx, id, want); err != nil || r.Status != domain.Committed {
			t.Errorf("repeat after commit: %+v, %v", r, err)
		}
	}
	for range 2 {
		if err := w.App.ReleaseLimitReservation(asService(w, "agents"), id); err != nil {
			t.Errorf("release: %v", err)
		}
		if _, _, err := w.App.PutLimitReservation(asService(w, "agents"), id, want); !errors.Is(err, domain.ErrReservationReleased) {
			t.Errorf("repeat after release: %v", err)
		}
	}
	if got := used(w, p.UserID, want.Kind); got != "day "+day+" 1000000, month "+month+" 1000000" {
		t.Errorf("used at the end: %s", got)
	}
}

// TestLimitReservationRefused: a refusal is kept with its reason, takes nothing, and is repeated when the limit has room again.
func TestLimitReservationRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	ctx := asService(w, "banking")
	first, second, third, month := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	put := func(id uuid.UUID, minor int64) error {
		_, _, err := w.App.PutLimitReservation(ctx, id, demand(p, domain.KindCashOut, minor))
		return err
	}
	for _, id := range []uuid.UUID{first, second} {
		if err := put(id, perPayment); err != nil {
			t.Fatal(err)
		}
	}
	before := used(w, p.UserID, domain.KindCashOut)
	for range 2 {
		if err := put(third, 1); !errors.Is(err, domain.ErrLimitDay) {
			t.Errorf("above the day: %v", err)
		}
		if err := put(month, perPayment+1); !errors.Is(err, domain.ErrLimitTransaction) {
			t.Errorf("above the payment: %v", err)
		}
		if got := used(w, p.UserID, domain.KindCashOut); got != before {
			t.Errorf("a refusal used: %s", got)
		}
		if err := w.App.ReleaseLimitReservation(ctx, second); err != nil {
			t.Fatal(err)
		}
		before = used(w, p.UserID, domain.KindCashOut)
	}
	if _, _, err := w.App.PutLimitReservation(ctx, third, demand(p, domain.KindCashOut, 2)); !errors.Is(err, domain.ErrReservationDiffers) {
		t.Errorf("another amount under a refused id: %v", err)
	}
	if _, err := w.App.CommitLimitReservation(ctx, third); !errors.Is(err, domain.ErrReservationRefused) {
		t.Errorf("commit of a refused one: %v", err)
	}
	if err := w.App.ReleaseLimitReservation(ctx, third); err != nil {
		t.Errorf("release of a refused one: %v", err)
	}
	if err := put(third, 1); !errors.Is(err, domain.ErrLimitDay) {
		t.Errorf("after that: %v", err)
	}
	if err := put(uuid.New(), 1); err != nil {
		t.Errorf("another id, now that there is room: %v", err)
	}
	// Loans and savings have the day's figure for one payment; a month is ten full days.
	for day := range 11 {
		_, _, err := w.App.PutLimitReservation(ctx, uuid.New(), demand(p, domain.KindSavings, perDay))
		if day < 10 && err != nil || day == 10 && !errors.Is(err, domain.ErrLimitMonth) {
			t.Errorf("day %d: %v", day, err)
		}
		w.Advance(24 * time.Hour)
		if day == 0 {
			w.Advance(instant(t, "2026-12-01T06:00:00Z").Sub(w.Now()))
			if _, _, err := w.App.PutLimitReservation(ctx, uuid.New(), demand(p, domain.KindSavings, perDay)); err != nil {
				t.Errorf("in the next month: %v", err)
			}
			w.Advance(24 * time.Hour)
		}
	}
}

// TestLimitReservationTombstone: what was released before it came is refused when it comes, and nothing of it is ever counted.
func TestLimitReservationTombstone(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	ctx := asService(w, "banking")
	id := uuid.New()
	for range 2 {
		if err := w.App.ReleaseLimitReservation(ctx, id); err != nil {
			t.Errorf("release: %v", err)
		}
		if _, _, err := w.App.PutLimitReservation(ctx, id, demand(p, domain.KindCashIn, 100)); !errors.Is(err, domain.ErrReservationReleased) {
			t.Errorf("late request: %v", err)
		}
		if _, err := w.App.CommitLimitReservation(ctx, id); !errors.Is(err, domain.ErrReservationReleased) {
			t.Errorf("commit: %v", err)
		}
	}
	if got := used(w, p.UserID, domain.KindCashIn); got != "" {
		t.Errorf("used: %s", got)
	}
	if _, err := w.App.CommitLimitReservation(ctx, uuid.New()); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("commit of an unknown one: %v", err)
	}
}

// TestLimitReservationPastTheEdge: money that has moved after a release counts on the day of its reservation, above the limit too.
func TestLimitReservationPastTheEdge(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	w.Advance(instant(t, "2026-11-30T20:30:00Z").Sub(w.Now())) // half past eleven in the evening in Nairobi, on a month's last day
	p := w.Person(1, 0)
	ctx := asService(w, "banking")
	ids := make([]uuid.UUID, 3)
	for i := range ids {
		if i == 2 {
			if err := w.App.ReleaseLimitReservation(ctx, ids[0]); err != nil {
				t.Fatal(err)
			}
		}
		ids[i] = uuid.New()
		if _, _, err := w.App.PutLimitReservation(ctx, ids[i], demand(p, domain.KindDeposit, perPayment)); err != nil {
			t.Fatal(err)
		}
	}
	w.Advance(time.Hour)
	for range 2 {
		if _, err := w.App.CommitLimitReservation(ctx, ids[0]); err != nil {
			t.Errorf("commit: %v", err)
		}
	}
	if got := used(w, p.UserID, domain.KindDeposit); got != "day 2026-11-30 21000000, month 2026-11-01 21000000" {
		t.Errorf("used: %s", got)
	}
}

// TestLimitReservationsAtTheEdge: of a hundred requests at one moment only those get through that fit, and a request that is made ten
// times at once is counted once.
func TestLimitReservationsAtTheEdge(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	const share = perDay / 35 // 400,000: 35 fit
	ids := make([]uuid.UUID, 100)
	for i := range ids {
		ids[i] = uuid.New()
	}
	granted := 0
	for i, err := range servicetest.Together(100, func(i int) error {
		_, _, err := w.App.PutLimitReservation(asService(w, []string{"banking", "agents"}[i%2]), ids[i], demand(p, domain.KindCashOut, share))
		return err
	}) {
		switch {
		case err == nil:
			granted++
		case !errors.Is(err, domain.ErrLimitDay):
			t.Errorf("request %d: %v", i, err)
		}
	}
	day := w.Now().Format(time.DateOnly)
	want := fmt.Sprintf("day %s %d, month %s01 %d", day, perDay, day[:8], perDay)
	if got := used(w, p.UserID, domain.KindCashOut); granted != 35 || got != want {
		t.Errorf("%d granted, used %s", granted, got)
	}
	same, created := uuid.New(), make([]bool, 10)
	for _, err := range servicetest.Together(10, func(i int) (err error) {
		_, created[i], err = w.App.PutLimitReservation(asService(w, "banking"), same, demand(p, domain.KindCashIn, share))
		return err
	}) {
		if err != nil {
			t.Error(err)
		}
	}
	if got := used(w, p.UserID, domain.KindCashIn); got != fmt.Sprintf("day %s %d, month %s01 %d", day, share, day[:8], share) {
		t.Errorf("one request, ten times: %s, %v", got, created)
	}
}

// TestLimitReservationCrash: what fails at its commit has changed nothing, and the repeat does it.
func TestLimitReservationCrash(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	ctx := asService(w, "banking")
	id := uuid.New()
	put := func(id uuid.UUID, minor int64) error {
		_, _, err := w.App.PutLimitReservation(ctx, id, demand(p, domain.KindCashOut, minor))
		return err
	}
	if err := put(uuid.New(), 100); err != nil { // so that the counters exist, and the next one updates them
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		table string
		do    func() error
	}{
		"put":     {"limit_usage", func() error { return put(uuid.New(), 100) }},
		"refuse":  {"limit_reservations", func() error { return put(uuid.New(), perPayment+1) }},
		"commit":  {"limit_reservations", func() error { _, err := w.App.CommitLimitReservation(ctx, id); return err }},
		"release": {"limit_usage", func() error { return w.App.ReleaseLimitReservation(ctx, id) }},
	} {
		id = uuid.New()
		if err := put(id, 100); err != nil {
			t.Fatal(err)
		}
		state := func() string {
			return used(w, p.UserID, domain.KindCashOut) + w.Text("SELECT string_agg(concat(id, status), ',' ORDER BY id) FROM limit_reservations")
		}
		before := state()
		mend := breakCommits(t, w, c.table)
		if err := c.do(); err == nil || errors.As(err, new(*fault.Error)) {
			t.Errorf("%s: the crash is %v", name, err)
		}
		mend()
		if got := state(); got != before {
			t.Errorf("%s left %s, before %s", name, got, before)
		}
		if err := c.do(); err != nil && !errors.Is(err, domain.ErrLimitTransaction) {
			t.Errorf("%s again: %v", name, err)
		}
		if got := state(); got == before {
			t.Errorf("%s did nothing", name)
		}
	}
}

// TestLimitReservationRights: nobody but a service reserves, and wallet's own are not theirs to change.
func TestLimitReservationRights(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 1000)
	made := topup(t, w, p, 100)
	for who, ctx := range map[string]context.Context{"customer": w.User(p.UserID, scopes.LimitsReserve), "no scope": w.As("service:banking"),
		"wallet": asService(w, domain.OwnReservations)} {
		if _, _, err := w.App.PutLimitReservation(ctx, uuid.New(), demand(p, domain.KindCashIn, 1)); !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s reserves: %v", who, err)
		}
		if _, err := w.App.CommitLimitReservation(ctx, made.ID); !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s commits: %v", who, err)
		}
		if err := w.App.ReleaseLimitReservation(ctx, made.ID); !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s releases: %v", who, err)
		}
	}
	other := auth.With(t.Context(),
		auth.Principal{Subject: "user:" + uuid.NewString(), Act: "service:banking", Scopes: []string{scopes.LimitsReserve}})
	if _, _, err := w.App.PutLimitReservation(other, uuid.New(), demand(p, domain.KindCashIn, 1)); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("on another user's behalf: %v", err)
	}
	if _, _, err := w.App.PutLimitReservation(asService(w, "banking"), uuid.New(), demand(p, "gift", 1)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("an unknown kind: %v", err)
	}
	if err := w.App.ReleaseLimitReservation(asService(w, "banking"), made.ID); err != nil {
		t.Error(err)
	}
	if s := w.Text("SELECT string_agg(service || ' ' || status, ', ' ORDER BY service) FROM limit_reservations"); s !=
		"banking tombstone, wallet reserved" {
		t.Errorf("reservations: %s", s)
	}
	if _, err := w.App.PriceOperation(w.As("service:banking"), domain.Customer{Country: "KE"}, domain.KindTransfer,
		testworld.KES(1)); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a price without the scope: %v", err)
	}
}

// TestReservationAlarm: what a service neither commits nor releases for a day is somebody's bug; it does not expire.
func TestReservationAlarm(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	id := uuid.New()
	if _, _, err := w.App.PutLimitReservation(asService(w, "banking"), id, demand(p, domain.KindCashIn, 1)); err != nil {
		t.Fatal(err)
	}
	measure := func(want int) {
		t.Helper()
		if err := w.App.Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.Counted("wallet_alarms_total", "limit_reserved_too_long"); got != want {
			t.Errorf("%d alarms, want %d", got, want)
		}
	}
	w.Advance(24 * time.Hour)
	measure(0)
	w.Advance(time.Second)
	measure(1)
	if _, err := w.App.CommitLimitReservation(asService(w, "banking"), id); err != nil {
		t.Errorf("after a day: %v", err)
	}
	measure(1)
}

// TestReservationsOfBefore: what an older version reserved is wallet's own, and ends as it would have.
func TestReservationsOfBefore(t *testing.T) {
	t.Parallel()
	db, upgrade := testworld.Older(t, "00001_init.sql", "00002_claims.sql", "00003_standing.sql", "00004_prompts.sql", "00005_uganda.sql")
	from, to := testworld.Person{UserID: uuid.New(), WalletID: uuid.New()}, testworld.Person{UserID: uuid.New(), WalletID: uuid.New()}
	quote, done, failed := uuid.New(), uuid.New(), uuid.New()
	day := servicetest.Start.Format(time.DateOnly)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := db.Pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, p := range []testworld.Person{from, to} {
		exec(`INSERT INTO customers (user_id, status, tier, country, version, updated_at) VALUES ($1, 'active', 1, 'KE', 1, $2)`, p.UserID,
			servicetest.Start)
		exec(`INSERT INTO wallets (id, user_id, currency, status, created_at, opened_at) VALUES ($1, $2, 'KES', 'open', $3, $3)`, p.WalletID,
			p.UserID, servicetest.Start)
	}
	for _, id := range []uuid.UUID{done, failed} {
		exec(`INSERT INTO transfer_quotes (id, user_id, wallet_id, recipient_user_id, recipient_wallet_id, currency, amount_minor, fee_minor,
			excise_minor, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, 'KES', 10000, 0, 0, $6, $6)`, quote, from.UserID, from.WalletID,
			to.UserID, to.WalletID, servicetest.Start)
		exec(`INSERT INTO transfers (id, quote_id, user_id, wallet_id, recipient_user_id, recipient_wallet_id, currency, amount_minor, fee_minor,
			excise_minor, status, idempotency_id, job_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, 'KES', 10000, 0, 0, 'created', $1, 1, $7)`,
			id, quote, from.UserID, from.WalletID, to.UserID, to.WalletID, servicetest.Start)
		exec(`INSERT INTO limit_reservations (id, user_id, kind, currency, amount_minor, day, month, status, created_at)
			VALUES ($1, $2, 'transfer', 'KES', 10000, $3::date, date_trunc('month', $3::date), 'reserved', $4)`, id, from.UserID, day,
			servicetest.Start)
		quote = uuid.New()
	}
	exec(`INSERT INTO limit_usage (user_id, kind, currency, span, starts_on, amount_minor)
		VALUES ($1, 'transfer', 'KES', 'day', $2::date, 20000), ($1, 'transfer', 'KES', 'month', date_trunc('month', $2::date), 20000)`,
		from.UserID, day)
	upgrade()
	w := testworld.On(t, db)
	w.Ledger.Set(from.WalletID.String(), 10000)
	for _, id := range []uuid.UUID{done, failed} { // the second one finds the wallet empty
		if err := w.App.SettleTransfer(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	for id, want := range map[uuid.UUID]string{done: "wallet committed", failed: "wallet released"} {
		if got := w.Text("SELECT service || ' ' || status FROM limit_reservations WHERE id = $1", id); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := used(w, from.UserID, domain.KindTransfer); got != fmt.Sprintf("day %s 10000, month %s01 10000", day, day[:8]) {
		t.Errorf("used: %s", got)
	}
	// A replica of the older version goes on writing while the upgrade runs.
	exec(`INSERT INTO limit_reservations (id, user_id, kind, currency, amount_minor, day, month, status, created_at)
		VALUES ($1, $2, 'topup', 'KES', 1, $3::date, $3::date, 'reserved', $4)`, uuid.New(), from.UserID, day, servicetest.Start)
}
