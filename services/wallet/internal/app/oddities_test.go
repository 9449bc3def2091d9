package app_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// lostPrompt is a top-up whose prompt may have left: its answer was lost, so that there is no CheckoutRequestID to compare.
func lostPrompt(t *testing.T, w *testworld.World, p testworld.Person) domain.Topup {
	t.Helper()
	w.Mpesa.AnswerPush("lose")
	defer w.Mpesa.AnswerPush("")
	return topup(t, w, p, 100)
}

// TestCallbackOfALostPrompt: without a CheckoutRequestID of our own a success counts only as Safaricom confirms it, for a day.
func TestCallbackOfALostPrompt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query   string
		after   time.Duration // between message and judgement
		verdict string        // "" is not yet
		status  domain.TopupStatus
	}{
		"confirmed":        {"0", 0, "applied", domain.TopupPaid},
		"refuted":          {"1032", 0, "refuted", domain.TopupUnknown},
		"no result yet":    {"4999", 0, "", domain.TopupUnknown},
		"no answer":        {"", 0, "", domain.TopupUnknown},
		"unheard of":       {"777", 0, "", domain.TopupUnknown},
		"silent for a day": {"0", domain.QueryEnd + time.Minute, "refuted", domain.TopupUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(1, 0)
			made := lostPrompt(t, w, p)
			w.Mpesa.AnswerQuery(c.query)
			body := testworld.StkSuccess("ws_CO_unheard", "R1", 100)
			if err := w.App.ReceiveStkCallback(testworld.Known(t.Context()), token(t, w, "stk", made.ID.String()), made.ID, body); err != nil {
				t.Fatal(err)
			}
			w.Advance(c.after)
			if v := judgeLast(t, w); v != c.verdict {
				t.Errorf("verdict %q, want %q", v, c.verdict)
			}
			settle(t, w)
			got := read(t, w, p, made.ID)
			if paid := w.Ledger.Balance(p.WalletID.String()) == 10000; got.Status != c.status || paid != (c.status == domain.TopupPaid) {
				t.Errorf("%s, balance %d", got.Status, w.Ledger.Balance(p.WalletID.String()))
			}
		})
	}
}

// TestFailureOfALostPrompt: a failure needs no confirmation, and brings the ids that the lost answer had.
func TestFailureOfALostPrompt(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := lostPrompt(t, w, p)
	if v := callback(t, w, made.ID, testworld.StkFailure("ws_CO_1", "1032")); v != "applied" {
		t.Errorf("verdict %s", v)
	}
	if got := read(t, w, p, made.ID); got.Status != domain.TopupFailed || got.FailureCode != "cancelled_by_customer" ||
		got.CheckoutRequestID != "ws_CO_1" {
		t.Errorf("%+v", got)
	}
	if v := callback(t, w, made.ID, testworld.StkFailure("ws_CO_2", "1")); v != "checkout_mismatch" {
		t.Errorf("verdict %s", v)
	}
}

// TestCallbackFasterThanItsAnswer: the result of a prompt is judged before the answer to its request is stored; neither undoes the other.
func TestCallbackFasterThanItsAnswer(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := storeTopup(t, w, p, 100)
	w.Mpesa.BeforeAnswer(func() { // the paybill's confirmation needs no CheckoutRequestID
		if v := c2b(t, w, testworld.C2b("R1", made.AccountReference, 100)); v != "applied" {
			t.Errorf("verdict %s", v)
		}
	})
	if err := w.App.RequestStk(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	settle(t, w)
	got := read(t, w, p, made.ID)
	if got.Status != domain.TopupPaid || got.CheckoutRequestID != testworld.CheckoutID(1) || w.Ledger.Balance(p.WalletID.String()) != 10000 {
		t.Errorf("%+v, balance %d", got, w.Ledger.Balance(p.WalletID.String()))
	}
	if v := callback(t, w, made.ID, testworld.StkSuccess(testworld.CheckoutID(1), "R1", 100)); v != "duplicate" {
		t.Errorf("verdict %s", v)
	}
}

// TestOddCallbacks are results that prove nothing by themselves: each asks Safaricom, and none moves money.
func TestOddCallbacks(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 100)
	long := strings.Repeat("A", 51)
	for _, c := range []struct {
		body []byte
		want string
	}{
		{testworld.StkSuccess(made.CheckoutRequestID, long, 100), "unreadable"},
		{testworld.StkSuccess(made.CheckoutRequestID, long, 900), "amount_mismatch"},
		{testworld.StkFailure(made.CheckoutRequestID, "4999"), "no_result"},
	} {
		if v := callback(t, w, made.ID, c.body); v != c.want {
			t.Errorf("verdict %s, want %s", v, c.want)
		}
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.ask_stk'"); n != 1 {
		t.Errorf("Safaricom is asked %d times", n)
	}
	settle(t, w)
	if got := read(t, w, p, made.ID); got.Status != domain.TopupPrompted || w.Ledger.Posts() != 0 {
		t.Errorf("%s, %d postings", got.Status, w.Ledger.Posts())
	}
}

