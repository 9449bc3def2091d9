package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// PostTransactions decides each request on its own, or all together if atomic, and returns one outcome per request, in their order. An
// error means that the fate of all of them is unknown, unless it is a fault of the kinds Forbidden or Unprocessable, which came before
// anything was written.
func (a *App) PostTransactions(ctx context.Context, requests []domain.Request, atomic bool) ([]domain.Outcome, error) {
	if err := a.mayPost(ctx, requests, atomic); err != nil {
		return nil, err
	}
	a.number(requests, atomic)
	return a.post(ctx, requests)
}

// number marks the requests of an atomic list as such.
func (a *App) number(requests []domain.Request, atomic bool) {
	if !atomic {
		return
	}
	list := a.atomicLists.Add(1)
	for i := range requests {
		requests[i].AtomicList = list
	}
}

func (a *App) mayPost(ctx context.Context, requests []domain.Request, atomic bool) error {
	if err := auth.Require(ctx, scopes.LedgerPost); err != nil {
		return err
	}
	return domain.Validate(requests, atomic, a.now())
}

// post completes the requests and waits for their outcomes.
func (a *App) post(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	if err := complete(requests); err != nil {
		return nil, err
	}
	return a.group.submit(ctx, requests)
}

// complete gives each request what its caller does not: the id that its transaction will have, the salts of its leaf, the hash of its body.
func complete(requests []domain.Request) error {
	for i := range requests {
		r := &requests[i]
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make an id: %w", err)
		}
		r.TransactionID, r.BodyHash = id, r.Hash()
		_, _ = rand.Read(r.Salt[:]) // never fails
		if len(r.Metadata) > 0 {
			_, _ = rand.Read(r.MetadataSalt[:])
		}
	}
	return nil
}

// PreviewTransactions says what PostTransactions would answer right now, and writes nothing: no reference is used up. Ids in the outcomes
// mean nothing.
func (a *App) PreviewTransactions(ctx context.Context, requests []domain.Request, atomic bool) (outcomes []domain.Outcome, err error) {
	if err := a.mayPost(ctx, requests, atomic); err != nil {
		return nil, err
	}
	a.number(requests, atomic)
	if err := complete(requests); err != nil {
		return nil, err
	}
	return withoutUnstored(requests, func(rest []domain.Request) (*batch, error) { return a.preview(ctx, rest) })
}

// preview is commitOnce without any trace.
func (a *App) preview(ctx context.Context, requests []domain.Request) (*batch, error) {
	before, err := a.targets(ctx, requests)
	if err != nil {
		return nil, err
	}
	b := &batch{App: a, requests: requests}
	err = pgx.BeginTxFunc(ctx, a.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return b.look(ctx, tx, before)
	})
	if err != nil {
		return nil, err
	}
	decision := domain.Decide(b.state, b.fresh)
	if b.setAside(decision) {
		return b, errUnstored
	}
	b.learn(decision)
	return b, nil
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
	if err := auth.Require(ctx, scopes.LedgerRead); err != nil {
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
