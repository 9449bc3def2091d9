package app_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

func finance(w *testworld.World) context.Context {
	return w.User(uuid.Must(uuid.NewV7()), scopes.AdminRails, scopes.AdminRailsApprove)
}

// TestSettlement: two people end what is in doubt, with a receipt or back to the wallet; one alone cannot, nor a customer.
func TestSettlement(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s    app.Settlement
		want domain.Status
		free int64
	}{
		"paid":     {app.Settlement{Outcome: "paid", Receipt: receipt, Evidence: "Statement, page 4."}, domain.Paid, 3977},
		"returned": {app.Settlement{Outcome: "returned", Evidence: "Statement, page 4."}, domain.Returned, 5000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(5000)
			made := w.InDoubt(p)
			maker := finance(w)
			if _, err := w.App.ProposeSettlement(w.As(p), made.ID, c.s, "The statement says so."); !errors.Is(err, fault.ErrForbidden) {
				t.Errorf("a customer: %v", err)
			}
			asked, err := w.App.ProposeSettlement(maker, made.ID, c.s, "The statement shows it.")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.App.Approvals.Approve(maker, w.Pool, asked.ID, asked.Digest); err == nil {
				t.Error("one person alone")
			}
			if got := w.Read(p, made.ID); got.Status != domain.InDoubt {
				t.Errorf("%+v", got)
			}
			if _, err := w.App.Approvals.Approve(finance(w), w.Pool, asked.ID, asked.Digest); err != nil {
				t.Fatal(err)
			}
			w.Settle(made.ID)
			free, _ := balance(w, p)
			if got := w.Read(p, made.ID); got.Status != c.want || got.Receipt != c.s.Receipt || free != c.free || books(w)[3] != 0 {
				t.Errorf("%+v: free %d, books %v", got, free, books(w))
			}
			if _, err := w.App.ProposeSettlement(maker, made.ID, c.s, "Again."); !errors.Is(err, domain.ErrNotInDoubt) {
				t.Errorf("again: %v", err)
			}
			list, _, err := w.App.ListWithdrawalsByStatus(maker, string(c.want), page.Request{})
			if err != nil || len(list) != 1 || list[0].ID != made.ID || len(list[0].Transitions) < 6 {
				t.Errorf("%v: %v", list, err)
			}
			if n := w.Text("SELECT count(*) FROM audit_log WHERE action = 'withdrawal.settled'"); n != "1" {
				t.Errorf("%s audit rows", n)
			}
		})
	}
}

// TestSettlementRefused: a payment needs its receipt, a receipt is of one withdrawal, and a message that came meanwhile wins.
func TestSettlementRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	first, second := w.InDoubt(p), w.InDoubt(p)
	maker, checker := finance(w), finance(w)
	if _, err := w.App.ProposeSettlement(maker, first.ID, app.Settlement{Outcome: "paid", Evidence: "e"},
		"The statement says so."); !errors.Is(err, domain.ErrReceiptRequired) {
		t.Errorf("without a receipt: %v", err)
	}
	if _, err := w.App.ProposeSettlement(maker, uuid.New(), app.Settlement{Outcome: "returned", Evidence: "e"},
		"The statement says so."); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
	settle := func(id uuid.UUID, s app.Settlement) error {
		asked, err := w.App.ProposeSettlement(maker, id, s, "The statement says so.")
		if err != nil {
			return err
		}
		if _, err = w.App.Approvals.Approve(checker, w.Pool, asked.ID, asked.Digest); err != nil {
			if _, err := w.App.Approvals.Reject(checker, w.Pool, asked.ID, "It cannot be."); err != nil {
				t.Error(err)
			}
		}
		return err
	}
	paid := app.Settlement{Outcome: "paid", Receipt: receipt, Evidence: "e"}
	if err := settle(first.ID, paid); err != nil {
		t.Fatal(err)
	}
	if err := settle(second.ID, paid); !errors.Is(err, domain.ErrReceiptUsed) {
		t.Errorf("the same receipt: %v", err)
	}
	asked, err := w.App.ProposeSettlement(maker, second.ID, app.Settlement{Outcome: "returned", Evidence: "e"}, "The statement says so.")
	if err != nil {
		t.Fatal(err)
	}
	w.Advance(time.Minute)
	question(t, w, second.ID)
	n := len(w.Mpesa.Questions())
	answer(t, w, n, testworld.State(second.ID, testworld.Inquiry(n), "Completed", "SKL9Z9Z9Z9", 1000))
	if _, err := w.App.Approvals.Approve(checker, w.Pool, asked.ID, asked.Digest); !errors.Is(err, domain.ErrNotInDoubt) {
		t.Errorf("after the rail's word: %v", err)
	}
	w.Settle(first.ID)
	w.Settle(second.ID)
	if books(w) != [4]int64{2000, 40, 6, 0} {
		t.Errorf("books %v", books(w))
	}
}
