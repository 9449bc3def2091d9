package world

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/sendtip/sendtip/sandbox/control"
)

// Channels on which a storm strikes.
const (
	Prompt   = "prompt"
	Paybill  = "paybill"
	Payout   = "payout"
	Reversal = "reversal"
)

// strikes are the scripts of each kind of a storm, by channel. Where a channel lacks one, nothing happens and nothing is counted.
var strikes = map[string]map[string]control.Script{
	Prompt: {
		"lost": {Callback: "lose"}, "twice": {Callback: "duplicate"}, "late": {Callback: "delay"}, "altered": {Callback: "alter"},
		"forged": {Callback: "forge"}, "timeout": {STKAnswer: "lose"}, "busy": {STKAnswer: "busy"}, "error_after": {STKAnswer: "error"},
		"silent": {STKAnswer: "lose", Callback: "lose", C2B: control.Bool(false)},
	},
	Paybill: {
		"lost": {Callback: "lose"}, "twice": {Callback: "duplicate"}, "late": {Callback: "delay"}, "altered": {Callback: "alter"},
		"forged": {Callback: "forge"},
	},
	Payout:   orderStrikes,
	Reversal: orderStrikes,
}

var orderStrikes = map[string]control.Script{
	"lost": {Result: "lose"}, "twice": {Result: "duplicate"}, "late": {Result: "delay"}, "altered": {Result: "alter"},
	"forged": {Result: "forge"}, "timeout": {OrderAnswer: "hang"}, "busy": {OrderAnswer: "busy"},
	"error_before": {OrderAnswer: "error_before"}, "error_after": {OrderAnswer: "error"}, "silent": {OrderAnswer: "lose", Result: "lose"},
}

// storm is the one that rages, and what it did.
type storm struct {
	control.Storm
	seen, hits map[string]int
	turns      map[string]int // by channel and phone
}

// SetStorm begins a storm, or ends one.
func (w *World) SetStorm(s control.Storm) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.storm = storm{Storm: s, seen: map[string]int{}, hits: map[string]int{}, turns: map[string]int{}}
}

// Storm returns what the storm has done.
func (w *World) Storm() control.StormReport {
	w.mu.Lock()
	defer w.mu.Unlock()
	return control.StormReport{Storm: w.storm.Storm, Seen: maps.Clone(w.storm.seen), Hits: maps.Clone(w.storm.hits)}
}

// strike is what the storm does to a phone's next payment on a channel. Callers hold mu.
func (w *World) strike(channel, msisdn string) control.Script {
	scripts := strikes[channel]
	return scripts[w.struck(channel, msisdn, func(kind string) bool { _, ok := scripts[kind]; return ok })]
}

// Strike is the kind that a storm does to an account's next payment on a channel of another provider, which knows some kinds; "" for none.
func (w *World) Strike(channel, account string, knows func(kind string) bool) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.struck(channel, account, knows)
}

// struck is the kind that the storm draws, and counts. Callers hold mu.
func (w *World) struck(channel, msisdn string, knows func(kind string) bool) string {
	s := &w.storm
	if len(s.Percent) == 0 {
		return ""
	}
	turn := channel + msisdn
	s.turns[turn]++
	s.seen[channel]++
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, s.Seed, turn, s.turns[turn]) // never fails
	draw := int(mixed(h.Sum64()) % 100)
	for _, kind := range slices.Sorted(maps.Keys(s.Percent)) {
		if draw -= s.Percent[kind]; draw >= 0 {
			continue
		}
		if !knows(kind) {
			return ""
		}
		s.hits[channel+"."+kind]++
		return kind
	}
	return ""
}

// mixed spreads a hash over all its bits: those of texts that differ in the last letter only are close (the finalizer of splitmix64).
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// PaybillScript is the script for a payment by hand to a paybill.
func (w *World) PaybillScript(msisdn string) control.Script {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.strike(Paybill, msisdn).Over(w.scriptFor(msisdn))
}
