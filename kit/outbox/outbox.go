// Package outbox carries events from a business transaction to Kafka: Append writes the row in the caller's transaction,
// a Relay publishes committed rows and keeps the order per key. Nothing is lost when the broker or a relay dies; a row may
// be sent twice then, and the consumers' inbox drops the repeat.
package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/event"
)

// Append stores an event in tx, to be published after the commit. Call it after the aggregate's row is locked: then the
// ids of one key grow in the order of its commits, which is the order the relay keeps.
func Append(ctx context.Context, tx pgx.Tx, e event.Event) error {
	record, err := e.WithTrace(ctx).Record()
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO outbox (event_id, topic, key, payload, created_at) VALUES ($1, $2, $3, $4, $5)`,
		record.ID, record.Topic, record.Key, record.Value, record.Time)
	if err != nil {
		return fmt.Errorf("outbox: append %s: %w", e.Type, err)
	}
	return nil
}
