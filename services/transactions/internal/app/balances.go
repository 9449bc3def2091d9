package app

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/google/uuid"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// Balance is what an account had at a moment, in minor units of its currency.
type Balance struct {
	Account   domain.Account // as it is now
	Balance   int64
	Available *int64 // of now only: what was on hold earlier is not kept
	Sequence  int64  // of the last entry recorded by then
	AsOf      time.Time
}

// GetAccountBalance returns to a service the balance of any account, or fault.ErrNotFound.
func (a *App) GetAccountBalance(ctx context.Context, id uuid.UUID, asOf domain.AsOf) (Balance, error) {
	account, err := a.GetAccount(ctx, id)
	if err != nil {
		return Balance{}, err
	}
	return a.balanceAt(ctx, account, asOf)
}

// GetBalanceAt returns the balance that the user's own account had at an earlier moment; somebody else's is fault.ErrNotFound.
func (a *App) GetBalanceAt(ctx context.Context, id uuid.UUID, asOf domain.AsOf) (Balance, error) {
	account, err := a.GetBalance(ctx, id)
	if err != nil {
		return Balance{}, err
	}
	if asOf == (domain.AsOf{}) {
		return Balance{}, fault.ErrInvalid.WithField("recorded_at", "as_of_missing", "Send recorded_at or effective_at.")
	}
	return a.balanceAt(ctx, account, asOf)
}

// balanceAt needs no transaction: entries are never changed, and it looks at none after account.Sequence.
func (a *App) balanceAt(ctx context.Context, account domain.Account, asOf domain.AsOf) (Balance, error) {
	moment, past, err := asOf.Validate(a.now())
	if err != nil {
		return Balance{}, err
	}
	if !past {
		available := account.Available()
		return Balance{Account: account, Balance: account.Balance(), Available: &available, Sequence: account.Sequence, AsOf: a.clock()}, nil
	}
	b := Balance{Account: account, AsOf: moment}
	if b.Sequence, err = a.sequenceAt(ctx, account, moment); err != nil {
		return b, err
	}
	if b.Sequence > 0 {
		if b.Balance, err = a.q.GetEntryBalance(ctx, a.pool, account.ID, b.Sequence); err != nil {
			return b, fmt.Errorf("balance after entry %d: %w", b.Sequence, err)
		}
	}
	if asOf.Effective.IsZero() {
		return b, nil
	}
	change, err := a.q.SumBackdated(ctx, a.pool, account.ID, &moment, account.Sequence)
	if err != nil {
		return b, fmt.Errorf("sum backdated entries: %w", err)
	}
	if account.NormalSide == domain.Debit {
		change = -change
	}
	b.Balance += change
	return b, nil
}

// sequenceAt returns the number of the account's last entry that was recorded up to the moment; 0 before the first.
func (a *App) sequenceAt(ctx context.Context, account domain.Account, moment time.Time) (int64, error) {
	if account.Sequence == 0 || !moment.Before(account.LastRecordedAt) {
		return account.Sequence, nil
	}
	step := int64(1) << (bits.Len64(uint64(account.Sequence)) - 1) // #nosec G115 -- a sequence is never negative
	n, err := a.q.FindSequence(ctx, a.pool,
		transactionsdb.FindSequenceParams{Step: step, Last: account.Sequence, RecordedAt: moment, AccountID: account.ID})
	if err != nil {
		return 0, fmt.Errorf("find the entry of a moment: %w", err)
	}
	return n, nil
}
