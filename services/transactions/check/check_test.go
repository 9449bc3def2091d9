package check_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

// TestEachRuleIsBroken changes history as the owner with the triggers off, one statement in one transaction that is rolled back, and
// proves that the checker names the rule. Every rule has at least one statement that breaks it.
func TestEachRuleIsBroken(t *testing.T) {
	t.Parallel()
	w := testworld.Open(t)
	fill(t, w)
	if v, err := check.Check(context.Background(), w.DB.Pool); err != nil || len(v) != 0 {
		t.Fatalf("a sound ledger: %v, %v", v, err)
	}
	owner := w.Connect(w.DB.OwnerURL)
	const one = "(SELECT transaction_id FROM postings ORDER BY transaction_id LIMIT 1)"
	for _, c := range []struct{ rule, damage string }{
		{"L1 a transaction that moves", "DELETE FROM postings WHERE transaction_id = " + one},
		{"L1 a transaction that moves", "UPDATE transactions SET action = 'post' WHERE action = 'hold'"},
		{"L1 a posting belongs", "DELETE FROM transactions WHERE id = " + one},
		{"L1 positions", "UPDATE postings SET position = position + 1 WHERE transaction_id = " + one},
		{"L1 a posting has the currency", "UPDATE postings SET currency = 'UGX' WHERE transaction_id = " + one},
		{"L1 the accounts of a posting", "ALTER TABLE accounts DISABLE TRIGGER USER; UPDATE accounts SET book = 'savings' WHERE kind = " +
			"'customer_wallet'"},
		{"L1 the accounts of a posting", "UPDATE holds SET lines = jsonb_set(lines, '{0,destination}', to_jsonb(a.id)) FROM accounts a " +
			"WHERE a.kind = 'loan_receivable' AND holds.status = 'active'"},
		{"L2 debits equal credits", "UPDATE accounts SET credits_minor = credits_minor + 1 WHERE code = 'fees.revenue.USD'"},
		{"L2 debits equal credits per book", "UPDATE accounts SET credits_minor = credits_minor + 1 WHERE code = 'fees.revenue.KES'; " +
			"UPDATE accounts SET debits_minor = debits_minor + 1 WHERE kind = 'loan_receivable'"},
		{"L3 counters", "UPDATE accounts SET sequence = sequence + 1 WHERE kind = 'customer_wallet'"},
		{"L3 counters", "UPDATE postings SET amount_minor = amount_minor + 1 WHERE transaction_id = " + one},
		{"L3 an account's last time", "UPDATE accounts SET last_recorded_at = last_recorded_at + interval '1 s' WHERE kind = 'customer_wallet'"},
		{"L3 each entry", "UPDATE postings SET destination_balance_minor = destination_balance_minor + 1 WHERE transaction_id = " + one},
		{"L3 each entry", "UPDATE postings SET source_sequence = source_sequence + 1000 WHERE transaction_id = " + one},
		{"L4 reversals never exceed", "UPDATE postings SET amount_minor = 100000 WHERE reverses_position IS NOT NULL"},
		{"L4 a reversal runs against", "UPDATE postings SET destination_id = gen_random_uuid() WHERE reverses_position IS NOT NULL"},
		{"L6 amounts", "ALTER TABLE postings DROP CONSTRAINT postings_amount_minor_check; UPDATE postings SET amount_minor = -1 WHERE " +
			"transaction_id = " + one},
		{"L7 every reference is posted", "UPDATE ledger_references SET transaction_id = gen_random_uuid() WHERE reference = 'in'"},
		{"L7 every reference is posted", "UPDATE ledger_references SET transaction_id = " + one +
			" WHERE reference = 'too_much'; UPDATE transactions SET reference = 'too_much' WHERE id = " + one},
		{"L7 a refusal belongs", "DELETE FROM ledger_references WHERE reference = 'too_much'"},
		{"L7 a refused reference names", "UPDATE ledger_references SET transaction_id = " + one + " WHERE reference = 'too_much'"},
		{"L7 every transaction has", "DELETE FROM ledger_references WHERE reference = 'in'"},
		{"W1 what is available", "ALTER TABLE accounts DROP CONSTRAINT accounts_minimum; UPDATE accounts SET minimum_minor = 1000000 WHERE " +
			"kind = 'customer_wallet'"},
		{"W1 pending counters", "UPDATE accounts SET pending_debits_minor = pending_debits_minor + 1 WHERE code = 'fees.revenue.USD'"},
		{"W2 a hold is what", "UPDATE holds SET released_minor = released_minor + 1 WHERE status = 'active'"},
		{"W2 a hold is what",
			"UPDATE holds SET captured_minor = captured_minor + 1, released_minor = released_minor - 1 WHERE status <> 'active'"},
		{"W2 a hold is what", "UPDATE holds SET status = 'expired' WHERE status = 'released'"},
		{"W2 the lines", "UPDATE holds SET lines = '[]' WHERE status = 'active'"},
	} {
		if _, err := owner.Exec(context.Background(),
			"BEGIN; ALTER TABLE postings DISABLE TRIGGER USER; ALTER TABLE transactions DISABLE TRIGGER USER; ALTER TABLE ledger_references "+
				"DISABLE TRIGGER USER; "+c.damage); err != nil {
			t.Fatalf("%s: %v", c.damage, err)
		}
		found, err := check.In(context.Background(), owner)
		if err != nil {
			t.Fatal(err)
		}
		named := false
		for _, v := range found {
			named = named || strings.HasPrefix(v.Rule, c.rule) && v.Subject != ""
		}
		if !named {
			t.Errorf("%s: the rule %q is not among %v", c.damage, c.rule, found)
		}
		if _, err := owner.Exec(context.Background(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
}

func fill(t *testing.T, w *testworld.World) {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	if _, _, err := w.PutAccount(w.Ctx, domain.Account{ID: id, OwnerID: id, Kind: domain.KindCustomerWallet, Currency: "KES"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.PutAccount(w.Ctx,
		domain.Account{ID: uuid.New(), OwnerID: id, Kind: domain.KindLoanReceivable, Currency: "KES"}); err != nil {
		t.Fatal(err)
	}
	posting := func(from, to uuid.UUID, amount int64) []domain.Posting {
		return []domain.Posting{kes(from, to, amount)}
	}
	one := func(reference string, b domain.Body, want domain.OutcomeStatus) domain.Outcome {
		b.Type, b.Channel = "test", "internal"
		out, err := w.PostTransactions(w.Ctx, []domain.Request{{Reference: reference, Body: b}}, false)
		if err != nil || out[0].Status != want {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0]
	}
	one("in", domain.Body{Action: domain.ActionPost, Postings: posting(rail, id, 1000)}, domain.Posted)
	one("too_much", domain.Body{Action: domain.ActionPost, Postings: posting(id, rail, 5000)}, domain.Refused)
	out := one("out", domain.Body{Action: domain.ActionPost, Postings: posting(id, rail, 100)}, domain.Posted)
	one("back", domain.Body{Action: domain.ActionReverse, OriginalID: out.TransactionID}, domain.Posted)
	given := one("given", domain.Body{Action: domain.ActionHold, Postings: posting(id, rail, 50)}, domain.Posted)
	one("release", domain.Body{Action: domain.ActionRelease, HoldID: given.TransactionID}, domain.Posted)
	one("hold", domain.Body{Action: domain.ActionHold, Postings: posting(id, rail, 50)}, domain.Posted)
}
