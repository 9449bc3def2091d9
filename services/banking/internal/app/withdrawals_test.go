package app_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

const (
	rail    = "rail.mpesa.b2c.KES"
	doubt   = "rail.mpesa.in_doubt.KES"
	fees    = "fees.revenue.KES"
	excise  = "excise.payable.KES"
	receipt = "SKL1A2B3C5"
)

// books are what the accounts hold besides the wallet, in shillings: rail, fees, duty, in doubt.
func books(w *testworld.World) [4]int64 {
	return [4]int64{w.Ledger.Balance(rail) / 100, w.Ledger.Balance(fees) / 100, w.Ledger.Balance(excise) / 100, w.Ledger.Balance(doubt) / 100}
}

func balance(w *testworld.World, p testworld.Person) (free, held int64) {
	account := p.WalletID.String()
	return w.Ledger.Balance(account)/100 - w.Ledger.Held(account)/100, w.Ledger.Held(account) / 100
}

// hear delivers a message to the address of the n-th payment, from 1.
func hear(t *testing.T, w *testworld.World, ctx context.Context, n int, body []byte) { //nolint:revive // the context says who speaks
	t.Helper()
	token, request := testworld.At(w.Mpesa.Payments()[n-1]["ResultURL"])
	if err := w.App.ReceiveRailResult(ctx, token, request, body); err != nil {
		t.Fatal(err)
	}
	judgeAll(t, w)
}

// answer delivers the answer to the n-th question, from 1.
func answer(t *testing.T, w *testworld.World, n int, body []byte) {
	t.Helper()
	token, request := testworld.At(w.Mpesa.Questions()[n-1]["ResultURL"])
	if err := w.App.ReceiveRailResult(testworld.Known(t.Context()), token, request, body); err != nil {
		t.Fatal(err)
	}
	judgeAll(t, w)
}

// judgeAll judges what waits, and asks what must be asked.
func judgeAll(t *testing.T, w *testworld.World) {
	t.Helper()
	for {
		id := w.Text("SELECT coalesce((SELECT id::text FROM provider_events WHERE judged_at IS NULL ORDER BY received_at, id LIMIT 1), '')")
		if id == "" {
			return
		}
		wait, err := w.App.JudgeMessage(t.Context(), uuid.MustParse(id))
		if err != nil {
			t.Fatal(err)
		}
		if wait > 0 {
			w.Advance(wait)
		}
	}
}

func verdicts(w *testworld.World) string {
	return w.Text("SELECT coalesce(string_agg(verdict, ' ' ORDER BY received_at, id), '') FROM provider_events")
}

