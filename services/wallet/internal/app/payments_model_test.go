package app_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// reality is what a payer did, and what of it was said so far. Safaricom tells the truth, once, many times or never, in any order;
// strangers say what they like.
type reality struct {
	t  *testing.T
	rt *rapid.T
	w  *testworld.World

	payer, other testworld.Person
	prompt       domain.Topup
	amount       int64  // of the prompt, in shillings
	paid         string // receipt of the paid prompt; "" if it was not paid
	second       string // receipt of a payment under the same reference; "" if there was none
	secondAmount int64
	false1       string // a receipt of nothing
	otherAccount string

	named bool            // a message of Safaricom has named the prompt's receipt
	told  map[string]bool // receipts that a message named rightly
}

func newReality(t *testing.T, rt *rapid.T, w *testworld.World, n int) *reality {
	r := &reality{t: t, rt: rt, w: w, payer: w.Person(1, 0), other: w.Person(1, 0), told: map[string]bool{}}
	r.amount = rapid.Int64Range(100, 400).Draw(rt, "amount")
	w.Mpesa.AnswerQuery("4999")
	w.Mpesa.EmptyBooks()
	r.prompt = topup(t, w, r.payer, r.amount)
	r.otherAccount = depositAccount(w, r.other)
	r.false1 = fmt.Sprintf("F%dX", n)
	if rapid.Bool().Draw(rt, "the prompt is paid") {
		r.paid = fmt.Sprintf("R%dX", n)
		w.Mpesa.Book(r.paid, r.prompt.AccountReference, r.amount)
		w.Mpesa.AnswerQuery("0")
	} else {
		w.Mpesa.AnswerQuery(rapid.SampledFrom([]string{"4999", "1032"}).Draw(rt, "query"))
	}
	if rapid.Bool().Draw(rt, "the reference is used again") {
		r.second = fmt.Sprintf("S%dX", n)
		r.secondAmount = rapid.SampledFrom([]int64{r.amount, r.amount + 7}).Draw(rt, "second amount")
		w.Mpesa.Book(r.second, r.prompt.AccountReference, r.secondAmount)
	}
	return r
}

func (r *reality) account() string {
	a := r.prompt.AccountReference
	if rapid.Bool().Draw(r.rt, "typed small") {
		a = strings.ToLower(a[:3]) + " " + a[3:]
	}
	return a
}

func (r *reality) written(receipt string) string {
	if rapid.Bool().Draw(r.rt, "receipt in small letters") {
		return strings.ToLower(receipt)
	}
	return receipt
}

// happens is one message, question or pause.
func (r *reality) happens() {
	switch rapid.SampledFrom([]string{"callback", "confirmation", "second", "stranger's confirmation", "stranger's callback", "false callback",
		"query", "pull", "pause", "credit"}).Draw(r.rt, "then") {
	case "callback":
		r.callback()
	case "confirmation":
		if r.paid != "" {
			c2b(r.t, r.w, testworld.C2b(r.written(r.paid), r.account(), r.amount))
			r.named, r.told[r.paid] = true, true
		}
	case "second":
		if r.second != "" {
			c2b(r.t, r.w, testworld.C2b(r.written(r.second), r.account(), r.secondAmount))
			r.told[r.second] = true
			r.named = r.named || r.secondAmount == r.amount
		}
	case "stranger's confirmation":
		receipt, amount := r.anyReceipt(), r.anyAmount()
		account := rapid.SampledFrom([]string{r.prompt.AccountReference, r.otherAccount, "NOBODY"}).Draw(r.rt, "account")
		stranger(r.t, r.w, testworld.C2b(r.written(receipt), account, amount))
		r.claimed(receipt, amount, account == r.prompt.AccountReference)
	case "stranger's callback":
		if rapid.Bool().Draw(r.rt, "failure") {
			strangersCallback(r.t, r.w, r.prompt.ID, testworld.StkFailure(r.prompt.CheckoutRequestID, "1032"))
			return
		}
		receipt, amount := r.anyReceipt(), r.anyAmount()
		strangersCallback(r.t, r.w, r.prompt.ID, testworld.StkSuccess(r.prompt.CheckoutRequestID, r.written(receipt), amount))
		r.claimed(receipt, amount, true)
	case "false callback": // as if Safaricom's: another receipt once it is named, or another amount
		if receipt := r.anyReceipt(); r.named {
			callback(r.t, r.w, r.prompt.ID, testworld.StkSuccess(r.prompt.CheckoutRequestID, receipt, r.amount))
			r.claimed(receipt, r.amount, true)
			// with a second payment it would tie the first's receipt up: a person's case
		} else if receipt == r.false1 || receipt == r.paid && r.second == "" {
			callback(r.t, r.w, r.prompt.ID, testworld.StkSuccess(r.prompt.CheckoutRequestID, receipt, r.amount*10))
		}
	case "query":
		if err := r.w.App.AskStk(r.t.Context(), r.prompt.ID); err != nil {
			r.rt.Fatal(err)
		}
	case "pull":
		verify(r.t, r.w)
	case "pause":
		r.w.Advance(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(r.rt, "pause"))
	case "credit":
		settle(r.t, r.w)
	}
}

