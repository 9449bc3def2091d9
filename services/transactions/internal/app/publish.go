package app

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// Topic and type of the ledger's events.
const (
	Topic             = "sendtip.transactions.v1"
	TransactionPosted = "ledger.transaction_posted"
)

const (
	postedPublication = "transaction_posted"
	publishIdle       = 500 * time.Millisecond
	publishTimeout    = 20 * time.Second
)

// Publisher sends events in any order and returns the first failure, after which none of them may be taken as sent.
type Publisher interface {
	PublishAll(ctx context.Context, events []event.Event) error
}

// Publish sends the events of sealed transactions from where it stood, in sealed order, and returns how many batches it took; 0 also when
// another replica is at it. The cursor moves after the broker has them all: a crash in between sends some again, with the same ids, and
// consumers drop those.
func (a *App) Publish(ctx context.Context, to Publisher) (batches int, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err = pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		locked, err := a.q.LockPublication(ctx, tx)
		if err != nil || !locked {
			return err
		}
		next, err := a.q.GetPublication(ctx, tx, postedPublication)
		if err != nil {
			return fmt.Errorf("read the cursor: %w", err)
		}
		sealed, err := a.q.ListSealed(ctx, tx, next)
		if err != nil || len(sealed) == 0 {
			return err
		}
		list, err := a.postedEvents(ctx, tx, sealed)
		if err != nil {
			return err
		}
		if err := to.PublishAll(ctx, list); err != nil {
			return err
		}
		failpoint("published_before_cursor")
		batches = len(sealed)
		last := sealed[len(sealed)-1]
		return a.q.PutPublication(ctx, tx, postedPublication, last.FirstIndex+int64(last.Size))
	})
	if err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	return batches, nil
}

// posted is what the event of a transaction says.
type posted struct {
	id              uuid.UUID
	recordedAt      time.Time
	reference       string
	kind, channel   string
	touchedAccounts []uuid.UUID
}

func (p posted) event() (event.Event, error) {
	data, err := json.Marshal(events.LedgerTransactionPosted{TransactionID: p.id, Reference: p.reference, Type: p.kind, Channel: p.channel,
		AccountIds: domain.Distinct(p.touchedAccounts)})
	return event.Event{ID: p.id, Type: TransactionPosted, Topic: Topic, Key: p.id.String(), Time: p.recordedAt.UTC(), Data: data}, err
}

// postedEvents returns one event per transaction that moved money. Its id is the transaction's.
func (a *App) postedEvents(ctx context.Context, tx pgx.Tx, sealed []transactionsdb.ListSealedRow) ([]event.Event, error) {
	list := make([]event.Event, 0, 64*len(sealed))
	for i := range sealed {
		batch, ok := a.recent.take(sealed[i].BatchID)
		if !ok {
			var err error
			if batch, err = a.readPosted(ctx, tx, &sealed[i]); err != nil {
				return nil, err
			}
		}
		for _, p := range batch {
			e, err := p.event()
			if err != nil {
				return nil, err
			}
			list = append(list, e)
		}
	}
	return list, nil
}

// readPosted reads what another replica committed, or this one before it was restarted.
func (a *App) readPosted(ctx context.Context, tx pgx.Tx, sealed *transactionsdb.ListSealedRow) ([]posted, error) {
	rows, err := a.q.ListPostedEvents(ctx, tx, sealed.TransactionIds, sealed.RecordedFrom, sealed.RecordedTo)
	if err != nil {
		return nil, fmt.Errorf("read what happened: %w", err)
	}
	byID := make(map[uuid.UUID]*posted, len(sealed.TransactionIds))
	for _, row := range rows {
		p := byID[row.ID]
		if p == nil {
			p = &posted{id: row.ID, recordedAt: row.RecordedAt, reference: row.Reference, kind: row.Type, channel: row.Channel}
			byID[row.ID] = p
		}
		p.touchedAccounts = append(p.touchedAccounts, row.SourceID, row.DestinationID)
	}
	list := make([]posted, 0, len(byID))
	for _, id := range sealed.TransactionIds {
		if p := byID[id]; p != nil { // holds and releases move nothing
			list = append(list, *p)
		}
	}
	return list, nil
}

// maxRecent bounds the transactions that are remembered for their events.
const maxRecent = 20_000

// recent remembers what this replica has just committed, so that the publisher need not read it back: posted rows never change. What is
// forgotten is read from the database.
type recent struct {
	mu      sync.Mutex
	batches map[int64][]posted
	size    int
}

func (r *recent) add(batch int64, transactions []domain.Transaction) {
	list := make([]posted, 0, len(transactions))
	for i := range transactions {
		t := &transactions[i]
		if len(t.Postings) == 0 {
			continue
		}
		p := posted{id: t.ID, recordedAt: t.RecordedAt, reference: t.Reference, kind: t.Type, channel: t.Channel,
			touchedAccounts: make([]uuid.UUID, 0, 2*len(t.Postings))}
		for j := range t.Postings {
			p.touchedAccounts = append(p.touchedAccounts, t.Postings[j].Source, t.Postings[j].Destination)
		}
		list = append(list, p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.size+len(list) > maxRecent { // the publisher is behind, or another replica's publishes
		clear(r.batches)
		r.size = 0
	}
	r.batches[batch] = list
	r.size += len(list)
}

func (r *recent) take(batch int64) ([]posted, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, ok := r.batches[batch]
	if ok {
		delete(r.batches, batch)
		r.size -= len(list)
	}
	return list, ok
}

// PublishLoop publishes until ctx ends.
func (a *App) PublishLoop(to Publisher) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for failing := false; ctx.Err() == nil; {
			n, err := a.Publish(ctx, to)
			if failing = a.report(ctx, "publishing the ledger's events", err, failing); failing {
				rest(ctx, 2*time.Second, nil)
			} else if n == 0 {
				rest(ctx, publishIdle, a.unpublished)
			}
		}
		return nil
	}
}
