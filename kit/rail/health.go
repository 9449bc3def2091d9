package rail

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Health is how an operation does.
type Health struct {
	Operation   string
	State       string
	Reason      string    // of a state that is not up
	Since       time.Time // UTC; zero: it never was anything else
	SwitchedOff bool
	Good, Bad   int   // within the window
	MedianMs    int64 // from the request until the end, within the window; 0 when there is none
	P95Ms       int64
}

// Ratio is the share of good ones; 1 when there were none.
func (h Health) Ratio() float64 {
	if h.Good+h.Bad == 0 {
		return 1
	}
	return float64(h.Good) / float64(h.Good+h.Bad)
}

// List says how each operation does, in the order of the configuration.
func (w *Watch) List(ctx context.Context, db DB) ([]Health, error) {
	rows, err := db.Query(ctx, `SELECT o.operation, coalesce(r.state, 'up'), coalesce(r.reason, ''), coalesce(r.since, 'epoch'),
			coalesce(r.switched_off, false), count(e.at) FILTER (WHERE e.good), count(e.at) FILTER (WHERE NOT e.good),
			coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY e.took_ms) FILTER (WHERE e.good), 0),
			coalesce(percentile_disc(0.95) WITHIN GROUP (ORDER BY e.took_ms) FILTER (WHERE e.good), 0)
		FROM unnest($1::text[]) WITH ORDINALITY AS o(operation, place)
		LEFT JOIN rails r ON r.operation = o.operation
		LEFT JOIN rail_outcomes e ON e.operation = o.operation AND e.at > $2
		GROUP BY o.operation, o.place, r.state, r.reason, r.since, r.switched_off ORDER BY o.place`, w.Operations, w.Now().Add(-Window))
	if err != nil {
		return nil, fmt.Errorf("list rails: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Health, err error) {
		err = row.Scan(&h.Operation, &h.State, &h.Reason, &h.Since, &h.SwitchedOff, &h.Good, &h.Bad, &h.MedianMs, &h.P95Ms)
		if h.Since = h.Since.UTC(); h.Since.Unix() == 0 {
			h.Since = time.Time{}
		}
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("list rails: %w", err)
	}
	return out, nil
}