// TestWithdrawalPaid is the way of most withdrawals, from the quote to the event.
func TestWithdrawalPaid(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	q, err := w.App.CreateWithdrawalQuote(w.As(p), app.QuoteInput{WalletID: p.WalletID, Amount: testworld.KES(1000)})
	if err != nil || q.Phone != testworld.Own || q.Name != "Amina W." || q.Total() != testworld.KES(1023) {
		t.Fatalf("quote %+v: %v", q, err)
	}
	in := app.WithdrawalInput{Key: uuid.NewString(), QuoteID: q.ID, ClientReference: "rent"}
	made, err := w.App.CreateWithdrawal(w.Approve(w.As(p), q.ID), in)
	if err != nil || made.Status != domain.Stored {
		t.Fatalf("%+v: %v", made, err)
	}
	again, err := w.App.CreateWithdrawal(w.As(p), in) // without a fresh approval
	if err != nil || again.ID != made.ID {
		t.Errorf("again %+v: %v", again, err)
	}
	in.ClientReference = "another"
	if _, err := w.App.CreateWithdrawal(w.As(p), in); !errors.Is(err, idem.ErrKeyReused) {
		t.Errorf("another body: %v", err)
	}
	if err := w.App.Pay(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if free, held := balance(w, p); free != 3977 || held != 1023 {
		t.Errorf("free %d, held %d", free, held)
	}
	sent := w.Mpesa.Payments()
	if len(sent) != 1 || sent[0]["OriginatorConversationID"] != made.ID.String() || sent[0]["Amount"] != "1000" ||
		sent[0]["PartyB"] != testworld.Own[1:] || !strings.HasPrefix(sent[0]["ResultURL"], "https://pay.example/v1/hooks/br/") {
		t.Fatalf("sent %v", sent)
	}
	hear(t, w, testworld.Known(t.Context()), 1, testworld.Success(made.ID, testworld.Conversation(1), receipt, 1000))
	got := w.Read(p, made.ID)
	if got.Status != domain.Paid || got.Receipt != receipt || len(w.PublishedOf("banking.withdrawal_paid")) != 0 {
		t.Errorf("%+v, told %v", got, w.PublishedOf("banking.withdrawal_paid")) // a receipt follows the posting
	}
	w.Settle(made.ID)
	w.Settle(made.ID)
	if free, held := balance(w, p); free != 3977 || held != 0 || books(w) != [4]int64{1000, 20, 3, 0} {
		t.Errorf("free %d, held %d, books %v", free, held, books(w))
	}
	told := w.PublishedOf("banking.withdrawal_paid")
	if w.Wallet.Limit(made.ID) != "committed" || len(told) != 1 || told[0]["receipt"] != receipt {
		t.Errorf("limit %s, told %v", w.Wallet.Limit(made.ID), told)
	}
	list, _, err := w.App.ListWithdrawals(w.As(p), "rent", page.Request{})
	if err != nil || len(list) != 1 || list[0].ID != made.ID {
		t.Errorf("list %v: %v", list, err)
	}
	const trail = "SELECT string_agg(to_status || ' by ' || evidence, ', ' ORDER BY seq) FROM withdrawal_transitions"
	if got := w.Text(trail); got != "stored by request, held by ledger, requested by send, accepted by answer, paid by result" {
		t.Error(got)
	}
	if open := w.Text("SELECT count(*) FROM withdrawals WHERE position('254712345678'::bytea IN destination_sealed) > 0"); open != "0" {
		t.Error("the number lies open")
	}
}

// TestWithdrawalQuoteRefused: what cannot be withdrawn is refused by name, and leaves nothing.
func TestWithdrawalQuoteRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p, other := w.Person(5000), w.Person(1)
	change := func(p testworld.Person, change func(o *walletapi.WalletOwner)) testworld.Person {
		w.Wallet.Change(p, change)
		return p
	}
	suspended := change(w.Person(1), func(o *walletapi.WalletOwner) { o.CustomerStatus = "suspended" })
	strange := change(w.Person(1), func(o *walletapi.WalletOwner) { o.CustomerStatus = "of_tomorrow" })
	unverified := change(w.Person(1), func(o *walletapi.WalletOwner) { o.Tier = 0 })
	opening := change(w.Person(1), func(o *walletapi.WalletOwner) { o.Status = "opening" })
	dollars := change(w.Person(1), func(o *walletapi.WalletOwner) { o.Currency = "USD" })
	of := func(p testworld.Person, minor int64) app.QuoteInput {
		return app.QuoteInput{WalletID: p.WalletID, Amount: money.Money{Amount: minor, Currency: "KES"}}
	}
	inDollars, elsewhere := of(p, 1000_00), of(p, 1000_00)
	inDollars.Amount.Currency, elsewhere.Phone = "USD", "+254202345678"
	for name, c := range map[string]struct {
		as   testworld.Person
		in   app.QuoteInput
		want error
	}{
		"cents":          {p, of(p, 1000_50), domain.ErrRailAmount},
		"too little":     {p, of(p, 9_00), domain.ErrRailAmount},
		"too much":       {p, of(p, 250_001_00), domain.ErrRailAmount},
		"dollars":        {p, inDollars, domain.ErrRailCurrency},
		"another's":      {p, of(other, 1000_00), fault.ErrNotFound},
		"no wallet":      {p, of(testworld.Person{WalletID: uuid.New()}, 1000_00), fault.ErrNotFound},
		"suspended":      {suspended, of(suspended, 1000_00), domain.ErrSuspended},
		"strange status": {strange, of(strange, 1000_00), domain.ErrSuspended},
		"not verified":   {unverified, of(unverified, 1000_00), domain.ErrKycRequired},
		"opening":        {opening, of(opening, 1000_00), domain.ErrWalletNotOpen},
		"other currency": {dollars, of(dollars, 1000_00), domain.ErrCurrency},
		"a land line":    {p, elsewhere, domain.ErrRailPhone},
	} {
		if _, err := w.App.CreateWithdrawalQuote(w.As(c.as), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, minor := range []int64{10_00, 250_000_00} {
		if _, err := w.App.CreateWithdrawalQuote(w.As(p), of(p, minor)); err != nil {
			t.Errorf("%d: %v", minor, err)
		}
	}
	if n := w.Text("SELECT count(*) FROM withdrawal_quotes"); n != "2" {
		t.Errorf("%s quotes", n)
	}
	w.Users.Forget()
	if _, err := w.App.CreateWithdrawalQuote(w.As(p), of(p, 1000_00)); !errors.Is(err, domain.ErrNoNumber) {
		t.Errorf("without a number: %v", err)
	}
	named := of(p, 1000_00)
	named.Phone = "+254722000111"
	if q, err := w.App.CreateWithdrawalQuote(w.As(p), named); err != nil || q.Name != "" {
		t.Errorf("to a stranger: %+v %v", q, err)
	}
}

// TestDestination: nothing goes to a number that changes hands, also by a quote from before, nor to another's while credentials are new.
func TestDestination(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	in := app.QuoteInput{WalletID: p.WalletID, Amount: testworld.KES(1000)}
	others := in
	others.Phone = "+254722000111"
	w.Users.Changed(w.Now())
	if _, err := w.App.CreateWithdrawalQuote(w.As(p), others); !errors.Is(err, domain.ErrCooling) {
		t.Errorf("to another's number: %v", err)
	}
	q, err := w.App.CreateWithdrawalQuote(w.As(p), in)
	if err != nil {
		t.Fatal(err)
	}
	w.Advance(domain.CoolingPeriod)
	later, err := w.App.CreateWithdrawalQuote(w.As(p), others)
	if err != nil {
		t.Fatal(err)
	}
	w.Users.Changed(w.Now()) // since the quote
	spend := func(id uuid.UUID) error {
		_, err := w.App.CreateWithdrawal(w.Approve(w.As(p), id), app.WithdrawalInput{Key: uuid.NewString(), QuoteID: id})
		return err
	}
	if err := spend(later.ID); !errors.Is(err, domain.ErrCooling) {
		t.Errorf("by a quote from before: %v", err)
	}
	w.Users.Review()
	if _, err := w.App.CreateWithdrawalQuote(w.As(p), in); !errors.Is(err, domain.ErrInReview) {
		t.Errorf("a number that changes hands: %v", err)
	}
	if err := spend(q.ID); !errors.Is(err, domain.ErrInReview) || w.Text("SELECT count(*) FROM withdrawals") != "0" {
		t.Errorf("by a quote from before: %v", err)
	}
}

// TestQuoteAndApprovalAreSpentOnce: a quote makes one withdrawal, of its owner, approved by the PIN for just this quote, in its time.
func TestQuoteAndApprovalAreSpentOnce(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p, other := w.Person(5000), w.Person(5000)
	quote := func() app.Quote {
		q, err := w.App.CreateWithdrawalQuote(w.As(p), app.QuoteInput{WalletID: p.WalletID, Amount: testworld.KES(100)})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	q, q2 := quote(), quote()
	spend := func(ctx context.Context, id uuid.UUID) error {
		_, err := w.App.CreateWithdrawal(ctx, app.WithdrawalInput{Key: uuid.NewString(), QuoteID: id})
		return err
	}
	approved := w.Approve(w.As(p), q.ID)
	late := w.Approve(w.As(p), q.ID)
	auth.From(late).StepUp.ExpiresAt = w.Now()
	for name, c := range map[string]struct {
		ctx  context.Context
		id   uuid.UUID
		want error
	}{
		"no approval":      {w.As(p), q.ID, domain.ErrStepUpMissing},
		"of another quote": {approved, q2.ID, domain.ErrStepUpMismatch},
		"expired":          {late, q.ID, domain.ErrStepUpExpired},
		"another's quote":  {w.Approve(w.As(other), q.ID), q.ID, domain.ErrQuoteNotFound},
		"no quote":         {w.Approve(w.As(p), uuid.Nil), uuid.Nil, domain.ErrQuoteNotFound},
	} {
		if err := spend(c.ctx, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	errs := servicetest.Together(4, func(int) error { return spend(w.Approve(w.As(p), q.ID), q.ID) })
	done := 0
	for _, err := range errs {
		if err == nil {
			done++
		} else if !errors.Is(err, domain.ErrQuoteSpent) {
			t.Error(err)
		}
	}
	if done != 1 {
		t.Errorf("%d withdrawals of one quote", done)
	}
	jti := w.Approve(w.As(p), q2.ID)
	if err := spend(jti, q2.ID); err != nil {
		t.Fatal(err)
	}
	q3 := quote()
	auth.From(jti).StepUp.Hash = domain.ApprovalHash(q3.ID)
	if err := spend(jti, q3.ID); !errors.Is(err, domain.ErrStepUpUsed) {
		t.Errorf("used approval: %v", err)
	}
	w.Advance(domain.QuoteLife)
	if err := spend(w.Approve(w.As(p), q3.ID), q3.ID); !errors.Is(err, domain.ErrQuoteExpired) {
		t.Errorf("expired quote: %v", err)
	}
}

// TestWithdrawalFails: what the limit, the ledger or the rail refuse leaves the wallet whole, and the customer is told why.
func TestWithdrawalFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		has    int64
		before func(w *testworld.World)
		after  func(t *testing.T, w *testworld.World, id uuid.UUID)
		reason string
		limit  string
	}{
		"limit":               {5000, func(w *testworld.World) { w.Wallet.Refuse("limit_per_day") }, nil, "limit_per_day", "refused"},
		"funds":               {1022, nil, nil, "insufficient_funds", "released"},
		"frozen":              {5000, func(w *testworld.World) { w.Ledger.Refuse("hold", "account_frozen") }, nil, "wallet_frozen", "released"},
		"refused":             {5000, func(w *testworld.World) { w.Mpesa.AnswerPay("refuse") }, nil, "rail_refused", "released"},
		"no float":            {5000, nil, result("1"), "no_float", "released"},
		"unregistered":        {5000, nil, result("2040"), "receiver_not_registered", "released"},
		"suspended meanwhile": {5000, nil, nil, "customer_suspended", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(c.has)
			if c.before != nil {
				c.before(w)
			}
			made := w.Stored(p, 1000)
			if name == "suspended meanwhile" {
				w.Wallet.Change(p, func(o *walletapi.WalletOwner) { o.CustomerStatus = "suspended" })
			}
			if err := w.App.Pay(t.Context(), made.ID); err != nil {
				t.Fatal(err)
			}
			if c.after != nil {
				c.after(t, w, made.ID)
			}
			w.Settle(made.ID)
			got := w.Read(p, made.ID)
			free, held := balance(w, p)
			if got.Status != domain.Failed || free != c.has || held != 0 || books(w) != [4]int64{} {
				t.Errorf("%+v: free %d, held %d, books %v", got, free, held, books(w))
			}
			told := w.PublishedOf("banking.withdrawal_failed")
			if len(told) != 1 || told[0]["reason_code"] != got.FailureCode || got.FailureCode != c.reason {
				t.Errorf("failed by %s, told %v", got.FailureCode, told)
			}
			if l := w.Wallet.Limit(made.ID); l != c.limit && (c.limit != "" || l != "released") {
				t.Errorf("limit %s", l)
			}
		})
	}
}

// result is M-Pesa's word that a payment was not made.
func result(code string) func(t *testing.T, w *testworld.World, id uuid.UUID) {
	return func(t *testing.T, w *testworld.World, id uuid.UUID) {
		t.Helper()
		hear(t, w, testworld.Known(t.Context()), 1, testworld.Failure(id, testworld.Conversation(1), code))
	}
}

// TestCancel: a withdrawal that has not left can be cancelled, even while its hold is being asked for; later it cannot.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	stored := w.Stored(p, 1000)
	for range 2 {
		if got, err := w.App.CancelWithdrawal(w.As(p), stored.ID); err != nil || got.Status != domain.Cancelled {
			t.Fatalf("%+v: %v", got, err)
		}
	}
	if err := w.App.Pay(t.Context(), stored.ID); err != nil {
		t.Fatal(err)
	}
	w.Settle(stored.ID)
	lost := w.Stored(p, 1000) // the ledger has held it, and the answer is lost
	w.Ledger.Lose(nil, func() bool { return true })
	if err := w.App.Pay(t.Context(), lost.ID); err == nil {
		t.Fatal("paid without an answer")
	}
	w.Ledger.Lose(nil, nil)
	if _, err := w.App.CancelWithdrawal(w.As(p), lost.ID); err != nil {
		t.Fatal(err)
	}
	w.Settle(lost.ID)
	if free, held := balance(w, p); free != 5000 || held != 0 || len(w.Mpesa.Payments()) != 0 {
		t.Errorf("free %d, held %d, sent %v", free, held, w.Mpesa.Payments())
	}
	sent := w.Sent(p, 1000)
	if _, err := w.App.CancelWithdrawal(w.As(p), sent.ID); !errors.Is(err, domain.ErrNotCancellable) {
		t.Errorf("sent: %v", err)
	}
	for name, id := range map[string]uuid.UUID{"another's": sent.ID, "none": uuid.New()} {
		if _, err := w.App.CancelWithdrawal(w.As(w.Person(1)), id); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCancelOrPay: a cancellation and the job at the same moment leave one of two ends, and no money in between.
func TestCancelOrPay(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(100_000)
	cancelled := 0
	for range 10 {
		made := w.Stored(p, 1000)
		var refused error
		servicetest.Together(2, func(i int) error {
			if i == 0 {
				return w.App.Pay(t.Context(), made.ID)
			}
			_, refused = w.App.CancelWithdrawal(w.As(p), made.ID)
			return nil
		})
		w.Settle(made.ID)
		switch got := w.Read(p, made.ID); {
		case refused == nil && got.Status == domain.Cancelled:
			cancelled++
		case !errors.Is(refused, domain.ErrNotCancellable) || got.Status != domain.Accepted:
			t.Errorf("%+v, cancellation %v", got, refused)
		}
	}
	if _, held := balance(w, p); held != int64(10-cancelled)*1023 || len(w.Mpesa.Payments()) != 10-cancelled {
		t.Errorf("%d cancelled, held %d, %d sent", cancelled, held, len(w.Mpesa.Payments()))
	}
}

// TestLostAnswer: the same request again at 45 s and 2 min, then questions at 10 min and hourly; the money waits in doubt from 11 min on.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	w.Mpesa.AnswerPay("lose")
	made := w.Sent(p, 1000)
	if made.Status != domain.Unknown {
		t.Fatalf("%+v", made)
	}
	start := w.Now()
	var sends, asks []time.Duration
	for w.Now().Sub(start) < 3*time.Hour+time.Minute {
		before, askedBefore := len(w.Mpesa.Payments()), len(w.Mpesa.Questions())
		wait, err := w.App.Ask(t.Context(), made.ID)
		if err != nil || wait <= 0 {
			t.Fatalf("wait %v: %v", wait, err)
		}
		if len(w.Mpesa.Payments()) > before {
			sends = append(sends, w.Now().Sub(start).Round(time.Second))
		}
		if len(w.Mpesa.Questions()) > askedBefore {
			asks = append(asks, w.Now().Sub(start).Round(time.Second))
		}
		w.Advance(wait)
	}
	w.Settle(made.ID)
	const m, h = time.Minute, time.Hour
	if !equal(sends, []time.Duration{45 * time.Second, 2 * m}) || !equal(asks, []time.Duration{10 * m, h, 2 * h, 3 * h}) {
		t.Errorf("sent at %v, asked at %v", sends, asks)
	}
	for _, sent := range w.Mpesa.Payments()[1:] {
		first := w.Mpesa.Payments()[0]
		delete(sent, "SecurityCredential") // each looks different
		for k, v := range sent {
			if first[k] != v {
				t.Errorf("%s is %s, was %s", k, v, first[k])
			}
		}
	}
	if free, held := balance(w, p); free != 3977 || held != 0 || books(w) != [4]int64{0, 0, 0, 1023} ||
		w.Read(p, made.ID).Status != domain.InDoubt {
		t.Errorf("free %d, held %d, books %v", free, held, books(w))
	}
	if told := w.PublishedOf("banking.withdrawal_in_doubt"); len(told) != 1 {
		t.Errorf("told %v", told)
	}
	answer(t, w, 4, testworld.State(made.ID, testworld.Inquiry(4), "Completed", receipt, 1000))
	w.Settle(made.ID)
	if got := w.Read(p, made.ID); got.Status != domain.Paid || books(w) != [4]int64{1000, 20, 3, 0} || w.Wallet.Limit(made.ID) != "committed" {
		t.Errorf("%+v: books %v", got, books(w))
	}
	if wait, err := w.App.Ask(t.Context(), made.ID); err != nil || wait != 0 {
		t.Errorf("asked again in %v: %v", wait, err)
	}
}

func equal(a, b []time.Duration) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if (a[i] - b[i]).Abs() > 2*time.Second {
			return false
		}
	}
	return true
}

