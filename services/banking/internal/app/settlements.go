package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// actionSettle is stored with approvals: never change it.
const actionSettle = "withdrawal.settle"

// Settlement is how a withdrawal in doubt ended, as two people say.
type Settlement struct {
	Outcome  string `json:"outcome"` // paid or returned
	Receipt  string `json:"receipt,omitempty"`
	Evidence string `json:"evidence"`
}

func (s Settlement) check() error {
	if s.Outcome == string(domain.Paid) && s.Receipt == "" {
		return domain.ErrReceiptRequired.WithField("/receipt", "required", "A payment needs the rail's receipt.")
	}
	if s.Outcome != string(domain.Paid) && s.Receipt != "" {
		return fault.ErrInvalid.WithField("/receipt", "contradiction", "What was not paid has no receipt.")
	}
	return nil
}

// actions are what this service's approvals do.
func (a *App) actions() []approve.Action {
	of := func(name string, apply func(ctx context.Context, tx pgx.Tx, approval approve.Approval) error) approve.Action {
		return approve.Action{Name: name, Propose: scopes.AdminRails, Approve: scopes.AdminRailsApprove, Apply: apply}
	}
	return []approve.Action{of(actionSettle, a.applySettlement), of(actionRefund, a.applyRefund),
		of(actionSettleRefund, a.applyRefundSettlement), a.Rails.Action(scopes.AdminRails, scopes.AdminRailsApprove)}
}

// operator lets only a person with the right on.
func operator(ctx context.Context) error {
	if _, err := auth.UserFrom(ctx); err != nil {
		return err
	}
	return auth.Require(ctx, scopes.AdminRails)
}

// ProposeSettlement asks for the end of a withdrawal in doubt.
func (a *App) ProposeSettlement(ctx context.Context, id uuid.UUID, s Settlement, reason string) (approve.Approval, error) {
	if err := operator(ctx); err != nil {
		return approve.Approval{}, err
	}
	if err := s.check(); err != nil {
		return approve.Approval{}, err
	}
	var out approve.Approval
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		w, err := a.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if w.Status != domain.InDoubt {
			return domain.ErrNotInDoubt
		}
		out, err = a.Approvals.Propose(ctx, tx,
			approve.Proposal{Action: actionSettle, ObjectType: "withdrawal", ObjectID: id.String(), Payload: s,
				Reason: reason})
		return err
	})
	return out, err
}

// applySettlement ends the withdrawal as the checker was shown it.
func (a *App) applySettlement(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	var s Settlement
	if err := approval.Decode(&s); err != nil {
		return err
	}
	id, err := uuid.Parse(approval.ObjectID)
	if err != nil {
		return fmt.Errorf("approval %s is about no withdrawal: %w", approval.ID, err)
	}
	w, err := a.lock(ctx, tx, id)
	if err != nil {
		return err
	}
	if w.Status != domain.InDoubt {
		return domain.ErrNotInDoubt
	}
	b := domain.Because{Evidence: domain.ByPeople, ID: &approval.ID, Receipt: s.Receipt}
	if s.Outcome == string(domain.Returned) {
		b.Reason = "rail_did_not_pay"
	}
	if _, _, err := a.move(ctx, tx, w, domain.Status(s.Outcome), b); err != nil {
		return err
	}
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "withdrawal.settled", ObjectType: "withdrawal", ObjectID: id.String(),
		Detail: map[string]string{"approval": approval.ID.String(), "outcome": s.Outcome}})
}

// OperatorWithdrawal is a withdrawal with all that happened to it.
type OperatorWithdrawal struct {
	domain.Withdrawal

	Transitions []bankingdb.ListTransitionsRow
}

// ListWithdrawalsByStatus returns a page of all customers' withdrawals in a state, newest first. The reading is audited.
func (a *App) ListWithdrawalsByStatus(ctx context.Context, status string, in page.Request) ([]OperatorWithdrawal, *string, error) {
	if err := operator(ctx); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listWithdrawalsByStatus", in, status)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListWithdrawalsByStatus(ctx, a.Pool, status, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list withdrawals: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r bankingdb.Withdrawal) uuid.UUID { return r.ID })
	out := make([]OperatorWithdrawal, len(rows))
	for i, r := range rows {
		if out[i].Withdrawal, err = a.withdrawal(r); err != nil {
			return nil, nil, err
		}
		if out[i].Transitions, err = a.q.ListTransitions(ctx, a.Pool, r.ID); err != nil {
			return nil, nil, fmt.Errorf("list transitions: %w", err)
		}
	}
	return out, next, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "withdrawals.listed", ObjectType: "withdrawals", ObjectID: status})
	})
}
