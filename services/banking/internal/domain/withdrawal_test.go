package domain_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/money"
	bankingsql "github.com/sendtip/sendtip/sql/banking"

	"io/fs"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

var all = []domain.Status{"", domain.Stored, domain.Held, domain.Requested, domain.Accepted, domain.Unknown, domain.InDoubt, domain.Paid,
	domain.Failed, domain.Cancelled, domain.Returned, domain.Reversed}

var at = time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)

func kes(minor int64) money.Money { return money.Money{Amount: minor, Currency: "KES"} }

func sent() domain.Withdrawal {
	hold := uuid.MustParse("01937c5e-9999-7c1b-9d7e-3f6b2a1c0d4e")
	return domain.Withdrawal{ID: uuid.MustParse("01937c61-1b30-7d65-9e24-8a5f7e9d0cb3"),
		WalletID:    uuid.MustParse("01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e"),
		Destination: domain.Destination{Rail: domain.RailMpesa}, HoldID: &hold, FirstSentAt: &at, UpdatedAt: at,
		Price: domain.Price{Amount: kes(100000), Fee: kes(2000), Excise: kes(300)}}
}

// TestMachineIsTheSchemas: the transitions of the domain are those that the database lets be written.
func TestMachineIsTheSchemas(t *testing.T) {
	t.Parallel()
	sql, err := fs.ReadFile(bankingsql.Migrations(), "00001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string][]string{}
	for _, m := range regexp.MustCompile(`WHEN '([a-z_]*)' +THEN to_status (?:=|IN) \(?([^)\n]*)`).FindAllStringSubmatch(string(sql), -1) {
		for _, to := range strings.Split(m[2], ",") {
			stored[m[1]] = append(stored[m[1]], strings.Trim(to, " '"))
		}
	}
	if len(stored) != 10 {
		t.Fatalf("the schema lists %v", stored)
	}
	for _, from := range all {
		for _, to := range all {
			w := sent()
			w.Status = from
			if _, _, legal := w.Move(to, domain.Because{}, at); legal != slices.Contains(stored[string(from)], string(to)) {
				t.Errorf("%s → %s: %t here", from, to, legal)
			}
		}
	}
}

// TestNeverSentIsNeverPaid: a withdrawal that failed before it left cannot become paid.
func TestNeverSentIsNeverPaid(t *testing.T) {
	t.Parallel()
	w := sent()
	w.Status, w.FirstSentAt = domain.Failed, nil
	if _, _, legal := w.Move(domain.Paid, domain.Because{}, at); legal {
		t.Error("paid, and never sent")
	}
}

// TestWalks: on every walk through the machine, what the ledger is told adds up: the wallet has lost the total when it is paid or in doubt
// (or owes the amount), and nothing otherwise; no reference is used twice for two things.
func TestWalks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		w := sent()
		w.FirstSentAt = nil
		w.Rail = rapid.SampledFrom(domain.Rails).Draw(rt, "rail")
		account := map[string]string{domain.RailMpesa: "rail.mpesa.b2c.KES", domain.RailPaystack: "rail.paystack.balance.KES"}[w.Rail]
		balances, held := map[string]int64{}, int64(0)
		bodies := map[string]bool{}
		wallet := w.WalletID.String()
		book := func(r domain.LedgerRequest, hold []domain.Posting) {
			if bodies[r.Reference] {
				rt.Fatalf("%s twice", r.Reference)
			}
			bodies[r.Reference] = true
			postings := r.Postings
			switch r.Action {
			case "hold":
				held = w.Total().Amount
				return
			case "release":
				held = 0
				return
			case "capture":
				held = 0
				if len(postings) == 0 {
					postings = hold
				}
			}
			for _, p := range postings {
				balances[p.Source] -= p.Amount.Amount
				balances[p.Destination] += p.Amount.Amount
			}
		}
		booked := domain.BookedWallet
		for range rapid.IntRange(1, 10).Draw(rt, "steps") {
			to := rapid.SampledFrom(all).Draw(rt, "to")
			next, tr, legal := w.Move(to, domain.Because{}, at)
			if !legal {
				continue
			}
			w = next
			if to == domain.Held {
				book(w.Hold(), nil)
			}
			if tr.Ledger == domain.StepNone {
				continue
			}
			if tr.Ledger == domain.StepRelease && tr.From == domain.Stored {
				continue // there was no hold
			}
			if instead, where, possible := w.Otherwise(tr.Ledger); possible && rapid.Bool().Draw(rt, "refused") {
				book(instead, nil)
				if to == domain.Paid {
					booked = where
				}
				continue
			}
			book(w.Step(tr.Ledger, booked), w.Hold().Postings)
		}
		lost, rail := -balances[wallet]-balances["suspense.KES"]-balances["dispute.receivable.KES"], balances[account]
		sum := int64(0)
		for _, b := range balances {
			sum += b
		}
		want, wantRail := int64(0), int64(0)
		switch w.Status {
		case domain.Paid:
			want, wantRail = w.Total().Amount, w.Amount.Amount
			if booked == domain.BookedReceivable {
				want = w.Amount.Amount
			}
		case domain.InDoubt:
			want = w.Total().Amount
		}
		holds := w.Status == domain.Held || w.Status == domain.Requested || w.Status == domain.Accepted || w.Status == domain.Unknown
		if sum != 0 || lost != want || rail != wantRail || (held > 0) != holds {
			rt.Fatalf("%s: sum %d, lost %d, rail %d, held %d: %v", w.Status, sum, lost, rail, held, balances)
		}
	})
}

