package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/seal"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// storeTopup makes a top-up whose prompt has not been sent.
func storeTopup(t *testing.T, w *testworld.World, p testworld.Person, shillings int64) domain.Topup {
	t.Helper()
	made, err := w.App.CreateTopup(testworld.As(t.Context(), p),
		app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(shillings)})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return made
}

// topup makes a top-up and sends its prompt, as the job does.
func topup(t *testing.T, w *testworld.World, p testworld.Person, shillings int64) domain.Topup {
	t.Helper()
	made := storeTopup(t, w, p, shillings)
	if err := w.App.RequestStk(t.Context(), made.ID); err != nil {
		t.Fatalf("request: %v", err)
	}
	return read(t, w, p, made.ID)
}

func read(t *testing.T, w *testworld.World, p testworld.Person, id uuid.UUID) domain.Topup {
	t.Helper()
	got, err := w.App.GetTopup(testworld.As(t.Context(), p), id)
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return got
}

func token(t *testing.T, w *testworld.World, purpose, part string) string {
	t.Helper()
	return w.Sealer.Token(purpose, part)
}

// callback posts the result of a prompt and judges it, as hook and job do. It returns the verdict, "" for not yet.
func callback(t *testing.T, w *testworld.World, id uuid.UUID, body []byte) string {
	t.Helper()
	if err := w.App.ReceiveStkCallback(testworld.Known(t.Context()), token(t, w, "stk", id.String()), id, body); err != nil {
		t.Fatalf("callback: %v", err)
	}
	return judgeLast(t, w)
}

func c2b(t *testing.T, w *testworld.World, body []byte) string {
	t.Helper()
	if err := w.App.ReceiveC2bConfirmation(testworld.Known(t.Context()), token(t, w, "c2b", testworld.ShortCode), body); err != nil {
		t.Fatalf("c2b: %v", err)
	}
	return judgeLast(t, w)
}

func judgeLast(t *testing.T, w *testworld.World) string {
	t.Helper()
	id := uuid.MustParse(w.Text("SELECT id::text FROM callbacks ORDER BY received_at DESC, id DESC LIMIT 1"))
	if _, err := w.App.JudgeCallback(t.Context(), id); err != nil {
		t.Fatalf("judge: %v", err)
	}
	return w.Text("SELECT coalesce(verdict, '') FROM callbacks WHERE id = $1", id)
}

// settle posts everything that is due, as the credit jobs do.
func settle(t *testing.T, w *testworld.World) {
	t.Helper()
	for table, credit := range map[string]func(context.Context, uuid.UUID) (time.Duration, error){"topups": w.App.CreditTopup,
		"deposits": w.App.CreditDeposit} {
		rows, err := w.DB.Pool.Query(t.Context(), "SELECT id FROM "+table+" WHERE credit = 'due'")
		if err != nil {
			t.Fatal(err)
		}
		var ids []uuid.UUID
		for rows.Next() {
			var id uuid.UUID
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		rows.Close()
		for _, id := range ids {
			for range 2 { // the second run finds it done
				if _, err := credit(t.Context(), id); err != nil {
					t.Fatalf("credit: %v", err)
				}
			}
		}
	}
}

func TestTopupIsPaidByCallback(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 1500)
	if made.Status != domain.TopupPrompted || made.CheckoutRequestID != testworld.CheckoutID(1) {
		t.Fatalf("top-up is %+v", made)
	}
	push := w.Mpesa.Pushes()[0]
	wantURL := "https://pay.example/v1/hooks/st/" + token(t, w, "stk", made.ID.String()) + "/" + made.ID.String()
	if push["CallBackURL"] != wantURL || push["AccountReference"] != made.AccountReference || push["Amount"] != "1500" ||
		"+"+push["PhoneNumber"] != p.Phone {
		t.Errorf("prompt is %v", push)
	}
	if v := callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, "UKN7RT61SV", 1500)); v != "applied" {
		t.Fatalf("verdict %s", v)
	}
	settle(t, w)
	got := read(t, w, p, made.ID)
	if got.Status != domain.TopupPaid || got.Credit != domain.CreditWallet || got.Receipt != "UKN7RT61SV" {
		t.Errorf("top-up is %+v", got)
	}
	if w.Ledger.Balance(p.WalletID.String()) != 150000 || w.Ledger.Balance("rail.mpesa.paybill.KES") != -150000 {
		t.Error("the ledger does not agree")
	}
	if refs := w.Ledger.References(); refs[made.ID.String()+":credit"] != "posted" || len(refs) != 1 {
		t.Errorf("references: %v", refs)
	}
	if e := w.PublishedOf("wallet.topup_succeeded"); len(e) != 1 || e[0]["receipt"] != "UKN7RT61SV" {
		t.Errorf("events: %v", e)
	}
	if s := w.Text("SELECT status FROM limit_reservations WHERE id = $1", made.ID); s != "committed" {
		t.Errorf("reservation is %s", s)
	}
	if n := w.Count("SELECT count(*) FROM callbacks WHERE encode(body_sealed, 'escape') LIKE '%UKN7RT61SV%' OR encode(body_sealed, " +
		"'escape') LIKE '%254708374149%'"); n != 0 {
		t.Error("the message is readable at rest")
	}
	// A second success with another receipt is a claim, and a failure a conflict: alarms that move nothing.
	for want, body := range map[string][]byte{"unverified": testworld.StkSuccess(made.CheckoutRequestID, "UKN7RT61SX", 1500),
		"conflict": testworld.StkFailure(made.CheckoutRequestID, "1032")} {
		if v := callback(t, w, made.ID, body); v != want {
			t.Errorf("verdict %s, want %s", v, want)
		}
	}
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 150000 {
		t.Error("a conflicting callback moved money")
	}
}

func TestCreateTopupRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p, other, suspended := w.Person(1, 0), w.Person(1, 0), w.Person(1, 0)
	w.Status(suspended.UserID, "suspended", 1, 2)
	cases := map[string]struct {
		who  testworld.Person
		in   app.TopupInput
		want *fault.Error
	}{
		"smallest":    {p, app.TopupInput{WalletID: p.WalletID, Amount: testworld.KES(1)}, nil},
		"above_mpesa": {p, app.TopupInput{WalletID: p.WalletID, Amount: testworld.KES(250001)}, domain.ErrTopupAmount},
		"above_tier":  {p, app.TopupInput{WalletID: p.WalletID, Amount: testworld.KES(70001)}, domain.ErrLimitTransaction},
		"others":      {p, app.TopupInput{WalletID: other.WalletID, Amount: testworld.KES(10)}, fault.ErrNotFound},
		"suspended":   {suspended, app.TopupInput{WalletID: suspended.WalletID, Amount: testworld.KES(10)}, domain.ErrSuspended},
		"ugandan":     {p, app.TopupInput{WalletID: p.WalletID, Amount: testworld.KES(10), Phone: "+256772123456"}, domain.ErrTopupPhone},
		"cents":       {p, app.TopupInput{WalletID: p.WalletID, Amount: money.Money{Amount: 1050, Currency: "KES"}}, domain.ErrTopupAmount},
	}
	for name, c := range cases {
		c.in.Key = key()
		_, err := w.App.CreateTopup(testworld.As(t.Context(), c.who), c.in)
		if (c.want == nil) != (err == nil) || (c.want != nil && !errors.Is(err, c.want)) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if n := w.Count("SELECT count(*) FROM topups"); n != 1 {
		t.Errorf("%d top-ups", n)
	}
	if n := w.Count("SELECT count(*) FROM idempotency_keys"); n != 1 {
		t.Errorf("%d keys: a refusal must free its key", n)
	}
}

func TestCreateTopupOnce(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(2, 0)
	in := app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(100)}
	ids := make([]uuid.UUID, 20)
	together(20, func(i int) {
		made, err := w.App.CreateTopup(testworld.As(t.Context(), p), in)
		if err != nil {
			t.Errorf("got %v", err)
		}
		ids[i] = made.ID
	})
	for _, id := range ids {
		if id != ids[0] {
			t.Fatal("two top-ups under one key")
		}
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.request_stk'"); n != 1 {
		t.Errorf("%d jobs", n)
	}
	var over atomic.Int32
	together(20, func(int) { // 500,000 a day; 100 are used
		_, err := w.App.CreateTopup(testworld.As(t.Context(), p), app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(50000)})
		if errors.Is(err, domain.ErrLimitDay) {
			over.Add(1)
		} else if err != nil {
			t.Errorf("got %v", err)
		}
	})
	if over.Load() != 11 || w.Count("SELECT amount_minor FROM limit_usage WHERE span = 'day'") != 45010000 {
		t.Errorf("%d over the limit", over.Load())
	}
}

