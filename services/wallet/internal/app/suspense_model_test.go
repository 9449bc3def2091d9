package app_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// paybill is what Safaricom does with the reversals of one payment. It carries each order out or not, once at most, whenever it likes, and
// tells the truth once, many times or never.
type paybill struct {
	t  *testing.T
	rt *rapid.T
	w  *testworld.World
	p  testworld.Person
	id uuid.UUID

	receipt       string
	orders, asked int            // before this payment's
	gave          int            // the order that gave the money back; 0 is none
	refuses       bool           // it gives nothing back
	carried       map[int]string // what became of each order: done, again, failed
}

// TestSuspenseModel: whatever is decided, lost, repeated, forged or overtaken, and wherever a process ends: in the end the money is in the
// wallet, with the payer or in suspense, once, and both sides' books agree.
func TestSuspenseModel(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		b := &paybill{t: t, rt: rt, w: w, p: w.Person(1, 0), receipt: fmt.Sprintf("SKM%07d", round), orders: len(w.Mpesa.Reversals()),
			asked: len(w.Mpesa.Questions()), refuses: rapid.IntRange(0, 3).Draw(rt, "refuses") == 0, carried: map[int]string{}}
		before := [2]int64{w.Ledger.Balance(suspenseKES), w.Ledger.Balance(paybillKES)}
		b.id = lost(t, w, b.receipt, 100)
		for range rapid.IntRange(0, 16).Draw(rt, "steps") {
			b.happens()
		}
		b.heals()
		b.ends(before)
	})
}

func (b *paybill) draw(name string, of ...string) string {
	return rapid.SampledFrom(of).Draw(b.rt, name)
}

func (b *paybill) happens() {
	switch b.draw("then", "match", "return", "return", "settle", "on", "on", "carry out", "result", "result", "forged", "answers", "pause") {
	case "match":
		_, _, _ = b.w.App.DecideSuspense(railsChecker(b.t), b.id, matchTo(b.p), why)
	case "return":
		_, _, _ = b.w.App.DecideSuspense(railsChecker(b.t), b.id, giveBack, why)
	case "settle":
		b.run(func() { _ = b.w.App.SettleSuspense(b.t.Context(), b.id) })
	case "on":
		b.w.Mpesa.AnswerReverse(b.draw("answered by", "", "", "lose", "busy", "refuse"))
		b.run(func() { _, _ = b.w.App.ReturnSuspense(b.t.Context(), b.id) })
		b.w.Mpesa.AnswerReverse("")
	case "carry out":
		b.carryOut()
	case "result":
		b.results()
	case "forged":
		if sent := b.w.Mpesa.Reversals()[b.orders:]; len(sent) > 0 {
			railSays(b.t.Context(), b.t, b.w, sent[0], testworld.Reversed(b.orders+1, b.receipt, "SKF0000001", 100))
		}
	case "answers":
		b.answers()
	case "pause":
		b.w.Advance(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(b.rt, "pause"))
	}
}

// run does a piece of work that may lose what the ledger answers, or end with Safaricom's answer in hand.
func (b *paybill) run(do func()) {
	switch b.draw("goes", "well", "well", "before the ledger", "after the ledger", "crash") {
	case "before the ledger":
		b.w.Ledger.Lose(func() bool { return true }, nil)
	case "after the ledger":
		b.w.Ledger.Lose(nil, func() bool { return true })
	case "crash":
		b.w.Mpesa.CrashNext(true)
	}
	var work sync.WaitGroup
	work.Go(do)
	work.Wait()
	b.w.Ledger.Lose(nil, nil)
	b.w.Mpesa.CrashNext(false)
}

// carryOut does the oldest order that waits.
func (b *paybill) carryOut() {
	for n := b.orders + 1; n <= len(b.w.Mpesa.Reversals()); n++ {
		if b.carried[n] != "" {
			continue
		}
		switch {
		case b.refuses:
			b.carried[n] = "failed"
		case b.gave != 0:
			b.carried[n] = "again"
		default:
			b.carried[n], b.gave = "done", n
		}
		return
	}
}

func (b *paybill) result(n int) []byte {
	switch b.carried[n] {
	case "done":
		return testworld.Reversed(n, b.receipt, "SKR"+b.receipt[3:], 100)
	case "again":
		return testworld.NotReversed(n, "R000001")
	}
	return testworld.NotReversed(n, "R000002")
}

// results tells what became of an order that was carried out, once or twice.
func (b *paybill) results() {
	sent := b.w.Mpesa.Reversals()
	for n := b.orders + 1; n <= len(sent); n++ {
		if b.carried[n] != "" && rapid.Bool().Draw(b.rt, "told") {
			railSays(testworld.Known(b.t.Context()), b.t, b.w, sent[n-1], b.result(n))
		}
	}
}

// answers tells the truth to every question so far.
func (b *paybill) answers() {
	for n := b.asked + 1; n <= len(b.w.Mpesa.Questions()); n++ {
		q := b.w.Mpesa.Questions()[n-1]
		body := testworld.State(n, "x", "Completed", b.receipt, 100)
		if originator := q["OriginalConversationID"]; originator != "" {
			order := 0
			_, _ = fmt.Sscanf(originator[strings.LastIndex(originator, "-")+1:], "%d", &order)
			switch state := b.carried[order]; state {
			case "done":
				body = testworld.State(n, originator, "Completed", "SKR"+b.receipt[3:], 100)
			case "again", "failed":
				body = testworld.State(n, originator, "Declined", "", 100)
			default:
				body = testworld.State(n, originator, "Initiated", "", 100)
			}
		}
		railSays(testworld.Known(b.t.Context()), b.t, b.w, q, body)
	}
}

// heals lets everything that is under way come to its end, with all parts well again.
func (b *paybill) heals() {
	heard := rapid.Bool().Draw(b.rt, "old results arrive")
	for range 60 {
		settleSuspense(b.t, b.w, b.id)
		wait := giveOn(b.t, b.w, b.id)
		b.carryOut()
		for n, request := range b.w.Mpesa.Reversals() {
			if n >= b.orders && b.carried[n+1] != "" && (heard || n+1 == len(b.w.Mpesa.Reversals())) {
				railSays(testworld.Known(b.t.Context()), b.t, b.w, request, b.result(n+1))
			}
		}
		b.answers()
		b.w.Advance(max(wait, time.Minute))
	}
	settleSuspense(b.t, b.w, b.id)
}

func (b *paybill) ends(before [2]int64) {
	status := suspenseStatus(b.w, b.id)
	got := [3]int64{b.w.Ledger.Balance(b.p.WalletID.String()), b.w.Ledger.Balance(suspenseKES) - before[0],
		b.w.Ledger.Balance(paybillKES) - before[1]}
	want := map[string][3]int64{"open": {0, 10000, -10000}, "matched": {10000, 0, -10000}, "returned": {}}[status]
	if (status != "open" && status != "matched" && status != "returned") || got != want {
		b.rt.Fatalf("the item is %s, the books moved %v", status, got)
	}
	if (b.gave != 0) != (status == string(domain.SuspenseReturned)) {
		b.rt.Fatalf("Safaricom gave it back by order %d, and here it is %s", b.gave, status)
	}
	if due := b.w.Count("SELECT count(*) FROM suspense_transitions WHERE item_id = $1 AND done_at IS NULL", b.id); due != 0 {
		b.rt.Fatalf("%d bookings are due", due)
	}
}
