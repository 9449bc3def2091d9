package app_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// bank is a test of withdrawals to a bank: what the sandbox's statement says is the truth.
type bank struct {
	*testworld.World

	t       *testing.T
	p       testworld.Person
	account domain.BankAccount
}

func newBank(t *testing.T) *bank {
	t.Helper()
	b := &bank{World: testworld.New(t), t: t}
	b.p = b.Person(5000)
	b.account = b.Linked(b.p)
	return b
}

func (b *bank) script(s control.PaystackScript) {
	b.t.Helper()
	s.Webhook = "lose" // events are delivered by hand
	s.DelayMS = control.Int(0)
	b.must(b.Bank.SetPaystackScript(b.t.Context(), s))
}

func (b *bank) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// sent pays a withdrawal of KES 1,000 out, and waits for what Paystack makes of it; "" is nothing.
func (b *bank) sent(status string) domain.Withdrawal {
	b.t.Helper()
	w := b.StoredToBank(b.p, b.account.ID, 1000)
	b.must(b.App.Pay(b.t.Context(), w.ID))
	b.reaches(w.ID, status)
	return b.Read(b.p, w.ID)
}

func (b *bank) reaches(id uuid.UUID, status string) {
	b.t.Helper()
	if status != "" {
		_, err := b.Bank.WaitPaystackPayout(b.t.Context(), id.String(), status)
		b.must(err)
	}
}

// asked asks once, and settles.
func (b *bank) asked(id uuid.UUID) domain.Withdrawal {
	b.t.Helper()
	for {
		wait, err := b.App.Question(b.t.Context(), id)
		b.must(err)
		if wait == 0 {
			break
		}
		b.Advance(wait)
	}
	b.Settle(id)
	return b.Read(b.p, id)
}

// until follows the schedule until the withdrawal has a state.
func (b *bank) until(id uuid.UUID, s domain.Status) domain.Withdrawal {
	b.t.Helper()
	for range 40 {
		if b.Read(b.p, id).Status == s {
			b.Settle(id)
			return b.Read(b.p, id)
		}
		wait, err := b.App.Ask(b.t.Context(), id)
		b.must(err)
		b.Advance(wait)
	}
	b.t.Fatalf("it is %s, not %s", b.Read(b.p, id).Status, s)
	return domain.Withdrawal{}
}

// books are what the accounts hold in shillings: free, held, rail, fees and duty, in doubt.
func (b *bank) books() string {
	free, held := balance(b.World, b.p)
	return fmt.Sprint(free, " ", held, " ", b.Ledger.Balance("rail.paystack.balance.KES")/100, " ",
		(b.Ledger.Balance(fees)+b.Ledger.Balance(excise))/100, " ", b.Ledger.Balance("rail.paystack.in_doubt.KES")/100)
}

// left is how many transfers have left Paystack for good.
func (b *bank) left() (n int) {
	b.t.Helper()
	s, err := b.Bank.PaystackStatement(b.t.Context())
	b.must(err)
	for _, line := range s.Data {
		switch line.Kind {
		case "transfer":
			n++
		case "transfer_failed", "transfer_reversed":
			n--
		}
	}
	return n
}

const (
	wasPaid  = "3977 0 1000 23 0"
	isBack   = "5000 0 0 0 0"
	isHeld   = "3977 1023 0 0 0"
	inDoubt  = "3977 0 0 0 1023"
	onceGone = 1
)

// TestBankWithdrawalPaid is the way of most: the event is a hint, the answer decides, and it is told when it is booked.
func TestBankWithdrawalPaid(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.script(control.PaystackScript{})
	w := b.sent("success")
	if w.Status != domain.Accepted || w.Rail != domain.RailPaystack || w.Account.Number != hers || w.Name != "AMINA WANJIKU" ||
		b.books() != isHeld {
		t.Fatalf("%+v, %s", w, b.books())
	}
	event := fmt.Appendf(nil, `{"event":"transfer.success","data":{"id":1,"domain":"test","status":"success","reference":%q,"amount":100000,
		"currency":"KES","transfer_code":"TRF_x"}}`, w.ID)
	for range 2 {
		b.must(b.App.ReceivePaystackEvent(t.Context(), paystack.Sign(testworld.PaystackKey, event), event))
	}
	wait, err := b.App.Hear(t.Context(), uuid.MustParse(b.Text("SELECT id::text FROM paystack_events")))
	if err != nil || wait != 0 || b.Text("SELECT verdict FROM paystack_events") != "hint" || b.Read(b.p, w.ID).Status != domain.Accepted {
		t.Errorf("heard: %v %v", wait, err)
	}
	w = b.asked(w.ID)
	told := b.PublishedOf("banking.withdrawal_paid")
	if w.Status != domain.Paid || b.books() != wasPaid || b.Wallet.Limit(w.ID) != "committed" || len(told) != 1 ||
		told[0]["rail"] != "paystack" {
		t.Errorf("%+v, %s, told %v", w, b.books(), told)
	}
	if again := b.asked(w.ID); again.Seq != w.Seq || b.left() != onceGone {
		t.Errorf("%+v, %d left", again, b.left())
	}
	const looks = "SELECT count(*) FROM river_job WHERE kind = 'banking.question' AND scheduled_at IN ($1, $2)"
	paidAt := w.UpdatedAt
	if n := b.Count(looks, paidAt.Add(24*time.Hour), paidAt.Add(72*time.Hour)); n != 2 {
		t.Errorf("%d looks for a reversal are to come", n)
	}
}

