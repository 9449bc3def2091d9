package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// PostTransactions decides each request on its own and returns one outcome per request, in their order. An error means that the fate
// of all of them is unknown, unless it is a fault of the kinds Forbidden or Unprocessable, which came before anything was written.
func (a *App) PostTransactions(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	if err := auth.Require(ctx, ScopePost); err != nil {
		return nil, err
	}
	if err := domain.Validate(requests); err != nil {
		return nil, err
	}
	return a.post(ctx, requests)
}

// post gives each request the id that its transaction will have and waits for the outcomes.
func (a *App) post(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	for i := range requests {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, fmt.Errorf("make an id: %w", err)
		}
		requests[i].TransactionID = id
	}
	return a.group.submit(ctx, requests)
}

// GetOutcome returns the stored outcome of a reference, or fault.ErrNotFound when nothing is committed under it so far.
func (a *App) GetOutcome(ctx context.Context, reference string) (domain.Outcome, error) {
	var o domain.Outcome
	if err := auth.Require(ctx, ScopeRead); err != nil {
		return o, err
	}
	b, err := a.q.GetOutcome(ctx, a.pool, reference)
	if err != nil {
		return o, notFound(err)
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return o, fmt.Errorf("stored outcome: %w", err)
	}
	return o, nil
}

// Transaction is a committed transaction with its postings.
type Transaction struct {
	transactionsdb.GetTransactionRow
	Facts    map[string]string
	Postings []transactionsdb.ListPostingsRow
}

// GetTransaction returns a committed transaction, or fault.ErrNotFound.
func (a *App) GetTransaction(ctx context.Context, id uuid.UUID) (Transaction, error) {
	var t Transaction
	if err := auth.Require(ctx, ScopeRead); err != nil {
		return t, err
	}
	var err error
	if t.GetTransactionRow, err = a.q.GetTransaction(ctx, a.pool, id); err != nil {
		return t, notFound(err)
	}
	if err := json.Unmarshal(t.Metadata, &t.Facts); err != nil {
		return t, fmt.Errorf("metadata: %w", err)
	}
	t.Postings, err = a.q.ListPostings(ctx, a.pool, id, t.RecordedAt)
	return t, err
}

func notFound(err error) error {
	if pg.IsNoRows(err) {
		return fault.ErrNotFound
	}
	return err
}

// clock reads the time as the database keeps it.
func (a *App) clock() time.Time { return a.now().UTC().Truncate(time.Microsecond) }
