package seed

import (
	"bytes"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// write stores a chunk in one database transaction. Rows that only add are sent while the chunk before is still being written; counters,
// holds and the tree wait until that is committed, so that chunks take effect one after the other.
func write(ctx context.Context, conn *pgx.Conn, c *chunk) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock_shared(%d)", chunkLock)); err != nil {
			return fmt.Errorf("announce the chunk: %w", err)
		}
		for _, t := range []struct {
			rows *rows
			into string
		}{
			{&c.references, "ledger_references (reference, body_hash, transaction_id, recorded_at)"},
			{&c.refusals, "ledger_refusals (reference, code, detail, recorded_at)"},
			{&c.transactions, `transactions (id, recorded_at, reference, action, type, channel, hold_id, hold_delta_minor, reverses_id, effective_at,
				metadata_hash, salt, batch_id, batch_position, balances, leaf_version)`},
			{&c.postings, `postings (transaction_id, position, recorded_at, source_id, destination_id, currency, amount_minor, source_sequence,
				source_balance_minor, destination_sequence, destination_balance_minor, reverses_position, effective_at)`},
			{&c.metadata, "transaction_metadata (transaction_id, metadata, salt)"},
			{&c.sealed, "sealed_batches (first_index, size, batch_id, transaction_ids, leaf_hashes, recorded_from, recorded_to, sealed_at)"},
			{&c.nodes, "tree_nodes (level, node_index, hash)"},
		} {
			if err := copyRows(ctx, tx, t.rows, t.into); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.before:
		}
		return c.takeEffect(ctx, tx)
	})
	if err != nil {
		return err
	}
	close(c.done)
	return nil
}

// takeEffect writes what the next chunk builds on. Each statement says how many rows it must change: fewer mean that somebody else did.
func (c *chunk) takeEffect(ctx context.Context, tx pgx.Tx) error {
	err := copyRows(ctx, tx, &c.newHolds,
		"holds (id, account_id, currency, amount_minor, captured_minor, released_minor, lines, reason, status, expires_at, created_at)")
	if err != nil {
		return err
	}
	h, a := &c.holds, &c.accounts
	for _, s := range []struct {
		what string
		rows int
		sql  string
		args []any
	}{
		{"holds", len(h.ids), `UPDATE holds h SET captured_minor = v.captured, released_minor = v.released, lines = v.lines::jsonb, status =
			v.status
			FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS v (id, captured, released, lines, status)
			WHERE h.id = v.id AND h.status = 'active'`,
			[]any{h.ids, h.captured, h.released, h.lines, h.statuses}},
		{"accounts", len(a.ids), `UPDATE accounts a SET debits_minor = v.debits, credits_minor = v.credits, pending_debits_minor =
			v.pending_debits,
				pending_credits_minor = v.pending_credits, over_cap_minor = v.over_cap, sequence = v.sequence, last_recorded_at = v.recorded
			FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[],
					$9::bigint[], $10::timestamptz[], $11::bigint[], $12::bigint[])
				AS v (id, debits, credits, pending_debits, pending_credits, over_cap, sequence, recorded, was_sequence, was_recorded,
				was_pending_debits, was_pending_credits)
			WHERE a.id = v.id AND a.sequence = v.was_sequence AND a.last_recorded_at = v.was_recorded
				AND a.pending_debits_minor = v.was_pending_debits AND a.pending_credits_minor = v.was_pending_credits`,
			[]any{a.ids, a.debits, a.credits, a.pendingDebits, a.pendingCredits, a.overCap, a.sequences, a.recorded,
				a.wasSequences, a.wasRecorded, a.wasPendingDebits, a.wasPendingCredits}},
		{"tree", 1, "UPDATE ledger_tree SET size = $1, frontier = $2, root = $3 WHERE size = $4", []any{c.size, c.frontier, c.root, c.firstSize}},
		// Millions of made-up events help nobody: what publishes them goes on after them.
		{"cursor", 1, `INSERT INTO publications AS p (name, next_index) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET next_index = excluded.next_index WHERE p.next_index = $3`, []any{publication, c.size, c.firstSize}},
	} {
		if s.rows == 0 {
			continue
		}
		tag, err := tx.Exec(ctx, s.sql, s.args...)
		if err != nil {
			return fmt.Errorf("write the %s: %w", s.what, err)
		}
		if tag.RowsAffected() != int64(s.rows) {
			return fmt.Errorf("%w (%d of %d %s were as they had been read)", ErrInterfered, tag.RowsAffected(), s.rows, s.what)
		}
	}
	return nil
}

// copyRows adds rows to a table with these columns.
func copyRows(ctx context.Context, tx pgx.Tx, r *rows, into string) error {
	if r.n == 0 {
		return nil
	}
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(r.end()), "COPY "+into+" FROM STDIN (FORMAT binary)")
	if err != nil {
		return fmt.Errorf("copy into %.20s: %w", into, err)
	}
	if tag.RowsAffected() != r.n {
		return fmt.Errorf("copy into %.20s: %d of %d rows", into, tag.RowsAffected(), r.n)
	}
	return nil
}
