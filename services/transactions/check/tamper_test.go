package check_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/services/transactions/check"
)

// uncovered are the columns that a superuser can change unseen, and why. All others are in alterations.
//
//	accounts           id, code, owner_id, kind, status, minimum_minor, maximum_minor, created_at: who an account is and what it may do
// changes
//	                   with life and is no part of a posting (currency, normal_side and book show as soon as an account has entries; a
//	                   book, if all leaves are of the first version, only by the sums: not if all accounts that dealt with each other
//	                   are moved together)
//	ledger_references  recorded_at: only for operators; the posted time is the transaction's, the refused one the refusal's
//	                   body_hash, transaction_id of refused references: no leaf is made for a refusal, which moves no money
//	ledger_refusals    code, detail, recorded_at: the same
//	sealed_batches     sealed_at: when the sealer ran
//	checkpoints        signed_at: the note has the signature, and no time
//	signing_keys       first_size, created_at: for those who read the list; a note has the key's name
//	publications       next_index: how far events were published
//	room_releases      all: under which number the next release is sent; the wrong one is answered with what became of it
//	audit_log          all: it has its own rules; an erasure that is made up there hides that metadata was deleted
//	outbox, river_*    all: messages and jobs, no books
//	accounts           whole rows without entries and holds: nothing refers to them
//	ledger_refusals    a refusal together with its reference; singly each is missed
//	checkpoints        whole rows, and the end of the ledger, unless a checkpoint from outside tells

// alteration sets one column to another valid value. Expressions may use the row's own columns and random().
type alteration struct {
	table, column, value string
	where                string // rows that may have the value
	names                string // SQL list of what the finding may name, of the row as it was and as it is
}

const (
	uid     = "gen_random_uuid()"
	later   = "interval '1 microsecond' * (1 + floor(random() * 1e9)::bigint)"
	bytes32 = "sha256(uuid_send(gen_random_uuid()))"
	bytes16 = "uuid_send(gen_random_uuid())"
	other   = "(1 + floor(random() * 1000)::int)"
)

// flipped is a column of bytes of which one has another value. The place is drawn once: with a draw for each use, one in 256 would be no
// change.
func flipped(column string) string {
	return fmt.Sprintf("(SELECT set_byte(%[1]s, n, (get_byte(%[1]s, n) + 1 + floor(random() * 254)::int) %% 256) FROM (SELECT "+
		"floor(random() * length(%[1]s))::int AS n) place)", column)
}

