// Package rail watches over a service's payment rails. It counts what became of the payments of each operation, closes an operation for
// new ones when most fail, lets a few through until they succeed again, and obeys the switches that people set.
package rail

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
)

// ErrUnavailable is the answer to who wants to begin a payment on a rail that is closed. It says when to try again.
var ErrUnavailable = fault.New(fault.Unavailable, "rail_unavailable",
	"This way of payment is not available at the moment; try again later.")

// ErrUnknown is the answer to who names an operation that there is not.
var ErrUnknown = fault.ErrNotFound

// States of an operation.
const (
	Up      = "up"
	Down    = "down"    // most payments fail
	Probing = "probing" // a few may try
)

// Why an operation is down.
const (
	Failing = "failing" // too many failed
	NoFloat = "no_float"
)

// The rule: below half of at least 20 within five minutes is down. After a minute of rest a payment in twenty is let through, and one a
// minute at least; when five of them are known, their majority decides.
const (
	Window      = 5 * time.Minute
	Enough      = 20
	Rest        = time.Minute
	LetOneIn    = 20
	LetOneEvery = time.Minute
	Probes      = 5

	kept      = time.Hour
	offAdvice = 15 * time.Minute // when to try again after a switch by hand, of which nobody knows the end
)

// DB is a pool or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Config is what a watch needs of its service.
type Config struct {
	Operations []string // such as mpesa.b2c; they are stored, and never change
	Now        func() time.Time
	Log        *slog.Logger
	// Changed is called in the transaction in which an operation goes down or comes up again; nil: nobody is told.
	Changed func(ctx context.Context, tx pgx.Tx, operation, state string) error
}

// Watch watches over the rails of one service. It is safe for concurrent use, and by several instances of the service.
type Watch struct {
	Config

	state *prometheus.GaugeVec
	ratio *prometheus.GaugeVec
	took  *prometheus.HistogramVec
}

// New returns a watch and registers its metrics.
func New(c Config, registry prometheus.Registerer) *Watch {
	w := &Watch{Config: c,
		state: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rail_state",
			Help: "0 up, 1 probing, 2 down, 3 switched off by people."}, []string{"operation"}),
		ratio: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "rail_success_ratio",
			Help: "Share of payments that the rail carried out within five minutes; 1 when there were none."}, []string{"operation"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rail_outcome_seconds",
			Help: "From the request to a rail until it said the end.", Buckets: prometheus.ExponentialBuckets(0.5, 2, 14)}, []string{"operation"})}
	registry.MustRegister(w.state, w.ratio, w.took)
	return w
}

// Record counts what became of a payment, in the transaction that stores it. good says that the rail did its work; what the customer did
// (cancelled, wrong PIN, no funds) must not be recorded. took is the time from the request until then.
func (w *Watch) Record(ctx context.Context, tx pgx.Tx, operation string, good bool, took time.Duration) error {
	took = max(took, 0)
	if _, err := tx.Exec(ctx, "INSERT INTO rail_outcomes (operation, at, good, took_ms) VALUES ($1, $2, $3, $4)",
		operation, w.Now(), good, took.Milliseconds()); err != nil {
		return fmt.Errorf("record outcome: %w", err)
	}
	if good {
		w.took.WithLabelValues(operation).Observe(took.Seconds())
	}
	return nil
}

// Trip closes an operation at once, for a reason that one answer proves.
func (w *Watch) Trip(ctx context.Context, tx pgx.Tx, operation, reason string) error {
	row, err := w.lock(ctx, tx, operation)
	if err != nil || row.State == Down {
		return err
	}
	return w.become(ctx, tx, operation, Down, reason)
}

// Admit says whether a payment may begin: nil, or ErrUnavailable with the time after which to try again.
func (w *Watch) Admit(ctx context.Context, db DB, operation string) error {
	now := w.Now()
	var row row
	err := db.QueryRow(ctx, "SELECT state, since, switched_off FROM rails WHERE operation = $1", operation).
		Scan(&row.State, &row.Since, &row.Off)
	if pg.IsNoRows(err) {
		return nil // nothing ever happened there
	}
	if err != nil {
		return fmt.Errorf("state of the rail: %w", err)
	}
	switch {
	case row.Off:
		return ErrUnavailable.WithRetryAfter(offAdvice)
	case row.State == Up:
		return nil
	case row.State == Down:
		return ErrUnavailable.WithRetryAfter(max(Rest-now.Sub(row.Since), time.Second))
	}
	var let bool
	err = db.QueryRow(ctx, `WITH old AS (SELECT asked, let_at FROM rails WHERE operation = $1 FOR UPDATE)
		UPDATE rails SET asked = old.asked + 1,
			let_at = CASE WHEN old.asked % $2 = 0 OR old.let_at <= $3 THEN $4 ELSE old.let_at END
		FROM old WHERE operation = $1 RETURNING old.asked % $2 = 0 OR old.let_at <= $3`,
		operation, LetOneIn, now.Add(-LetOneEvery), now).Scan(&let)
	if err != nil {
		return fmt.Errorf("ask the rail: %w", err)
	}
	if let {
		return nil
	}
	return ErrUnavailable.WithRetryAfter(Rest)
}

