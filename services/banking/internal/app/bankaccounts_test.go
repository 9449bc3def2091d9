package app_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

const (
	equity     = "68"
	hers       = testworld.OwnAccount // of Amina Wanjiku, says the bank
	anothers   = "0100100082"         // of Brian Otieno
	unresolved = "0100000000"         // the bank tells nobody's name
)

func link(w *testworld.World, ctx context.Context, in app.BankAccountInput) (domain.BankAccount, error) { //nolint:revive // whose it is
	return w.App.CreateBankAccount(w.ApproveHash(ctx, domain.BankAccountApprovalHash(in.ID)), in)
}

// TestBankAccounts: what is linked is listed, once, sealed, and with the bank's name where it tells one.
func TestBankAccounts(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p, other := w.Person(0), w.Person(0)
	in := app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: hers, Name: "Somebody Else"}
	made, err := link(w, w.As(p), in)
	if err != nil || made.Name != "AMINA WANJIKU" || !made.NameChecked || !made.PayableFrom.Equal(w.Now()) ||
		made.BankName != "Equity Bank Kenya Limited" {
		t.Fatalf("%+v: %v", made, err)
	}
	for what, in := range map[string]app.BankAccountInput{"the same request": in,
		"the same account": {ID: uuid.New(), BankCode: equity, Number: hers}} {
		if again, err := link(w, w.As(p), in); err != nil || again.ID != made.ID {
			t.Errorf("%s: %+v: %v", what, again, err)
		}
	}
	if _, err := link(w, w.As(other), app.BankAccountInput{ID: in.ID, BankCode: equity, Number: anothers}); !errors.Is(err,
		domain.ErrAccountIDUsed) {
		t.Errorf("an id of another's: %v", err)
	}
	if theirs, err := link(w, w.As(other), app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: hers}); err != nil ||
		theirs.ID == made.ID {
		t.Errorf("the same account of another customer: %+v: %v", theirs, err)
	}
	late := w.Now().Add(24 * time.Hour)
	for what, c := range map[string]struct{ number, name, want string }{
		"another's name": {anothers, "", "BRIAN OTIENO"}, "no name": {unresolved, "Amina Wanjiku", "Amina Wanjiku"},
	} {
		got, err := link(w, w.As(p), app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: c.number, Name: c.name})
		if err != nil || got.Name != c.want || got.NameChecked != (c.name == "") || !got.PayableFrom.Equal(late) {
			t.Errorf("%s: %+v: %v", what, got, err)
		}
	}
	list, err := w.App.ListBankAccounts(w.As(p))
	if err != nil || len(list) != 3 || list[0].Number == "" {
		t.Errorf("%+v: %v", list, err)
	}
	if n := w.Text("SELECT count(*) FROM bank_accounts WHERE position('" + hers + "'::bytea IN number_sealed) > 0 OR last_four <> right('" +
		hers + "', 4) AND id = '" + made.ID.String() + "'"); n != "0" {
		t.Error("the number can be read")
	}
	if err := w.App.DeleteBankAccount(w.As(other), made.ID); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("another's is deleted: %v", err)
	}
	for range 2 {
		if err := w.App.DeleteBankAccount(w.As(p), made.ID); err != nil {
			t.Error(err)
		}
	}
	if list, err = w.App.ListBankAccounts(w.As(p)); err != nil || len(list) != 2 {
		t.Errorf("%+v: %v", list, err)
	}
	if _, err := link(w, w.As(p), in); !errors.Is(err, domain.ErrAccountIDUsed) {
		t.Errorf("a deleted account's id: %v", err)
	}
	in.ID = uuid.New()
	if again, err := link(w, w.As(p), in); err != nil || again.ID != in.ID {
		t.Errorf("linked again: %+v: %v", again, err)
	}
}

