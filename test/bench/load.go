package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxAnswer bounds an answer that is read, in bytes.
const maxAnswer = 1 << 20

// round is what a number of clients did: each sends its next request when it has the answer to the last.
type round struct {
	name     string
	clients  int
	took     time.Duration
	times    []time.Duration // of the answers with the wanted status, sorted
	statuses map[int]int
	failure  string // the first answer that was not wanted, in short
	cost     cost
}

// rate is wanted answers per second.
func (r round) rate() float64 { return float64(len(r.times)) / r.took.Seconds() }

// at is the time below which a share (per mille) of the answers came.
func (r round) at(perMille int) time.Duration {
	if len(r.times) == 0 {
		return 0
	}
	return r.times[min(len(r.times)-1, len(r.times)*perMille/1000)]
}

// unwanted counts the answers with another status than the wanted one; 0 stands for no answer.
func (r round) unwanted() int {
	n := 0
	for _, c := range r.statuses {
		n += c
	}
	return n - len(r.times)
}

// order is one request to send.
type order struct {
	method, url, body string
	header            http.Header
}

// client is a load generator's connection pool: one connection per client, kept.
func client(clients int) *http.Client {
	return &http.Client{Timeout: 30 * time.Second,
		Transport: &http.Transport{MaxIdleConns: clients, MaxIdleConnsPerHost: clients, DisableCompression: true}}
}

// drive sends up to total orders from a number of clients, for at most limit, and times each. next makes the n-th order beforehand.
func drive(ctx context.Context, name string, clients, total int, limit time.Duration, wanted int, next func(n int) order) round {
	r := round{name: name, clients: clients, statuses: map[int]int{}}
	c := client(clients)
	defer c.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, limit+40*time.Second) // a request that has begun is let to its end
	defer cancel()
	var taken atomic.Int64
	var mu sync.Mutex
	var wg sync.WaitGroup
	before, started := spent(), time.Now()
	for range clients {
		wg.Go(func() {
			var times []time.Duration
			statuses, failure := map[int]int{}, ""
			for time.Since(started) < limit {
				n := int(taken.Add(1)) - 1
				if n >= total || ctx.Err() != nil {
					break
				}
				o := next(n)
				begin := time.Now()
				status, body := send(ctx, c, o)
				if d := time.Since(begin); status == wanted {
					times = append(times, d)
				} else if failure == "" {
					failure = fmt.Sprintf("%d %.200s", status, body)
				}
				statuses[status]++
			}
			mu.Lock()
			defer mu.Unlock()
			r.times = append(r.times, times...)
			for s, k := range statuses {
				r.statuses[s] += k
			}
			if r.failure == "" {
				r.failure = failure
			}
		})
	}
	wg.Wait()
	r.took = time.Since(started)
	r.cost = spent().since(before)
	slices.Sort(r.times)
	return r
}

// send returns status and body, or 0 and the reason.
func send(ctx context.Context, c *http.Client, o order) (int, []byte) {
	req, err := http.NewRequestWithContext(ctx, o.method, o.url, bytes.NewReader([]byte(o.body)))
	if err != nil {
		return 0, []byte(err.Error())
	}
	req.Header = o.header
	resp, err := c.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, body
}
