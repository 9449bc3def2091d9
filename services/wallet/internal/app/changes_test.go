package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

func officer(w *testworld.World) context.Context {
	return w.User(uuid.New(), scopes.OfRole(scopes.RoleFinance)...)
}

// dearer is a price list of transfers that begins at an instant: five shillings for everything.
func dearer(at time.Time) domain.TariffChange {
	return domain.TariffChange{Country: "KE", Kind: domain.KindTransfer, Currency: "KES", EffectiveFrom: at,
		Bands: []domain.BandChange{{From: 1, UpTo: 100, Fee: 0}, {From: 101, UpTo: 25_000_000, Fee: 500}}}
}

// TestTariffChange: what one proposes and another approves is the price from its moment on, and a quote of before keeps its own.
func TestTariffChange(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(2, 10_000), w.Person(2, 0)
	maker, checker := officer(w), officer(w)
	start := w.Now().Add(24 * time.Hour)
	a, err := w.App.ProposeTariff(maker, dearer(start), "Agreed.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.App.Approvals.Approve(maker, w.DB.Pool, a.ID, a.Digest); !errors.Is(err, approve.ErrSamePerson) {
		t.Errorf("the maker approves: %v", err)
	}
	rows := w.Count("SELECT count(*) FROM tariffs")
	for range 2 { // the answer to the first try may be lost
		if _, err := w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.Count("SELECT count(*) FROM tariffs"); n != rows+1 {
		t.Errorf("%d tariffs more", n-rows)
	}
	rules, err := w.App.ListRules(maker, "KE")
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, r := range rules.Tariffs {
		if r.Kind == domain.KindTransfer && r.Currency == "KES" {
			seen = append(seen, fmt.Sprint(r.ID, " ", len(r.Bands), " ", r.EffectiveFrom.Equal(start)))
		}
	}
	if strings.Join(seen, ", ") != "1 12 false, 1000000 2 true" {
		t.Errorf("in force and to come: %v", seen)
	}
	w.Advance(24*time.Hour - time.Microsecond)
	before := w.Quote(from, to, 1000)
	w.Advance(time.Microsecond)
	after := w.Quote(from, to, 1000)
	if before.Fee.Amount != 1300 || after.Fee.Amount != 500 || after.Excise.Amount != 75 {
		t.Errorf("fees %d and %d", before.Fee.Amount, after.Fee.Amount)
	}
	if got := w.Text("SELECT string_agg(tariff_version, ' ' ORDER BY id) FROM transfer_quotes"); got != "1.1 1000000.1" {
		t.Errorf("versions %s", got)
	}
	sent, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), before.ID),
		app.TransferInput{Key: uuid.NewString(), QuoteID: before.ID})
	if err != nil || sent.Fee.Amount != 1300 {
		t.Errorf("the quote of before: %+v, %v", sent.Fee, err)
	}
	price, err := w.App.PriceOperation(w.As("service:banking", scopes.PricesRead), domain.Customer{Country: "KE", Tier: 2},
		domain.KindTransfer, testworld.KES(1000))
	if err != nil || price.Version != "1000000.1" {
		t.Errorf("price %+v, %v", price, err)
	}
	if rules, err = w.App.ListRules(maker, "KE"); err != nil || rules.Tariffs[len(rules.Tariffs)-1].ID != 1_000_000 {
		t.Errorf("afterwards: %+v, %v", rules.Tariffs, err)
	}
	for _, r := range rules.Tariffs {
		if r.ID == 1 {
			t.Error("a tariff that another one has followed is on the list")
		}
	}
	if got := w.PublishedOf("wallet.approval_decided"); len(got) != 1 || got[0]["action"] != "tariff.add" {
		t.Errorf("told: %v", got)
	}
}