// TestTopupThatCannotFit: balance, top-ups under way and the new one never pass the maximum (KES 100,000 in tier 1), also at once; what is
// replayed needs no room, and a ledger that cannot be asked opens nothing.
func TestTopupThatCannotFit(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 20_001)
	create := func(in app.TopupInput) error {
		in.WalletID = p.WalletID
		_, err := w.App.CreateTopup(testworld.As(t.Context(), p), in)
		return err
	}
	if err := create(app.TopupInput{Key: key(), Amount: testworld.KES(70_000)}); err != nil {
		t.Fatal(err)
	}
	last := app.TopupInput{Key: key(), Amount: testworld.KES(9_999)}
	var over atomic.Int32
	together(10, func(i int) {
		in := last
		in.Key += strconv.Itoa(i)
		if err := create(in); errors.Is(err, domain.ErrBalanceLimit) {
			over.Add(1)
		} else if err != nil {
			t.Errorf("got %v", err)
		}
	})
	if over.Load() != 9 || w.Count("SELECT sum(amount_minor) FROM topups") != 79_999_00 ||
		w.Count("SELECT count(*) FROM idempotency_keys") != 2 {
		t.Errorf("%d refused, %d under way", over.Load(), w.Count("SELECT sum(amount_minor) FROM topups"))
	}
	in := app.TopupInput{Key: key(), Amount: testworld.KES(1)}
	if err := create(in); !errors.Is(err, domain.ErrBalanceLimit) {
		t.Errorf("one shilling more: %v", err)
	}
	w.Ledger.Set(p.WalletID.String(), 2_000_000)
	if err := create(in); err != nil {
		t.Errorf("after a payment out: %v", err)
	}
	w.Ledger.Lose(func() bool { return true }, nil)
	if err := create(in); err != nil {
		t.Errorf("a repeat while the ledger is away: %v", err)
	}
	if f, ok := fault.As(create(app.TopupInput{Key: key(), Amount: testworld.KES(1)})); !ok || f.Kind != fault.Unavailable {
		t.Errorf("a new one while the ledger is away: %v", f)
	}
	if n := w.Count("SELECT count(*) FROM topups"); n != 3 {
		t.Errorf("%d top-ups", n)
	}
}

// TestPromptsToOthers: of twenty prompts by different people at once three reach a number that is not theirs; the owner's own are not
// counted. Three that are declined in a row end it for 30 days, unless the owner or support lifts the block.
func TestPromptsToOthers(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	owner := w.Person(1, 0)
	people := make([]testworld.Person, 20)
	for i := range people {
		people[i] = w.Person(1, 0)
	}
	send := func(p testworld.Person, phone string) (domain.Topup, error) {
		return w.App.CreateTopup(testworld.As(t.Context(), p),
			app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(10), Phone: phone})
	}
	var limited atomic.Int32
	together(20, func(i int) {
		_, err := send(people[i], owner.Phone)
		f, _ := fault.As(err)
		if errors.Is(err, domain.ErrPromptLimit) && f.RetryAfter > 59*time.Minute && f.RetryAfter <= time.Hour {
			limited.Add(1)
		} else if err != nil {
			t.Errorf("got %v", err)
		}
	})
	if limited.Load() != 17 || w.Count("SELECT count(*) FROM topups WHERE others_phone") != 3 {
		t.Fatalf("%d limited", limited.Load())
	}
	for range 4 {
		if _, err := send(owner, owner.Phone); err != nil {
			t.Errorf("her own: %v", err)
		}
	}
	if _, err := send(people[0], people[1].Phone); err != nil {
		t.Errorf("another number: %v", err)
	}
	declined := func() {
		t.Helper()
		w.Advance(time.Hour)
		made, err := send(people[0], owner.Phone)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.App.RequestStk(t.Context(), made.ID); err != nil {
			t.Fatal(err)
		}
		if v := callback(t, w, made.ID, testworld.StkFailure(read(t, w, people[0], made.ID).CheckoutRequestID, "1032")); v != "applied" {
			t.Fatalf("verdict %s", v)
		}
	}
	blocked := func(want bool) {
		t.Helper()
		w.Advance(time.Hour)
		if _, err := send(people[2], owner.Phone); errors.Is(err, domain.ErrPromptsBlocked) != want || !want && err != nil {
			t.Fatalf("blocked %v, got %v", want, err)
		}
	}
	declined()
	declined()
	blocked(false)
	declined()
	blocked(true)
	if _, err := send(owner, owner.Phone); err != nil {
		t.Errorf("her own while others are blocked: %v", err)
	}
	if err := w.App.LiftMyPromptBlock(testworld.As(t.Context(), people[2])); err != nil {
		t.Error(err)
	}
	blocked(true) // another's number was lifted
	if err := w.App.LiftMyPromptBlock(testworld.As(t.Context(), owner)); err != nil {
		t.Error(err)
	}
	w.Advance(24 * time.Hour)
	blocked(false)
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'prompts.unblocked'"); n != 2 {
		t.Errorf("%d audit rows", n)
	}
}