// TestDoubtReturns: what the rail did not pay comes back to the wallet, or goes to suspense when the wallet cannot take it.
func TestDoubtReturns(t *testing.T) {
	t.Parallel()
	for name, closed := range map[string]bool{"wallet": false, "suspense": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(5000)
			made := w.InDoubt(p)
			if closed {
				w.Ledger.Refuse("return", "account_closed")
			}
			answer(t, w, 1, testworld.State(made.ID, testworld.Inquiry(1), "Declined", "", 1000))
			w.Settle(made.ID)
			free, _ := balance(w, p)
			if got := w.Read(p, made.ID); got.Status != domain.Returned || free+w.Ledger.Balance("suspense.KES")/100 != 5000 ||
				(w.Ledger.Balance("suspense.KES") > 0) != closed || books(w) != [4]int64{} || w.Wallet.Limit(made.ID) != "released" {
				t.Errorf("%+v: free %d, books %v", got, free, books(w))
			}
		})
	}
}

// TestPaidAfterAll: a failure that the rail takes back is booked: from the wallet, or as what the customer owes when it is empty.
func TestPaidAfterAll(t *testing.T) {
	t.Parallel()
	for name, spent := range map[string]bool{"from the wallet": false, "owed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(5000)
			made := w.Sent(p, 1000)
			result("1")(t, w, made.ID)
			w.Settle(made.ID)
			if spent {
				w.Ledger.Set(p.WalletID.String(), 0)
			}
			hear(t, w, testworld.Known(t.Context()), 1, testworld.Success(made.ID, testworld.Conversation(1), receipt, 1000))
			if got := verdicts(w); got != "failed used" { // the address was used: M-Pesa is asked
				t.Fatal(got)
			}
			question(t, w, made.ID)
			answer(t, w, 1, testworld.State(made.ID, testworld.Inquiry(1), "Completed", receipt, 1000))
			w.Settle(made.ID)
			want := [4]int64{1000, 20, 3, 0}
			if spent {
				want = [4]int64{1000, 0, 0, 0}
			}
			if got := w.Read(p, made.ID); got.Status != domain.Paid || got.FailureCode != "" || books(w) != want ||
				w.Wallet.Limit(made.ID) != "committed" {
				t.Errorf("%+v: books %v", got, books(w))
			}
			if owed := w.Ledger.Balance("dispute.receivable.KES") / 100; owed != 0 && !spent || owed != -1000 && spent {
				t.Errorf("owed %d", owed)
			}
		})
	}
}

