package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// commit decides requests in one database transaction and returns their outcomes in the same order. Repeats of a reference, stored or
// in the same list, get the outcome of the first one, or reference_reused for another body.
func (a *App) commit(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	var outcomes []domain.Outcome
	var decided bool
	err := pg.InTx(ctx, indexed{a.pool}, func(tx pgx.Tx) error {
		known, fresh, err := a.claim(ctx, tx, requests)
		if err != nil {
			return err
		}
		if decided = len(fresh) > 0; decided {
			if err := a.decide(ctx, tx, fresh, known); err != nil {
				return err
			}
		}
		outcomes = answer(requests, known)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if decided {
		a.wake()
	}
	return outcomes, nil
}

// settled is the outcome of a reference with the hash of the body it belongs to.
type settled struct {
	hash    []byte
	outcome domain.Outcome
}

// claim inserts the references, sorted, and returns the stored outcomes of those that existed and the requests that are new, in their
// order. The insert waits for the fate of another transaction that holds a reference, so the read after it is final.
func (a *App) claim(ctx context.Context, tx pgx.Tx, requests []domain.Request) (map[string]settled, []domain.Request, error) {
	first := make(map[string]domain.Request, len(requests))
	for _, r := range requests {
		if _, ok := first[r.Reference]; !ok {
			first[r.Reference] = r
		}
	}
	references := slices.Sorted(maps.Keys(first))
	hashes := make([][]byte, len(references))
	for i, ref := range references {
		hashes[i] = first[ref].Hash()
	}
	inserted, err := a.q.InsertReferences(ctx, tx, references, hashes)
	if err != nil {
		return nil, nil, fmt.Errorf("insert references: %w", err)
	}
	isNew := make(map[string]bool, len(inserted))
	for _, ref := range inserted {
		isNew[ref] = true
	}
	known := make(map[string]settled, len(references))
	for i, ref := range references {
		if isNew[ref] {
			known[ref] = settled{hash: hashes[i]}
		}
	}
	if len(inserted) < len(references) {
		if err := a.stored(ctx, tx, slices.DeleteFunc(references, func(r string) bool { return isNew[r] }), known); err != nil {
			return nil, nil, err
		}
	}
	var fresh []domain.Request
	for _, r := range requests {
		if isNew[r.Reference] {
			fresh = append(fresh, r)
			delete(isNew, r.Reference)
		}
	}
	return known, fresh, nil
}

func (a *App) stored(ctx context.Context, tx pgx.Tx, references []string, known map[string]settled) error {
	rows, err := a.q.GetReferences(ctx, tx, references)
	if err != nil {
		return fmt.Errorf("read references: %w", err)
	}
	for _, row := range rows {
		var o domain.Outcome
		if err := json.Unmarshal(row.Outcome, &o); err != nil {
			return fmt.Errorf("stored outcome: %w", err)
		}
		known[row.Reference] = settled{row.BodyHash, o}
	}
	return nil
}

func (a *App) decide(ctx context.Context, tx pgx.Tx, fresh []domain.Request, known map[string]settled) error {
	state, err := a.lock(ctx, tx, fresh)
	if err != nil {
		return err
	}
	decision := domain.Decide(state, fresh)
	if err := a.write(ctx, tx, decision); err != nil {
		return err
	}
	for _, o := range decision.Outcomes {
		known[o.Reference] = settled{known[o.Reference].hash, o}
	}
	return nil
}

func answer(requests []domain.Request, known map[string]settled) []domain.Outcome {
	outcomes := make([]domain.Outcome, len(requests))
	for i, r := range requests {
		s := known[r.Reference]
		outcomes[i] = s.outcome
		if !bytes.Equal(s.hash, r.Hash()) {
			refusal := domain.RefusedReferenceReused
			outcomes[i] = domain.Outcome{Reference: r.Reference, Status: domain.Refused, Code: refusal.Code, Detail: refusal.Detail}
		}
	}
	return outcomes
}

// lock reads everything that the requests depend on under the locks of its accounts, all taken in one query ordered by id.
func (a *App) lock(ctx context.Context, tx pgx.Tx, requests []domain.Request) (domain.State, error) {
	var holdIDs, originalIDs []uuid.UUID
	for _, r := range requests {
		if r.HoldID != uuid.Nil {
			holdIDs = append(holdIDs, r.HoldID)
		}
		if r.OriginalID != uuid.Nil {
			originalIDs = append(originalIDs, r.OriginalID)
		}
	}
	s := domain.State{Accounts: map[uuid.UUID]domain.Account{}}
	// First only to learn which accounts they have, which never changes.
	if err := a.readTargets(ctx, tx, &s, holdIDs, originalIDs); err != nil {
		return s, err
	}
	rows, err := a.q.LockAccounts(ctx, tx, domain.LockIDs(requests, s.Holds, s.Originals))
	if err != nil {
		return s, fmt.Errorf("lock accounts: %w", err)
	}
	for _, row := range rows {
		s.Accounts[row.ID] = account(row)
	}
	// Then what is left of them: only now nobody else can change it.
	if err := a.readTargets(ctx, tx, &s, holdIDs, originalIDs); err != nil {
		return s, err
	}
	s.Now = a.clock()
	return s, nil
}

func (a *App) readTargets(ctx context.Context, tx pgx.Tx, s *domain.State, holdIDs, originalIDs []uuid.UUID) error {
	s.Holds, s.Originals = map[uuid.UUID]domain.HoldState{}, map[uuid.UUID]domain.Original{}
	if len(holdIDs) > 0 {
		rows, err := a.q.GetHolds(ctx, tx, holdIDs)
		if err != nil {
			return fmt.Errorf("read holds: %w", err)
		}
		for _, row := range rows {
			if s.Holds[row.ID], err = hold(row); err != nil {
				return err
			}
		}
	}
	if len(originalIDs) > 0 {
		rows, err := a.q.ListOriginals(ctx, tx, originalIDs)
		if err != nil {
			return fmt.Errorf("read originals: %w", err)
		}
		for _, row := range rows {
			o := s.Originals[row.ID]
			o.ID, o.Action = row.ID, domain.Action(row.Action)
			o.Postings = append(o.Postings, domain.OriginalPosting{Position: int(row.Position), Reversed: row.ReversedMinor,
				Posting: domain.Posting{Source: row.SourceID, Destination: row.DestinationID, Amount: row.AmountMinor, Currency: row.Currency}})
			s.Originals[row.ID] = o
		}
	}
	return nil
}

// write stores a decision in one round trip: one statement for its rows, and one each for holds and events if there are any.
func (a *App) write(ctx context.Context, tx pgx.Tx, d domain.Decision) error {
	var p pipeline
	rows, err := transactionRows(d)
	if err != nil {
		return err
	}
	if err := a.q.WriteTransactions(ctx, &p, rows); err != nil {
		return err
	}
	if len(d.NewHolds) > 0 {
		rows, err := newHoldRows(d.NewHolds)
		if err != nil {
			return err
		}
		if err := a.q.InsertHolds(ctx, &p, rows); err != nil {
			return err
		}
	}
	if len(d.Holds) > 0 {
		rows, err := holdRows(d.Holds)
		if err != nil {
			return err
		}
		if err := a.q.UpdateHolds(ctx, &p, rows); err != nil {
			return err
		}
	}
	events, err := postedEvents(d.Transactions)
	if err != nil {
		return err
	}
	if err := outbox.AppendAll(ctx, &p, events); err != nil {
		return err
	}
	if err := p.send(ctx, tx); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func account(row transactionsdb.Account) domain.Account {
	a := domain.Account{
		ID: row.ID, Kind: domain.Kind(row.Kind), Currency: row.Currency, NormalSide: domain.Side(row.NormalSide), Status: domain.Status(row.Status),
		Debits: row.DebitsMinor, Credits: row.CreditsMinor, PendingDebits: row.PendingDebitsMinor, PendingCredits: row.PendingCreditsMinor,
		OverCap: row.OverCapMinor, Minimum: row.MinimumMinor, Maximum: row.MaximumMinor, Sequence: row.Sequence, LastRecordedAt: row.LastRecordedAt,
	}
	if row.Code != nil {
		a.Code = *row.Code
	}
	if row.OwnerID != nil {
		a.OwnerID = *row.OwnerID
	}
	return a
}

func hold(row transactionsdb.Hold) (domain.HoldState, error) {
	h := domain.HoldState{ID: row.ID, AccountID: row.AccountID, Currency: row.Currency, Amount: row.AmountMinor, Captured: row.CapturedMinor,
		Released: row.ReleasedMinor, Reason: domain.HoldReason(row.Reason), Status: domain.HoldStatus(row.Status), CreatedAt: row.CreatedAt}
	if row.ExpiresAt != nil {
		h.ExpiresAt = *row.ExpiresAt
	}
	if err := json.Unmarshal(row.Lines, &h.Lines); err != nil {
		return h, fmt.Errorf("lines of a hold: %w", err)
	}
	return h, nil
}