// TestPromptBlockOutlivesItsKey rotates the key under which a number's index was made.
func TestPromptBlockOutlivesItsKey(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	owner, other := w.Person(1, 0), w.Person(1, 0)
	send := func() error {
		_, err := w.App.CreateTopup(testworld.As(t.Context(), other),
			app.TopupInput{Key: key(), WalletID: other.WalletID, Amount: testworld.KES(10), Phone: owner.Phone})
		return err
	}
	for range 2 {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	rotated, err := seal.New(bytes.Repeat([]byte{8}, seal.KeySize), bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	old := w.Sealer
	w.Rebuild(func(d *app.Deps) { d.Sealer = rotated })
	if err := send(); err != nil {
		t.Fatal(err)
	}
	if err := send(); !errors.Is(err, domain.ErrPromptLimit) {
		t.Errorf("the fourth: %v", err)
	}
	if n := w.Count("SELECT count(*) FROM prompted_phones"); n != 1 {
		t.Errorf("%d rows", n)
	}
	// An hour later a replica that has not restarted counts under the old key, and then one of each: both count.
	w.Advance(time.Hour)
	for i, s := range []*seal.Sealer{rotated, old, rotated, rotated} {
		w.Rebuild(func(d *app.Deps) { d.Sealer = s })
		if err := send(); errors.Is(err, domain.ErrPromptLimit) != (i == 3) {
			t.Errorf("prompt %d: %v", i, err)
		}
	}
}

// TestPromptsWithoutOwnNumber: where user does not tell a customer's number, each counts as another's.
func TestPromptsWithoutOwnNumber(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	w.Users.Withhold()
	for i := range 4 {
		_, err := w.App.CreateTopup(testworld.As(t.Context(), p),
			app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(10), Phone: p.Phone})
		if errors.Is(err, domain.ErrPromptLimit) != (i == 3) {
			t.Errorf("prompt %d: %v", i, err)
		}
	}
}

func TestPromptRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	w.Mpesa.AnswerPush("busy")
	got := topup(t, w, p, 100)
	if got.Status != domain.TopupFailed || got.FailureCode != "try_later" {
		t.Errorf("top-up is %+v", got)
	}
	if w.Count("SELECT sum(amount_minor) FROM limit_usage") != 0 || len(w.PublishedOf("wallet.topup_failed")) != 1 {
		t.Error("the limit is not freed, or nobody was told")
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.query_stk'"); n != 0 {
		t.Errorf("%d query jobs", n)
	}
}

// TestPhoneOfTheCustomer covers a top-up that names no phone: user tells it, later if it is down, and the top-up fails where it may not.
func TestPhoneOfTheCustomer(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made, err := w.App.CreateTopup(testworld.As(t.Context(), p), app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(100)})
	if err != nil {
		t.Fatal(err)
	}
	w.Users.Down(true)
	if err := w.App.RequestStk(t.Context(), made.ID); err == nil || len(w.Mpesa.Pushes()) != 0 {
		t.Errorf("with user down: %v, %d prompts", err, len(w.Mpesa.Pushes()))
	}
	w.Users.Down(false)
	if err := w.App.RequestStk(t.Context(), made.ID); err != nil || "+"+w.Mpesa.Pushes()[0]["PhoneNumber"] != p.Phone {
		t.Errorf("prompts %v, %v", w.Mpesa.Pushes(), err)
	}
	w.Users.TakeNumber(p.UserID)
	if got := topup(t, w, p, 100); got.Status != domain.TopupFailed || got.FailureCode != "phone_required" || len(w.Mpesa.Pushes()) != 1 {
		t.Errorf("top-up of a customer without a number is %+v", got)
	}
	if err := w.App.LiftMyPromptBlock(testworld.As(t.Context(), p)); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("lift without a number: %v", err)
	}
	w.Text("UPDATE customers SET number = 'none' WHERE user_id = $1 RETURNING number", p.UserID) // as soon as user's event has come
	in := app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(100)}
	if _, err := w.App.CreateTopup(testworld.As(t.Context(), p), in); !errors.Is(err, domain.ErrNoNumber) {
		t.Errorf("top-up of a customer who is known to have no number: %v", err)
	}
	in.Phone = p.Phone
	if _, err := w.App.CreateTopup(testworld.As(t.Context(), p), in); err != nil {
		t.Errorf("top-up from a number that is named: %v", err)
	}
	w.Text("UPDATE customers SET number = 'held' WHERE user_id = $1 RETURNING number", p.UserID)
	w.Users.Withhold()
	if got := topup(t, w, p, 100); got.Status != domain.TopupFailed || got.FailureCode != "phone_required" || len(w.Mpesa.Pushes()) != 1 {
		t.Errorf("top-up is %+v", got)
	}
}

