package app_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// reality is what M-Pesa did with one withdrawal, and what of it was said so far. It tells the truth, once, many times or never, in any
// order; strangers say what they like; processes end at any moment.
type reality struct {
	t  *testing.T
	rt *rapid.T
	w  *testworld.World
	p  testworld.Person
	id uuid.UUID

	mu      sync.Mutex
	taken   bool   // a request has arrived that M-Pesa acts on
	pays    bool   // what it does with it
	receipt string // of the payment
	answers []string
	n       int // payments before this withdrawal's
	asked   int // questions before
}

// TestWithdrawalModel: whatever is lost, repeated, forged or overtaken, and wherever a process ends: in the end the customer has the money
// at M-Pesa or in the wallet, once, M-Pesa's books and ours agree, nothing is in doubt and nothing is held.
func TestWithdrawalModel(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		r := &reality{t: t, rt: rt, w: w, p: w.Person(5000), n: len(w.Mpesa.Payments()), asked: len(w.Mpesa.Questions()),
			receipt: fmt.Sprintf("R%09d", round), pays: rapid.Bool().Draw(rt, "M-Pesa pays")}
		w.Mpesa.Script(r.answer)
		before := books(w)
		r.id = w.Stored(r.p, 1000).ID
		for range rapid.IntRange(0, 14).Draw(rt, "steps") {
			r.happens()
		}
		r.heals()
		r.ends(before)
	})
}

// answer is what M-Pesa does with a request, and what of its answer arrives.
func (r *reality) answer(map[string]string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	how := ""
	if len(r.answers) > 0 {
		how, r.answers = r.answers[0], r.answers[1:]
	}
	switch {
	case how == "refuse", how == "busy", how == "error":
		return how // nothing is done
	case r.taken:
		return "duplicate"
	}
	r.taken = true
	return how
}

func (r *reality) happens() {
	draw := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(r.rt, name) }
	switch draw("then", "pay", "pay", "ask", "settle", "result", "altered", "forged", "late notice", "question", "pause", "cancel") {
	case "pay":
		r.mu.Lock()
		r.answers = []string{draw("answered by", "", "", "lose", "error", "busy", "refuse")}
		r.mu.Unlock()
		r.run(func() { _ = r.w.App.Pay(r.t.Context(), r.id) })
	case "ask":
		r.mu.Lock()
		r.answers = []string{draw("answered by", "", "lose", "error", "busy", "refuse")}
		r.mu.Unlock()
		r.w.Advance(rapid.SampledFrom([]time.Duration{time.Second, 50 * time.Second, 3 * time.Minute, 12 * time.Minute}).Draw(r.rt, "after"))
		r.run(func() { _, _ = r.w.App.Ask(r.t.Context(), r.id) })
	case "settle":
		r.run(func() { _ = r.w.App.Settle(r.t.Context(), r.id) })
	case "result":
		r.tell(testworld.Known(r.t.Context()), r.truth())
	case "altered":
		r.tell(testworld.Known(r.t.Context()), testworld.Success(r.id, r.conversation(), r.receipt, 900))
	case "forged":
		forged := testworld.Failure(r.id, r.conversation(), "1")
		if rapid.Bool().Draw(r.rt, "forged success") {
			forged = testworld.Success(r.id, r.conversation(), "F"+r.receipt[1:], 1000)
		}
		r.tell(stranger(r.t), forged)
	case "late notice":
		r.tell(testworld.Known(r.t.Context()), testworld.TimedOut(r.id, r.conversation()))
	case "question":
		r.run(func() { _, _ = r.w.App.Question(r.t.Context(), r.id) })
		r.answerQuestions()
	case "pause":
		r.w.Advance(time.Minute)
	case "cancel":
		_, _ = r.w.App.CancelWithdrawal(r.w.As(r.p), r.id)
	}
}

// run does a piece of work that may lose what the ledger answers, or end with M-Pesa's answer in hand.
func (r *reality) run(do func()) {
	switch rapid.SampledFrom([]string{"well", "well", "before the ledger", "after the ledger", "crash", "without wallet"}).Draw(r.rt, "goes") {
	case "before the ledger":
		r.w.Ledger.Lose(func() bool { return true }, nil)
	case "after the ledger":
		r.w.Ledger.Lose(nil, func() bool { return true })
	case "crash":
		r.w.Mpesa.CrashNext(true)
	case "without wallet":
		r.w.Wallet.Down(true)
	}
	var work sync.WaitGroup
	work.Go(do)
	work.Wait()
	r.w.Ledger.Lose(nil, nil)
	r.w.Mpesa.CrashNext(false)
	r.w.Wallet.Down(false)
}

// sent is how often the withdrawal was sent to M-Pesa.
func (r *reality) sent() int { return len(r.w.Mpesa.Payments()) - r.n }

