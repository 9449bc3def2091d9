package main

import (
	"context"
	"fmt"

	"github.com/sendtip/sendtip/services/transactions/check"
)

// totals are what must not change, or change by what was sent.
type totals struct {
	customersMinor, systemMinor int64 // credit balances
	completed, told             int64 // transfers, and their events
	dead                        int
}

func (w *world) totals(ctx context.Context) (t totals, err error) {
	for _, q := range []struct {
		to              *int64
		database, query string
	}{
		{&t.customersMinor, "transactions",
			`SELECT coalesce(sum(credits_minor - debits_minor), 0)::bigint FROM accounts WHERE kind <> 'system' AND currency = 'KES'`},
		{&t.systemMinor, "transactions",
			`SELECT coalesce(sum(credits_minor - debits_minor), 0)::bigint FROM accounts WHERE kind = 'system' AND currency = 'KES'`},
		{&t.completed, "wallet", `SELECT count(*) FROM transfers WHERE status = 'completed'`},
		{&t.told, "wallet", `SELECT count(*) FROM outbox WHERE topic = 'sendtip.wallet.v1' AND published_at IS NOT NULL
			AND convert_from(payload, 'UTF8')::jsonb->>'type' = 'wallet.transfer_completed'`},
	} {
		if *q.to, err = w.number(ctx, q.database, q.query); err != nil {
			return t, err
		}
	}
	letters, err := w.p.DeadLetters(ctx)
	t.dead = len(letters)
	return t, err
}

// prove checks that the load moved money and made or lost none. What does not hold is reported, and fails the bench.
func (w *world) prove(ctx context.Context, o options, r *report, before totals) error {
	say("proving the ledger")
	if err := w.drained(ctx, o, false); err != nil {
		r.broken = append(r.broken, err.Error())
	}
	violations, err := check.Check(ctx, w.admin["transactions"])
	if err != nil {
		return fmt.Errorf("check the ledger: %w", err)
	}
	for _, v := range violations {
		r.broken = append(r.broken, v.String())
	}
	after, err := w.totals(ctx)
	if err != nil {
		return err
	}
	expect := func(what string, got, want int64) {
		if got != want {
			r.broken = append(r.broken, fmt.Sprintf("%s: %d instead of %d", what, got, want))
		}
	}
	expect("sum of all balances", after.customersMinor+after.systemMinor, 0)
	expect("sum of all balances before", before.customersMinor+before.systemMinor, 0)
	expect("completed transfers", after.completed-before.completed, int64(r.sent))
	expect("events of completed transfers", after.told-before.told, int64(r.sent))
	expect("dead letters", int64(after.dead), int64(before.dead))
	expect("requests with an unwanted answer", int64(r.unwanted), 0)
	charged, err := w.number(ctx, "wallet",
		`SELECT coalesce(sum(fee_minor + excise_minor), 0)::bigint FROM transfers WHERE status = 'completed'`)
	if err != nil {
		return err
	}
	expect("what customers paid in fees and excise, minor units", before.customersMinor-after.customersMinor, charged)
	r.provedTransfers = after.completed - before.completed
	return nil
}