// TestPromptIsNeverSentTwice covers the lost answer and the death between request and answer: in neither case a second prompt goes out.
func TestPromptIsNeverSentTwice(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	w.Mpesa.AnswerPush("lose")
	lost := topup(t, w, p, 100)
	if lost.Status != domain.TopupUnknown {
		t.Fatalf("top-up is %+v", lost)
	}
	if err := w.App.RequestStk(t.Context(), lost.ID); err != nil || len(w.Mpesa.Pushes()) != 1 {
		t.Fatalf("%d prompts, %v", len(w.Mpesa.Pushes()), err)
	}
	// The callback is attributed by its path; a query confirms it, as there is no id of our own to compare.
	w.Mpesa.AnswerQuery("")
	if v := callback(t, w, lost.ID, testworld.StkSuccess("ws_CO_1", "R1", 100)); v != "" {
		t.Errorf("judged without confirmation: %s", v)
	}
	w.Mpesa.AnswerQuery("0")
	if v := judgeLast(t, w); v != "applied" {
		t.Errorf("verdict %s", v)
	}
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 10000 {
		t.Error("not credited")
	}

	w.Mpesa.AnswerPush("")
	dead, err := w.App.CreateTopup(testworld.As(t.Context(), p), app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(50)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Pool.Exec(t.Context(), "UPDATE topups SET status = 'requested' WHERE id = $1", dead.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.App.RequestStk(t.Context(), dead.ID); err != nil {
		t.Fatal(err)
	}
	if got := read(t, w, p, dead.ID); got.Status != domain.TopupUnknown || len(w.Mpesa.Pushes()) != 1 {
		t.Errorf("%d prompts, top-up %+v", len(w.Mpesa.Pushes()), got)
	}
	// A forged success for it: Safaricom refutes it.
	w.Mpesa.AnswerQuery("1032")
	if v := callback(t, w, dead.ID, testworld.StkSuccess("ws_CO_forged", "R9", 50)); v != "refuted" {
		t.Errorf("verdict %s", v)
	}
}

func TestForgedCallbacks(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made, other := topup(t, w, p, 100), topup(t, w, p, 100)
	body := testworld.StkSuccess(made.CheckoutRequestID, "R1", 100)
	for _, bad := range []string{"", "short", token(t, w, "stk", other.ID.String()), token(t, w, "c2b", made.ID.String())} {
		if err := w.App.ReceiveStkCallback(t.Context(), bad, made.ID, body); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("token %q: %v", bad, err)
		}
	}
	if err := w.App.ReceiveC2bConfirmation(t.Context(), "wrong", testworld.C2b("R1", made.AccountReference, 100)); !errors.Is(err,
		fault.ErrNotFound) {
		t.Errorf("c2b: %v", err)
	}
	if n := w.Count("SELECT count(*) FROM callbacks"); n != 0 {
		t.Fatalf("%d stored", n)
	}
	stored, err := w.App.CreateTopup(testworld.As(t.Context(), p), app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(7)})
	if err != nil {
		t.Fatal(err)
	}
	for want, v := range map[string]string{
		"checkout_mismatch": callback(t, w, made.ID, testworld.StkSuccess("ws_CO_other", "R1", 100)),
		"amount_mismatch":   callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, "R2", 1000)),
		"unreadable":        callback(t, w, made.ID, []byte(`{"Body":{}}`)),
		"not_requested":     callback(t, w, stored.ID, testworld.StkSuccess("ws_CO_x", "R3", 7)),
		"unknown_topup":     callback(t, w, uuid.New(), testworld.StkSuccess("ws_CO_y", "R4", 7)),
		"other_short_code": c2b(t, w,
			[]byte(strings.Replace(string(testworld.C2b("R5", made.AccountReference, 100)), testworld.ShortCode, "600000", 1))),
		"conflict": c2b(t, w, testworld.C2b("R2", made.AccountReference, 1000)), // wrong in the same way as its callback
	} {
		if v != want {
			t.Errorf("verdict %s, want %s", v, want)
		}
	}
	settle(t, w)
	if w.Ledger.Posts() != 0 {
		t.Error("a forged message moved money")
	}
	// The right confirmation of the receipt that its callback told wrongly.
	if v := c2b(t, w, testworld.C2b("R2", made.AccountReference, 100)); v != "applied" {
		t.Errorf("verdict %s", v)
	}
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 10000 {
		t.Error("the true payment is not credited")
	}
}

