package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// Storm makes M-Pesa misbehave at random but repeatably: which payment of a phone meets what depends on the seed, the phone and how many of
// its kind the phone has made before. A queued script wins; other scripts hold where the storm says nothing.
type Storm struct {
	Seed uint64 `json:"seed"`
	// Percent of prompts, paybill payments, payouts and reversals, by kind: lost, twice, late, altered, forged (results and callbacks),
	// timeout (accepted, never answered), silent (neither answer nor result), busy, error_before, error_after. Empty: no storm.
	Percent map[string]int `json:"percent"`
}

// StormKinds are what Storm.Percent knows.
var StormKinds = []string{"altered", "busy", "error_after", "error_before", "forged", "late", "lost", "silent", "timeout", "twice"}

// Validate names what the sandbox does not know.
func (s Storm) Validate() error {
	sum := 0
	for _, kind := range slices.Sorted(maps.Keys(s.Percent)) {
		if !slices.Contains(StormKinds, kind) {
			return fmt.Errorf("percent: unknown kind, use %q", StormKinds)
		}
		if s.Percent[kind] < 0 {
			return errors.New("percent: below 0")
		}
		if sum += s.Percent[kind]; sum > 100 { // of each, so that no sum overflows
			return errors.New("percent: more than 100 together")
		}
	}
	return nil
}

// StormReport is what a storm has done: how many payments it has seen and hit, by channel (prompt, paybill, payout, reversal), and by
// channel and kind ("payout.lost").
type StormReport struct {
	Storm
	Seen map[string]int `json:"seen"`
	Hits map[string]int `json:"hits"`
}

// SetStorm begins a storm, with counts from zero.
func (c *Client) SetStorm(ctx context.Context, s Storm) error {
	return c.do(ctx, http.MethodPut, "/sandbox/storm", s, nil)
}

// Storm returns what the storm has done.
func (c *Client) Storm(ctx context.Context) (StormReport, error) {
	var out StormReport
	err := c.do(ctx, http.MethodGet, "/sandbox/storm", nil, &out)
	return out, err
}
