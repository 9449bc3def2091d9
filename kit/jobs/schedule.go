package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
)

// River's defaults for what a job's options leave out.
const (
	defaultPriority = 1
	defaultAttempts = 25
)

// Execer is a pgx.Tx, or a pipeline of statements that is sent in one.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Schedule inserts a job for later, as InsertTx does with ScheduledAt: the row is the same, and a test compares them. It exists for writers
// that cannot wait for an answer: the statement returns no row, so it can share a round trip, and the id is taken before, by
// nextval('river_job_id_seq'). Only what this platform's money jobs use is supported: queue, priority and attempts.
func (c *Client) Schedule(ctx context.Context, tx Execer, id int64, args river.JobArgs, at time.Time) error {
	var o river.InsertOpts
	if own, ok := args.(river.JobArgsWithInsertOpts); ok {
		o = own.InsertOpts()
	}
	if id <= 0 || at.IsZero() || o.Pending || len(o.Metadata) > 0 || len(o.Tags) > 0 || o.UniqueOpts.ByArgs || o.UniqueOpts.ByPeriod > 0 ||
		o.UniqueOpts.ByQueue || len(o.UniqueOpts.ByState) > 0 {
		return errors.New("jobs: Schedule needs an id and a time, and knows only queue, priority and attempts")
	}
	encoded, err := json.Marshal(args)
	if err != nil {
		return fmt.Errorf("jobs: encode %s: %w", args.Kind(), err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO river_job (id, args, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags,
		created_at)
		VALUES ($1, $2, $3, $4, '{}', $5, $6, $7, 'scheduled', '{}', $8)`, id, encoded, args.Kind(), cmp.Or(o.MaxAttempts, defaultAttempts),
		cmp.Or(o.Priority, defaultPriority), cmp.Or(o.Queue, river.QueueDefault), at, c.clock.Now())
	if err != nil {
		return fmt.Errorf("jobs: schedule %s: %w", args.Kind(), err)
	}
	return nil
}

// Unschedule deletes jobs that have nothing left to do, as JobDeleteManyTx does: not one that runs right now or that a worker is taking.
// Such a job must find by itself that its work is done. It returns no row, so it can share a round trip.
func (c *Client) Unschedule(ctx context.Context, tx Execer, ids []int64) error {
	_, err := tx.Exec(ctx, `DELETE FROM river_job WHERE id = ANY(ARRAY(
		SELECT id FROM river_job WHERE id = ANY($1::bigint[]) AND state <> 'running' FOR UPDATE SKIP LOCKED))`, ids)
	if err != nil {
		return fmt.Errorf("jobs: unschedule %d: %w", len(ids), err)
	}
	return nil
}