// TestContradictingConfirmation is a paybill message with another amount for a prompt that is still open: nothing is credited on it.
func TestContradictingConfirmation(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 100)
	if v := c2b(t, w, testworld.C2b("R1", made.AccountReference, 1000)); v != "" {
		t.Errorf("judged too early: %s", v)
	}
	w.Mpesa.AnswerQuery("0")
	w.Advance(20 * time.Second)
	if _, err := w.App.QueryStk(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	if v := judgeLast(t, w); v != "unverified" {
		t.Errorf("verdict %s", v)
	}
	verify(t, w)
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 10000 {
		t.Errorf("wallet has %d", w.Ledger.Balance(p.WalletID.String()))
	}
	// If Safaricom's books have it so, it was another payment under the same reference.
	w.Mpesa.Book("R1", made.AccountReference, 1000)
	w.Advance(time.Minute)
	verify(t, w)
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 110000 {
		t.Errorf("wallet has %d", w.Ledger.Balance(p.WalletID.String()))
	}
	// After a failed prompt the payer has simply used the reference by hand.
	failed := topup(t, w, p, 100)
	if v := callback(t, w, failed.ID, testworld.StkFailure(failed.CheckoutRequestID, "1032")); v != "applied" {
		t.Errorf("verdict %s", v)
	}
	if v := c2b(t, w, testworld.C2b("R2", failed.AccountReference, 30)); v != "deposit" {
		t.Errorf("verdict %s", v)
	}
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 113000 {
		t.Errorf("wallet has %d", w.Ledger.Balance(p.WalletID.String()))
	}
}

func TestQueryStk(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		code    string
		wait    time.Duration
		status  domain.TopupStatus
		failure string
		again   time.Duration
	}{
		"paid":             {"0", 20 * time.Second, domain.TopupPaid, "", 0},
		"cancelled":        {"1032", 20 * time.Second, domain.TopupFailed, "cancelled_by_customer", 0},
		"no_pin":           {"1037", 20 * time.Second, domain.TopupFailed, "no_answer", 0},
		"under_way":        {"4999", 20 * time.Second, domain.TopupPrompted, "", 10 * time.Second},
		"no_answer":        {"", 20 * time.Second, domain.TopupPrompted, "", 10 * time.Second},
		"unheard_of":       {"777", 20 * time.Second, domain.TopupPrompted, "", 10 * time.Second},
		"end_of_window":    {"4999", 3 * time.Minute, domain.TopupExpired, "no_answer", time.Minute},
		"end_unanswered":   {"", 3 * time.Minute, domain.TopupUnknown, "", time.Minute},
		"a_day_unanswered": {"", 25 * time.Hour, domain.TopupExpired, "no_answer", 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			p := w.Person(1, 0)
			made := topup(t, w, p, 100)
			w.Mpesa.AnswerQuery(c.code)
			w.Advance(c.wait)
			again, err := w.App.QueryStk(t.Context(), made.ID)
			got := read(t, w, p, made.ID)
			if err != nil || got.Status != c.status || got.FailureCode != c.failure || again != c.again {
				t.Errorf("got %s %q, again in %s, %v", got.Status, got.FailureCode, again, err)
			}
			freed := c.status == domain.TopupFailed || c.status == domain.TopupExpired
			if used := w.Count("SELECT amount_minor FROM limit_usage WHERE span = 'day'"); (used == 0) != freed {
				t.Errorf("%d used", used)
			}
		})
	}
}

// TestLateSuccessIsBookedPastTheEdge pays a top-up that was declared failed after its limit went to others.
func TestLateSuccessIsBookedPastTheEdge(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(2, 0)
	made := topup(t, w, p, 250000)
	if v := callback(t, w, made.ID, testworld.StkFailure(made.CheckoutRequestID, "1037")); v != "applied" {
		t.Fatalf("verdict %s", v)
	}
	for range 2 {
		topup(t, w, p, 250000)
	}
	if v := callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, "R1", 250000)); v != "applied" {
		t.Fatalf("verdict %s", v)
	}
	settle(t, w)
	if got := w.Count("SELECT amount_minor FROM limit_usage WHERE span = 'day'"); got != 75000000 {
		t.Errorf("%d used", got)
	}
	if w.Ledger.Balance(p.WalletID.String()) != 25000000 {
		t.Error("not credited")
	}
}

