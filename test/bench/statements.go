package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// countStatements restarts PostgreSQL with pg_stat_statements loaded. It is for finding costs, not for figures to keep.
func (w *world) countStatements(ctx context.Context) error {
	for _, s := range []string{`ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'`, `ALTER SYSTEM SET track_io_timing = on`} {
		if _, err := w.admin["wallet"].Exec(ctx, s); err != nil {
			return fmt.Errorf("count statements: %w", err)
		}
	}
	if err := w.p.StopPart(ctx, "postgres"); err != nil {
		return err
	}
	if err := w.p.StartPart(ctx, "postgres"); err != nil {
		return err
	}
	err := poll(ctx, "the way back of every service", time.Minute, func() (bool, error) {
		for _, pool := range w.admin {
			if pool.Ping(ctx) != nil {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	if _, err := w.admin["wallet"].Exec(ctx, `CREATE EXTENSION IF NOT EXISTS pg_stat_statements`); err != nil {
		return fmt.Errorf("count statements (is postgresql-contrib installed?): %w", err)
	}
	return w.open(ctx)
}

func (w *world) resetStatements(ctx context.Context) error {
	for _, s := range []string{`SELECT pg_stat_statements_reset()`, `SELECT pg_stat_reset_shared('wal')`} {
		if _, err := w.admin["wallet"].Exec(ctx, s); err != nil {
			return fmt.Errorf("count statements: %w", err)
		}
	}
	return nil
}

// printStatements shows, per transfer, how often each statement ran and what it cost.
func (w *world) printStatements(ctx context.Context, transfers int) error {
	rows, err := w.admin["wallet"].Query(ctx, `
		SELECT d.datname, s.calls, s.total_exec_time, s.mean_exec_time, s.wal_bytes::bigint, regexp_replace(s.query, '\s+', ' ', 'g')
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = ANY($1) ORDER BY s.total_exec_time DESC LIMIT 60`,
		databases)
	if err != nil {
		return fmt.Errorf("count statements: %w", err)
	}
	defer rows.Close()
	fmt.Printf("%-13s %9s %12s %10s %10s  %s\n", "database", "calls/tr", "ms total/tr", "ms each", "WAL B/tr", "statement")
	for rows.Next() {
		var database, query string
		var calls, wal int64
		var total, mean float64
		if err := rows.Scan(&database, &calls, &total, &mean, &wal, &query); err != nil {
			return fmt.Errorf("count statements: %w", err)
		}
		n := float64(transfers)
		fmt.Printf("%-13s %9.2f %12.4f %10.4f %10.0f  %.110s\n", database, float64(calls)/n, total/n, mean, float64(wal)/n,
			strings.TrimSpace(query))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var syncs, bytes, writes int64
	err = w.admin["wallet"].QueryRow(ctx, `SELECT wal_sync, wal_bytes::bigint, wal_write FROM pg_stat_wal`).Scan(&syncs, &bytes, &writes)
	fmt.Printf("WAL: %.2f syncs, %.2f writes, %.0f bytes per transfer (%s)\n", float64(syncs)/float64(transfers),
		float64(writes)/float64(transfers),
		float64(bytes)/float64(transfers), time.Now().UTC().Format(time.RFC3339))
	return err
}
