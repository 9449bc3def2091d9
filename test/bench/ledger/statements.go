package main

import (
	"context"
	"fmt"
	"strings"
)

// loadStatements restarts the platform with pg_stat_statements loaded. It is for finding costs, not for figures to keep.
func (w *world) loadStatements(ctx context.Context) error {
	if _, err := w.admin.Exec(ctx, `ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`); err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	if err := w.restart(ctx); err != nil {
		return err
	}
	if _, err := w.admin.Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
		return fmt.Errorf("count statements (is postgresql-contrib installed?): %w", err)
	}
	return nil
}

const ownStatements = `FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'transactions_app'`

// countStatements is how many statements the ledger has sent, BEGIN and COMMIT with them.
func (w *world) countStatements(ctx context.Context) (int64, error) {
	return w.number(ctx, `SELECT coalesce(sum(calls), 0)::bigint `+ownStatements)
}

// printStatements shows what the run's statements cost; the rounds are not told apart.
func (w *world) printStatements(ctx context.Context) error {
	rows, err := w.admin.Query(ctx,
		`SELECT s.calls, s.total_exec_time, s.mean_exec_time, s.rows, s.wal_bytes::bigint, regexp_replace(s.query, '\s+', ' ', 'g') `+
			ownStatements+` ORDER BY s.total_exec_time DESC LIMIT 40`)
	if err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	defer rows.Close()
	fmt.Printf("%9s %12s %9s %10s %12s  %s\n", "calls", "ms total", "ms each", "rows each", "WAL B each", "statement")
	for rows.Next() {
		var calls, count, wal int64
		var total, mean float64
		var query string
		if err := rows.Scan(&calls, &total, &mean, &count, &wal, &query); err != nil {
			return fmt.Errorf("count statements: %w", err)
		}
		n := float64(max(1, calls))
		fmt.Printf("%9d %12.1f %9.3f %10.1f %12.0f  %.120s\n", calls, total, mean, float64(count)/n, float64(wal)/n, strings.TrimSpace(query))
	}
	return rows.Err()
}

// statementRound repeats a round, short and after all others, to count the statements of a batch: counting makes PostgreSQL slower.
func (w *world) statementRound(ctx context.Context, f *field, k kind, r *report) error {
	say("counting statements")
	if err := w.loadStatements(ctx); err != nil {
		return err
	}
	w.o.statements, w.o.quick = true, true
	x, err := w.round(ctx, f, k, "")
	if err != nil {
		return err
	}
	r.counted = fmt.Sprintf(
		"Statements per batch, BEGIN and COMMIT with them and the sealer's and publisher's: %s, counted in a %s round of its own, with %s "+
			"transactions per batch.",
		per(float64(x.cost.statements), float64(x.cost.batches)), k.name, per(float64(x.transactions()), float64(x.cost.batches)))
	return nil
}
