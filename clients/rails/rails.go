// Package rails writes what kit/rail says as openapi/common.yaml has it, the same for every service that has rails.
package rails

import (
	"math"

	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/rail"
)

// List is the state of the rails on the wire. inDoubt is the value whose fate is not known, by operation; nil where there is no such thing.
func List(all []rail.Health, inDoubt map[string]money.Money) common.RailList {
	out := common.RailList{Data: make([]common.RailHealth, len(all))}
	for i, h := range all {
		count := func(n int) int32 { return int32(min(n, math.MaxInt32)) }
		out.Data[i] = common.RailHealth{Operation: h.Operation, State: h.State, SwitchedOff: h.SwitchedOff, Succeeded: count(h.Good),
			Failed: count(h.Bad), MedianMs: h.MedianMs, P95Ms: h.P95Ms}
		if h.Reason != "" {
			out.Data[i].Reason = &h.Reason
		}
		if !h.Since.IsZero() {
			out.Data[i].Since = &h.Since
		}
		if m, ok := inDoubt[h.Operation]; ok {
			out.Data[i].InDoubt = &common.Money{Amount: m.Amount, Currency: m.Currency}
		}
	}
	return out
}
