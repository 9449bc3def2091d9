package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// The actions of approvals about refunds. They are stored: never change them.
const (
	actionRefund       = "deposit.refund"
	actionSettleRefund = "refund.settle"
)

// RefundProposal is what two people decide about a deposit.
type RefundProposal struct {
	AmountMinor int64  `json:"amount_minor"`
	Currency    string `json:"currency"`
}

// RefundSettlement is how a refund ended, as two people say.
type RefundSettlement struct {
	Outcome  string `json:"outcome"` // processed or failed
	Evidence string `json:"evidence"`
}

// ProposeRefund asks for a deposit, or a part of it, to be given back.
func (a *App) ProposeRefund(ctx context.Context, deposit uuid.UUID, amount money.Money, reason string) (approve.Approval, error) {
	var out approve.Approval
	if err := operator(ctx); err != nil {
		return out, err
	}
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if _, err := a.refundable(ctx, tx, deposit, amount); err != nil {
			return err
		}
		var err error
		out, err = a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionRefund, ObjectType: "deposit", ObjectID: deposit.String(),
			Payload: RefundProposal{AmountMinor: amount.Amount, Currency: amount.Currency}, Reason: reason})
		return err
	})
	return out, err
}

// refundable locks a deposit and says whether an amount of it can be given back: all refunds together are at most what came.
func (a *App) refundable(ctx context.Context, tx pgx.Tx, id uuid.UUID, amount money.Money) (domain.Deposit, error) {
	d, err := a.lockDeposit(ctx, tx, id)
	if err != nil {
		return d, err
	}
	if d.Status != domain.Paid {
		return d, domain.ErrNotRefundable
	}
	if amount.Currency != d.Amount.Currency {
		return d, domain.ErrCurrency
	}
	given, err := a.q.SumRefunds(ctx, tx, id)
	if err != nil {
		return d, fmt.Errorf("sum refunds: %w", err)
	}
	if amount.Amount <= 0 || amount.Amount > d.Amount.Amount-given {
		return d, domain.ErrRefundTooMuch
	}
	return d, nil
}

// applyRefund writes the refund that two people agreed on, and leaves the rest to jobs.
func (a *App) applyRefund(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	var p RefundProposal
	if err := approval.Decode(&p); err != nil {
		return err
	}
	deposit, err := uuid.Parse(approval.ObjectID)
	if err != nil {
		return fmt.Errorf("approval %s is about no deposit: %w", approval.ID, err)
	}
	d, err := a.refundable(ctx, tx, deposit, money.Money{Amount: p.AmountMinor, Currency: p.Currency})
	if err != nil {
		return err
	}
	now, id := a.Now(), newID()
	if err := a.q.InsertRefund(ctx, tx, bankingdb.InsertRefundParams{ID: id, DepositID: d.ID, ApprovalID: approval.ID, UserID: d.UserID,
		WalletID: d.WalletID, Currency: p.Currency, AmountMinor: p.AmountMinor, Now: now}); err != nil {
		return fmt.Errorf("insert refund: %w", err)
	}
	if err := a.q.InsertRefundTransition(ctx, tx, bankingdb.InsertRefundTransitionParams{RefundID: id, Seq: 1,
		ToStatus: string(domain.Stored), Evidence: domain.ByPeople, EvidenceID: &approval.ID, At: now, DoneAt: &now}); err != nil {
		return fmt.Errorf("insert transition: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, RefundArgs{RefundID: id}, nil); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return audit.Record(ctx, tx, now, audit.Entry{Action: "deposit.refunded", ObjectType: "deposit", ObjectID: d.ID.String(),
		Detail: map[string]string{"approval": approval.ID.String(), "refund": id.String()}})
}

// ProposeRefundSettlement asks for the end of a refund that only people can end.
func (a *App) ProposeRefundSettlement(ctx context.Context, id uuid.UUID, s RefundSettlement, reason string) (approve.Approval, error) {
	var out approve.Approval
	if err := operator(ctx); err != nil {
		return out, err
	}
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		r, err := a.lockRefund(ctx, tx, id)
		if err != nil {
			return err
		}
		if !r.Settleable(a.Now(), a.Schedule) {
			return domain.ErrNotSettleable
		}
		out, err = a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionSettleRefund, ObjectType: "refund", ObjectID: id.String(),
			Payload: s, Reason: reason})
		return err
	})
	return out, err
}

// applyRefundSettlement ends the refund as the checker was shown it.
func (a *App) applyRefundSettlement(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	var s RefundSettlement
	if err := approval.Decode(&s); err != nil {
		return err
	}
	id, err := uuid.Parse(approval.ObjectID)
	if err != nil {
		return fmt.Errorf("approval %s is about no refund: %w", approval.ID, err)
	}
	r, err := a.lockRefund(ctx, tx, id)
	if err != nil {
		return err
	}
	if !r.Settleable(a.Now(), a.Schedule) {
		return domain.ErrNotSettleable
	}
	b := domain.Because{Evidence: domain.ByPeople, ID: &approval.ID}
	if s.Outcome == string(domain.Failed) {
		b.Reason = "not_refunded"
	}
	if _, _, err := a.moveRefund(ctx, tx, r, domain.Status(s.Outcome), b); err != nil {
		return err
	}
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "refund.settled", ObjectType: "refund", ObjectID: id.String(),
		Detail: map[string]string{"approval": approval.ID.String(), "outcome": s.Outcome}})
}

