package app_test

import (
	"errors"
	"testing"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/fault"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

func TestPutAccount(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.customer(t, "KES", 1_000)
	audits := func() int64 {
		return w.count(t, "SELECT count(*) FROM audit_log WHERE object_type = 'ledger_account' AND object_id = $1", a.ID.String())
	}
	if _, created, err := w.PutAccount(w.Ctx, a); created || err != nil || audits() != 1 {
		t.Errorf("equal values: created=%v err=%v audits=%d", created, err, audits())
	}
	for name, change := range map[string]func(*domain.Account){
		"owner": func(x *domain.Account) { x.OwnerID = newID() }, "currency": func(x *domain.Account) { x.Currency = "UGX" },
		"kind": func(x *domain.Account) { x.Kind = domain.KindSavingsPot },
		"book": func(x *domain.Account) { x.Book = domain.BookSavings },
	} {
		other := a
		change(&other)
		if _, _, err := w.PutAccount(w.Ctx, other); !errors.Is(err, domain.ErrAccountDiffers) {
			t.Errorf("%s: %v", name, err)
		}
	}
	lower := a
	maximum := int64(500)
	lower.Maximum = &maximum
	if got, _, err := w.PutAccount(w.Ctx, lower); err != nil || *got.Maximum != 500 || audits() != 2 {
		t.Errorf("rules: %+v, %v, %d audits", got, err, audits())
	}
	system := a
	system.ID, system.Kind = newID(), domain.KindSystem
	if _, _, err := w.PutAccount(w.Ctx, system); !errors.Is(err, domain.ErrRulesInvalid) {
		t.Errorf("system account: %v", err)
	}
	other := a
	other.ID = newID()
	if _, _, err := w.PutAccount(w.As("user:"+newID().String(), scopes.LedgerAccounts), other); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("for another user: %v", err)
	}
	if _, created, err := w.PutAccount(w.As("user:"+a.OwnerID.String(), scopes.LedgerAccounts), other); err != nil || !created {
		t.Errorf("for the user: %v", err)
	}
}

func TestFrozenAndClosed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	funded := w.fund(t, alice.ID, 1_000)
	held := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 100)))
	put := func(a domain.Account, status domain.Status) error {
		a.Status = status
		_, _, err := w.PutAccount(w.Ctx, a)
		return err
	}
	if err := put(alice, domain.Frozen); err != nil {
		t.Fatal(err)
	}
	if err := put(alice, ""); err != nil || w.account(t, alice.ID).Status != domain.Frozen {
		t.Errorf("a change of the rules thawed the account: %v", err) // as when a customer's tier changes
	}
	w.refused(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1)), "account_frozen")
	w.refused(t, w.request(domain.ActionHold, kes(alice.ID, bob.ID, 1)), "account_frozen")
	w.fund(t, alice.ID, 10)
	w.posted(t, w.on(domain.ActionCapture, held.HoldID, 0))
	r := w.on(domain.ActionReverse, [16]byte{}, 0)
	r.OriginalID = funded.TransactionID
	r.HasAmount, r.Amount, r.Currency = true, 910, "KES"
	w.posted(t, r) // how a fraudulent credit is taken back
	w.wantBalance(t, alice.ID, 0, 0)

	w.fund(t, bob.ID, 5)
	if err := put(bob, domain.Closed); !errors.Is(err, domain.ErrAccountNotEmpty) {
		t.Errorf("close with money: %v", err)
	}
	if err := put(alice, domain.Closed); err != nil {
		t.Fatal(err)
	}
	w.refused(t, w.request(domain.ActionPost, kes(bob.ID, alice.ID, 1)), "account_closed")
	if err := put(alice, domain.Active); !errors.Is(err, domain.ErrAccountClosed) {
		t.Errorf("open again: %v", err)
	}
}

func TestSystemAccounts(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 500)
	accounts, totals, err := w.ListSystemAccounts(w.Ctx)
	if err != nil || len(accounts) != 23 {
		t.Fatalf("%d accounts, %v", len(accounts), err)
	}
	for _, a := range accounts {
		if a.ID != domain.SystemAccountID(a.Code) {
			t.Errorf("%s has the id %s in the chart, and %s in the code", a.Code, a.ID, domain.SystemAccountID(a.Code))
		}
		if a.Book != domain.BookEmoney {
			t.Errorf("%s is in the book %s", a.Code, a.Book)
		}
		if a.ID == rail && a.Balance() != 500 {
			t.Errorf("rail has %d", a.Balance())
		}
	}
	for _, c := range totals {
		if c.Book != "emoney" || c.DebitsMinor != c.CreditsMinor || c.Currency == "KES" && c.CustomerBalanceMinor != 500 {
			t.Errorf("totals %+v", c)
		}
	}
}

func TestSeveralCurrencies(t *testing.T) {
	t.Parallel()
	w := setup(t)
	kesWallet, ugxWallet := w.customer(t, "KES", 0), w.customer(t, "UGX", 0)
	w.fund(t, kesWallet.ID, 1_000)
	ugx := func(from, to string, amount int64) domain.Posting {
		return domain.Posting{Source: domain.ResolveAccount(from), Destination: domain.ResolveAccount(to), Amount: amount, Currency: "UGX"}
	}
	w.posted(t, w.request(domain.ActionPost, kes(kesWallet.ID, domain.ResolveAccount("commission.payable.KES"), 100),
		ugx("commission.payable.UGX", ugxWallet.ID.String(), 2_800)))
	w.wantBalance(t, ugxWallet.ID, 2_800, 2_800)
	w.refused(t, w.request(domain.ActionPost, kes(kesWallet.ID, ugxWallet.ID, 1)), "currency_mismatch")
	w.refused(t, w.request(domain.ActionPost, kes(kesWallet.ID, domain.ResolveAccount("no.such.code"), 1)), "account_not_found")
}
