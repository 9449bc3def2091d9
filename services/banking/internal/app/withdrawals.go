package app

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// WithdrawalInput spends a quote.
type WithdrawalInput struct {
	Key             string `json:"-"` // Idempotency-Key
	QuoteID         uuid.UUID
	ClientReference string
}

// CreateWithdrawal stores a withdrawal, and leaves the rest to jobs. A repeated request gets the same withdrawal.
func (a *App) CreateWithdrawal(ctx context.Context, in WithdrawalInput) (domain.Withdrawal, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Withdrawal{}, err
	}
	key := idem.NewKey(ctx, "createWithdrawal", in.Key, in)
	var w domain.Withdrawal
	stored, err := a.idem.Find(ctx, a.Pool, key)
	if err != nil {
		return w, err
	}
	if stored != nil {
		return w, stored.Decode(&w)
	}
	if err := a.destinationStands(ctx, userID, in.QuoteID); err != nil {
		return w, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		stored, err := a.idem.Begin(ctx, tx, key, idem.Once)
		if err != nil {
			return err
		}
		if stored != nil {
			return stored.Decode(&w)
		}
		if w, err = a.openWithdrawal(ctx, tx, userID, in); err != nil {
			return err
		}
		return a.idem.Finish(ctx, tx, key, http.StatusAccepted, w)
	})
	return w, err
}

// destinationStands asks again whether a quote's number or account may be paid to: it may have begun to change hands since. Whose the quote
// is decides openWithdrawal.
func (a *App) destinationStands(ctx context.Context, userID, quote uuid.UUID) error {
	q, err := a.q.GetWithdrawalQuote(ctx, a.Pool, quote)
	if pg.IsNoRows(err) || err == nil && q.UserID != userID {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get quote: %w", err)
	}
	to, err := a.openDestination(q.ID, q.DestinationSealed, nil, q.BankAccountID)
	if err != nil {
		return err
	}
	if to.Account != nil {
		_, err = a.bankDestination(ctx, userID, to.Account.ID, false) // whose it is by now, the bank is asked before it is paid
		return err
	}
	_, err = a.destination(ctx, userID, to.Phone)
	return err
}

// openWithdrawal spends the quote and the approval, and writes the rows that let the job go on alone.
func (a *App) openWithdrawal(ctx context.Context, tx pgx.Tx, userID uuid.UUID, in WithdrawalInput) (domain.Withdrawal, error) {
	now := a.Now()
	q, err := a.q.LockWithdrawalQuote(ctx, tx, in.QuoteID)
	if pg.IsNoRows(err) {
		return domain.Withdrawal{}, domain.ErrQuoteNotFound
	}
	if err != nil {
		return domain.Withdrawal{}, fmt.Errorf("lock quote: %w", err)
	}
	stepUp := auth.From(ctx).StepUp
	if err := judgeQuote(q, userID, stepUp, now); err != nil {
		return domain.Withdrawal{}, err
	}
	w, err := a.newWithdrawal(q, in, now)
	if err != nil {
		return domain.Withdrawal{}, err
	}
	if err := a.insertWithdrawal(ctx, tx, w); err != nil {
		return domain.Withdrawal{}, err
	}
	if err := a.q.SpendStepUp(ctx, tx, stepUp.JTI, w.ID, stepUp.ExpiresAt); err != nil {
		if pg.Constraint(err) == "step_ups_once" {
			return domain.Withdrawal{}, domain.ErrStepUpUsed
		}
		return domain.Withdrawal{}, fmt.Errorf("spend approval: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, PayArgs{WithdrawalID: w.ID}, nil); err != nil {
		return domain.Withdrawal{}, fmt.Errorf("enqueue: %w", err)
	}
	return w, audit.Record(ctx, tx, now, audit.Entry{Action: "withdrawal.created", ObjectType: "withdrawal", ObjectID: w.ID.String()})
}

// judgeQuote checks ownership first, so that nobody learns anything about another's quote.
func judgeQuote(q bankingdb.WithdrawalQuote, userID uuid.UUID, stepUp *auth.StepUp, now time.Time) error {
	switch {
	case q.UserID != userID:
		return domain.ErrQuoteNotFound
	case stepUp == nil:
		return domain.ErrStepUpMissing
	case stepUp.Hash != domain.ApprovalHash(q.ID):
		return domain.ErrStepUpMismatch
	case !stepUp.ExpiresAt.After(now):
		return domain.ErrStepUpExpired
	case !q.ExpiresAt.After(now):
		return domain.ErrQuoteExpired
	}
	return nil
}

func (a *App) newWithdrawal(q bankingdb.WithdrawalQuote, in WithdrawalInput, now time.Time) (domain.Withdrawal, error) {
	to, err := a.openDestination(q.ID, q.DestinationSealed, q.NameSealed, q.BankAccountID)
	if err != nil {
		return domain.Withdrawal{}, err
	}
	of := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: q.Currency} }
	return domain.Withdrawal{ID: newID(), QuoteID: q.ID, UserID: q.UserID, WalletID: q.WalletID, Destination: to,
		Price:  domain.Price{Amount: of(q.AmountMinor), Fee: of(q.FeeMinor), Excise: of(q.ExciseMinor)},
		Status: domain.Stored, Seq: 1, ClientReference: in.ClientReference, CreatedAt: now, UpdatedAt: now}, nil
}

