package app_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// payIn is one deposit, and what Paystack says when it is asked: the truth, or something that is not what was asked for.
type payIn struct {
	t    *testing.T
	rt   *rapid.T
	w    *testworld.World
	p    testworld.Person
	id   uuid.UUID
	says string // "" is what was asked for
	paid bool
}

// TestDepositModel: whatever is lost, repeated, forged or overtaken, and wherever a process ends: what came in full is credited once, what
// came otherwise to nobody, and what did not come not at all.
func TestDepositModel(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := &payIn{t: t, rt: rt, w: w, p: w.Person(0),
			says: rapid.SampledFrom([]string{"", "", "", domain.BreakAmount, domain.BreakCurrency, domain.BreakDomain}).Draw(rt, "differs in")}
		w.Line.Alter(m.alter)
		before := [3]int64{w.Ledger.Balance(atPaystack) + w.Ledger.Balance(feesPaid), w.Ledger.Balance(suspense), w.Ledger.Balance(fees)}
		m.begins()
		for range rapid.IntRange(0, 12).Draw(rt, "steps") {
			m.happens()
		}
		m.heals()
		m.ends(before)
	})
}

func (m *payIn) alter(data map[string]any) {
	switch m.says {
	case domain.BreakAmount:
		data["amount"] = 99_900
	case domain.BreakCurrency:
		data["currency"] = "USD"
	case domain.BreakDomain:
		data["domain"] = paystack.Live
	}
}

// begins makes the deposit; its answer may be lost, or the process end at any moment.
func (m *payIn) begins() {
	how := rapid.SampledFrom([]string{"", "", "lose", "error", "error_before", "down", "throttled", "cut"}).Draw(m.rt, "answer")
	switch how {
	case "cut":
		m.w.Line.Cut(true)
	case "":
	default:
		if err := m.w.Bank.QueuePaystackScript(m.t.Context(), control.PaystackScript{Answer: how}); err != nil {
			m.t.Fatal(err)
		}
	}
	channel := rapid.SampledFrom([]string{domain.ChannelPage, domain.ChannelMpesa}).Draw(m.rt, "channel")
	d, err := m.w.App.CreateDeposit(m.w.As(m.p), depositOf(m.p, channel, 1000))
	if err != nil {
		m.t.Fatal(err)
	}
	m.w.Line.Cut(false)
	m.id = d.ID
}

func (m *payIn) happens() {
	ctx, d := m.t.Context(), readDeposit(m.t, m.w, m.p, m.id)
	switch rapid.SampledFrom([]string{"pay", "pay", "fail", "open", "webhook", "altered", "other mode", "unsigned", "verify", "verify", "ask",
		"settle",
		"settle"}).Draw(m.rt, "then") {
	case "pay":
		if d.Status != domain.Requested && !m.paid {
			m.paid = m.answers(d, "pay")
		}
	case "fail":
		if d.Channel == domain.ChannelPage && !m.paid { // a page can be tried again
			m.answers(d, "fail")
		}
	case "open":
		m.run(func() { _ = m.w.App.OpenDeposit(ctx, m.id) })
	case "webhook":
		if m.paid {
			announce(m.t, m.w, succeeded(d, 100000, paystack.Test))
		}
	case "altered":
		announce(m.t, m.w, succeeded(d, 900000, paystack.Test))
	case "other mode":
		announce(m.t, m.w, succeeded(d, 100000, paystack.Live))
	case "unsigned":
		_ = m.w.App.ReceivePaystackEvent(ctx, "00", []byte(succeeded(d, 100000, paystack.Test)))
	case "verify":
		m.run(func() { _ = m.w.App.VerifyDeposit(ctx, m.id) })
	case "ask":
		m.w.Advance(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 11 * time.Minute, 2 * time.Hour}).Draw(m.rt, "after"))
		m.run(func() { _, _ = m.w.App.AskDeposit(ctx, m.id) })
	case "settle":
		m.run(func() { _ = m.w.App.SettleDeposit(ctx, m.id) })
	}
}

// answers is the customer; false when there is nothing to answer at Paystack.
func (m *payIn) answers(d domain.Deposit, action string) bool {
	if d.Phone != "" {
		if err := m.w.Bank.SetBalance(m.t.Context(), d.Phone, 100_000_00); err != nil {
			m.t.Fatal(err)
		}
	}
	_, err := m.w.Bank.AnswerPaystack(m.t.Context(), m.id.String(), action)
	return err == nil
}

// run does a piece of work that may lose what a peer answers.
func (m *payIn) run(do func()) {
	switch rapid.SampledFrom([]string{"well", "well", "before the ledger", "after the ledger", "cut", "without wallet"}).Draw(m.rt, "goes") {
	case "before the ledger":
		m.w.Ledger.Lose(func() bool { return true }, nil)
	case "after the ledger":
		m.w.Ledger.Lose(nil, func() bool { return true })
	case "cut":
		m.w.Line.Cut(true)
	case "without wallet":
		m.w.Wallet.Down(true)
	}
	var work sync.WaitGroup
	work.Go(do)
	work.Wait()
	m.w.Ledger.Lose(nil, nil)
	m.w.Line.Cut(false)
	m.w.Wallet.Down(false)
}

// heals lets everything that is under way come to its end, with all parts well again.
func (m *payIn) heals() {
	for range 16 {
		if err := m.w.App.OpenDeposit(m.t.Context(), m.id); err != nil { // the breaker is still open
			m.w.Advance(time.Minute)
		}
		wait, err := m.w.App.AskDeposit(m.t.Context(), m.id)
		if err != nil {
			m.t.Fatal(err)
		}
		settleDeposit(m.t, m.w, m.id)
		if wait == 0 {
			break
		}
		m.w.Advance(wait)
	}
	for range 5 { // as a message would have it
		err := m.w.App.VerifyDeposit(m.t.Context(), m.id)
		if err == nil {
			break
		}
		m.w.Advance(time.Minute)
	}
	settleDeposit(m.t, m.w, m.id)
}

func (m *payIn) ends(before [3]int64) {
	got := readDeposit(m.t, m.w, m.p, m.id)
	free, held := balance(m.w, m.p)
	moved := [3]int64{m.w.Ledger.Balance(atPaystack) + m.w.Ledger.Balance(feesPaid) - before[0], m.w.Ledger.Balance(suspense) - before[1],
		m.w.Ledger.Balance(fees) - before[2]}
	limit := m.w.Wallet.Limit(m.id)
	if due := m.w.Count("SELECT count(*) FROM deposit_transitions WHERE deposit_id = $1 AND done_at IS NULL", m.id); due != 0 || held != 0 {
		m.rt.Fatalf("%d bookings are due, %d held: %+v", due, held, got)
	}
	wrong := false
	switch {
	case m.paid && m.says == "":
		wrong = got.Status != domain.Paid || free != 977 || moved != [3]int64{-100000, 0, 2000} || limit != "committed"
	case m.paid && m.says == domain.BreakAmount:
		wrong = got.Status != domain.Broken || free != 0 || moved != [3]int64{-99900, 99900, 0} || limit != "released"
	case m.paid && m.says == domain.BreakCurrency:
		wrong = got.Status != domain.Broken || free != 0 || moved != [3]int64{} || limit != "released"
	default:
		wrong = got.Status != domain.Failed && got.Status != domain.Expired || free != 0 || moved != [3]int64{} || limit != "released"
	}
	if wrong {
		m.rt.Fatalf("paid %t, differs in %q: %+v, free %d, moved %v, limit %s", m.paid, m.says, got, free, moved, limit)
	}
}