// Switch closes an operation by hand, or leaves it to the watch again, in the transaction of the approval.
func (w *Watch) Switch(ctx context.Context, tx pgx.Tx, operation string, off bool, approval uuid.UUID) error {
	if !slices.Contains(w.Operations, operation) {
		return ErrUnknown
	}
	if _, err := w.lock(ctx, tx, operation); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE rails SET switched_off = $2, switched_at = $3, approval = $4 WHERE operation = $1",
		operation, off, w.Now(), approval); err != nil {
		return fmt.Errorf("switch rail: %w", err)
	}
	return nil
}

type row struct {
	State string
	Since time.Time
	Off   bool
}

// lock locks an operation's row, which is made when it is first needed.
func (w *Watch) lock(ctx context.Context, tx pgx.Tx, operation string) (row, error) {
	var out row
	if _, err := tx.Exec(ctx, "INSERT INTO rails (operation, since) VALUES ($1, $2) ON CONFLICT DO NOTHING", operation,
		time.Unix(0, 0)); err != nil {
		return out, fmt.Errorf("make rail: %w", err)
	}
	err := tx.QueryRow(ctx, "SELECT state, since, switched_off FROM rails WHERE operation = $1 FOR UPDATE", operation).
		Scan(&out.State, &out.Since, &out.Off)
	if err != nil {
		return out, fmt.Errorf("lock rail: %w", err)
	}
	return out, nil
}

func (w *Watch) become(ctx context.Context, tx pgx.Tx, operation, state, reason string) error {
	if _, err := tx.Exec(ctx, "UPDATE rails SET state = $2, reason = $3, since = $4, asked = 0, let_at = NULL WHERE operation = $1",
		operation, state, reason, w.Now()); err != nil {
		return fmt.Errorf("change rail: %w", err)
	}
	w.Log.WarnContext(ctx, "rail "+state, "operation", operation, "reason", reason)
	if w.Changed == nil || state == Probing {
		return nil
	}
	return w.Changed(ctx, tx, operation, state)
}

// Judge applies the rule to every operation.
func (w *Watch) Judge(ctx context.Context, db pg.Beginner) error {
	for _, operation := range w.Operations {
		if err := pg.InTx(ctx, db, func(tx pgx.Tx) error { return w.judge(ctx, tx, operation) }); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watch) judge(ctx context.Context, tx pgx.Tx, operation string) error {
	row, err := w.lock(ctx, tx, operation)
	if err != nil {
		return err
	}
	now := w.Now()
	from := now.Add(-Window)
	if row.Since.After(from) {
		from = row.Since // what made it what it is does not count twice
	}
	var all, good int
	if err := tx.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE good) FROM rail_outcomes WHERE operation = $1 AND at > $2",
		operation, from).Scan(&all, &good); err != nil {
		return fmt.Errorf("count outcomes: %w", err)
	}
	next, reason := verdict(row, now, all, good)
	if next == row.State {
		return nil
	}
	return w.become(ctx, tx, operation, next, reason)
}

// verdict is the rule: what an operation becomes when so many payments ended since the window began, or since it became what it is.
func verdict(r row, now time.Time, all, good int) (state, reason string) {
	failing := 2*good < all
	switch {
	case r.State == Up && all >= Enough && failing:
		return Down, Failing
	case r.State == Down && now.Sub(r.Since) >= Rest:
		return Probing, ""
	case r.State == Probing && all >= Probes && failing:
		return Down, Failing
	case r.State == Probing && all >= Probes:
		return Up, ""
	}
	return r.State, ""
}

// Loop judges every 15 s and forgets what is older than an hour, until ctx ends.
func (w *Watch) Loop(pool *pgxpool.Pool) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		ticks := time.NewTicker(15 * time.Second)
		defer ticks.Stop()
		for {
			if err := w.keep(ctx, pool); err != nil && ctx.Err() == nil {
				w.Log.WarnContext(ctx, "watch over rails", "err", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-ticks.C:
			}
		}
	}
}

func (w *Watch) keep(ctx context.Context, pool *pgxpool.Pool) error {
	if err := w.Judge(ctx, pool); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, "DELETE FROM rail_outcomes WHERE at < $1", w.Now().Add(-kept)); err != nil {
		return fmt.Errorf("forget outcomes: %w", err)
	}
	all, err := w.List(ctx, pool)
	if err != nil {
		return err
	}
	for _, h := range all {
		level := map[string]float64{Up: 0, Probing: 1, Down: 2}[h.State]
		if h.SwitchedOff {
			level = 3
		}
		w.state.WithLabelValues(h.Operation).Set(level)
		w.ratio.WithLabelValues(h.Operation).Set(h.Ratio())
	}
	return nil
}
