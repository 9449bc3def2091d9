package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
)

// verdict is what the judge found. It knows the sandbox's statements, the ledger and the clients' log, and nothing of how either service
// came to what it did.
type verdict struct {
	payments, resolved       int
	lost, doubled, differing int
	faults                   []string
}

// String implements fmt.Stringer.
func (v verdict) String() string {
	return fmt.Sprintf("storm: %d payments, %d resolved, %d lost, %d doubled, %d differing", v.payments, v.resolved, v.lost, v.doubled,
		v.differing)
}

func (v verdict) good() bool {
	return v.payments > 0 && v.resolved == v.payments && v.lost+v.doubled+v.differing == 0 && len(v.faults) == 0
}

func (v *verdict) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// judge compares both sides payment by payment, then in sums.
func (s *storm) judge(ctx context.Context, report control.StormReport) (verdict, error) {
	v := verdict{payments: len(s.log)}
	paidIn, paidOut, err := s.theirs(ctx)
	if err != nil {
		return v, err
	}
	in, out, err := s.ours(ctx)
	if err != nil {
		return v, err
	}
	for _, p := range s.log {
		if ended(p.status) {
			v.resolved++
		} else {
			v.fault("%s %s is %q", p.kind, p.id, p.status)
		}
		theirs, mine := paidIn[p.reference], in[p.id.String()]
		if p.kind == "withdrawal" {
			theirs, mine = paidOut[p.id.String()], out[p.id.String()]
		}
		switch {
		case theirs == mine && (theirs == 0) == (p.status != "paid"):
			continue
		case theirs > mine:
			v.lost++
		case mine > theirs && theirs > 0 || theirs > p.minor:
			v.doubled++
		default:
			v.differing++
		}
		v.fault("%s %s of %d is %s: M-Pesa moved %d, the ledger %d", p.kind, p.id, p.minor, p.status, theirs, mine)
	}
	s.sums(ctx, &v, paidIn, paidOut)
	s.felt(&v, report)
	return v, nil
}

// theirs is what M-Pesa moved: in by account reference, out by our id.
func (s *storm) theirs(ctx context.Context) (in, out map[string]int64, err error) {
	in, out = map[string]int64{}, map[string]int64{}
	payins, err := s.w.Sandbox.Statement(ctx)
	if err != nil {
		return nil, nil, err
	}
	if payins.Dropped > 0 {
		return nil, nil, fmt.Errorf("the sandbox has dropped %d payments", payins.Dropped)
	}
	for _, e := range payins.Data {
		in[e.AccountReference] += e.AmountMinor
	}
	payouts, err := s.w.Sandbox.OrganisationStatement(ctx, sandbox.DefaultB2CShortCode, 0)
	if err != nil {
		return nil, nil, err
	}
	if payouts.Dropped > 0 {
		return nil, nil, fmt.Errorf("the sandbox has dropped %d payouts", payouts.Dropped)
	}
	for _, m := range payouts.Data {
		if m.Kind == "b2c" || m.Kind == "reversed_b2c" {
			out[m.Originator] -= m.AmountMinor
		}
	}
	return in, out, nil
}

// ours is what the ledger moved over the rails, by the row of ours that its reference names.
func (s *storm) ours(ctx context.Context) (in, out map[string]int64, err error) {
	in, out = map[string]int64{}, map[string]int64{}
	rows, err := s.books.Query(ctx, `SELECT t.reference, coalesce(a.code, ''), coalesce(b.code, ''), p.amount_minor
		FROM transactions t JOIN postings p ON p.transaction_id = t.id JOIN accounts a ON a.id = p.source_id JOIN accounts b ON b.id =
		p.destination_id`)
	if err != nil {
		return nil, nil, fmt.Errorf("read the ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var reference, source, destination string
		var minor int64
		if err := rows.Scan(&reference, &source, &destination, &minor); err != nil {
			return nil, nil, fmt.Errorf("read the ledger: %w", err)
		}
		row, _, _ := strings.Cut(reference, ":")
		switch {
		case source == "rail.mpesa.paybill.KES":
			in[row] += minor
		case destination == "rail.mpesa.b2c.KES":
			out[row] += minor
		case source == "rail.mpesa.b2c.KES":
			out[row] -= minor
		}
	}
	return in, out, rows.Err()
}

// sums compares the whole: both rails to the cent, nothing in doubt, nobody below zero, the ledger's own invariants.
func (s *storm) sums(ctx context.Context, v *verdict, paidIn, paidOut map[string]int64) {
	total := func(all map[string]int64) (sum int64) {
		for _, minor := range all {
			sum += minor
		}
		return sum
	}
	for code, want := range map[string]int64{
		"rail.mpesa.paybill.KES": total(paidIn), "rail.mpesa.b2c.KES": -total(paidOut), "rail.mpesa.in_doubt.KES": 0, "dispute.receivable.KES": 0,
	} {
		if got, err := s.balance(ctx, code); err != nil || got != want {
			v.differing++
			v.fault("%s is %d, M-Pesa says %d (%v)", code, got, want, err)
		}
	}
	var below int
	err := s.books.QueryRow(ctx, `SELECT count(*) FROM accounts WHERE kind = 'customer_wallet'
		AND (credits_minor - debits_minor - pending_debits_minor < 0 OR pending_debits_minor <> 0)`).Scan(&below)
	if err != nil || below > 0 {
		v.fault("%d wallets are below zero, or hold money for nothing (%v)", below, err)
	}
	if _, err := s.w.CheckLedger(ctx); err != nil {
		v.fault("%v", err)
	}
}

// felt refuses a storm that was not felt: each kind must have hit half of its share at least, and money must have been in doubt.
func (s *storm) felt(v *verdict, report control.StormReport) {
	for _, channel := range []string{"prompt", "payout"} {
		seen := report.Seen[channel]
		for kind, percent := range misbehaviour {
			if hits := report.Hits[channel+"."+kind]; percent*seen >= 1000 && hits*200 < seen*percent { // of ten to be expected, that is
				v.fault("%s.%s hit %d of %d, less than half of %d %%", channel, kind, hits, seen, percent)
			}
		}
	}
	if !s.doubted {
		v.fault("no money was ever in doubt: the storm was not felt")
	}
}

// booked says that nothing is held of any wallet any more, and nothing is in doubt.
func (s *storm) booked(ctx context.Context) bool {
	var open int
	err := s.books.QueryRow(ctx, "SELECT count(*) FROM accounts WHERE kind = 'customer_wallet' AND pending_debits_minor <> 0").Scan(&open)
	minor, balanceErr := s.balance(ctx, "rail.mpesa.in_doubt.KES")
	return err == nil && balanceErr == nil && open == 0 && minor == 0
}

// balance of an account of the chart, on its debit side.
func (s *storm) balance(ctx context.Context, code string) (minor int64, err error) {
	err = s.books.QueryRow(ctx, "SELECT debits_minor - credits_minor FROM accounts WHERE code = $1", code).Scan(&minor)
	return minor, err
}
