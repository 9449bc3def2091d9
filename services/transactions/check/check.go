// Package check proves the ledger's invariants by SQL over its own tables, without any code of the posting path. Tests, load runs and
// `sendtip doctor` call it; it reads one snapshot and changes nothing.
package check

import (
	"context"
	"fmt"

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
		rows, err := db.Query(ctx, fmt.Sprintf("SELECT subject::text, coalesce(detail::text, '') FROM (%s) v (subject, detail) ORDER BY 1 LIMIT %d", r.violations, perRule))
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.name, err)
		}
		list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Violation, error) {
			v := Violation{Rule: r.name}
			return v, row.Scan(&v.Subject, &v.Detail)
		})
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", r.name, err)
		}
		found = append(found, list...)
	}
	return found, nil
}

// entries are the two sides of every posting, as each account sees them.
const entries = `(
	SELECT source_id AS account_id, source_sequence AS sequence, source_balance_minor AS balance_minor, amount_minor AS debit, 0::bigint AS credit, currency, recorded_at FROM postings
	UNION ALL
	SELECT destination_id, destination_sequence, destination_balance_minor, 0, amount_minor, currency, recorded_at FROM postings)`

var rules = []struct{ name, violations string }{
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
	{"L2 debits equal credits per currency", `
		SELECT currency, sum(debits_minor) || ' debits, ' || sum(credits_minor) || ' credits' FROM accounts
		GROUP BY currency HAVING sum(debits_minor) <> sum(credits_minor)`},
	{"L3 counters are the sums of the entries", `
		SELECT a.id, a.debits_minor || '/' || a.credits_minor || ' counted, ' || coalesce(e.debits, 0) || '/' || coalesce(e.credits, 0) || ' posted, sequence ' || a.sequence || ' of ' || coalesce(e.entries, 0)
		FROM accounts a LEFT JOIN (SELECT account_id, sum(debit) AS debits, sum(credit) AS credits, count(*) AS entries FROM ` + entries + ` x GROUP BY account_id) e ON e.account_id = a.id
		WHERE a.debits_minor <> coalesce(e.debits, 0) OR a.credits_minor <> coalesce(e.credits, 0) OR a.sequence <> coalesce(e.entries, 0)`},
	{"L3 each entry follows the one before", `
		SELECT account_id, 'sequence ' || sequence FROM (
			SELECT e.account_id, e.sequence, e.recorded_at, e.balance_minor, CASE a.normal_side WHEN 'credit' THEN e.credit - e.debit ELSE e.debit - e.credit END AS change,
				lag(e.balance_minor, 1, 0::bigint) OVER w AS balance_before, lag(e.sequence, 1, 0::bigint) OVER w AS sequence_before, lag(e.recorded_at, 1, e.recorded_at) OVER w AS recorded_before
			FROM ` + entries + ` e JOIN accounts a ON a.id = e.account_id WINDOW w AS (PARTITION BY e.account_id ORDER BY e.sequence)) c
		WHERE sequence <> sequence_before + 1 OR balance_minor <> balance_before + change OR recorded_at < recorded_before`},
	{"L4 reversals never exceed the original", `
		SELECT t.reverses_id, sum(p.amount_minor) || ' of ' || coalesce(o.amount_minor, 0) FROM transactions t
		JOIN postings p ON p.transaction_id = t.id AND p.recorded_at = t.recorded_at
		LEFT JOIN postings o ON o.transaction_id = t.reverses_id AND o.position = p.reverses_position
		WHERE t.action = 'reverse' GROUP BY t.reverses_id, p.reverses_position, o.amount_minor HAVING sum(p.amount_minor) > coalesce(o.amount_minor, 0)`},
	{"L4 a reversal runs against its original", `
		SELECT t.id, p.position FROM transactions t JOIN postings p ON p.transaction_id = t.id AND p.recorded_at = t.recorded_at
		LEFT JOIN postings o ON o.transaction_id = t.reverses_id AND o.position = p.reverses_position
		WHERE t.action = 'reverse' AND (o.source_id, o.destination_id, o.currency) IS DISTINCT FROM (p.destination_id, p.source_id, p.currency)`},
	{"L6 amounts are positive and between two accounts", `
		SELECT transaction_id, position FROM postings WHERE amount_minor <= 0 OR amount_minor > 9007199254740991 OR source_id = destination_id`},
	{"L7 every reference is posted or refused, and not both", `
		SELECT r.reference, CASE WHEN t.id IS NULL THEN 'nothing' ELSE 'both' END FROM ledger_references r
		LEFT JOIN ledger_refusals f ON f.reference = r.reference LEFT JOIN transactions t ON t.id = r.transaction_id AND t.reference = r.reference
		WHERE (f.reference IS NULL) = (t.id IS NULL)`},
	{"L7 a refusal belongs to a reference", `
		SELECT f.reference, f.code FROM ledger_refusals f LEFT JOIN ledger_references r ON r.reference = f.reference WHERE r.reference IS NULL`},
	{"L7 every transaction has its own reference", `
		SELECT t.id, t.reference FROM transactions t LEFT JOIN ledger_references r ON r.reference = t.reference AND r.transaction_id = t.id WHERE r.reference IS NULL`},
	{"W1 what is available is not below the minimum", `
		SELECT id, minimum_minor FROM accounts WHERE minimum_minor > CASE normal_side
			WHEN 'credit' THEN credits_minor - debits_minor - pending_debits_minor ELSE debits_minor - credits_minor - pending_credits_minor END`},
	{"W1 pending counters are the sums of the active holds", `
		SELECT a.id, a.pending_debits_minor || '/' || a.over_cap_minor || '/' || a.pending_credits_minor || ' counted, ' ||
			coalesce(d.held, 0) || '/' || coalesce(d.over_cap, 0) || '/' || coalesce(c.coming, 0) || ' held'
		FROM accounts a
		LEFT JOIN (SELECT account_id, sum(amount_minor - captured_minor - released_minor) AS held,
			sum(amount_minor - captured_minor - released_minor) FILTER (WHERE reason = 'over_cap') AS over_cap FROM holds GROUP BY account_id) d ON d.account_id = a.id
		LEFT JOIN (SELECT l.destination, sum(l.remaining) AS coming FROM holds h, jsonb_to_recordset(h.lines) AS l (destination uuid, remaining bigint) GROUP BY l.destination) c ON c.destination = a.id
		WHERE a.pending_debits_minor <> coalesce(d.held, 0) OR a.over_cap_minor <> coalesce(d.over_cap, 0) OR a.pending_credits_minor <> coalesce(c.coming, 0)`},
	{"W2 a hold is what its transactions left of it", `
		SELECT h.id, h.status || ', ' || (h.amount_minor - h.captured_minor - h.released_minor) || ' left, ' || coalesce(t.rest, 0) || ' by transactions' FROM holds h
		LEFT JOIN (SELECT hold_id, sum(hold_delta_minor) AS rest FROM transactions WHERE hold_id IS NOT NULL GROUP BY hold_id) t ON t.hold_id = h.id
		WHERE h.amount_minor - h.captured_minor - h.released_minor <> coalesce(t.rest, 0) OR h.captured_minor + h.released_minor > h.amount_minor
			OR (h.status = 'active') <> (h.captured_minor + h.released_minor < h.amount_minor)`},
	{"W2 the lines of a hold sum to what is left", `
		SELECT h.id, l.remaining FROM holds h, LATERAL (SELECT sum(x.remaining) AS remaining FROM jsonb_to_recordset(h.lines) AS x (remaining bigint)) l
		WHERE h.reason = 'requested' AND coalesce(l.remaining, 0) <> h.amount_minor - h.captured_minor - h.released_minor`},
}