func alterations() []alteration {
	const ofTransaction, ofPosting, ofReference = "id::text", "transaction_id::text", "reference, transaction_id::text"
	const ofBatch, ofNode, ofCheckpoint, ofTree = "'batch ' || batch_id", "'node ' || level || '/' || node_index", "'checkpoint ' || size",
		"'ledger_tree'"
	var list []alteration
	put := func(table, names string, columns map[string]string, where string) {
		for column, value := range columns {
			list = append(list, alteration{table, column, value, where, names})
		}
	}
	put("transactions", ofTransaction,
		map[string]string{"id": uid, "recorded_at": "recorded_at + " + later, "reference": "'other:' || gen_random_uuid()",
			"type": "type || 'x'", "channel": "CASE channel WHEN 'bank' THEN 'paystack' ELSE 'bank' END", "effective_at": "recorded_at - " + later,
			"salt": bytes16, "batch_id": "batch_id + " + other, "batch_position": "batch_position + " + other, "balances": flipped("balances")},
		"true")
	put("transactions", ofTransaction, map[string]string{"action": "CASE action WHEN 'post' THEN 'capture' ELSE 'post' END"},
		"action <> 'reverse'")
	put("transactions", ofTransaction,
		map[string]string{"metadata_hash": "CASE WHEN random() < 0.5 THEN " + bytes32 + " END", "effective_at": "NULL"},
		"metadata_hash IS NOT NULL AND effective_at IS NOT NULL")
	put("transactions", ofTransaction, map[string]string{"metadata_hash": bytes32}, "metadata_hash IS NULL")
	put("transactions", ofTransaction,
		map[string]string{"leaf_version": "CASE leaf_version WHEN 1 THEN 0 ELSE (ARRAY[0, 1, 3, 7])[1 + floor(random() * 4)::int] END"}, "true")
	put("transactions", ofTransaction,
		map[string]string{"hold_id": uid, "hold_delta_minor": "hold_delta_minor + sign(hold_delta_minor) * " + other}, "hold_id IS NOT NULL")
	put("transactions", ofTransaction, map[string]string{"reverses_id": uid}, "reverses_id IS NOT NULL")
	put("postings", ofPosting, map[string]string{"transaction_id": uid, "position": "position + 10 + " + other,
		"recorded_at": "recorded_at + " + later, "source_id": uid, "destination_id": uid,
		"currency": "'UGX'", "amount_minor": "amount_minor + " + other, "source_sequence": "source_sequence + " + other,
		"source_balance_minor": "source_balance_minor - " + other,
		"destination_sequence": "destination_sequence + " + other, "destination_balance_minor": "destination_balance_minor + " + other,
		"effective_at":      "recorded_at - " + later,
		"reverses_position": "coalesce(reverses_position, 0) + " + other}, "true")
	put("postings", ofPosting, map[string]string{"reverses_position": "NULL"}, "reverses_position IS NOT NULL")
	put("postings", ofPosting, map[string]string{"effective_at": "NULL"}, "effective_at IS NOT NULL")
	put("ledger_references", ofReference, map[string]string{"reference": "'other:' || gen_random_uuid()"}, "true")
	put("ledger_references", ofReference, map[string]string{"body_hash": bytes32, "transaction_id": uid},
		"reference NOT IN (SELECT reference FROM ledger_refusals)")
	put("ledger_references", ofReference, map[string]string{"transaction_id": "(SELECT id FROM transactions ORDER BY random() LIMIT 1)"},
		"reference IN (SELECT reference FROM ledger_refusals)")
	put("ledger_refusals", "reference", map[string]string{"reference": "'other:' || gen_random_uuid()"}, "true")
	put("transaction_metadata", ofPosting,
		map[string]string{"transaction_id": uid, "metadata": `metadata || '{"receipt":"stolen"}'`, "salt": bytes16}, "true")
	put("transaction_metadata", ofPosting, map[string]string{"metadata": `'{"receipt":7}'`}, "true")
	put("holds", ofTransaction, map[string]string{"id": uid, "account_id": uid, "currency": "'UGX'", "amount_minor": "amount_minor + " + other,
		"reason":     "CASE reason WHEN 'requested' THEN 'over_cap' ELSE 'requested' END",
		"created_at": "created_at + " + later}, "expires_at IS NULL AND status = 'active'")
	put("holds", ofTransaction, map[string]string{"expires_at": "expires_at + " + later, "lines": "jsonb_set(lines, '{0,amount}', '7')"},
		"expires_at IS NOT NULL")
	put("holds", ofTransaction, map[string]string{"expires_at": "NULL",
		"lines": "jsonb_set(lines, '{0,destination}', to_jsonb(gen_random_uuid()))"}, "expires_at IS NOT NULL")
	put("holds", ofTransaction, map[string]string{"captured_minor": "captured_minor + 1", "released_minor": "released_minor + 1",
		"lines": `jsonb_set(lines, '{0,remaining}', '1000')`},
		"status = 'active' AND lines <> '[]' AND amount_minor - captured_minor - released_minor > 1")
	put("holds", ofTransaction, map[string]string{"status": "'expired'"}, "status <> 'active'")
	put("accounts", ofTransaction,
		map[string]string{"debits_minor": "debits_minor + " + other, "credits_minor": "credits_minor + " + other,
			"pending_credits_minor": "pending_credits_minor + " + other,
			"pending_debits_minor":  "pending_debits_minor + " + other, "sequence": "sequence + " + other,
			"last_recorded_at": "last_recorded_at + " + later}, "minimum_minor IS NULL")
	put("accounts", ofTransaction,
		map[string]string{"currency": "'UGX'", "normal_side": "CASE normal_side WHEN 'debit' THEN 'credit' ELSE 'debit' END"},
		"sequence > 0 AND minimum_minor IS NULL")
	put("accounts", ofTransaction, map[string]string{"book": "CASE WHEN book = 'emoney' THEN 'lending' WHEN book = 'lending' THEN 'savings' " +
		"ELSE 'emoney' END"}, "sequence > 0 OR id IN (SELECT account_id FROM holds)")
	put("accounts", ofTransaction, map[string]string{"over_cap_minor": "over_cap_minor - 1"}, "over_cap_minor > 0")
	put("sealed_batches", ofBatch,
		map[string]string{"first_index": "first_index + 10000", "batch_id": "batch_id + 100000", "recorded_from": "recorded_from - " + later,
			"recorded_to":     "recorded_to + " + later,
			"leaf_hashes":     flipped("leaf_hashes"),
			"transaction_ids": "array_replace(transaction_ids, transaction_ids[1 + floor(random() * size)::int], gen_random_uuid())",
			"size":            "size + 1"}, "true")
	put("sealed_batches", ofBatch, map[string]string{"first_index": "first_index - 1", "recorded_from": "recorded_to + interval '1 s'"},
		"size > 1 AND first_index > 0")
	put("seal_queue", "'batch ' || id , array_to_string(transaction_ids, ' ')",
		map[string]string{"id": "id + 100000", "recorded_from": "recorded_from - " + later, "recorded_to": "recorded_to + " + later,
			"leaf_hashes":     flipped("leaf_hashes"),
			"transaction_ids": "array_replace(transaction_ids, transaction_ids[1], gen_random_uuid())"}, "true")
	put("tree_nodes", ofNode, map[string]string{"level": "level + 8", "node_index": "node_index + " + other, "hash": flipped("hash")}, "true")
	put("ledger_tree", ofTree, map[string]string{"size": "size + " + other, "frontier": flipped("frontier"), "root": flipped("root")}, "true")
	put("ledger_tree", ofTree, map[string]string{"size": "size - 1", "frontier": "substring(frontier FROM 33)", "root": "sha256('')"}, "true")
	put("checkpoints", ofCheckpoint,
		map[string]string{"size": "size + 100000", "root": flipped("root"),
			"note": "replace(note, chr(10) || chr(8212), '0' || chr(10) || chr(8212))"}, "true")
	put("checkpoints", ofCheckpoint,
		map[string]string{"size": "size - 1", "note": "overlay(note PLACING 'A' FROM position(chr(8212) IN note) + 60)"},
		"substring(note FROM position(chr(8212) IN note) + 60 FOR 1) <> 'A'")
	put("signing_keys", "split_part(verifier_key, '+', 2)", map[string]string{"verifier_key": "'x' || verifier_key"}, "true")
	return list
}