func TestDeposits(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	account := w.Text("SELECT deposit_account FROM wallets WHERE id = $1", p.WalletID)
	made := topup(t, w, p, 100)
	for _, c := range []struct{ receipt, account, want string }{
		{"R1", account, "deposit"}, {"R2", " " + strings.ToLower(account[:4]) + " " + account[4:], "deposit"}, {"R3", "nobody", "suspense"},
		{"R4", made.AccountReference, "applied"}, {"R5", made.AccountReference, "deposit"},
	} {
		if v := c2b(t, w, testworld.C2b(c.receipt, c.account, 100)); v != c.want {
			t.Errorf("%s: verdict %s, want %s", c.receipt, v, c.want)
		}
	}
	// The top-up's own callback: somebody has paid under its reference before, so its receipt is a claim until the confirmation comes.
	if v := callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, "R6", 100)); v != "unverified" {
		t.Errorf("verdict %s", v)
	}
	if v := c2b(t, w, testworld.C2b("R6", made.AccountReference, 100)); v != "deposit" {
		t.Errorf("verdict %s", v)
	}
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 50000 || w.Ledger.Balance("suspense.KES") != 10000 {
		t.Errorf("wallet %d, suspense %d", w.Ledger.Balance(p.WalletID.String()), w.Ledger.Balance("suspense.KES"))
	}
	refs := w.Ledger.References()
	for _, want := range []string{"c2b:R1", "c2b:R2", "c2b:R5", "c2b:R6", made.ID.String() + ":credit",
		w.Text("SELECT id FROM deposits WHERE receipt = 'R3'") + ":suspense"} {
		if refs[want] != "posted" {
			t.Errorf("no posting %s", want)
		}
	}
	if e := w.PublishedOf("wallet.deposit_received"); len(e) != 4 {
		t.Errorf("%d events", len(e))
	}
	for account, want := range map[string]string{account: "0", made.AccountReference: "0", "nobody": "C2B00012"} {
		v, err := w.App.ValidateC2b(t.Context(), token(t, w, "c2b", testworld.ShortCode), testworld.C2b("R7", account, 100))
		if err != nil || v.Code != want {
			t.Errorf("validation of %s: %v, %v", account, v, err)
		}
	}
}

// TestClosedAccountGoesToSuspense proves that money for a wallet that cannot take it is booked, under its own reference, and no other.
func TestClosedAccountGoesToSuspense(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 100)
	callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, "R1", 100))
	w.Ledger.Refuse("account_closed")
	if _, err := w.App.CreditTopup(t.Context(), made.ID); err == nil {
		t.Error("the refused suspense posting must be repeated")
	}
	w.Ledger.Refuse("")
	other := topup(t, w, p, 200)
	callback(t, w, other.ID, testworld.StkSuccess(other.CheckoutRequestID, "R2", 200))
	w.Ledger.RefuseFor(other.ID.String()+":credit", "account_closed")
	if _, err := w.App.CreditTopup(t.Context(), other.ID); err != nil {
		t.Fatal(err)
	}
	if got := read(t, w, p, other.ID); got.Credit != domain.CreditSuspense || w.Ledger.Balance("suspense.KES") != 20000 {
		t.Errorf("top-up is %+v", got)
	}
	later := topup(t, w, p, 300) // refused for now: the job asks again
	callback(t, w, later.ID, testworld.StkSuccess(later.CheckoutRequestID, "R3", 300))
	w.Ledger.RefuseFor(later.ID.String()+":credit", "batch_refused")
	if _, err := w.App.CreditTopup(t.Context(), later.ID); err == nil {
		t.Error("a refusal that may end otherwise must be repeated")
	}
	if got := read(t, w, p, later.ID); got.Credit != domain.CreditDue || w.Ledger.Balance("suspense.KES") != 20000 {
		t.Errorf("top-up is %+v", got)
	}
	if e := w.PublishedOf("wallet.topup_succeeded"); len(e) != 0 {
		t.Errorf("events: %v", e)
	}
}

