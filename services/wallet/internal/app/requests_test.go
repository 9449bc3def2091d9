package app_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

func askFor(t *testing.T, w *testworld.World, from, payer testworld.Person, shillings int64) domain.Request {
	t.Helper()
	r, err := w.App.CreatePaymentRequest(testworld.As(t.Context(), from), app.RequestInput{Key: key(), WalletID: from.WalletID,
		PayerPhone: payer.Phone, Amount: testworld.KES(shillings), Note: "Lunch"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func quoteFor(t *testing.T, w *testworld.World, payer testworld.Person, id uuid.UUID) domain.Quote {
	t.Helper()
	q, err := w.App.CreateTransferQuote(testworld.As(t.Context(), payer), app.QuoteInput{WalletID: payer.WalletID, RequestID: &id})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func spend(ctx context.Context, w *testworld.World, payer testworld.Person, q domain.Quote) (domain.Transfer, error) {
	return w.App.CreateTransfer(w.Approve(testworld.As(ctx, payer), q.ID), app.TransferInput{Key: key(), QuoteID: q.ID})
}

func statusOf(w *testworld.World, r domain.Request) string {
	return w.Text("SELECT status FROM payment_requests WHERE id = $1", r.ID)
}

func TestPaymentRequestIsPaidOnce(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	amina, brian := w.Person(1, 0), w.Person(1, 5000)
	r := askFor(t, w, amina, brian, 1000)
	first, second := quoteFor(t, w, brian, r.ID), quoteFor(t, w, brian, r.ID)
	if first.RecipientWalletID != amina.WalletID || first.Amount != testworld.KES(1000) || first.RecipientName != "Amina W." {
		t.Errorf("the quote is %+v", first)
	}
	done, err := spend(t.Context(), w, brian, first)
	if err != nil || done.RequestID == nil || *done.RequestID != r.ID {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := spend(t.Context(), w, brian, second); !errors.Is(err, domain.ErrRequestClosed) {
		t.Errorf("paid again: %v", err)
	}
	got, err := w.App.GetPaymentRequest(testworld.As(t.Context(), amina), r.ID)
	if err != nil || got.Status != domain.RequestPaid || got.ClosedAt == nil || *got.TransferID != done.ID || got.Note != "Lunch" {
		t.Errorf("%+v, %v", got, err)
	}
	if got := w.Ledger.Balance(amina.WalletID.String()); got != 1000_00 {
		t.Errorf("paid %d", got)
	}
	if e := w.PublishedOf("wallet.transfer_completed"); len(e) != 1 || e[0]["payment_request_id"] != r.ID.String() {
		t.Errorf("events: %v", e)
	}
	if n := w.Count("SELECT count(*) FROM payment_requests WHERE position('Lunch'::bytea IN note_sealed) > 0"); n != 0 {
		t.Error("the note is not sealed")
	}
}

// TestPaymentRequestWhoseAnswerIsLost: while a payment is under way the request can end in no other way, and the job ends both.
func TestPaymentRequestWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]string{"posted": "", "refused": "insufficient_funds"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			amina, brian := w.Person(1, 0), w.Person(1, 5000)
			r := askFor(t, w, amina, brian, 1000)
			q, other := quoteFor(t, w, brian, r.ID), quoteFor(t, w, brian, r.ID)
			w.Ledger.Refuse(code)
			w.Ledger.Lose(func() bool { return false }, func() bool { return true })
			pending, err := spend(t.Context(), w, brian, q)
			if err != nil || pending.Status != domain.TransferCreated {
				t.Fatalf("%+v, %v", pending, err)
			}
			w.Advance(domain.RequestLife)
			if err := w.App.ExpireRequests(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := w.App.DeclinePaymentRequest(testworld.As(t.Context(), brian), r.ID); !errors.Is(err, domain.ErrRequestBeingPaid) {
				t.Errorf("declined: %v", err)
			}
			if _, err := w.App.CancelPaymentRequest(testworld.As(t.Context(), amina), r.ID); !errors.Is(err, domain.ErrRequestBeingPaid) {
				t.Errorf("cancelled: %v", err)
			}
			w.Ledger.Lose(nil, nil)
			if err := w.App.SettleTransfer(t.Context(), pending.ID); err != nil {
				t.Fatal(err)
			}
			if code == "" {
				if statusOf(w, r) != domain.RequestPaid {
					t.Errorf("the request is %s", statusOf(w, r))
				}
				return
			}
			if _, err := spend(t.Context(), w, brian, other); !errors.Is(err, domain.ErrQuoteExpired) { // days have passed
				t.Errorf("%v", err)
			}
			if err := w.App.ExpireRequests(t.Context()); err != nil || statusOf(w, r) != domain.RequestExpired {
				t.Errorf("the request is %s, %v", statusOf(w, r), err)
			}
		})
	}
}

// TestPaymentRequestRefusedPaymentGivesItBack: what the ledger refused can be paid again.
func TestPaymentRequestRefusedPaymentGivesItBack(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	amina, brian := w.Person(1, 0), w.Person(1, 100)
	r := askFor(t, w, amina, brian, 1000)
	if _, err := spend(t.Context(), w, brian, quoteFor(t, w, brian, r.ID)); !errors.Is(err, domain.ErrInsufficientFunds) {
		t.Fatalf("%v", err)
	}
	w.Ledger.Set(brian.WalletID.String(), 5000_00)
	if _, err := spend(t.Context(), w, brian, quoteFor(t, w, brian, r.ID)); err != nil || statusOf(w, r) != domain.RequestPaid {
		t.Errorf("%v, %s", err, statusOf(w, r))
	}
}

// TestPaymentRequestEndedSinceTheQuote: no money moves, and nothing is left of the payment.
func TestPaymentRequestEndedSinceTheQuote(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(t *testing.T, w *testworld.World, amina, brian testworld.Person, id uuid.UUID){
		"declined": func(t *testing.T, w *testworld.World, _, brian testworld.Person, id uuid.UUID) {
			if _, err := w.App.DeclinePaymentRequest(testworld.As(t.Context(), brian), id); err != nil {
				t.Fatal(err)
			}
		},
		"cancelled": func(t *testing.T, w *testworld.World, amina, _ testworld.Person, id uuid.UUID) {
			if _, err := w.App.CancelPaymentRequest(testworld.As(t.Context(), amina), id); err != nil {
				t.Fatal(err)
			}
		},
		"expired": func(_ *testing.T, w *testworld.World, _, _ testworld.Person, _ uuid.UUID) { w.Advance(2 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			amina, brian := w.Person(1, 0), w.Person(1, 5000)
			r := askFor(t, w, amina, brian, 1000)
			w.Advance(domain.RequestLife - time.Minute)
			q := quoteFor(t, w, brian, r.ID)
			end(t, w, amina, brian, r.ID)
			if _, err := spend(t.Context(), w, brian, q); !errors.Is(err, domain.ErrRequestClosed) {
				t.Errorf("%v", err)
			}
			for _, table := range []string{"transfers", "step_ups", "limit_reservations", "limit_usage"} {
				if n := w.Count("SELECT count(*) FROM " + table); n != 0 {
					t.Errorf("%d rows in %s", n, table)
				}
			}
			if n := w.Ledger.Posts(); n != 0 {
				t.Errorf("%d postings", n)
			}
			if _, err := w.App.CreateTransferQuote(testworld.As(t.Context(), brian),
				app.QuoteInput{WalletID: brian.WalletID, RequestID: &r.ID}); !errors.Is(err, domain.ErrRequestClosed) {
				t.Errorf("quoted: %v", err)
			}
		})
	}
}

// TestPaymentRequestRaces: payments, a decline, a withdrawal and the end of its time at once come to one end, and money moves only with
// paid.
func TestPaymentRequestRaces(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	amina, brian := w.Person(1, 0), w.Person(3, 50000)
	paid := int64(0)
	for range 12 {
		r := askFor(t, w, amina, brian, 100)
		w.Advance(domain.RequestLife - time.Second)
		var racers []func()
		for range 3 {
			q := quoteFor(t, w, brian, r.ID)
			racers = append(racers, func() { _, _ = spend(t.Context(), w, brian, q) })
		}
		racers = append(racers, func() { _, _ = w.App.DeclinePaymentRequest(testworld.As(t.Context(), brian), r.ID) },
			func() { _, _ = w.App.CancelPaymentRequest(testworld.As(t.Context(), amina), r.ID) },
			func() { w.Advance(time.Second); _ = w.App.ExpireRequests(t.Context()) })
		var together sync.WaitGroup
		for _, race := range racers {
			together.Go(race)
		}
		together.Wait()
		if err := w.App.ExpireRequests(t.Context()); err != nil { // the one in the race leaves alone what somebody holds
			t.Fatal(err)
		}
		status := statusOf(w, r)
		if status == domain.RequestPaid {
			paid++
		}
		n := w.Count("SELECT count(*) FROM transfers WHERE payment_request_id = $1 AND status = 'completed'", r.ID)
		if want := map[bool]int{true: 1}[status == domain.RequestPaid]; status == domain.RequestOpen || n != want {
			t.Errorf("%s, with %d payments", status, n)
		}
	}
	if got := w.Ledger.Balance(amina.WalletID.String()); got != paid*100_00 {
		t.Errorf("%d requests are paid, with %d", paid, got)
	}
}

// TestPaymentRequestLimits: nobody is asked too often, nor reminded.
func TestPaymentRequestLimits(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	amina, brian := w.Person(1, 0), w.Person(1, 0)
	var together sync.WaitGroup
	for range 8 {
		together.Go(func() {
			_, err := w.App.CreatePaymentRequest(testworld.As(t.Context(), amina), app.RequestInput{Key: key(), WalletID: amina.WalletID,
				PayerPhone: brian.Phone, Amount: testworld.KES(10)})
			if err != nil && !errors.Is(err, domain.ErrRequestLimitPayer) {
				t.Error(err)
			}
		})
	}
	together.Wait()
	if n := w.Count("SELECT count(*) FROM payment_requests"); n != domain.MaxRequestsToOne {
		t.Fatalf("%d requests to one", n)
	}
	for n := domain.MaxRequestsToOne; n < domain.MaxRequests; n++ {
		askFor(t, w, amina, w.Person(1, 0), 10)
	}
	carol := w.Person(1, 0)
	ask := app.RequestInput{Key: key(), WalletID: amina.WalletID, PayerPhone: carol.Phone, Amount: testworld.KES(10)}
	if _, err := w.App.CreatePaymentRequest(testworld.As(t.Context(), amina), ask); !errors.Is(err, domain.ErrRequestLimit) {
		t.Fatalf("%v", err)
	}
	w.Advance(domain.RequestLife) // swept or not
	r, err := w.App.CreatePaymentRequest(testworld.As(t.Context(), amina), ask)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := w.App.CreatePaymentRequest(testworld.As(t.Context(), amina), ask); err != nil || again.ID != r.ID {
		t.Errorf("repeated: %+v, %v", again, err)
	}
	remind := func() error {
		_, err := w.App.RemindPaymentRequest(testworld.As(t.Context(), amina), r.ID)
		return err
	}
	if err := remind(); !errors.Is(err, domain.ErrReminderTooSoon) {
		t.Errorf("%v", err)
	}
	for range domain.MaxReminders {
		w.Advance(domain.ReminderEvery)
		if err := errors.Join(remind(), errors.Unwrap(remind())); err != nil {
			t.Error(err)
		}
	}
	w.Advance(domain.ReminderEvery)
	if err := remind(); !errors.Is(err, domain.ErrReminderLimit) {
		t.Errorf("%v", err)
	}
	if n := len(w.PublishedOf("wallet.request_reminded")); n != domain.MaxReminders {
		t.Errorf("%d reminders", n)
	}
}

// TestPaymentRequestsAreOfTwo: each side does what is its own, and nobody else sees anything.
func TestPaymentRequestsAreOfTwo(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	amina, brian, carol := w.Person(1, 0), w.Person(1, 5000), w.Person(1, 5000)
	r := askFor(t, w, amina, brian, 1000)
	for name, err := range map[string]error{
		"a stranger reads":       second(w.App.GetPaymentRequest(testworld.As(t.Context(), carol), r.ID)),
		"a stranger declines":    second(w.App.DeclinePaymentRequest(testworld.As(t.Context(), carol), r.ID)),
		"the requester declines": second(w.App.DeclinePaymentRequest(testworld.As(t.Context(), amina), r.ID)),
		"the payer withdraws":    second(w.App.CancelPaymentRequest(testworld.As(t.Context(), brian), r.ID)),
		"the payer reminds":      second(w.App.RemindPaymentRequest(testworld.As(t.Context(), brian), r.ID)),
		"a stranger pays": second(w.App.CreateTransferQuote(testworld.As(t.Context(), carol),
			app.QuoteInput{WalletID: carol.WalletID, RequestID: &r.ID})),
		"nothing": second(w.App.GetPaymentRequest(testworld.As(t.Context(), amina), uuid.New())),
	} {
		if !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		in   app.RequestInput
		want error
	}{
		"oneself":          {app.RequestInput{WalletID: amina.WalletID, PayerPhone: amina.Phone}, domain.ErrPayerSelf},
		"nobody":           {app.RequestInput{WalletID: amina.WalletID, PayerPhone: "+254700999999"}, domain.ErrPayerMissing},
		"another's wallet": {app.RequestInput{WalletID: brian.WalletID, PayerPhone: brian.Phone}, fault.ErrNotFound},
		"a link": {app.RequestInput{WalletID: amina.WalletID, PayerPhone: brian.Phone, Note: "see evil.example"},
			domain.ErrRequestNote},
	} {
		c.in.Key, c.in.Amount = key(), testworld.KES(10)
		if _, err := w.App.CreatePaymentRequest(testworld.As(t.Context(), amina), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	list := func(p testworld.Person, direction string) int {
		got, _, err := w.App.ListPaymentRequests(testworld.As(t.Context(), p), direction, page.Request{})
		if err != nil {
			t.Error(err)
		}
		return len(got)
	}
	if list(amina, "") != 1 || list(amina, "sent") != 1 || list(amina, "received") != 0 || list(brian, "received") != 1 ||
		list(carol, "") != 0 {
		t.Error("lists are wrong")
	}
	for range 2 { // repeating it is harmless
		if got, err := w.App.DeclinePaymentRequest(testworld.As(t.Context(), brian), r.ID); err != nil || got.Status != domain.RequestDeclined {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if n := len(w.PublishedOf("wallet.request_declined")); n != 1 {
		t.Errorf("%d events", n)
	}
	if _, err := w.App.CancelPaymentRequest(testworld.As(t.Context(), amina), r.ID); !errors.Is(err, domain.ErrRequestClosed) {
		t.Errorf("withdrawn: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestPaymentRequestMovesInSQL: the table refuses what the rules refuse, whoever writes.
func TestPaymentRequestMovesInSQL(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	amina, brian := w.Person(1, 0), w.Person(1, 5000)
	open, ended := askFor(t, w, amina, brian, 1000), askFor(t, w, amina, brian, 1000)
	done, err := spend(t.Context(), w, brian, quoteFor(t, w, brian, ended.ID))
	if err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{
		"paid by nothing": "UPDATE payment_requests SET status = 'paid', closed_at = created_at WHERE id = $1",
		"paid without a claim": "UPDATE payment_requests SET status = 'paid', closed_at = created_at, transfer_id = '" + done.ID.String() +
			"' WHERE id = $1",
		"a fourth reminder":   "UPDATE payment_requests SET reminders = 4 WHERE id = $1",
		"closed without time": "UPDATE payment_requests SET status = 'declined' WHERE id = $1",
	} {
		if _, err := w.DB.Pool.Exec(t.Context(), sql, open.ID); err == nil {
			t.Errorf("%s: allowed", name)
		}
	}
	for _, status := range []string{"open", "declined", "cancelled", "expired"} {
		if _, err := w.DB.Pool.Exec(t.Context(), "UPDATE payment_requests SET status = $2, transfer_id = NULL WHERE id = $1", ended.ID,
			status); err == nil {
			t.Errorf("paid became %s", status)
		}
	}
}