// TestBankWithdrawalEnds: each status of Paystack leads where it must, from a transfer that it had taken.
func TestBankWithdrawalEnds(t *testing.T) {
	t.Parallel()
	for script, c := range map[string]struct {
		status string // at Paystack
		want   domain.Status
		books  string
		left   int
	}{
		"success":  {"success", domain.Paid, wasPaid, 1},
		"failed":   {"failed", domain.Failed, isBack, 0},
		"blocked":  {"blocked", domain.Failed, isBack, 0},
		"rejected": {"rejected", domain.Failed, isBack, 0},
		"reversed": {"reversed", domain.Failed, isBack, 0}, // before anybody asked
		"pending":  {"pending", domain.Accepted, isHeld, 1},
		"received": {"received", domain.Accepted, isHeld, 1},
		"otp":      {"otp", domain.Accepted, isHeld, 0},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			b := newBank(t)
			b.script(control.PaystackScript{Transfer: script})
			w := b.asked(b.sent(c.status).ID)
			if w.Status != c.want || b.books() != c.books || b.left() != c.left {
				t.Errorf("%s, books %s, %d left", w.Status, b.books(), b.left())
			}
			if !w.Status.Open() {
				return
			}
			if w = b.until(w.ID, domain.InDoubt); b.books() != inDoubt {
				t.Errorf("%s: %s", w.Status, b.books())
			}
		})
	}
}

// TestBankWithdrawalReversed: what was paid and comes back is the customer's again, by a row that says why, and once.
func TestBankWithdrawalReversed(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.script(control.PaystackScript{Transfer: "reversed"})
	b.must(b.Bank.SetPaystackScript(t.Context(), control.PaystackScript{Transfer: "reversed", Webhook: "lose", DelayMS: control.Int(400)}))
	w := b.sent("success")
	if w = b.asked(w.ID); w.Status != domain.Paid || b.books() != wasPaid {
		t.Fatalf("%+v, %s", w, b.books())
	}
	b.reaches(w.ID, "reversed")
	b.Advance(time.Minute)
	w = b.asked(w.ID)
	if w.Status != domain.Reversed || w.FailureCode != "reversed_by_rail" || b.books() != isBack ||
		len(b.PublishedOf("banking.withdrawal_reversed")) != 1 || b.left() != 0 {
		t.Errorf("%+v, %s", w, b.books())
	}
	b.Advance(time.Minute)
	if again := b.asked(w.ID); again.Seq != w.Seq {
		t.Errorf("twice: %+v", again)
	}
}

// TestBankWithdrawalLost: whatever becomes of the answer, one transfer leaves, under one reference.
func TestBankWithdrawalLost(t *testing.T) {
	t.Parallel()
	for answer, moved := range map[string]int{"lose": 1, "error": 1, "error_before": 0, "down": 0, "throttled": 0} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			b := newBank(t)
			b.script(control.PaystackScript{})
			w := b.StoredToBank(b.p, b.account.ID, 1000)
			b.script(control.PaystackScript{Transfer: "pending"})
			b.must(b.Bank.SetPaystackReferenceScript(t.Context(), w.ID.String(), control.PaystackScript{Answer: answer, Webhook: "lose"}))
			b.must(b.App.Pay(t.Context(), w.ID))
			if w = b.Read(b.p, w.ID); w.Status != domain.Unknown || b.left() != moved {
				t.Fatalf("%+v, %d left", w, b.left())
			}
			b.must(b.Bank.SetPaystackReferenceScript(t.Context(), w.ID.String(), control.PaystackScript{Transfer: "success", Webhook: "lose"}))
			b.Advance(45 * time.Second)
			_, err := b.App.Ask(t.Context(), w.ID)
			b.must(err)
			if w = b.Read(b.p, w.ID); w.Status != domain.Accepted || b.left() != onceGone {
				t.Errorf("%+v, %d left", w, b.left())
			}
		})
	}
}