// copies are the columns that get another value when a row is inserted as a copy.
var copies = []struct{ table, fresh, where, names string }{
	{"transactions", "id = gen_random_uuid(), reference = 'copy:' || reference", "true", "id::text"},
	{"transactions", "recorded_at = recorded_at + interval '1 microsecond'", "true", "id::text"},
	{"postings", "position = position + 1", "position = (SELECT max(q.position) FROM postings q WHERE q.transaction_id = x.transaction_id)",
		"transaction_id::text"},
	{"postings", "recorded_at = recorded_at + interval '1 day'", "true", "transaction_id::text"},
	{"postings", "transaction_id = gen_random_uuid()", "true", "transaction_id::text"},
	{"ledger_references", "reference = 'copy:' || reference", "true", "reference"},
	{"ledger_refusals", "reference = 'copy:' || reference", "true", "reference"},
	{"ledger_refusals", "reference = (SELECT reference FROM transactions ORDER BY random() LIMIT 1)", "true", "reference"},
	{"transaction_metadata", "transaction_id = gen_random_uuid()", "true", "transaction_id::text"},
	{"transaction_metadata", "transaction_id = (SELECT id FROM transactions WHERE metadata_hash IS NULL ORDER BY random() LIMIT 1)", "true",
		"transaction_id::text"},
	{"holds", "id = gen_random_uuid()", "true", "id::text"},
	{"holds", "id = (SELECT id FROM transactions WHERE action = 'capture' ORDER BY random() LIMIT 1)", "true", "id::text"},
	{"accounts", "id = gen_random_uuid(), code = 'copy.' || code", "sequence > 0", "id::text"},
	{"sealed_batches", "first_index = (SELECT size FROM ledger_tree), batch_id = batch_id + 100000", "true", "'batch ' || batch_id"},
	{"sealed_batches", "first_index = first_index + 1, batch_id = batch_id + 100000", "size > 1", "'batch ' || batch_id"},
	{"seal_queue", "id = id + 100000", "true", "'batch ' || id"},
	{"tree_nodes", "node_index = node_index + 100", "true", "'node ' || level || '/' || node_index"},
	{"checkpoints", "size = size + 1", "size < (SELECT max(size) FROM checkpoints)", "'checkpoint ' || size"},
}