// TestOnePaymentIsCreditedOnce plays callback, confirmation and query of one payment, with repeats and a failure told before, in random
// orders and all at once; whatever comes first, the wallet gets the money once.
func TestOnePaymentIsCreditedOnce(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for round := range 30 {
		p := w.Person(2, 0)
		made := topup(t, w, p, 100)
		receipt := fmt.Sprintf("UKN%07d", round)
		w.Mpesa.AnswerQuery("0")
		success, failure := testworld.StkSuccess(made.CheckoutRequestID, receipt, 100), testworld.StkFailure(made.CheckoutRequestID, "1037")
		steps := map[string]func(){
			"callback": func() { post(t, w, made.ID, success) },
			"again":    func() { post(t, w, made.ID, append(success, ' ')) },
			"c2b":      func() { postC2b(t, w, testworld.C2b(receipt, made.AccountReference, 100)) },
			"c2b_more": func() { postC2b(t, w, append(testworld.C2b(receipt, made.AccountReference, 100), '\n')) },
			"query": func() {
				if _, err := w.App.QueryStk(t.Context(), made.ID); err != nil {
					t.Errorf("query: %v", err)
				}
			},
			"failure": func() { post(t, w, made.ID, failure) },
		}
		var order []string
		for name := range steps {
			if name == "callback" || rng.IntN(3) > 0 { // some are lost; one success always arrives
				order = append(order, name)
			}
		}
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if round%2 == 0 {
			together(len(order), func(i int) { steps[order[i]]() })
		} else {
			for _, name := range order {
				steps[name]()
			}
		}
		together(3, func(int) {
			if _, err := w.App.CreditTopup(t.Context(), made.ID); err != nil {
				t.Errorf("credit: %v", err)
			}
		})
		got := read(t, w, p, made.ID)
		if balance := w.Ledger.Balance(p.WalletID.String()); balance != 10000 || got.Credit != domain.CreditWallet || got.Receipt != receipt {
			t.Fatalf("%v: balance %d, top-up %+v", order, balance, got)
		}
		if n := w.Count("SELECT count(*) FROM deposits"); n != 0 {
			t.Fatalf("%v: %d deposits", order, n)
		}
		if n := len(w.PublishedOf("wallet.topup_succeeded")); n != round+1 {
			t.Fatalf("%v: told %d times after %d top-ups", order, n, round+1)
		}
	}
}

// TestReceiptCreditedElsewhere is a payment whose confirmation named no known account, so that it lies in suspense; its callback and a
// query must not credit the same money again.
func TestReceiptCreditedElsewhere(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	made := topup(t, w, p, 100)
	if v := c2b(t, w, testworld.C2b("R1", "garbled", 100)); v != "suspense" {
		t.Fatalf("verdict %s", v)
	}
	if v := callback(t, w, made.ID, testworld.StkSuccess(made.CheckoutRequestID, "R1", 100)); v != "conflict" {
		t.Errorf("verdict %s", v)
	}
	w.Mpesa.AnswerQuery("0")
	w.Advance(20 * time.Second)
	if _, err := w.App.QueryStk(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	settle(t, w)
	if w.Ledger.Balance(p.WalletID.String()) != 0 || w.Ledger.Balance("rail.mpesa.paybill.KES") != -10000 {
		t.Errorf("wallet %d, rail %d", w.Ledger.Balance(p.WalletID.String()), w.Ledger.Balance("rail.mpesa.paybill.KES"))
	}
}

// post stores a callback and judges all that are open.
func post(t *testing.T, w *testworld.World, id uuid.UUID, body []byte) {
	if err := w.App.ReceiveStkCallback(testworld.Known(t.Context()), w.Sealer.Token("stk", id.String()), id, body); err != nil {
		t.Errorf("callback: %v", err)
	}
	judgeOpen(t, w)
}

func postC2b(t *testing.T, w *testworld.World, body []byte) {
	if err := w.App.ReceiveC2bConfirmation(testworld.Known(t.Context()), w.Sealer.Token("c2b", testworld.ShortCode), body); err != nil {
		t.Errorf("c2b: %v", err)
	}
	judgeOpen(t, w)
}

func judgeOpen(t *testing.T, w *testworld.World) {
	rows, err := w.DB.Pool.Query(t.Context(), "SELECT id FROM callbacks WHERE judged_at IS NULL")
	if err != nil {
		t.Error(err)
		return
	}
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Error(err)
		}
		ids = append(ids, id)
	}
	rows.Close()
	for _, id := range ids {
		if _, err := w.App.JudgeCallback(t.Context(), id); err != nil {
			t.Errorf("judge: %v", err)
		}
	}
}