// conversation is M-Pesa's name of the payment: that of the first request that it took.
func (r *reality) conversation() string {
	if known := r.w.Text("SELECT coalesce((SELECT conversation_id FROM rail_requests WHERE withdrawal_id = $1 AND kind = 'pay'), '')",
		r.id); known != "" {
		return known
	}
	return testworld.Conversation(r.n + 1)
}

// truth is what M-Pesa says about the payment, as a result; nil while it has taken none.
func (r *reality) truth() []byte {
	r.mu.Lock()
	taken := r.taken
	r.mu.Unlock()
	switch {
	case !taken:
		return nil
	case r.pays:
		return testworld.Success(r.id, r.conversation(), r.receipt, 1000)
	}
	return testworld.Failure(r.id, r.conversation(), "2040")
}

// tell delivers a message to the payment's address, once it is known.
func (r *reality) tell(ctx context.Context, body []byte) {
	if body == nil || r.sent() == 0 {
		return
	}
	token, request := testworld.At(r.w.Mpesa.Payments()[r.n]["ResultURL"])
	for range rapid.IntRange(1, 2).Draw(r.rt, "times") {
		if err := r.w.App.ReceiveRailResult(ctx, token, request, body); err != nil {
			r.t.Fatal(err)
		}
	}
	judgeAll(r.t, r.w)
}

// answerQuestions tells the truth about the payment to every question so far that was not answered.
func (r *reality) answerQuestions() {
	for n := r.asked + 1; n <= len(r.w.Mpesa.Questions()); n++ {
		body := testworld.State(r.id, testworld.Inquiry(n), "Declined", "", 1000)
		r.mu.Lock()
		switch {
		case !r.taken: // M-Pesa knows no such payment
			body = testworld.Failure(uuid.Nil, testworld.Inquiry(n), "R000002")
		case r.pays:
			body = testworld.State(r.id, testworld.Inquiry(n), "Completed", r.receipt, 1000)
		}
		r.mu.Unlock()
		answer(r.t, r.w, n, body)
	}
}

// heals lets everything that is under way come to its end, with all parts well again. What M-Pesa never took is ended by two people.
func (r *reality) heals() {
	r.mu.Lock()
	r.answers = nil
	r.mu.Unlock()
	for range 40 {
		if err := r.w.App.Pay(r.t.Context(), r.id); err != nil {
			r.t.Fatal(err)
		}
		if wait, err := r.w.App.Ask(r.t.Context(), r.id); err != nil {
			r.t.Fatal(err)
		} else {
			r.w.Advance(wait)
		}
		if _, err := r.w.App.Question(r.t.Context(), r.id); err != nil { // as a message would have it
			r.t.Fatal(err)
		}
		r.answerQuestions()
		r.w.Settle(r.id)
	}
}

func (r *reality) ends(before [4]int64) {
	r.mu.Lock()
	paid := r.taken && r.pays
	taken := r.taken
	r.mu.Unlock()
	got := r.w.Read(r.p, r.id)
	after := books(r.w)
	free, held := balance(r.w, r.p)
	moved := [4]int64{after[0] - before[0], after[1] - before[1], after[2] - before[2], after[3] - before[3]}
	if due := r.w.Text("SELECT count(*) FROM withdrawal_transitions WHERE withdrawal_id = $1 AND done_at IS NULL", r.id); due != "0" ||
		held != 0 {
		r.rt.Fatalf("%s bookings are due, %d held: %+v", due, held, got)
	}
	const wrong = "SELECT count(*) FROM withdrawal_transitions WHERE withdrawal_id = $1 AND to_status IN ('failed', 'returned', 'cancelled')"
	if n := r.w.Text(wrong, r.id); paid && n != "0" {
		r.rt.Fatalf("M-Pesa has paid, and for a while we took it for failed: %+v", got)
	}
	switch {
	case paid:
		if got.Status != domain.Paid || free != 3977 || moved != [4]int64{1000, 20, 3, 0} || r.w.Wallet.Limit(r.id) != "committed" {
			r.rt.Fatalf("M-Pesa has paid; here %+v, free %d, moved %v, limit %s", got, free, moved, r.w.Wallet.Limit(r.id))
		}
	case taken, got.Status != domain.InDoubt:
		if got.Status == domain.Paid || got.Status.Open() || free != 5000 || moved != [4]int64{} || r.w.Wallet.Limit(r.id) == "committed" {
			r.rt.Fatalf("M-Pesa has not paid; here %+v, free %d, moved %v, limit %s", got, free, moved, r.w.Wallet.Limit(r.id))
		}
	default: // M-Pesa never had it: only people can know that
		if free != 3977 || moved != [4]int64{0, 0, 0, 1023} {
			r.rt.Fatalf("in doubt: %+v, free %d, moved %v", got, free, moved)
		}
	}
}
