package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/sendtip/sendtip/kit/auth"
)

const (
	pageCalls  = 200
	pagesLimit = time.Minute
)

// page is how long the newest 25 entries of a statement take, one call after the other.
type page struct {
	title string
	times []time.Duration // sorted
}

// pages reads statements as their owners do.
func (w *world) pages(ctx context.Context, f *field) ([]page, error) {
	say("reading statements")
	random := func() account { return f.accounts[rand.IntN(len(f.accounts))] } // #nosec G404 -- a load, no secret
	var out []page
	for _, x := range []struct {
		title string
		next  func() account
	}{{"of accounts at random", random}, {"of the hot account", func() account { return f.hot }}} {
		times, err := w.readPages(ctx, x.next)
		if err != nil {
			return nil, err
		}
		out = append(out, page{x.title, times})
	}
	return out, nil
}

func (w *world) readPages(ctx context.Context, next func() account) ([]time.Duration, error) {
	c, err := dial(ctx, w.ports.Of("transactions"), pagesLimit)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var times []time.Duration
	for range pageCalls {
		a := next()
		token, err := w.tokens.user(a.owner)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		status, err := c.send(http.MethodGet, "/v1/accounts/"+a.text+"/statement?limit=25", auth.IdentityHeader+": "+token, nil)
		if err != nil {
			return nil, fmt.Errorf("read a statement: %w", err)
		}
		if status != http.StatusOK {
			return nil, fmt.Errorf("read a statement: %d %.300s", status, c.answer)
		}
		times = append(times, time.Since(began))
	}
	slices.Sort(times)
	return times, nil
}