func (a *App) insertWithdrawal(ctx context.Context, tx pgx.Tx, w domain.Withdrawal) error {
	row := bankingdb.InsertWithdrawalParams{ID: w.ID, QuoteID: w.QuoteID, UserID: w.UserID, WalletID: w.WalletID, Rail: w.Rail,
		Currency: w.Amount.Currency, AmountMinor: w.Amount.Amount, FeeMinor: w.Fee.Amount, ExciseMinor: w.Excise.Amount,
		ClientReference: optional(w.ClientReference), Status: string(w.Status), Now: w.CreatedAt,
		BankAccountID: accountID(w.Destination)}
	var err error
	if row.DestinationSealed, err = a.sealText(sealDestination, w.ID, place(w.Destination)); err != nil {
		return err
	}
	if row.NameSealed, err = a.sealText(sealName, w.ID, w.Name); err != nil {
		return err
	}
	if err := a.q.InsertWithdrawal(ctx, tx, row); err != nil {
		if pg.Constraint(err) == "withdrawals_quote_once" {
			return domain.ErrQuoteSpent
		}
		return fmt.Errorf("insert withdrawal: %w", err)
	}
	err = a.q.InsertTransition(ctx, tx, bankingdb.InsertTransitionParams{WithdrawalID: w.ID, Seq: 1, ToStatus: string(domain.Stored),
		Evidence: domain.ByRequest, At: w.CreatedAt, DoneAt: &w.CreatedAt})
	if err != nil {
		return fmt.Errorf("insert transition: %w", err)
	}
	return nil
}

// GetWithdrawal returns one of the caller's withdrawals.
func (a *App) GetWithdrawal(ctx context.Context, id uuid.UUID) (domain.Withdrawal, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Withdrawal{}, err
	}
	row, err := a.q.GetWithdrawal(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && row.UserID != userID:
		return domain.Withdrawal{}, fault.ErrNotFound
	case err != nil:
		return domain.Withdrawal{}, fmt.Errorf("get withdrawal: %w", err)
	}
	return a.withdrawal(row)
}

// ListWithdrawals returns a page of the caller's withdrawals, newest first; reference "" means all.
func (a *App) ListWithdrawals(ctx context.Context, reference string, in page.Request) ([]domain.Withdrawal, *string, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listWithdrawals", in, reference)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListWithdrawals(ctx, a.Pool, bankingdb.ListWithdrawalsParams{UserID: userID, Before: p.From(uuid.Max),
		ClientReference: optional(reference), PageSize: p.Size + 1})
	if err != nil {
		return nil, nil, fmt.Errorf("list withdrawals: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r bankingdb.Withdrawal) uuid.UUID { return r.ID })
	out := make([]domain.Withdrawal, len(rows))
	for i, r := range rows {
		if out[i], err = a.withdrawal(r); err != nil {
			return nil, nil, err
		}
	}
	return out, next, nil
}

// CancelWithdrawal ends one of the caller's withdrawals that has not left. Repeating it is harmless.
func (a *App) CancelWithdrawal(ctx context.Context, id uuid.UUID) (domain.Withdrawal, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Withdrawal{}, err
	}
	var w domain.Withdrawal
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if w, err = a.lock(ctx, tx, id); err != nil {
			return err
		}
		if w.UserID != userID {
			return fault.ErrNotFound
		}
		if w.Status == domain.Cancelled {
			return nil
		}
		moved := false
		if w, moved, err = a.move(ctx, tx, w, domain.Cancelled, domain.Because{Evidence: domain.ByCustomer}); err != nil {
			return err
		}
		if !moved {
			return domain.ErrNotCancellable
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "withdrawal.cancelled", ObjectType: "withdrawal", ObjectID: id.String()})
	})
	return w, err
}

func (a *App) withdrawal(r bankingdb.Withdrawal) (domain.Withdrawal, error) {
	of := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: r.Currency} }
	w := domain.Withdrawal{ID: r.ID, QuoteID: r.QuoteID, UserID: r.UserID, WalletID: r.WalletID,
		Price:  domain.Price{Amount: of(r.AmountMinor), Fee: of(r.FeeMinor), Excise: of(r.ExciseMinor)},
		Status: domain.Status(r.Status), Seq: r.Seq, FailureCode: r.FailureCode, HoldID: r.HoldID, Receipt: text(r.Receipt),
		ClientReference: text(r.ClientReference), Asked: r.Asked, FirstSentAt: utc(r.FirstSentAt), CreatedAt: r.CreatedAt.UTC(),
		UpdatedAt: r.UpdatedAt.UTC()}
	var err error
	w.Destination, err = a.openDestination(r.ID, r.DestinationSealed, r.NameSealed, r.BankAccountID)
	return w, err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