// callback is Safaricom's own, of what became of the prompt.
func (r *reality) callback() {
	if r.paid == "" {
		callback(r.t, r.w, r.prompt.ID, testworld.StkFailure(r.prompt.CheckoutRequestID, "1032"))
		return
	}
	callback(r.t, r.w, r.prompt.ID, testworld.StkSuccess(r.prompt.CheckoutRequestID, r.written(r.paid), r.amount))
	r.named, r.told[r.paid] = true, true
}

func (r *reality) anyReceipt() string {
	all := []string{r.false1}
	for _, real := range []string{r.paid, r.second} {
		if real != "" {
			all = append(all, real)
		}
	}
	return rapid.SampledFrom(all).Draw(r.rt, "receipt")
}

func (r *reality) anyAmount() int64 {
	return rapid.SampledFrom([]int64{r.amount, r.amount + 7, r.amount * 10}).Draw(r.rt, "amount")
}

// claimed notes a claim that the books will bear out.
func (r *reality) claimed(receipt string, amount int64, own bool) {
	if own && (receipt == r.paid && amount == r.amount || receipt == r.second && amount == r.secondAmount) {
		r.told[receipt] = true
	}
}

// ends lets every question be asked to its end and everything be credited.
func (r *reality) ends() {
	for range 52 {
		if _, err := r.w.App.QueryStk(r.t.Context(), r.prompt.ID); err != nil {
			r.rt.Fatal(err)
		}
		for _, id := range r.open() {
			if _, err := r.w.App.JudgeCallback(r.t.Context(), id); err != nil {
				r.rt.Fatal(err)
			}
		}
		verify(r.t, r.w)
		r.w.Advance(time.Hour)
	}
	settle(r.t, r.w)
	if n := len(r.open()); n != 0 {
		r.rt.Errorf("%d messages are open", n)
	}
	if n := r.w.Count("SELECT count(*) FROM claims WHERE state = 'open'"); n != 0 {
		r.rt.Errorf("%d claims are open", n)
	}
}

func (r *reality) open() (ids []uuid.UUID) {
	rows, err := r.w.DB.Pool.Query(r.t.Context(), "SELECT id FROM callbacks WHERE judged_at IS NULL ORDER BY received_at, id")
	if err != nil {
		r.rt.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			r.rt.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ids
}

// expected is what the wallet must have, in shillings. A payment is credited once, however often and by whomever it was told, and never if
// nobody paid. Of two payments of the same amount under one reference, of which only one is named, nobody can say which it is: it is the
// prompt's.
func (r *reality) expected() int64 {
	prompt := int64(0)
	if r.paid != "" {
		prompt = r.amount // Safaricom is asked until it says so
	}
	if r.second == "" || !r.told[r.second] || r.secondAmount == r.amount && r.paid != "" && !r.told[r.paid] {
		return prompt
	}
	return prompt + r.secondAmount
}

// TestPaymentsModel draws what a payer did and every kind of message about it (callback, confirmation, query, pull; true, repeated, with
// each field changed, from Safaricom and from strangers), in every order. One payment has one effect.
func TestPaymentsModel(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		r := newReality(t, rt, w, n)
		suspense := w.Ledger.Balance(domain.AccountSuspense + "KES")
		for range rapid.IntRange(1, 12).Draw(rt, "messages") {
			r.happens()
		}
		r.ends()
		if got, want := w.Ledger.Balance(r.payer.WalletID.String()), r.expected()*100; got != want {
			rt.Errorf("the wallet has %d, want %d (prompt of %d paid as %q, %d as %q, told %v)", got, want, r.amount, r.paid, r.secondAmount,
				r.second, r.told)
		}
		if got := w.Ledger.Balance(r.other.WalletID.String()); got != 0 {
			rt.Errorf("somebody else has %d of it", got)
		}
		if got := w.Ledger.Balance(domain.AccountSuspense + "KES"); got != suspense {
			rt.Errorf("%d went to suspense", got-suspense)
		}
	})
}
