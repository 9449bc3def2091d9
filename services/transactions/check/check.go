// Package check proves the ledger without any code of the posting path: its invariants by SQL over its own tables (Check), and the whole
// history by replaying it (Replay), which names what was altered, deleted, reordered or inserted. Tests, load runs, `sendtip doctor` and
// `sendtip ledger verify` call it. It reads one snapshot and changes nothing.
//
// What Replay proves, and from what:
//   - leaves: every column of transactions and postings, ledger_references.body_hash of posted references, the immutable columns of holds,
//     metadata and salts by their hash, the books of accounts by all leaves but those of the first version; rows that no leaf covers are
//
// named     as inserted
//   - the tree: sealed_batches and seal_queue (all but sealed_at), tree_nodes, ledger_tree, checkpoints (all but signed_at)
//   - rules: that each book and currency sums to zero, and no posting is between books; counters, sequences, running balances and last
//
// times of accounts; what is captured, released and left of holds; that each     reference is either posted or refused
//
// What a superuser can change unseen:
//   - refusals: code, detail and time, body_hash and transaction_id of a refused reference, and a refusal together with its reference. No
//     leaf is made for a refusal: it moves no money
//   - accounts: owner, kind, code, status, minimum, maximum, times of making, and accounts without entries and holds, their books included:
//
// no     posting has them
//   - the end of the ledger with everything that belongs to it, and everything by whoever has the signing key: checkpoints from outside
//     the database tell. Stored checkpoints that are deleted, likewise
//   - metadata that is deleted with an audit row made up for it; the audit log has no proof of its own
//   - ledger_references.recorded_at, sealed_at, signed_at, created_at and first_size of keys, cursors, messages and jobs
package check

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Violation is one row that breaks an invariant.
type Violation struct {
	Rule    string // name of the rule, with the invariant's id
	Subject string // id of the account, transaction, hold or reference
	Detail  string // numbers only
}

// String returns the violation in one line.
func (v Violation) String() string { return v.Rule + ": " + v.Subject + ": " + v.Detail }

// finding is the violation as a replay reports it: what is known of references comes from rules alone.
func (v Violation) finding() Finding {
	f := Finding{Kind: Broken, Key: v.Subject, Index: -1, Detail: "the rule «" + v.Rule + "» does not hold: " + v.Detail}
	switch {
	case v.Rule == ruleDecided && v.Detail == "nothing":
		f.Kind, f.Table, f.Detail = Deleted, "ledger_refusals", "it is neither posted nor refused: its refusal was deleted, or it was inserted"
	case v.Rule == ruleDecided:
		f.Kind, f.Table, f.Detail = Inserted, "ledger_refusals", "it is refused, and a transaction has it"
	case v.Rule == ruleRefusal:
		f.Kind, f.Table, f.Detail = Deleted, "ledger_references",
			"it is refused, and there is no row of it: that was deleted, or the refusal was inserted"
	case v.Rule == ruleBook, strings.HasPrefix(v.Rule, "L3"), strings.HasPrefix(v.Rule, "W1"):
		f.Table, f.Key = "accounts", "account "+v.Subject
		return f
	case strings.HasPrefix(v.Rule, "W2"):
		f.Table, f.Key = "holds", "hold "+v.Subject
		return f
	default:
		return f
	}
	f.Key = "reference " + v.Subject
	return f
}

// Rules of which a replay knows more than that they are broken.
const (
	ruleDecided = "L7 every reference is posted or refused, and not both"
	ruleRefusal = "L7 a refusal belongs to a reference"
	ruleBook    = "L1 the accounts of a posting are of one book"
)

// perRule bounds the violations reported for one rule.
const perRule = 20

// Check runs every rule in one REPEATABLE READ snapshot and returns what breaks them, at most 20 per rule.
func Check(ctx context.Context, pool *pgxpool.Pool) ([]Violation, error) {
	var found []Violation
	err := pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		found, err = In(ctx, tx)
		return err
	})
	return found, err
}

// Querier is a transaction or a connection.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// In is Check within the caller's transaction, whose snapshot must be REPEATABLE READ if others write at the same time.
func In(ctx context.Context, db Querier) ([]Violation, error) {
	var found []Violation
	for _, r := range rules {
		list, err := violations(ctx, db, r)
		if err != nil {
			return nil, err
		}
		found = append(found, list...)
	}
	return found, nil
}

func violations(ctx context.Context, db Querier, r rule) ([]Violation, error) {
	list, err := query(ctx, db, func(row pgx.CollectableRow, v *Violation) error {
		v.Rule = r.name
		return row.Scan(&v.Subject, &v.Detail)
	}, fmt.Sprintf("SELECT subject::text, coalesce(detail::text, '') FROM (%s) v (subject, detail) ORDER BY 1 LIMIT %d", r.violations,
		perRule))
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", r.name, err)
	}
	return list, nil
}

type rule struct{ name, violations string }