// OperatorRefund is a refund with all that happened to it.
type OperatorRefund struct {
	domain.Refund

	Transitions []bankingdb.ListRefundTransitionsRow
}

// ListRefundsByStatus returns a page of all refunds in a state, newest first. The reading is audited.
func (a *App) ListRefundsByStatus(ctx context.Context, status string, in page.Request) ([]OperatorRefund, *string, error) {
	if err := operator(ctx); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listRefundsByStatus", in, status)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListRefundsByStatus(ctx, a.Pool, status, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list refunds: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r bankingdb.Refund) uuid.UUID { return r.ID })
	out := make([]OperatorRefund, len(rows))
	for i, r := range rows {
		out[i].Refund = refundOf(r)
		if out[i].Transitions, err = a.q.ListRefundTransitions(ctx, a.Pool, r.ID); err != nil {
			return nil, nil, fmt.Errorf("list transitions: %w", err)
		}
	}
	return out, next, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "refunds.listed", ObjectType: "refunds", ObjectID: status})
	})
}

func (a *App) lockRefund(ctx context.Context, tx pgx.Tx, id uuid.UUID) (domain.Refund, error) {
	row, err := a.q.LockRefund(ctx, tx, id)
	if pg.IsNoRows(err) {
		return domain.Refund{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Refund{}, fmt.Errorf("lock refund: %w", err)
	}
	return refundOf(row), nil
}

// moveRefund brings a locked refund to another state, with the transition's row and the job of what follows. It reports false when the
// machine has no such transition.
func (a *App) moveRefund(ctx context.Context, tx pgx.Tx, r domain.Refund, to domain.Status, b domain.Because) (domain.Refund, bool, error) {
	next, t, legal := r.Move(to, b, a.Now())
	if !legal {
		return r, false, nil
	}
	row := bankingdb.InsertRefundTransitionParams{RefundID: r.ID, Seq: t.Seq, FromStatus: optional(string(t.From)), ToStatus: string(t.To),
		Reason: t.Reason, Evidence: t.Evidence, EvidenceID: t.EvidenceID, At: t.At, LedgerStep: t.Ledger}
	if t.Ledger == domain.StepNone {
		row.DoneAt = &t.At
	}
	if err := a.q.InsertRefundTransition(ctx, tx, row); err != nil {
		return r, false, fmt.Errorf("insert transition: %w", err)
	}
	if err := a.saveRefund(ctx, tx, next); err != nil {
		return r, false, err
	}
	if t.Ledger != domain.StepNone {
		if _, err := a.Jobs.InsertTx(ctx, tx, SettleRefundArgs{RefundID: r.ID}, nil); err != nil {
			return r, false, fmt.Errorf("enqueue: %w", err)
		}
	}
	a.metrics.refunds.WithLabelValues(string(to)).Inc()
	return next, true, nil
}

func (a *App) saveRefund(ctx context.Context, tx pgx.Tx, r domain.Refund) error {
	if err := a.q.UpdateRefund(ctx, tx,
		bankingdb.UpdateRefundParams{ID: r.ID, Status: string(r.Status), Seq: r.Seq, FailureCode: r.FailureCode,
			HoldID: r.HoldID, ProviderID: optional(r.ProviderID), Asked: r.Asked, FirstSentAt: r.FirstSentAt, AbsentAt: r.AbsentAt,
			Now: a.Now()}); err != nil {
		return fmt.Errorf("update refund: %w", err)
	}
	return nil
}

// decideRefund is moveRefund in a transaction of its own, under the lock; change may add what else is known.
func (a *App) decideRefund(ctx context.Context, id uuid.UUID, to domain.Status, b domain.Because,
	change func(tx pgx.Tx, r *domain.Refund) error) (r domain.Refund, moved bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout) // what is known must not be lost to a shutdown
	defer cancel()
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if r, err = a.lockRefund(ctx, tx, id); err != nil {
			return err
		}
		if change != nil {
			if err := change(tx, &r); err != nil {
				return err
			}
		}
		r, moved, err = a.moveRefund(ctx, tx, r, to, b)
		return err
	})
	return r, moved, err
}

func refundOf(r bankingdb.Refund) domain.Refund {
	return domain.Refund{ID: r.ID, DepositID: r.DepositID, ApprovalID: r.ApprovalID, UserID: r.UserID, WalletID: r.WalletID,
		Amount: money.Money{Amount: r.AmountMinor, Currency: r.Currency}, Status: domain.Status(r.Status), Seq: r.Seq,
		FailureCode: r.FailureCode, HoldID: r.HoldID, ProviderID: text(r.ProviderID), Asked: r.Asked, FirstSentAt: utc(r.FirstSentAt),
		AbsentAt: utc(r.AbsentAt), CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC()}
}