// TestTaxAndLimitChange: a rate and a limit change the same way; the limits that a payment meets are those of its moment.
func TestTaxAndLimitChange(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	start := w.Now().Add(domain.RuleLead)
	tax, err := w.App.ProposeTax(officer(w), domain.TaxChange{Country: "KE", Tax: domain.TaxExcise, RatePPM: 200_000,
		EffectiveFrom: start}, "Law.")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := w.App.ProposeLimit(officer(w), domain.LimitChange{Country: "KE", Tier: 1, Kind: domain.KindCashOut, Currency: "KES",
		PerTransaction: 100, PerDay: 150, PerMonth: 200, EffectiveFrom: start}, "Fraud.")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range []approve.Approval{tax, limit} {
		if _, err := w.App.Approvals.Approve(officer(w), w.DB.Pool, a.ID, a.Digest); err != nil {
			t.Fatal(err)
		}
	}
	put := func(minor int64) error {
		_, _, err := w.App.PutLimitReservation(asService(w, "agents"), uuid.New(), demand(p, domain.KindCashOut, minor))
		return err
	}
	if err := put(101); err != nil {
		t.Errorf("before: %v", err)
	}
	w.Advance(domain.RuleLead)
	if err := put(101); !errors.Is(err, domain.ErrLimitTransaction) {
		t.Errorf("above the payment's: %v", err)
	}
	if err := put(50); !errors.Is(err, domain.ErrLimitDay) {
		t.Errorf("above the day's: %v", err)
	}
	price, err := w.App.PriceOperation(w.As("service:agents", scopes.PricesRead), domain.Customer{Country: "KE"}, domain.KindTransfer,
		testworld.KES(1000))
	if err != nil || price.Excise.Amount != 260 || price.Version != "1.3" {
		t.Errorf("price %+v, %v", price, err)
	}
}

// TestChangeJudgedAgain: what has become wrong since the proposal is refused to its checker, and the request stays open.
func TestChangeJudgedAgain(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	maker, checker := officer(w), officer(w)
	at := w.Now().Add(time.Hour)
	late, err := w.App.ProposeTariff(maker, dearer(at), "Too late soon.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.App.ProposeTariff(maker, dearer(at), "Once more."); !errors.Is(err, approve.ErrWaiting) {
		t.Errorf("the same change twice: %v", err)
	}
	other := dearer(at)
	other.Bands[1].Fee = 501
	same, err := w.App.ProposeTariff(maker, other, "Another figure.")
	if err != nil {
		t.Fatal(err)
	}
	errs := servicetest.Together(2, func(i int) error {
		a := []approve.Approval{late, same}[i]
		_, err := w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest)
		return err
	})
	if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), domain.ErrRuleExists) {
		t.Errorf("two for one moment: %v", errs)
	}
	if n := w.Count("SELECT count(*) FROM approvals WHERE state = 'open'"); n != 1 {
		t.Errorf("%d open", n)
	}
	soon, err := w.App.ProposeTariff(maker, dearer(at.Add(time.Second)), "Soon.")
	if err != nil {
		t.Fatal(err)
	}
	w.Advance(time.Hour - 58*time.Second)
	if _, err := w.App.Approvals.Approve(checker, w.DB.Pool, soon.ID, soon.Digest); !errors.Is(err, domain.ErrTooSoon) {
		t.Errorf("59 seconds ahead: %v", err)
	}
	if _, err := w.App.ProposeTariff(maker, dearer(w.Now()), "Past."); !errors.Is(err, domain.ErrTooSoon) {
		t.Errorf("proposed too late: %v", err)
	}
	if n := w.Count("SELECT count(*) FROM tariffs WHERE approval_id IS NOT NULL"); n != 1 {
		t.Errorf("%d rows", n)
	}
	for who, ctx := range map[string]context.Context{"customer": w.User(uuid.New(), scopes.WalletRead), "service": w.As("service:agents",
		scopes.AdminTariffs)} {
		if _, err := w.App.ProposeTariff(ctx, dearer(w.Now().Add(time.Hour)), "Cheaper."); !errors.Is(err, fault.ErrForbidden) {
			t.Errorf("%s: %v", who, err)
		}
	}
}