// TestMessagesThatDecideNothing: forged, strange, altered and misdirected messages move nothing, and M-Pesa is asked instead.
func TestMessagesThatDecideNothing(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	made, other := w.Sent(p, 1000), w.Sent(p, 500)
	known := testworld.Known(t.Context())
	for _, m := range []struct {
		ctx  context.Context
		body []byte
		want string
	}{
		{t.Context(), testworld.Success(made.ID, testworld.Conversation(1), receipt, 1000), "stranger"},
		{t.Context(), testworld.Failure(made.ID, testworld.Conversation(1), "1"), "stranger"},
		{known, testworld.Success(made.ID, testworld.Conversation(2), receipt, 1000), "other"},
		{known, testworld.Success(other.ID, testworld.Conversation(1), receipt, 1000), "other"},
		{known, testworld.Success(made.ID, testworld.Conversation(1), receipt, 999), "amount"},
		{known, testworld.Success(made.ID, testworld.Conversation(1), "SKE0000000", 1000), "unreadable"},
		{known, testworld.Failure(made.ID, testworld.Conversation(1), "7777"), "nothing"},
		{known, testworld.TimedOut(made.ID, testworld.Conversation(1)), "nothing"},
		{known, []byte(`{"Result":`), "unreadable"},
	} {
		ctx := m.ctx
		if ctx != known {
			ctx = auth.With(ctx, auth.Principal{Subject: "provider:banking-br", Source: auth.SourceStranger})
		}
		hear(t, w, ctx, 1, m.body)
		if got := verdicts(w); got[strings.LastIndex(" "+got, " "):] != m.want {
			t.Errorf("%s, want %s", got, m.want)
		}
	}
	if got := w.Read(p, made.ID); got.Status != domain.Accepted {
		t.Errorf("%+v", got)
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'banking.question'"); n != 9 {
		t.Errorf("%d questions", n)
	}
	token, request := testworld.At(w.Mpesa.Payments()[0]["ResultURL"])
	if err := w.App.ReceiveRailResult(known, token, uuid.New(), nil); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("another request's address: %v", err)
	}
	body := testworld.Success(made.ID, testworld.Conversation(1), receipt, 1000)
	for range 3 {
		if err := w.App.ReceiveRailResult(known, token, request, body); err != nil {
			t.Fatal(err)
		}
	}
	judgeAll(t, w)
	hear(t, w, known, 2, testworld.Success(other.ID, testworld.Conversation(2), receipt, 500)) // the same receipt
	if got := verdicts(w); !strings.HasSuffix(got, " paid receipt") {
		t.Error(got)
	}
	w.Settle(made.ID)
	if books(w) != [4]int64{1000, 20, 3, 0} {
		t.Errorf("books %v", books(w))
	}
}