// deletions are rows that go.
var deletions = []struct{ table, names string }{
	{"transactions", "id::text"}, {"postings", "transaction_id::text"}, {"ledger_references", "reference"}, {"ledger_refusals", "reference"},
	{"transaction_metadata", "transaction_id::text"}, {"holds", "id::text"},
	{"sealed_batches", "'first index ' || first_index, 'batch ' || batch_id"},
	{"seal_queue", "'batch ' || id"}, {"tree_nodes", "'node ' || level || '/' || node_index"}, {"ledger_tree", "'ledger_tree'"},
	{"checkpoints", "'checkpoint ' || size"},
}

// swaps exchange columns of two rows.
var swaps = []struct{ table, columns, where, names string }{
	{"transactions", "batch_id, batch_position", "true", "id::text"},
	{"transactions", "salt", "true", "id::text"},
	{"transactions", "reference", "true", "id::text"},
	{"postings", "source_id, source_sequence, source_balance_minor", "true", "transaction_id::text"},
	{"postings", "amount_minor", "true", "transaction_id::text"},
	{"ledger_references", "body_hash", "reference IN (SELECT reference FROM transactions)", "reference, transaction_id::text"},
	{"ledger_references", "transaction_id", "reference IN (SELECT reference FROM transactions)", "reference, transaction_id::text"},
	{"transaction_metadata", "metadata, salt", "true", "transaction_id::text"},
	{"holds", "account_id, amount_minor, lines, reason, expires_at, created_at", "status = 'active'", "id::text"},
	{"accounts", "debits_minor, credits_minor, sequence", "minimum_minor IS NULL AND sequence > 0", "id::text"},
	{"sealed_batches", "transaction_ids, leaf_hashes, size, recorded_from, recorded_to", "true", "'batch ' || batch_id"},
	{"sealed_batches", "size, batch_id, transaction_ids, leaf_hashes, recorded_from, recorded_to", "true", "'batch ' || batch_id"},
	{"sealed_batches", "batch_id", "true", "'batch ' || batch_id"},
	{"sealed_batches", "leaf_hashes", "size = 1", "'batch ' || batch_id"},
	{"sealed_batches", "transaction_ids", "size = 1", "'batch ' || batch_id"},
	{"tree_nodes", "hash", "true", "'node ' || level || '/' || node_index"},
	{"checkpoints", "root, note", "true", "'checkpoint ' || size"},
	{"checkpoints", "root", "true", "'checkpoint ' || size"},
}

// tampering is one change of one row, or of two that are exchanged.
type tampering struct {
	name  string
	kinds []check.Kind                                                     // one of which the report must say of the row
	do    func(ctx context.Context, tx pgx.Tx) (names []string, err error) // pgx.ErrNoRows if nothing was changed
}

func tamperings() (list []tampering) {
	for _, a := range alterations() {
		sql := fmt.Sprintf(`WITH old AS (SELECT x.tableoid AS o, x.ctid AS c, ARRAY[%[5]s]::text[] AS names FROM %[1]s x WHERE %[4]s ORDER BY
			random() LIMIT 1)
			UPDATE %[1]s x SET %[2]s = %[3]s FROM old WHERE x.tableoid = old.o AND x.ctid = old.c AND (%[3]s) IS DISTINCT FROM x.%[2]s
			RETURNING old.names || ARRAY[%[5]s]::text[]`, a.table, a.column, a.value, a.where, a.names)
		list = append(list, tampering{a.table + " alter " + a.column, a.kinds(), one(sql)})
	}
	for _, d := range deletions {
		list = append(list, tampering{d.table + " delete", []check.Kind{check.Deleted}, one(fmt.Sprintf(`DELETE FROM %[1]s x
			USING (SELECT tableoid AS o, ctid AS c FROM %[1]s ORDER BY random() LIMIT 1) old WHERE x.tableoid = old.o AND x.ctid = old.c RETURNING
			ARRAY[%[2]s]::text[]`, d.table, d.names))})
	}
	for _, c := range copies {
		kinds := []check.Kind{check.Inserted}
		switch c.table {
		case "accounts": // nothing says which accounts there were: its sums are wrong
			kinds = []check.Kind{check.Broken}
		case "ledger_references", "ledger_refusals": // each without the other: nothing says which of them was there
			kinds = append(kinds, check.Deleted)
		case "checkpoints": // the note is not one of this size
			kinds = append(kinds, check.Altered, check.Reordered)
		}
		list = append(list, tampering{c.table + " insert " + c.fresh, kinds, several(c.names,
			fmt.Sprintf("CREATE TEMP TABLE copy AS SELECT x.* FROM %s x WHERE %s ORDER BY random() LIMIT 1", c.table, c.where),
			"UPDATE copy SET "+c.fresh, fmt.Sprintf("INSERT INTO %s SELECT * FROM copy", c.table))})
	}
	for _, s := range swaps {
		kinds := []check.Kind{check.Reordered, check.Altered}
		if s.table == "accounts" {
			kinds = []check.Kind{check.Broken}
		}
		list = append(list, tampering{s.table + " swap " + s.columns, kinds, several(s.names,
			fmt.Sprintf("CREATE TEMP TABLE copy AS SELECT row_number() OVER () AS rn, x.* FROM (SELECT y.tableoid AS o, y.ctid AS c, y.* FROM %s "+
				"y WHERE %s ORDER BY random() LIMIT 2) x", s.table, s.where),
			fmt.Sprintf("DELETE FROM %s x USING copy WHERE x.tableoid = copy.o AND x.ctid = copy.c AND (SELECT count(DISTINCT (%s, 0)) FROM copy) "+
				"= 2", s.table, s.columns),
			fmt.Sprintf("UPDATE copy SET (%[1]s) = (SELECT %[1]s FROM copy d WHERE d.rn <> copy.rn)", s.columns),
			"ALTER TABLE copy DROP COLUMN rn, DROP COLUMN o, DROP COLUMN c", fmt.Sprintf("INSERT INTO %s SELECT * FROM copy", s.table))})
	}
	return list
}

