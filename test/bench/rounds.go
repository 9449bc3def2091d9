package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// plan is how many requests a round sends at most, and for how long.
type plan struct {
	clients, total int
	limit          time.Duration
}

func plans(quick bool) (warm, reads plan, transfers []plan) {
	if quick {
		return plan{16, 200, 5 * time.Second}, plan{16, 1500, 3 * time.Second},
			[]plan{{1, 150, 5 * time.Second}, {16, 1500, 6 * time.Second}, {64, 2500, 8 * time.Second}}
	}
	return plan{16, 500, 10 * time.Second}, plan{16, 6000, 8 * time.Second},
		[]plan{{1, 600, 10 * time.Second}, {16, 4000, 15 * time.Second}, {64, 10000, 25 * time.Second}}
}

// measureLoad starts the platform and runs every round on it.
func measureLoad(ctx context.Context, dir string, o options, r *report) (err error) {
	w, err := startWorld(ctx, dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop(ctx)) }()
	say("joining %d customers", o.users)
	all, err := w.customers(ctx, o.users)
	if err != nil {
		return fmt.Errorf("prepare customers: %w", err)
	}
	before, err := w.totals(ctx)
	if err != nil {
		return err
	}
	warm, reads, transfers := plans(o.quick)
	if err := w.drained(ctx, o, true); err != nil {
		return err
	}
	if o.statements {
		if err := w.countStatements(ctx); err != nil {
			return err
		}
	}
	w.readRounds(ctx, all, r, reads) // first: after transfers, their messages are still being sent for a while
	if err := w.transferRounds(ctx, all, o, r, warm, transfers); err != nil {
		return err
	}
	if err := w.prove(ctx, o, r, before); err != nil {
		return err
	}
	r.baseline, err = w.baseline(ctx, o.quick)
	return errors.Join(err, w.versions(ctx, r))
}

func (w *world) transferRounds(ctx context.Context, all []customer, o options, r *report, warm plan, list []plan) error {
	for i, p := range append([]plan{warm}, list...) {
		say("preparing %d transfers for %d clients", p.total, p.clients)
		orders, err := w.transfers(ctx, all, p.total)
		if err != nil {
			return fmt.Errorf("prepare transfers: %w", err)
		}
		if err := w.drained(ctx, o, true); err != nil {
			return err
		}
		if o.statements && i > 0 {
			if err := w.resetStatements(ctx); err != nil {
				return err
			}
		}
		var result round
		measure := func() {
			result = drive(ctx, "POST /v1/transfers", p.clients, p.total, p.limit, http.StatusCreated, func(n int) order { return orders[n] })
		}
		if i == len(list) { // the last one, with the most clients
			err = profile(o.cpuProfile, measure)
		} else {
			measure()
		}
		if err != nil {
			return err
		}
		say("%d clients: %.0f/s, p99 %s, statuses %v %s", p.clients, result.rate(), result.at(990), result.statuses, result.failure)
		if len(result.times) == 0 {
			return fmt.Errorf("no transfer succeeded: %s", result.failure)
		}
		r.sent += len(result.times)
		r.unwanted += result.unwanted()
		if i > 0 {
			r.transfers = append(r.transfers, result)
		}
		if o.statements && i > 0 {
			if err := w.printStatements(ctx, len(result.times)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readRounds time what a phone asks for before a transfer.
func (w *world) readRounds(ctx context.Context, all []customer, r *report, p plan) {
	balance := func(n int) order {
		c := all[n%len(all)]
		return order{method: http.MethodGet, url: w.p.PublicURL() + "/v1/accounts/" + c.wallet.String() + "/balance", header: c.header}
	}
	quote := func(n int) order {
		_, q := w.quoteOrder(all, n)
		return q
	}
	for _, x := range []struct {
		name   string
		wanted int
		next   func(int) order
	}{{"GET /v1/accounts/{id}/balance", http.StatusOK, balance}, {"POST /v1/transfer-quotes", http.StatusCreated, quote}} {
		result := drive(ctx, x.name, p.clients, p.total, p.limit, x.wanted, x.next)
		say("%s: %.0f/s, p99 %s, statuses %v %s", x.name, result.rate(), result.at(990), result.statuses, result.failure)
		r.unwanted += result.unwanted()
		r.reads = append(r.reads, result)
	}
}