// entries are the two sides of every posting, as each account sees them.
const entries = `(
	SELECT source_id AS account_id, source_sequence AS sequence, source_balance_minor AS balance_minor, amount_minor AS debit,
		0::bigint AS credit, currency, recorded_at FROM postings
	UNION ALL
	SELECT destination_id, destination_sequence, destination_balance_minor, 0, amount_minor, currency, recorded_at FROM postings)`

var rules = []rule{
	{"L1 a transaction that moves money has postings, and only such", `
		SELECT t.id, t.action || ' with ' || count(p.position) || ' postings' FROM transactions t
		LEFT JOIN postings p ON p.transaction_id = t.id AND p.recorded_at = t.recorded_at
		GROUP BY t.id, t.action HAVING (count(p.position) > 0) <> (t.action IN ('post', 'capture', 'reverse'))`},
	{"L1 a posting belongs to a transaction", `
		SELECT p.transaction_id, p.position FROM postings p
		LEFT JOIN transactions t ON t.id = p.transaction_id AND t.recorded_at = p.recorded_at WHERE t.id IS NULL`},
	{"L1 positions are gapless from zero", `
		SELECT transaction_id, count(*) || ' postings, last position ' || max(position) FROM postings GROUP BY transaction_id
		HAVING min(position) <> 0 OR max(position) <> count(*) - 1 OR count(DISTINCT position) <> count(*)`},
	{"L1 a posting has the currency of both accounts", `
		SELECT e.account_id, e.currency || ' instead of ' || coalesce(a.currency, 'nothing') FROM ` + entries + ` e
		LEFT JOIN accounts a ON a.id = e.account_id WHERE a.currency IS DISTINCT FROM e.currency`},
	{ruleBook, `
		SELECT s.id, s.book || ' to ' || d.book || ', account ' || d.id || ', in ' || count(*) || ' postings or lines of holds' FROM (
			SELECT source_id, destination_id FROM postings
			UNION ALL
			SELECT h.account_id, l.destination FROM holds h, jsonb_to_recordset(h.lines) AS l (destination uuid)) p
		JOIN accounts s ON s.id = p.source_id JOIN accounts d ON d.id = p.destination_id WHERE s.book <> d.book GROUP BY s.id, d.id`},
	{"L2 debits equal credits per book and currency", `
		SELECT book || ' ' || currency, sum(debits_minor) || ' debits, ' || sum(credits_minor) || ' credits' FROM accounts
		GROUP BY book, currency HAVING sum(debits_minor) <> sum(credits_minor)`},
	{"L3 counters are the sums of the entries", `
		SELECT a.id, a.debits_minor || '/' || a.credits_minor || ' counted, ' || coalesce(e.debits, 0) || '/' || coalesce(e.credits, 0) ||
		' posted, sequence ' || a.sequence || ' of ' || coalesce(e.entries, 0)
		FROM accounts a LEFT JOIN (SELECT account_id, sum(debit) AS debits, sum(credit) AS credits, count(*) AS entries FROM ` + entries +
		` x GROUP BY account_id) e ON e.account_id = a.id
		WHERE a.debits_minor <> coalesce(e.debits, 0) OR a.credits_minor <> coalesce(e.credits, 0) OR a.sequence <> coalesce(e.entries, 0)`},
	{"L3 an account's last time is that of its last transaction", `
		SELECT a.id, a.last_recorded_at FROM accounts a LEFT JOIN (
			SELECT account_id, max(recorded_at) AS last FROM (
				SELECT account_id, max(recorded_at) AS recorded_at FROM ` + entries + ` x GROUP BY account_id
				UNION ALL
				SELECT encode(substring(t.balances FROM 40 * n + 1 FOR 16), 'hex')::uuid, t.recorded_at
				FROM transactions t, generate_series(0, length(t.balances) / 40 - 1) n
				WHERE t.hold_id IS NOT NULL) touched GROUP BY account_id) l ON l.account_id = a.id
		WHERE a.last_recorded_at <> coalesce(l.last, 'epoch')`},
	{"L3 each entry follows the one before", `
		SELECT account_id, 'sequence ' || sequence FROM (
			SELECT e.account_id, e.sequence, e.recorded_at, e.balance_minor, CASE a.normal_side WHEN 'credit' THEN e.credit - e.debit ELSE e.debit -
			e.credit END AS change,
				lag(e.balance_minor, 1, 0::bigint) OVER w AS balance_before, lag(e.sequence, 1, 0::bigint) OVER w AS sequence_before,
				lag(e.recorded_at, 1, e.recorded_at) OVER w AS recorded_before
			FROM ` + entries + ` e JOIN accounts a ON a.id = e.account_id WINDOW w AS (PARTITION BY e.account_id ORDER BY e.sequence)) c
		WHERE sequence <> sequence_before + 1 OR balance_minor <> balance_before + change OR recorded_at < recorded_before`},
	{"L4 reversals never exceed the original", `
		SELECT t.reverses_id, sum(p.amount_minor) || ' of ' || coalesce(o.amount_minor, 0) FROM transactions t
		JOIN postings p ON p.transaction_id = t.id AND p.recorded_at = t.recorded_at
		LEFT JOIN postings o ON o.transaction_id = t.reverses_id AND o.position = p.reverses_position
		WHERE t.action = 'reverse' GROUP BY t.reverses_id, p.reverses_position, o.amount_minor HAVING sum(p.amount_minor) >
		coalesce(o.amount_minor, 0)`},
	{"L4 a reversal runs against its original", `
		SELECT t.id, p.position FROM transactions t JOIN postings p ON p.transaction_id = t.id AND p.recorded_at = t.recorded_at
		LEFT JOIN postings o ON o.transaction_id = t.reverses_id AND o.position = p.reverses_position
		WHERE t.action = 'reverse' AND (o.source_id, o.destination_id, o.currency) IS DISTINCT FROM (p.destination_id, p.source_id, p.currency)`},
	{"L6 amounts are positive and between two accounts", `
		SELECT transaction_id, position FROM postings WHERE amount_minor <= 0 OR amount_minor > 9007199254740991 OR source_id = destination_id`},
	{ruleDecided, `
		SELECT r.reference, CASE WHEN t.id IS NULL THEN 'nothing' ELSE 'both' END FROM ledger_references r
		LEFT JOIN ledger_refusals f ON f.reference = r.reference LEFT JOIN transactions t ON t.id = r.transaction_id AND t.reference = r.reference
		WHERE (f.reference IS NULL) = (t.id IS NULL)`},
	{ruleRefusal, `
		SELECT f.reference, f.code FROM ledger_refusals f LEFT JOIN ledger_references r ON r.reference = f.reference WHERE r.reference IS NULL`},
	{"L7 a refused reference names no transaction", `
		SELECT f.reference, t.id FROM ledger_refusals f JOIN ledger_references r ON r.reference = f.reference JOIN transactions t ON t.id =
		r.transaction_id`},
	{"L7 every transaction has its own reference", `
		SELECT t.id, t.reference FROM transactions t LEFT JOIN ledger_references r ON r.reference = t.reference AND r.transaction_id = t.id WHERE
		r.reference IS NULL`},
	{"W1 what is available is not below the minimum", `
		SELECT id, minimum_minor FROM accounts WHERE minimum_minor > CASE normal_side
			WHEN 'credit' THEN credits_minor - debits_minor - pending_debits_minor ELSE debits_minor - credits_minor - pending_credits_minor END`},
	{"W1 pending counters are the sums of the active holds", `
		SELECT a.id, a.pending_debits_minor || '/' || a.over_cap_minor || '/' || a.pending_credits_minor || ' counted, ' ||
			coalesce(d.held, 0) || '/' || coalesce(d.over_cap, 0) || '/' || coalesce(c.coming, 0) || ' held'
		FROM accounts a
		LEFT JOIN (SELECT account_id, sum(amount_minor - captured_minor - released_minor) AS held,
			sum(amount_minor - captured_minor - released_minor) FILTER (WHERE reason = 'over_cap') AS over_cap FROM holds GROUP BY account_id) d ON
			d.account_id = a.id
		LEFT JOIN (SELECT l.destination, sum(l.remaining) AS coming FROM holds h, jsonb_to_recordset(h.lines) AS l (destination uuid, remaining
		bigint) GROUP BY l.destination) c ON c.destination = a.id
		WHERE a.pending_debits_minor <> coalesce(d.held, 0) OR a.over_cap_minor <> coalesce(d.over_cap, 0) OR a.pending_credits_minor <>
		coalesce(c.coming, 0)`},
	{"W2 a hold is what its transactions left of it", `
		SELECT h.id, h.status || ', ' || (h.amount_minor - h.captured_minor - h.released_minor) || ' left, ' || coalesce(t.rest, 0) ||
		' by transactions' FROM holds h
		LEFT JOIN (SELECT hold_id, sum(hold_delta_minor) AS rest, -sum(hold_delta_minor) FILTER (WHERE action = 'capture') AS captured,
			bool_or(reference = hold_id || ':expire') AS expired FROM transactions WHERE hold_id IS NOT NULL GROUP BY hold_id) t ON t.hold_id = h.id
		WHERE h.amount_minor - h.captured_minor - h.released_minor <> coalesce(t.rest, 0) OR h.captured_minor <> coalesce(t.captured, 0) OR
		h.captured_minor + h.released_minor > h.amount_minor
			OR h.status <> CASE WHEN h.captured_minor + h.released_minor < h.amount_minor THEN 'active' WHEN h.captured_minor > 0 THEN 'captured'
				WHEN t.expired THEN 'expired' ELSE 'released' END`},
	{"W2 the lines of a hold sum to what is left", `
		SELECT h.id, l.remaining FROM holds h, LATERAL (SELECT sum(x.remaining) AS remaining FROM jsonb_to_recordset(h.lines) AS x (remaining
		bigint)) l
		WHERE h.reason = 'requested' AND coalesce(l.remaining, 0) <> h.amount_minor - h.captured_minor - h.released_minor`},
}
