package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// targets reads the holds and originals that requests name, outside the transaction and only to learn which accounts they have, which
// never changes.
func (a *App) targets(ctx context.Context, requests []domain.Request) (domain.State, error) {
	s := domain.State{}
	holdIDs, originalIDs := targetIDs(requests)
	if len(holdIDs)+len(originalIDs) == 0 {
		return s, nil
	}
	t := targetRows{}
	err := pgx.BeginTxFunc(ctx, a.committers, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		p := pg.NewPipeline(tx)
		t.queue(ctx, a.q, p, holdIDs, originalIDs)
		return p.Send(ctx)
	})
	if err != nil {
		return s, fmt.Errorf("read holds and originals: %w", err)
	}
	return s, t.into(&s)
}

func targetIDs(requests []domain.Request) (holdIDs, originalIDs []uuid.UUID) {
	for _, r := range requests {
		if r.HoldID != uuid.Nil {
			holdIDs = append(holdIDs, r.HoldID)
		}
		if r.OriginalID != uuid.Nil {
			originalIDs = append(originalIDs, r.OriginalID)
		}
	}
	return holdIDs, originalIDs
}

// targetRows are the answers of the two queries for holds and originals.
type targetRows struct {
	holds     []transactionsdb.Hold
	originals []transactionsdb.ListOriginalsRow
}

func (t *targetRows) queue(ctx context.Context, q *transactionsdb.Queries, p *pg.Pipeline, holdIDs, originalIDs []uuid.UUID) {
	if len(holdIDs) > 0 {
		_, err := q.GetHolds(ctx, p, holdIDs)
		pg.Collect(p, err, pgx.RowToStructByPos[transactionsdb.Hold], &t.holds)
	}
	if len(originalIDs) > 0 {
		_, err := q.ListOriginals(ctx, p, originalIDs)
		pg.Collect(p, err, pgx.RowToStructByPos[transactionsdb.ListOriginalsRow], &t.originals)
	}
}

func (t *targetRows) into(s *domain.State) (err error) {
	s.Holds, s.Originals = map[uuid.UUID]domain.HoldState{}, map[uuid.UUID]domain.Original{}
	for _, row := range t.holds {
		if s.Holds[row.ID], err = hold(row); err != nil {
			return err
		}
	}
	for _, row := range t.originals {
		o := s.Originals[row.ID]
		o.ID, o.Action = row.ID, domain.Action(row.Action)
		o.Postings = append(o.Postings, domain.OriginalPosting{Position: int(row.Position), Reversed: row.ReversedMinor,
			Posting: domain.Posting{Source: row.SourceID, Destination: row.DestinationID, Amount: row.AmountMinor, Currency: row.Currency}})
		s.Originals[row.ID] = o
	}
	return nil
}