// TestBankWithdrawalNeverArrived: that Paystack has no such transfer is believed when none can be under way any more, and it has said so
// twice.
func TestBankWithdrawalNeverArrived(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.script(control.PaystackScript{})
	w := b.StoredToBank(b.p, b.account.ID, 1000)
	b.must(b.Bank.SetPaystackReferenceScript(t.Context(), w.ID.String(), control.PaystackScript{Answer: "error_before"}))
	b.must(b.App.Pay(t.Context(), w.ID))
	began := b.Now()
	w = b.until(w.ID, domain.InDoubt)
	if b.books() != inDoubt {
		t.Errorf("%+v: %s", w, b.books())
	}
	for range 5 { // however often it says so before
		if w = b.asked(w.ID); w.Status != domain.InDoubt {
			t.Fatalf("%+v after %v", w, b.Now().Sub(began))
		}
		b.Advance(time.Minute)
	}
	b.Advance(domain.ResendUntil - b.Now().Sub(began))
	if w = b.asked(w.ID); w.Status != domain.InDoubt {
		t.Errorf("said once: %+v", w)
	}
	b.Advance(time.Minute)
	w = b.asked(w.ID)
	if w.Status != domain.Returned || w.FailureCode != "rail_never_had_it" || b.books() != isBack || b.left() != 0 {
		t.Errorf("%+v: %s", w, b.books())
	}
}

// TestBankWithdrawalRefused: what Paystack will not take is failed, and the money is free again.
func TestBankWithdrawalRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(b *bank, id uuid.UUID)
		reason  string
	}{
		"no balance": {func(b *bank, _ uuid.UUID) { b.must(b.Bank.SetPaystackBalance(b.t.Context(), "KES", 1000_00)) }, "bank_busy"},
		"another owner": {func(b *bank, _ uuid.UUID) {
			b.rename("BRIAN OTIENO")
		}, "bank_account_changed"},
		"Paystack away": {func(b *bank, _ uuid.UUID) { b.PaystackDown(true) }, "bank_busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBank(t)
			b.script(control.PaystackScript{})
			w := b.StoredToBank(b.p, b.account.ID, 1000)
			c.arrange(b, w.ID)
			for range 3 {
				_ = b.App.Pay(t.Context(), w.ID)
				b.Advance(time.Minute)
			}
			b.Settle(w.ID)
			if w = b.Read(b.p, w.ID); w.Status != domain.Failed || w.FailureCode != c.reason || b.books() != isBack || b.left() != 0 {
				t.Errorf("%+v: %s", w, b.books())
			}
		})
	}
}

// rename makes the bank tell another owner than when the account was linked.
func (b *bank) rename(was string) {
	sealed, err := b.Sealer.Seal("banking.account_name:"+b.account.ID.String(), []byte(was))
	b.must(err)
	_, err = b.Connect(b.DB.OwnerURL).Exec(b.t.Context(), "UPDATE bank_accounts SET name_sealed = $1 WHERE id = $2", sealed, b.account.ID)
	b.must(err)
}

