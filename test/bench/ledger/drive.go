package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"github.com/sendtip/sendtip/kit/auth"
)

const (
	postPath = "/v1/ledger/transactions"
	// grace is how long an answer may be late at the end of a round.
	grace = 30 * time.Second
	// limitedPause is how long a client waits after 429: the limiter must refuse, not the load generator burn its core.
	limitedPause = 20 * time.Millisecond
	// lagEvery is how often the sealer's backlog is looked at.
	lagEvery = 250 * time.Millisecond
)

// round is what the clients of a kind did: each sends its next request when it has the answer to the last.
type round struct {
	kind
	took    time.Duration
	times   []time.Duration // of the requests that were answered as posted within the measured time, sorted
	posted  int64           // transactions, with those of the warm-up
	limited int             // answers 429
	failed  int             // any other answer
	failure string          // the first of these
	cost    cost
	drained time.Duration // until the last transaction was sealed and published
	lag     time.Duration // the longest that a committed batch was seen to wait for the sealer
}

// transactions are those of the measured time.
func (r round) transactions() int { return len(r.times) * r.per }

func (r round) rate() float64 { return float64(r.transactions()) / r.took.Seconds() }

// at is the time below which a share (per mille) of the answers came.
func (r round) at(perMille int) time.Duration { return quantile(r.times, perMille) }

func quantile(sorted []time.Duration, perMille int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, len(sorted)*perMille/1000)]
}

// drive runs the selected rounds.
func (w *world) drive(ctx context.Context, f *field, selected []kind, r *report) error {
	for i, k := range selected {
		profile := ""
		if i == 0 {
			profile = w.o.cpuProfile
		}
		x, err := w.round(ctx, f, k, profile)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if x.failed > 0 {
			r.broken = append(r.broken, fmt.Sprintf("%s: %d answers were not posted, the first: %s", k.name, x.failed, x.failure))
		}
		if len(x.times) == 0 {
			return fmt.Errorf("%s: nothing was posted: %s", k.name, x.failure)
		}
		r.answered, r.failed = r.answered+x.posted, r.failed+x.failed
		r.rounds = append(r.rounds, x)
		say("%-14s %6.0f/s  p50 %.1f ms  p99 %.1f ms", k.name, x.rate(), ms(x.at(500)), ms(x.at(990)))
	}
	return nil
}

// round measures between a warm-up and the end; what is answered outside counts for the proof only.
func (w *world) round(ctx context.Context, f *field, k kind, profile string) (round, error) {
	warm, length := choose(w.o.quick, time.Second, 2*time.Second), choose(w.o.quick, 5*time.Second, 10*time.Second)
	r := round{kind: k, took: length}
	if err := w.checkpoint(ctx); err != nil {
		return r, err
	}
	clients := make([]*client, k.clients)
	for i := range clients {
		c, err := w.client(ctx, f, k, warm+length+grace)
		if err != nil {
			return r, err
		}
		defer c.wire.close()
		clients[i] = c
	}
	from := time.Now().Add(warm)
	until := from.Add(length)
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { c.run(ctx, from, until) })
	}
	measured := make(chan error, 1)
	go func() { measured <- w.watch(ctx, from, until, profile, &r) }()
	wg.Wait()
	if err := errors.Join(<-measured, ctx.Err()); err != nil {
		return r, err
	}
	for _, c := range clients {
		r.times = append(r.times, c.times...)
		r.posted += c.posted
		r.limited += c.limited
		r.failed += c.failed
		if r.failure == "" {
			r.failure = c.failure
		}
	}
	slices.Sort(r.times)
	var err error
	r.drained, err = w.drained(ctx)
	return r, err
}

// watch reads the costs of the measured time and how far the sealer is behind, and takes a profile if a file is named.
func (w *world) watch(ctx context.Context, from, until time.Time, profile string, r *round) error {
	time.Sleep(time.Until(from))
	before, err := w.spent(ctx)
	if err != nil {
		return err
	}
	if profile != "" {
		file, err := os.Create(profile) // #nosec G304 -- the caller names it
		if err != nil {
			return fmt.Errorf("make the profile: %w", err)
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return errors.Join(err, file.Close())
		}
		defer func() { pprof.StopCPUProfile(); _ = file.Close() }()
	}
	for time.Now().Before(until) {
		time.Sleep(min(lagEvery, time.Until(until)))
		lag, err := w.lag(ctx)
		if err != nil {
			return err
		}
		r.lag = max(r.lag, lag)
	}
	after, err := w.spent(ctx)
	r.cost = after.since(before)
	return err
}

// client is one of a round.
type client struct {
	w       *world
	k       kind
	wire    *wire
	bodies  writer
	header  string // with the token it was made of
	token   string
	times   []time.Duration
	posted  int64
	limited int
	failed  int
	failure string
}

func (w *world) client(ctx context.Context, f *field, k kind, limit time.Duration) (*client, error) {
	port := w.ports.Of("transactions")
	if k.gateway {
		port = w.ports.Internal()
	}
	c, err := dial(ctx, port, limit)
	if err != nil {
		return nil, err
	}
	return &client{w: w, k: k, wire: c, bodies: writer{k: k, f: f}, times: make([]time.Duration, 0, 1<<12)}, nil
}

func (c *client) run(ctx context.Context, from, until time.Time) {
	for ctx.Err() == nil && time.Now().Before(until) {
		body := c.bodies.next()
		for {
			began := time.Now()
			status, err := c.post(body)
			ended := time.Now()
			if err != nil { // the connection is of no more use
				c.fail(err.Error())
				return
			}
			if status == http.StatusTooManyRequests && c.k.gateway {
				c.limited++
				if ended.After(until) {
					return
				}
				time.Sleep(limitedPause)
				continue
			}
			c.judge(status, ended.Sub(began), ended.After(from) && ended.Before(until))
			break
		}
	}
}

func (c *client) post(body []byte) (int, error) {
	if c.k.gateway {
		c.header = auth.ServiceKeyHeader + ": " + c.w.tokens.serviceKey
	} else {
		token, err := c.w.tokens.service()
		if err != nil {
			return 0, err
		}
		if token != c.token {
			c.token, c.header = token, auth.IdentityHeader+": "+token
		}
	}
	return c.wire.send(http.MethodPost, postPath, c.header, body)
}

// judge counts the answer. Only a list of outcomes that are all posted is one that was wanted.
func (c *client) judge(status int, took time.Duration, measured bool) {
	n := countPosted(c.wire.answer)
	if status != http.StatusOK || n != c.k.per {
		c.bodies.held = nil
		c.fail(fmt.Sprintf("%d %.300s", status, c.wire.answer))
		return
	}
	c.posted += int64(n)
	if measured {
		c.times = append(c.times, took)
	}
	if c.k.holds {
		captured := c.bodies.held != nil
		if c.bodies.held = holdID(c.wire.answer, captured); c.bodies.held == nil && !captured {
			c.fail(fmt.Sprintf("a hold without an id: %.300s", c.wire.answer))
		}
	}
}

func (c *client) fail(why string) {
	c.failed++
	if c.failure == "" {
		c.failure = why
	}
}

var postedMark, holdMark = []byte(`"status":"posted"`), []byte(`"hold_id":"`)

func countPosted(answer []byte) int { return bytes.Count(answer, postedMark) }

// holdID is the hold to capture next: after a capture none.
func holdID(answer []byte, captured bool) []byte {
	if captured {
		return nil
	}
	_, rest, ok := bytes.Cut(answer, holdMark)
	if !ok || len(rest) < 36 {
		return nil
	}
	return bytes.Clone(rest[:36])
}