// TestBankAccountRefused: each thing that stands against linking an account has its name.
func TestBankAccountRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	in := app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: hers}
	bare := func(change func(s *auth.StepUp)) context.Context {
		ctx := w.ApproveHash(w.As(p), domain.BankAccountApprovalHash(in.ID))
		change(auth.From(ctx).StepUp)
		return ctx
	}
	for what, c := range map[string]struct {
		ctx  context.Context
		want error
	}{
		"no approval":        {w.As(p), domain.ErrStepUpMissing},
		"another's approval": {bare(func(s *auth.StepUp) { s.Hash = domain.ApprovalHash(in.ID) }), domain.ErrStepUpMismatch},
		"an old approval":    {bare(func(s *auth.StepUp) { s.ExpiresAt = w.Now() }), domain.ErrStepUpExpired},
	} {
		if _, err := w.App.CreateBankAccount(c.ctx, in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := link(w, w.As(p), app.BankAccountInput{ID: uuid.New(), BankCode: "MPESA", Number: hers}); !errors.Is(err,
		domain.ErrBankUnknown) {
		t.Errorf("no bank: %v", err)
	}
	if _, err := link(w, w.As(p), app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: unresolved}); !errors.Is(err,
		domain.ErrAccountNameRequired) {
		t.Errorf("no name: %v", err)
	}
	w.Users.Changed(w.Now().Add(-24*time.Hour + time.Second))
	if _, err := link(w, w.As(p), in); !errors.Is(err, domain.ErrCooling) {
		t.Errorf("new credentials: %v", err)
	}
	w.Advance(time.Second)
	spent := w.ApproveHash(w.As(p), domain.BankAccountApprovalHash(in.ID))
	if _, err := w.App.CreateBankAccount(spent, in); err != nil {
		t.Errorf("a day later: %v", err)
	}
	next := app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: anothers}
	auth.From(spent).StepUp.Hash = domain.BankAccountApprovalHash(next.ID)
	if _, err := w.App.CreateBankAccount(spent, next); !errors.Is(err, domain.ErrStepUpUsed) {
		t.Errorf("an approval twice: %v", err)
	}
}

// TestBankAccountsAreFew: no number of requests at a time links more than five, or one account twice.
func TestBankAccountsAreFew(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(0)
	done := make(chan error, 24)
	for i := range cap(done) {
		go func() {
			_, err := link(w, w.As(p), app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: fmt.Sprintf("020010%04d", 1+i%8)})
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil && !errors.Is(err, domain.ErrTooManyAccounts) {
			t.Error(err)
		}
	}
	if n := w.Text("SELECT count(*) || ' of ' || count(DISTINCT number_index) FROM bank_accounts"); n != "5 of 5" {
		t.Errorf("%s accounts", n)
	}
}

// TestBanks: the list is Paystack's of the last day, and the last one that is known while Paystack is away.
func TestBanks(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	list, err := w.App.ListBanks(t.Context())
	if err != nil || len(list) != 10 || list[0] != (domain.Bank{Code: "03", Name: "Absa Bank Kenya Plc"}) {
		t.Fatalf("%v: %v", list, err)
	}
	renamed := func(what, want string) {
		t.Helper()
		list, err := w.App.ListBanks(t.Context())
		if err != nil || list[0].Name != want {
			t.Errorf("%s: %v: %v", what, list, err)
		}
	}
	w.Exec("UPDATE banks SET name = 'A Bank' WHERE code = '03'")
	w.Advance(24*time.Hour - time.Second)
	renamed("within a day", "A Bank")
	w.Exec("INSERT INTO banks VALUES ('99', 'A Bank that is no more', $1)", w.Now().Add(-24*time.Hour))
	w.PaystackDown(true)
	w.Advance(time.Second)
	renamed("away", "A Bank")
	w.PaystackDown(false)
	w.Advance(time.Minute) // the client's breaker
	renamed("a day later", "Absa Bank Kenya Plc")
	if n := w.Text("SELECT count(*) FROM banks WHERE code = '99'"); n != "0" {
		t.Error("a bank that is no more can be paid to")
	}
	w.Exec("DELETE FROM banks")
	w.PaystackDown(true)
	if _, err := w.App.ListBanks(t.Context()); !errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("never known: %v", err)
	}
}