// kinds is what an altered column is to be called. Another key makes of one row a missing and an unknown one, and what changes with life
// (counters, the rest of a hold) is judged by rules.
func (a alteration) kinds() []check.Kind {
	kinds := []check.Kind{check.Altered}
	switch a.column {
	case "id", "transaction_id", "reference", "level", "node_index", "size":
		kinds = append(kinds, check.Deleted, check.Inserted, check.Reordered, check.Broken)
	case "note":
		kinds = append(kinds, check.Signature)
	case "captured_minor", "released_minor", "status", "lines":
		kinds = append(kinds, check.Broken)
	}
	if a.table == "accounts" && a.column != "book" { // of which leaves tell more than that it is wrong
		kinds = append(kinds, check.Broken)
	}
	return kinds
}

// one is a statement that returns the names of what it changed.
func one(sql string) func(context.Context, pgx.Tx) ([]string, error) {
	return func(ctx context.Context, tx pgx.Tx) (names []string, err error) {
		// its size could not be changed alone
		if _, err := tx.Exec(ctx, "ALTER TABLE sealed_batches DROP CONSTRAINT sealed_batches_hashes"); err != nil {
			return nil, err
		}
		return names, tx.QueryRow(ctx, sql).Scan(&names)
	}
}

// several are statements that each change something, the last of them from the table copy.
func several(names string, statements ...string) func(context.Context, pgx.Tx) ([]string, error) {
	return func(ctx context.Context, tx pgx.Tx) (list []string, err error) {
		for _, sql := range statements {
			tag, err := tx.Exec(ctx, sql)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", sql, err)
			}
			if tag.RowsAffected() == 0 && !tag.Select() && !strings.HasPrefix(sql, "ALTER") {
				return nil, pgx.ErrNoRows
			}
		}
		rows, err := tx.Query(ctx, "SELECT unnest(ARRAY["+names+"]::text[]) FROM copy")
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[string])
	}
}

// tamperingsEnv says how many rows TestTampering changes; unset: as many as there are kinds of changes.
const tamperingsEnv = "SENDTIP_TEST_TAMPERINGS"

// changes is how many rows TestTampering changes at least: each kind once, and as many as CI asks for.
func changes(t *testing.T, kinds int) int {
	t.Helper()
	setting := os.Getenv(tamperingsEnv)
	if setting == "" {
		return kinds
	}
	n, err := strconv.Atoi(setting)
	if err != nil || n < kinds {
		t.Fatalf("%s=%s is not a number of at least %d, which each kind of change takes", tamperingsEnv, setting, kinds)
	}
	return n
}

// tally is what the workers of TestTampering share.
type tally struct {
	mu     sync.Mutex
	random *rand.Rand
	all    []tampering
	order  []int
	done   map[string]int
	wanted int
	rounds int // through all kinds
	total  int
	extra  int
	first  int // findings that stand first in their report
	kinds  map[check.Kind]int
}