// TestOddStrangers are messages of strangers about prompts that are not there, or with receipts that are none.
func TestOddStrangers(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	stored := storeTopup(t, w, p, 100)
	made := topup(t, w, p, 200)
	for _, c := range []struct {
		topup uuid.UUID
		body  []byte
		want  string
	}{
		{uuid.New(), testworld.StkSuccess("ws_CO_x", "F1", 100), "unknown_topup"},
		{stored.ID, testworld.StkSuccess("ws_CO_x", "F1", 100), "not_requested"},
		{made.ID, testworld.StkSuccess(made.CheckoutRequestID, strings.Repeat("A", 51), 200), "unreadable"},
	} {
		if v := strangersCallback(t, w, c.topup, c.body); v != c.want {
			t.Errorf("verdict %s, want %s", v, c.want)
		}
	}
	if n := w.Count("SELECT count(*) FROM claims"); n != 0 {
		t.Errorf("%d claims", n)
	}
}

// TestWalletNotOpenAfterItsQuote: a wallet that is not open (any more) pays nothing and receives nothing.
func TestWalletNotOpenAfterItsQuote(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		close func(from, to testworld.Person) uuid.UUID
		want  error
	}{
		"sender":    {func(from, _ testworld.Person) uuid.UUID { return from.WalletID }, domain.ErrWalletNotOpen},
		"recipient": {func(_, to testworld.Person) uuid.UUID { return to.WalletID }, domain.ErrRecipientCannot},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			from, to := w.Person(1, 5000), w.Person(1, 0)
			q := w.Quote(from, to, 1000)
			if _, err := w.DB.Pool.Exec(t.Context(), "UPDATE wallets SET status = 'opening', opened_at = NULL WHERE id = $1",
				c.close(from, to)); err != nil {
				t.Fatal(err)
			}
			_, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			noTrace(t, w)
		})
	}
}

// TestTransferOfNoQuote: a quote that does not exist is not found, and its key may be used again.
func TestTransferOfNoQuote(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 5000), w.Person(1, 0)
	k, none := key(), uuid.New()
	if _, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), none),
		app.TransferInput{Key: k, QuoteID: none}); !errors.Is(err, domain.ErrQuoteNotFound) {
		t.Errorf("%v", err)
	}
	noTrace(t, w)
	q := w.Quote(from, to, 1000)
	if _, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q.ID), app.TransferInput{Key: k, QuoteID: q.ID}); err != nil {
		t.Error(err)
	}
}

// TestValidationOfForeignPayments: Safaricom's question is answered with its own codes.
func TestValidationOfForeignPayments(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	account := depositAccount(w, p)
	path := token(t, w, "c2b", testworld.ShortCode)
	for want, body := range map[string]string{
		"0":        string(testworld.C2b("R1", account, 1)),
		"C2B00012": string(testworld.C2b("R1", "NOBODY", 1)),
		"C2B00015": strings.Replace(string(testworld.C2b("R1", account, 1)), testworld.ShortCode, "600000", 1),
		"C2B00016": "{",
	} {
		if v, err := w.App.ValidateC2b(t.Context(), path, []byte(body)); err != nil || v.Code != want {
			t.Errorf("%s: %+v %v", want, v, err)
		}
	}
}

// TestAccountsAsTyped: confirmation, validation and top-up references read an account in each way in which people type it.
func TestAccountsAsTyped(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	account := "WOIB234ABCDE"         // has the letters for which 0, 1 and 8 are typed
	owner := w.Connect(w.DB.OwnerURL) // the service may not change it
	if _, err := owner.Exec(t.Context(), "UPDATE wallets SET deposit_account = $2 WHERE id = $1", p.WalletID, account); err != nil {
		t.Fatal(err)
	}
	path := token(t, w, "c2b", testworld.ShortCode)
	typed := []string{account, "woib234abcde", "WOIB-234-ABCDE", "WOIB234ABCDE.", "#WOIB234ABCDE", "W0IB234ABCDE", "WO1B234ABCDE",
		"WOI8234ABCDE",
		"w018 234\u200babcde", " WOIB 234 ABCDE ", "WOIB\u2011234\u2011ABCDE"}
	for i, text := range typed {
		body := testworld.C2b(fmt.Sprintf("R%dX", i), text, 1)
		if v, err := w.App.ValidateC2b(t.Context(), path, body); err != nil || v.Code != "0" {
			t.Errorf("validation of %q: %+v %v", text, v, err)
		}
		if v := c2b(t, w, body); v != "deposit" {
			t.Errorf("%q: verdict %s", text, v)
		}
	}
	for i, text := range []string{"WOIB234ABCD", "WOIB234ABCDF", "WOIB234ABCDEE", "WOIB934ABCDE"} { // another's, or nobody's
		body := testworld.C2b(fmt.Sprintf("N%dX", i), text, 1)
		if v, err := w.App.ValidateC2b(t.Context(), path, body); err != nil || v.Code == "0" {
			t.Errorf("validation of %q: %+v %v", text, v, err)
		}
		if v := c2b(t, w, body); v != "suspense" {
			t.Errorf("%q: verdict %s", text, v)
		}
	}
	made := topup(t, w, p, 100)
	if v := c2b(t, w, testworld.C2b("T1X", "#"+strings.ToLower(made.AccountReference[:5])+"-"+made.AccountReference[5:]+".",
		100)); v != "applied" {
		t.Errorf("a top-up's reference: verdict %s", v)
	}
	settle(t, w)
	if got := w.Ledger.Balance(p.WalletID.String()); got != int64(len(typed))*100+10000 {
		t.Errorf("balance %d", got)
	}
}
