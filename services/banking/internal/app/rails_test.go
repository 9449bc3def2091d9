package app_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	kitrail "github.com/sendtip/sendtip/kit/rail"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// quoted asks for a price, which is refused while the rail is closed.
func quoted(w *testworld.World, p testworld.Person) error {
	_, err := w.App.CreateWithdrawalQuote(w.As(p), app.QuoteInput{WalletID: p.WalletID, Amount: testworld.KES(100)})
	return err
}

// TestSilentRailCloses: twenty payments without an answer close the rail for new ones; those whose money is on its way are told, once.
func TestSilentRailCloses(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(100_000)
	w.Mpesa.AnswerPay("lose")
	for range kitrail.Enough {
		if err := quoted(w, p); err != nil {
			t.Fatal(err)
		}
		if got := w.Sent(p, 100).Status; got != domain.Unknown {
			t.Fatalf("it is %s", got)
		}
	}
	if err := w.App.Rails.Judge(t.Context(), w.Pool); err != nil {
		t.Fatal(err)
	}
	f, ok := fault.As(quoted(w, p))
	if !ok || f.Code != "rail_unavailable" || f.RetryAfter != time.Minute {
		t.Errorf("a quote: %v", f)
	}
	for range 2 {
		if err := w.App.TellDelays(t.Context(), domain.OperationB2C); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.PublishedOf("banking.withdrawal_delayed")); n != kitrail.Enough {
		t.Errorf("%d were told", n)
	}
	all, doubt, err := w.App.ListRails(finance(w))
	if err != nil || len(all) != len(domain.Operations) || all[0].State != kitrail.Down || all[0].Bad != kitrail.Enough || len(doubt) != 0 {
		t.Errorf("%+v %v %v", all, doubt, err)
	}
	if _, _, err := w.App.ListRails(w.As(p)); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a customer: %v", err)
	}
}

// TestNoFloatCloses: when M-Pesa has none of our money left, no further withdrawal is begun.
func TestNoFloatCloses(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	made := w.Sent(p, 1000)
	result("1")(t, w, made.ID)
	if got := w.Read(p, made.ID); got.Status != domain.Failed {
		t.Fatalf("%+v", got)
	}
	if f, ok := fault.As(quoted(w, p)); !ok || f.Code != "rail_unavailable" {
		t.Errorf("a quote: %v", f)
	}
}

// TestCustomersFaultsAreNot the rail's: payments to numbers without M-Pesa close nothing.
func TestCustomersFaultsAreNot(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(100_000)
	for range kitrail.Enough {
		made := w.Sent(p, 100)
		result("2040")(t, w, made.ID)
	}
	if err := w.App.Rails.Judge(t.Context(), w.Pool); err != nil {
		t.Fatal(err)
	}
	if err := quoted(w, p); err != nil {
		t.Errorf("a quote: %v", err)
	}
}

// TestRailSwitch: one proposes, another switches off, and on again; whoever may not learns nothing.
func TestRailSwitch(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	maker, checker := finance(w), finance(w)
	for _, off := range []bool{true, false} {
		asked, err := w.App.ProposeRailSwitch(maker, domain.OperationB2C, off, "Announced maintenance.")
		if err != nil {
			t.Fatal(err)
		}
		if got := quoted(w, p); (got == nil) != off {
			t.Errorf("a proposal alone: %v", got)
		}
		if _, err := w.App.Approvals.Approve(checker, w.Pool, asked.ID, asked.Digest); err != nil {
			t.Fatal(err)
		}
		if got := quoted(w, p); (got == nil) == off {
			t.Errorf("switched off %t: %v", off, got)
		}
	}
	if _, err := w.App.ProposeRailSwitch(maker, "carrier.pigeon", true, "There is none."); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("no such operation: %v", err)
	}
	stranger := w.User(uuid.Must(uuid.NewV7()), scopes.BankingWrite)
	if _, err := w.App.ProposeRailSwitch(stranger, "carrier.pigeon", true, "There is none."); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a customer: %v", err)
	}
}

// TestDepositsStop when their rail is closed.
func TestDepositsStop(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	if err := pg.InTx(t.Context(), w.Pool, func(tx pgx.Tx) error {
		return w.App.Rails.Trip(t.Context(), tx, domain.OperationDeposit, kitrail.Failing)
	}); err != nil {
		t.Fatal(err)
	}
	_, err := w.App.CreateDeposit(w.As(p), app.DepositInput{Key: uuid.NewString(), WalletID: p.WalletID, Amount: testworld.KES(100),
		Channel: domain.ChannelPage})
	if !errors.Is(err, kitrail.ErrUnavailable) || w.Count("SELECT count(*) FROM deposits") != 0 {
		t.Errorf("a deposit: %v", err)
	}
}