// TestRulesAreTheOwners: the service's role cannot write rules around the approval, and nobody can change one.
func TestRulesAreTheOwners(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	maker, checker := officer(w), officer(w)
	owner := w.Connect(w.DB.OwnerURL)
	for _, table := range []string{"tariffs", "tariff_bands", "taxes", "limits", "balance_limits"} {
		for _, sql := range []string{"INSERT INTO %s SELECT * FROM %[1]s", "UPDATE %s SET effective_from = NULL", "DELETE FROM %s",
			"TRUNCATE %s"} {
			if table == "tariff_bands" {
				sql = strings.Replace(sql, "effective_from = NULL", "fee_minor = 0", 1)
			}
			sql = fmt.Sprintf(sql, table)
			if _, err := w.DB.Pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "permission denied") {
				t.Errorf("the service: %s: %v", sql, err)
			}
			if strings.HasPrefix(sql, "INSERT") {
				continue
			}
			if _, err := owner.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "only added") &&
				!strings.Contains(err.Error(), "foreign key") {
				t.Errorf("the owner: %s: %v", sql, err)
			}
		}
	}
	start := w.Now().Add(time.Hour)
	a, err := w.App.ProposeTariff(maker, dearer(start), "Agreed.")
	if err != nil {
		t.Fatal(err)
	}
	text := func(c domain.TariffChange) string {
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	add := func(id uuid.UUID, change, want string) {
		t.Helper()
		if _, err := w.DB.Pool.Exec(t.Context(), "SELECT add_rule($1, $2)", id, change); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	add(uuid.New(), text(dearer(start)), "needs an approval")
	add(a.ID, text(dearer(start)), "needs an approval") // it is open
	if _, err := w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest); err != nil {
		t.Fatal(err)
	}
	add(a.ID, text(dearer(start)), "duplicate key") // an approval is good for one row
	cheaper := dearer(start)
	cheaper.Bands[1].Fee = 0
	add(a.ID, text(cheaper), "another change")
	// One whose approval was decided less than a minute before its beginning, whatever the service thinks of it.
	late, err := w.App.ProposeTariff(maker, dearer(start.Add(time.Hour)), "Agreed.")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Pool.Exec(t.Context(), "UPDATE approvals SET state = 'approved', checker = $2, decided_at = $3 WHERE id = $1", late.ID,
		uuid.New(), start.Add(time.Hour-59*time.Second)); err != nil {
		t.Fatal(err)
	}
	add(late.ID, text(dearer(start.Add(time.Hour))), "60 seconds after its approval")
}

// TestChangeCrash: an approval whose transaction fails at its commit has added nothing and is still open; the repeat adds it.
func TestChangeCrash(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	a, err := w.App.ProposeTariff(officer(w), dearer(w.Now().Add(time.Hour)), "Agreed.")
	if err != nil {
		t.Fatal(err)
	}
	checker := officer(w)
	mend := breakCommits(t, w, "approvals")
	if _, err := w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest); err == nil || errors.As(err, new(*fault.Error)) {
		t.Errorf("the crash is %v", err)
	}
	mend()
	if n := w.Count("SELECT count(*) FROM tariffs WHERE approval_id IS NOT NULL"); n != 0 {
		t.Errorf("%d rows", n)
	}
	if _, err := w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest); err != nil {
		t.Error(err)
	}
	if n := w.Count("SELECT count(*) FROM tariff_bands b JOIN tariffs t ON t.id = b.tariff_id WHERE t.approval_id = $1", a.ID); n != 2 {
		t.Errorf("%d bands", n)
	}
}

// TestChangesOfOneMoment: a checker whose transaction saw nothing of another one for the same moment is refused, and no row is lost.
func TestChangesOfOneMoment(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	start := w.Now().Add(time.Hour)
	a, err := w.App.ProposeTariff(officer(w), dearer(start), "Agreed.")
	if err != nil {
		t.Fatal(err)
	}
	checker := officer(w)
	other, err := w.Connect(w.DB.OwnerURL).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec(t.Context(), `INSERT INTO tariffs (id, country, kind, currency, effective_from)
		VALUES (99, 'KE', 'transfer', 'KES', $1)`, start); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() {
		_, err := w.App.Approvals.Approve(checker, w.DB.Pool, a.ID, a.Digest)
		answer <- err
	}()
	w.AwaitLocks(1)
	if err := other.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; !errors.Is(err, domain.ErrRuleExists) {
		t.Errorf("the later one: %v", err)
	}
	if s := w.Text("SELECT state FROM approvals WHERE id = $1", a.ID); s != approve.Open {
		t.Errorf("its request is %s", s)
	}
}