// extraTries bounds the tries after the last change that was asked for, for kinds that chance had left out.
const extraTries = 2000

// next is another change to try, and a seed for it; false when there were enough and each kind was among them.
func (y *tally) next() (c tampering, seed float64, more bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	once := y.wanted == len(y.all) && y.rounds == 1 && len(y.order) == 0 // what is missing now found no row, and gets others to choose from
	if y.total >= y.wanted || once {
		missing := slices.IndexFunc(y.all, func(c tampering) bool { return y.done[c.name] == 0 })
		switch {
		case missing >= 0:
			y.extra++
			return y.all[missing], y.random.Float64()*2 - 1, y.extra <= extraTries
		case y.total >= y.wanted:
			return c, 0, false
		}
	}
	if len(y.order) == 0 {
		y.order = y.random.Perm(len(y.all))
		y.rounds++
	}
	c = y.all[y.order[0]]
	y.order = y.order[1:]
	return c, y.random.Float64()*2 - 1, true
}

// judge counts a change that was made, if its row was named as what was done to it.
func (y *tally) judge(t *testing.T, c tampering, names []string, r *check.Report) {
	t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	y.total++
	y.done[c.name]++
	found := slices.IndexFunc(r.Violations, func(f check.Finding) bool { return says(f, names, c.kinds) })
	if found < 0 {
		t.Errorf("%s of %q is not located as %v by %d findings: %v", c.name, names, c.kinds, len(r.Violations), r.Violations)
		return
	}
	y.kinds[r.Violations[found].Kind]++
	if says(r.Violations[0], names, nil) {
		y.first++
	}
}

// TestTampering changes random rows as a superuser, one at a time, and expects that each change is found and its row named: every kind of
// change at least once, and 1,000 rows in CI.
func TestTampering(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	y := &tally{random: rand.New(rand.NewPCG(seed, 1)), all: tamperings(), done: map[string]int{},
		kinds: map[check.Kind]int{}} // #nosec G404 -- a test
	y.wanted = changes(t, len(y.all))
	t.Run("ledgers", func(t *testing.T) {
		for n := range 2 {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				w := history(t)
				w.sound()
				outside, conn := w.outside(), w.superuser()
				for c, seed, more := y.next(); more; c, seed, more = y.next() {
					if names, report := w.tamper(conn, seed, c, outside); names != nil { // else there is no such row, or it had that value
						y.judge(t, c, names, &report)
					}
				}
				w.sound()
			})
		}
	})
	for _, c := range y.all {
		if y.done[c.name] == 0 {
			t.Errorf("%s was never tried", c.name)
		}
	}
	if y.total < y.wanted || y.first < y.total*9/10 {
		t.Errorf("%d rows were changed of %d; the first finding names the row in %d cases only", y.total, y.wanted, y.first)
	}
	t.Logf("%d changes of %d kinds; found as %v; named first: %d", y.total, len(y.done), y.kinds, y.first)
}

// tamper makes one change in a transaction that is rolled back, and verifies the ledger within it.
func (w *world) tamper(conn *pgx.Conn, seed float64, c tampering, outside [][]byte) ([]string, check.Report) {
	w.t.Helper()
	ctx := context.Background()
	tx, err := conn.Begin(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, "SELECT setseed($1)", seed); err != nil {
		w.t.Fatal(err)
	}
	names, err := c.do(ctx, tx)
	var taken *pgconn.PgError
	// another row has this key, or the value is none
	if errors.Is(err, pgx.ErrNoRows) || errors.As(err, &taken) && (taken.Code == "23505" || taken.Code == "23514") {
		return nil, check.Report{}
	}
	if err != nil {
		w.t.Fatalf("%s: %v", c.name, err)
	}
	report, err := check.ReplayIn(ctx, tx, check.Options{Keys: w.keys, Checkpoints: outside})
	if err != nil {
		w.t.Fatalf("%s of %q: %v", c.name, names, err)
	}
	return names, report
}

// says tells whether a finding names one of the rows, as one of the kinds.
func says(f check.Finding, names []string, kinds []check.Kind) bool {
	if len(kinds) > 0 && !slices.Contains(kinds, f.Kind) {
		return false
	}
	text := f.Table + " " + f.Key + " " + f.Detail + " "
	return slices.ContainsFunc(names, func(n string) bool {
		_, after, named := strings.Cut(text, n)
		return n != "" && named && !unicode.IsDigit(rune(after[0])) // batch 1 is not batch 12
	})
}
