package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/kit/event"
)

// Execer is a pgx.Tx, or a pipeline of statements that is sent in one.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// AppendAll stores events in tx with one statement, in their order. It is Append for writers that commit many changes at once.
func AppendAll(ctx context.Context, tx Execer, events []event.Event) error {
	if len(events) == 0 {
		return nil
	}
	ids, topics := make([]uuid.UUID, len(events)), make([]string, len(events))
	keys, payloads, at := make([]string, len(events)), make([][]byte, len(events)), make([]time.Time, len(events))
	for i, e := range events {
		record, err := e.WithTrace(ctx).Record()
		if err != nil {
			return err
		}
		ids[i], topics[i], keys[i], payloads[i], at[i] = record.ID, record.Topic, record.Key, record.Value, record.Time
	}
	_, err := tx.Exec(ctx, `INSERT INTO outbox (event_id, topic, key, payload, created_at)
		SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[])`, ids, topics, keys, payloads, at)
	if err != nil {
		return fmt.Errorf("outbox: append %d events: %w", len(events), err)
	}
	return nil
}
