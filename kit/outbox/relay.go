package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/kit/event"
)

const (
	// lockID is this relay's advisory lock; locks are per database, so per service. ("outbox" in ASCII)
	lockID       = 0x6f7574626f78
	passLimit    = 500
	passTimeout  = 20 * time.Second // below the 30 s after which kit/pg ends an idle transaction
	idlePoll     = 200 * time.Millisecond
	failurePoll  = 2 * time.Second
	measureEvery = 5 * time.Second
	sweepEvery   = 10 * time.Minute
	sweepLimit   = 5000
	// kept is how long published rows stay, for questions and for sending them again.
	kept = 7 * 24 * time.Hour
)

// Relay publishes outbox rows. Any number may run against one database; an advisory lock lets one work at a time.
type Relay struct {
	pool      *pgxpool.Pool
	publisher *event.Publisher
	now       func() time.Time
	log       *slog.Logger
	wake      chan struct{}

	backlog prometheus.Gauge
	oldest  prometheus.Gauge
	kept    prometheus.Gauge
	inbox   prometheus.Gauge
}

// NewRelay returns a relay. With a registerer it exports outbox_backlog_events and outbox_oldest_seconds, and how far the sweeps of outbox
// and inbox are: outbox_kept_seconds and inbox_kept_seconds.
func NewRelay(pool *pgxpool.Pool, publisher *event.Publisher, now func() time.Time, log *slog.Logger,
	metrics ...prometheus.Registerer) *Relay {
	r := &Relay{
		pool: pool, publisher: publisher, now: now, log: log, wake: make(chan struct{}, 1),
		backlog: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_backlog_events", Help: "Events that are committed and not yet published.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_oldest_seconds", Help: "Age of the oldest event that is not yet published.",
		}),
		kept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "outbox_kept_seconds", Help: "Time since the oldest published row was published; it is deleted after seven days.",
		}),
		inbox: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "inbox_kept_seconds", Help: "Age of the oldest row that tells a repeated event; it is deleted after 90 days.",
		}),
	}
	for _, registerer := range metrics {
		registerer.MustRegister(r.backlog, r.oldest, r.kept, r.inbox)
	}
	return r
}

// Wake starts a pass now instead of at the next poll. Call it after a commit that appended; it never blocks.
func (r *Relay) Wake() {
	select {
	case r.wake <- struct{}{}:
	default: // a pass is due already
	}
}

// Run relays until ctx ends and returns nil. Failures of the database or the broker are reported and tried again.
func (r *Relay) Run(ctx context.Context) error {
	var measured, swept time.Time
	for failing := false; ctx.Err() == nil; {
		sent, err := r.Pass(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			r.log.WarnContext(ctx, "outbox relay failed, trying again", "err", err)
		}
		if err == nil && failing {
			r.log.InfoContext(ctx, "outbox relay works again")
		}
		failing = err != nil
		if time.Since(measured) > measureEvery {
			measured = time.Now()
			r.measure(ctx)
		}
		if !failing && time.Since(swept) > sweepEvery && !r.sweep(ctx) {
			swept = time.Now()
		}
		switch {
		case failing:
			r.rest(ctx, failurePoll, nil) // writers' wakes must not turn an outage into a busy loop
		case sent < passLimit:
			r.rest(ctx, idlePoll, r.wake)
		}
	}
	return nil
}

func (r *Relay) rest(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

// Pass publishes up to 500 rows and returns how many; 0 also when another relay is at work. If some keys fail it marks
// the others and returns the first failure. One pass is one transaction: the lock is held until the marks are committed,
// and if they are lost the next pass sends the same rows again.
func (r *Relay) Pass(ctx context.Context) (sent int, err error) {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	tx, err := r.pool.Begin(ctx)
	if err != nil {
		return 0, fmt.Errorf("outbox: %w", err)
	}
	defer func() {
		// The pass may end because ctx did; the connection must still be given back clean.
		if rollbackErr := tx.Rollback(context.WithoutCancel(ctx)); rollbackErr != nil && !errors.Is(rollbackErr, pgx.ErrTxClosed) && err == nil {
			err = fmt.Errorf("outbox: %w", rollbackErr)
		}
	}()
	var locked bool
	if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock($1)`, int64(lockID)).Scan(&locked); err != nil || !locked {
		return 0, wrap(err)
	}
	ids, records, err := unpublished(ctx, tx)
	if err != nil || len(ids) == 0 {
		return 0, wrap(err)
	}
	var done []int64
	var failure error
	for i, err := range r.publisher.PublishEach(ctx, records) {
		if err == nil {
			done = append(done, ids[i])
		} else if failure == nil {
			failure = err
		}
	}
	if len(done) == 0 {
		return 0, failure
	}
	if _, err := tx.Exec(ctx, `UPDATE outbox SET published_at = $2 WHERE id = ANY($1)`, done, r.now()); err != nil {
		return 0, wrap(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return 0, wrap(err)
	}
	return len(done), failure
}

// unpublished reads by id among all unpublished rows, never above the last id seen: ids are taken before the commit, so a
// lower id can become visible later.
func unpublished(ctx context.Context, tx pgx.Tx) (ids []int64, records []event.Record, err error) {
	rows, err := tx.Query(ctx, `
		SELECT id, event_id, topic, key, payload FROM outbox
		WHERE published_at IS NULL ORDER BY id LIMIT $1`, passLimit)
	if err != nil {
		return nil, nil, err
	}
	var id int64
	var eventID uuid.UUID
	var topic, key string
	var payload []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &eventID, &topic, &key, &payload}, func() error {
		ids = append(ids, id)
		records = append(records, event.Record{ID: eventID, Topic: topic, Key: key, Value: payload})
		payload = nil // the next row must not be read into this one's memory
		return nil
	})
	return ids, records, err
}

func (r *Relay) measure(ctx context.Context) {
	var count int64
	var age, kept, inbox float64
	err := r.pool.QueryRow(ctx, `
		SELECT count(*), coalesce(extract(epoch FROM $1 - min(created_at)), 0)::float8,
			coalesce(extract(epoch FROM $1 - (SELECT min(published_at) FROM outbox WHERE published_at IS NOT NULL)), 0)::float8,
			coalesce(extract(epoch FROM $1 - (SELECT min(received_at) FROM inbox)), 0)::float8
		FROM outbox WHERE published_at IS NULL`, r.now()).Scan(&count, &age, &kept, &inbox)
	if err != nil {
		return // the pass that failed for the same reason was reported
	}
	r.backlog.Set(float64(count))
	r.oldest.Set(age)
	r.kept.Set(kept)
	r.inbox.Set(inbox)
}

// sweep deletes a bounded number of old published rows; the oldest have the lowest ids. It says whether more may be left: the next pass
// goes on, so that events do not wait behind a long sweep.
func (r *Relay) sweep(ctx context.Context) (more bool) {
	tag, err := r.pool.Exec(ctx, `
		DELETE FROM outbox WHERE id IN (
			SELECT id FROM outbox WHERE published_at < $1 ORDER BY id LIMIT $2)`, r.now().Add(-kept), sweepLimit)
	if err != nil && ctx.Err() == nil {
		r.log.WarnContext(ctx, "sweep outbox", "err", err)
	}
	return tag.RowsAffected() == sweepLimit
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("outbox: %w", err)
}