// TestSchedule: both sides of each moment.
func TestSchedule(t *testing.T) {
	t.Parallel()
	s := domain.Schedule{Speed: 1}
	for _, c := range []struct {
		status domain.Status
		asked  int32
		age    time.Duration
		what   domain.Ask
		wait   time.Duration
	}{
		{domain.Unknown, 0, 45*time.Second - 1, domain.AskNothing, 1},
		{domain.Unknown, 0, 45 * time.Second, domain.AskResend, 0},
		{domain.Unknown, 0, time.Hour - 1, domain.AskResend, 0},
		{domain.Unknown, 0, time.Hour, domain.AskStatus, 0},
		{domain.Unknown, 1, 2*time.Minute - 1, domain.AskNothing, 1},
		{domain.Unknown, 1, 2 * time.Minute, domain.AskResend, 0},
		{domain.Unknown, 2, 10*time.Minute - 1, domain.AskNothing, 1},
		{domain.Unknown, 2, 10 * time.Minute, domain.AskStatus, 0},
		{domain.Unknown, 3, 11*time.Minute - 1, domain.AskNothing, 1},
		{domain.Unknown, 3, 11 * time.Minute, domain.AskDoubt, 0},
		{domain.Accepted, 0, 45 * time.Second, domain.AskStatus, 0},
		{domain.Accepted, 3, 11 * time.Minute, domain.AskDoubt, 0},
		{domain.InDoubt, 3, 11 * time.Minute, domain.AskNothing, 49 * time.Minute},
		{domain.InDoubt, 3, time.Hour, domain.AskStatus, 0},
		{domain.InDoubt, 4, 2*time.Hour - 1, domain.AskNothing, 1},
		{domain.InDoubt, 4, 2 * time.Hour, domain.AskStatus, 0},
		{domain.Paid, 0, time.Hour, domain.AskNothing, 0},
		{domain.Held, 0, time.Hour, domain.AskNothing, 0},
	} {
		w := sent()
		w.Status, w.Asked = c.status, c.asked
		if what, wait := s.Next(w, at.Add(c.age)); what != c.what || wait != c.wait {
			t.Errorf("%s asked %d at %v: %s in %v, want %s in %v", c.status, c.asked, c.age, what, wait, c.what, c.wait)
		}
	}
	w := sent()
	w.Status = domain.Unknown
	if what, _ := (domain.Schedule{Speed: 60}).Next(w, at.Add(750*time.Millisecond)); what != domain.AskResend {
		t.Errorf("sixty times as fast: %s", what)
	}
	w.Status, w.Asked = domain.InDoubt, 3
	if asked := s.Asked(w, at.Add(10*time.Hour)); asked != 13 { // the next question is due an hour later
		t.Errorf("after an outage of ten hours the count is %d", asked)
	}
	w.Asked = 13
	if what, wait := s.Next(w, at.Add(10*time.Hour)); what != domain.AskNothing ||
		wait != time.Hour {
		t.Errorf("%s in %v", what, wait)
	}
}