// TestQuestionsCountByTheirConversation: the answer to a question counts for the question that was sent, once its own answer is known.
func TestQuestionsCountByTheirConversation(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(5000)
	made := w.Sent(p, 1000)
	question(t, w, made.ID)
	if wait, err := w.App.Question(t.Context(), made.ID); err != nil || wait != domain.QuestionPause || len(w.Mpesa.Questions()) != 1 {
		t.Errorf("asked %d times, wait %v: %v", len(w.Mpesa.Questions()), wait, err)
	}
	w.Advance(domain.QuestionPause)
	question(t, w, made.ID)
	answer(t, w, 1, testworld.State(made.ID, testworld.Inquiry(2), "Completed", receipt, 1000)) // of another question
	answer(t, w, 1, testworld.State(uuid.New(), testworld.Inquiry(1), "Completed", receipt, 1000))
	answer(t, w, 1, testworld.State(made.ID, testworld.Inquiry(1), "Completed", receipt, 1))
	answer(t, w, 1, testworld.State(made.ID, testworld.Inquiry(1), "Initiated", "", 1000))
	if got := verdicts(w); got != "other other amount nothing" || w.Read(p, made.ID).Status != domain.Accepted {
		t.Errorf("%s: %+v", got, w.Read(p, made.ID))
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'banking.question'"); n != 0 {
		t.Errorf("answers to questions led to %d more", n)
	}
	answer(t, w, 2, testworld.State(made.ID, testworld.Inquiry(2), "Completed", receipt, 1000))
	if got := w.Read(p, made.ID); got.Status != domain.Paid || got.Receipt != receipt {
		t.Errorf("%+v", got)
	}
	w.Advance(time.Hour)
	if wait, err := w.App.Question(t.Context(), made.ID); err != nil || wait != 0 || len(w.Mpesa.Questions()) != 2 {
		t.Errorf("asked about what is paid: wait %v, %v", wait, err)
	}
}

// question asks M-Pesa about a withdrawal now.
func question(t *testing.T, w *testworld.World, id uuid.UUID) {
	t.Helper()
	if wait, err := w.App.Question(t.Context(), id); err != nil || wait != 0 {
		t.Fatalf("wait %v: %v", wait, err)
	}
}

// stranger is a message from an address that is not the rail's.
func stranger(t *testing.T) context.Context {
	t.Helper()
	return auth.With(t.Context(), auth.Principal{Subject: "provider:banking-br", Source: auth.SourceStranger, Operation: "test"})
}