// TestBankQuoteRefused: each thing that stands against paying to an account has its name.
func TestBankQuoteRefused(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.script(control.PaystackScript{})
	quote := func(p testworld.Person, id uuid.UUID, minor int64, phone string) error {
		m := testworld.KES(1)
		m.Amount = minor
		_, err := b.App.CreateWithdrawalQuote(b.As(p), app.QuoteInput{WalletID: p.WalletID, Amount: m, Account: &id, Phone: phone})
		return err
	}
	want := func(what string, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	id := b.account.ID
	want("the least", quote(b.p, id, 100_00, ""), nil)
	want("the most, with cents", quote(b.p, id, 999_999_00, ""), nil)
	want("cents", quote(b.p, id, 100_01, ""), nil)
	want("too little", quote(b.p, id, 99_99, ""), domain.ErrBankAmount)
	want("too much", quote(b.p, id, 999_999_01, ""), domain.ErrBankAmount)
	want("a phone as well", quote(b.p, id, 100_00, testworld.Own), fault.ErrInvalid)
	want("none", quote(b.p, uuid.New(), 100_00, ""), fault.ErrNotFound)
	want("another's", quote(b.Person(1000), id, 100_00, ""), fault.ErrNotFound)
	held := app.BankAccountInput{ID: uuid.New(), BankCode: equity, Number: anothers}
	_, err := link(b.World, b.As(b.p), held)
	b.must(err)
	b.Advance(24*time.Hour - time.Second)
	want("too new", quote(b.p, held.ID, 100_00, ""), domain.ErrBankAccountHeld)
	b.Advance(time.Second)
	want("a day later", quote(b.p, held.ID, 100_00, ""), nil)
	q, err := b.App.CreateWithdrawalQuote(b.As(b.p), app.QuoteInput{WalletID: b.p.WalletID, Amount: testworld.KES(100), Account: &id})
	b.must(err)
	b.Users.Changed(b.Now().Add(-time.Hour))
	want("new credentials", quote(b.p, id, 100_00, ""), domain.ErrCooling)
	create := func() error {
		_, err := b.App.CreateWithdrawal(b.Approve(b.As(b.p), q.ID), app.WithdrawalInput{Key: uuid.NewString(), QuoteID: q.ID})
		return err
	}
	want("new credentials since the quote", create(), domain.ErrCooling)
	b.Users.Changed(b.Now().Add(-24 * time.Hour))
	b.rename("BRIAN OTIENO")
	want("another owner", quote(b.p, id, 100_00, ""), domain.ErrBankAccountChanged)
	b.must(b.App.DeleteBankAccount(b.As(b.p), id))
	want("removed since the quote", create(), fault.ErrNotFound)
}

// TestTransferEvents: an event is never believed, waits for our own row, and calls a person when it is not about what was ordered.
func TestTransferEvents(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.script(control.PaystackScript{Transfer: "pending"})
	stored := b.StoredToBank(b.p, b.account.ID, 1000)
	w := b.sent("pending")
	mpesa := b.Sent(b.Person(5000), 1000)
	for name, c := range map[string]struct {
		reference, mode string
		minor           int64
		verdict         string
	}{
		"paid": {w.ID.String(), "test", 1000_00, "hint"}, "another amount": {w.ID.String(), "test", 10_000_00, "amount"},
		"the other mode": {w.ID.String(), "live", 1000_00, "domain"}, "not sent yet": {stored.ID.String(), "test", 1000_00, ""},
		"M-Pesa's": {mpesa.ID.String(), "test", 1000_00, ""}, "nobody's": {uuid.NewString(), "test", 1000_00, ""},
		"no id": {"a-reference-of-others", "test", 1000_00, ""},
	} {
		body := fmt.Appendf(nil, `{"event":"transfer.success","data":{"id":1,"domain":%q,"status":"success","reference":%q,"amount":%d,
			"currency":"KES","transfer_code":"TRF_%s"}}`, c.mode, c.reference, c.minor, name)
		b.must(b.App.ReceivePaystackEvent(t.Context(), paystack.Sign(testworld.PaystackKey, body), body))
		id := b.Text("SELECT id::text FROM paystack_events ORDER BY id DESC LIMIT 1")
		wait, err := b.App.Hear(t.Context(), uuid.MustParse(id))
		if got := b.Text("SELECT coalesce(verdict, '') FROM paystack_events WHERE id = $1::uuid", id); err != nil || got != c.verdict ||
			(wait > 0) != (c.verdict == "") {
			t.Errorf("%s: %s, %v, %v", name, got, wait, err)
		}
	}
	if now := b.asked(w.ID); now.Status != domain.Accepted || b.Read(b.p, stored.ID).Status != domain.Stored {
		t.Errorf("an event was believed: %+v", now)
	}
}

// TestAnswerOvertaken: an answer that was given before the withdrawal came to its end says nothing about what came after it.
func TestAnswerOvertaken(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	b.script(control.PaystackScript{})
	w := b.sent("success")
	release, answered := b.HoldPaystack()
	done := make(chan error, 1)
	go func() {
		_, err := b.App.Question(context.WithoutCancel(t.Context()), w.ID)
		done <- err
	}()
	<-answered // it says success
	b.Exec(`WITH t AS (INSERT INTO withdrawal_transitions (withdrawal_id, seq, from_status, to_status, evidence, at, ledger_step, limit_step)
		SELECT id, seq + 1, status, 'failed', 'status', now(), 'release', 'release' FROM withdrawals WHERE id = $1)
		UPDATE withdrawals SET status = 'failed', seq = seq + 1, failure_code = 'bank_refused' WHERE id = $1`, w.ID)
	release()
	b.must(<-done)
	if now := b.Read(b.p, w.ID); now.Status != domain.Failed {
		t.Errorf("%+v", now)
	}
	b.Advance(time.Minute)
	if now := b.asked(w.ID); now.Status != domain.Paid { // asked afresh, it is
		t.Errorf("%+v", now)
	}
}
