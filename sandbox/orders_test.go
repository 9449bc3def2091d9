package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/sandbox/control"
)

const (
	resultPath  = "/v1/hooks/br/result"
	timeoutPath = "/v1/hooks/br/timeout"
)

// initiator is a client for orders; change may be nil.
func (b *bench) initiator(change func(*daraja.Config)) *daraja.Client {
	cfg := daraja.Config{BaseURL: b.url, ConsumerKey: DefaultConsumerKey, ConsumerSecret: DefaultConsumerSecret, Passkey: DefaultPasskey,
		ShortCode: DefaultB2CShortCode, Initiator: DefaultInitiator, InitiatorPassword: DefaultInitiatorPassword,
		Certificate: DefaultCertificate}
	if change != nil {
		change(&cfg)
	}
	return daraja.New(cfg)
}

// payments makes a bench for orders that are carried out at once.
func payments(t *testing.T, change func(*Config)) (*bench, *daraja.Client) {
	t.Helper()
	b := setup(t, func(c *Config) {
		c.ResultDelay = -1
		if change != nil {
			change(c)
		}
	})
	return b, b.initiator(nil)
}

func (b *bench) payout(id string, shillings int64) daraja.B2CRequest {
	return daraja.B2CRequest{OriginatorConversationID: id, Phone: phone, AmountMinor: shillings * 100, Remarks: "Withdrawal",
		ResultURL: b.hooks + resultPath, TimeoutURL: b.hooks + timeoutPath}
}

func (b *bench) nextResult(t *testing.T) daraja.Result {
	t.Helper()
	r := b.next(t)
	result, err := daraja.ParseResult(r.body)
	if err != nil || r.path != resultPath {
		t.Fatalf("%s: %v: %s", r.path, err, r.body)
	}
	return result
}

func (b *bench) paidOut(t *testing.T) daraja.B2CResult {
	t.Helper()
	result := b.nextResult(t)
	got, err := result.B2C()
	if err != nil {
		t.Fatalf("%+v: %v", result, err)
	}
	return got
}

// lines is a short code's statement without what it held at the start.
func (b *bench) lines(t *testing.T, code string) []control.Movement {
	t.Helper()
	s, err := b.control.OrganisationStatement(limit(t), code, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []control.Movement
	for _, m := range s.Data {
		if m.Kind != "opening" {
			out = append(out, m)
		}
	}
	return out
}

func (b *bench) books(t *testing.T, code string) control.Organisation {
	t.Helper()
	o, err := b.control.Organisation(limit(t), code)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestPayout(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 22, 30, 0, 0, time.UTC) // already the 21st in Nairobi
	b, m := payments(t, func(c *Config) { c.Now = func() time.Time { return now }; c.TokenLife = time.Hour })
	ack, err := m.PayB2C(limit(t), b.payout("w-1", 1500))
	if err != nil || ack.OriginatorConversationID != "w-1" || !strings.HasPrefix(ack.ConversationID, "AG_20261121_") {
		t.Fatalf("%+v, %v", ack, err)
	}
	r := b.next(t)
	if r.header.Get("Content-Type") != "application/json;charset=UTF-8" || r.path != resultPath || r.from != "127.0.0.2" {
		t.Errorf("%s from %s: %v", r.path, r.from, r.header)
	}
	result, err := daraja.ParseResult(r.body)
	if err != nil || result.ConversationID != ack.ConversationID || result.OriginatorConversationID != "w-1" {
		t.Fatalf("%+v, %v", result, err)
	}
	got, err := result.B2C()
	if err != nil || got.Outcome != daraja.Paid || got.AmountMinor != 1500_00 || got.ReceiverPhone != phone || !got.CompletedAt.Equal(now) ||
		*got.UtilityMinor != defaultFloatMinor-1500_00 || *got.WorkingMinor != defaultFloatMinor || *got.ChargesMinor != -5_00 {
		t.Errorf("%+v, %v", got, err)
	}
	want := control.Movement{Receipt: got.Receipt, Kind: "b2c", Account: "utility", AmountMinor: -1500_00, ChargeMinor: 5_00,
		BalanceMinor: defaultFloatMinor - 1500_00, Party: phone, Originator: "w-1", ConversationID: ack.ConversationID, At: now}
	if lines := b.lines(t, DefaultB2CShortCode); len(lines) != 1 || lines[0] != want {
		t.Errorf("statement %+v", lines)
	}
	if o := b.books(t, DefaultB2CShortCode); o.UtilityMinor != defaultFloatMinor-1500_00 || o.ChargesMinor != -5_00 || o.Movements != 3 {
		t.Errorf("%+v", o)
	}
	sms, err := b.control.WaitSMS(limit(t), phone, func(m control.Message) bool { return strings.HasPrefix(m.Text, got.Receipt+" Confirmed") })
	if err != nil || sms.From != "MPESA" || !strings.Contains(sms.Text, "received Ksh1500.00") || !strings.Contains(sms.Text, "Ksh101500.00") {
		t.Errorf("%+v, %v", sms, err)
	}
	if p, err := b.control.Phone(limit(t), phone); err != nil || p.BalanceMinor != 101_500_00 {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestCharges is both sides of each step of the tariff.
func TestCharges(t *testing.T) {
	t.Parallel()
	b, m := payments(t, nil)
	i := 0
	for _, c := range []struct{ shillings, charge int64 }{{10, 0}, {100, 0}, {101, 5}, {1_500, 5}, {1_501, 9}, {5_000, 9}, {5_001, 11},
		{20_000, 11}, {20_001, 13}, {250_000, 13}} {
		i++
		if _, err := m.PayB2C(limit(t), b.payout(fmt.Sprint("w-", i), c.shillings)); err != nil {
			t.Fatal(err)
		}
		if got := b.paidOut(t); got.Outcome != daraja.Paid {
			t.Fatalf("%d: %+v", c.shillings, got)
		}
		if lines := b.lines(t, DefaultB2CShortCode); lines[i-1].ChargeMinor != c.charge*100 {
			t.Errorf("%d costs %d", c.shillings, lines[i-1].ChargeMinor)
		}
		if err := b.control.SetBalance(limit(t), phone, 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPayoutsThatFail(t *testing.T) {
	t.Parallel()
	float := func(minor int64) func(*testing.T, *bench) {
		return func(t *testing.T, b *bench) {
			if err := b.control.SetFloat(limit(t), DefaultB2CShortCode, control.Float{UtilityMinor: &minor}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		script  control.Script
		prepare func(*testing.T, *bench)
		outcome daraja.Outcome
		reason  daraja.Reason
	}{
		"scripted float": {control.Script{B2C: "insufficient"}, nil, daraja.Failed, daraja.ReasonNoFloat},
		"one cent short": {control.Script{}, float(1499_99), daraja.Failed, daraja.ReasonNoFloat},
		"just enough":    {control.Script{}, float(1500_00), daraja.Paid, ""},
		"unregistered":   {control.Script{B2C: "unregistered"}, nil, daraja.Failed, daraja.ReasonReceiverNotAllowed},
		"unknown number": {control.Script{B2C: "code:SFC_IC0003"}, nil, daraja.Failed, daraja.ReasonReceiverUnknown},
		"undocumented":   {control.Script{B2C: "code:31337"}, nil, daraja.Unknown, ""},
		"wallet is full": {control.Script{}, func(t *testing.T, b *bench) { b.balance(t, 498_500_01) }, daraja.Failed,
			daraja.ReasonReceiverFull},
		"wallet at limit": {control.Script{}, func(t *testing.T, b *bench) { b.balance(t, 498_500_00) }, daraja.Paid, ""},
	} {
		b, m := payments(t, nil)
		b.script(t, c.script)
		if c.prepare != nil {
			c.prepare(t, b)
		}
		if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
			t.Fatal(err)
		}
		got := b.paidOut(t)
		if got.Outcome != c.outcome || got.Reason != c.reason || (got.Receipt == "") != (c.outcome != daraja.Paid) {
			t.Errorf("%s: %+v", name, got)
		}
		moved := 0
		for _, line := range b.lines(t, DefaultB2CShortCode) {
			if line.Kind == "b2c" {
				moved++
			}
		}
		if (moved == 1) != (c.outcome == daraja.Paid) {
			t.Errorf("%s: %d lines", name, moved)
		}
	}
}

func (b *bench) balance(t *testing.T, minor int64) {
	t.Helper()
	if err := b.control.SetBalance(limit(t), phone, minor); err != nil {
		t.Fatal(err)
	}
}

func TestPayoutIsMadeOnce(t *testing.T) {
	t.Parallel()
	b, m := payments(t, nil)
	var wg sync.WaitGroup
	results := make([]error, 20)
	for i := range results {
		wg.Go(func() { _, results[i] = m.PayB2C(limit(t), b.payout("w-1", 1500)) })
	}
	wg.Wait()
	accepted := 0
	for _, err := range results {
		switch {
		case err == nil:
			accepted++
		case !daraja.Duplicate(err) || daraja.Definite(err):
			t.Errorf("%v", err)
		}
	}
	if got := b.paidOut(t); accepted != 1 || got.Outcome != daraja.Paid {
		t.Errorf("%d accepted, %+v", accepted, got)
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 2000)); !daraja.Duplicate(err) {
		t.Errorf("another amount: %v", err)
	}
	if lines := b.lines(t, DefaultB2CShortCode); len(lines) != 1 {
		t.Errorf("%+v", lines)
	}
	b.none(t)
}

// TestOrderAnswers is what each synchronous answer leaves behind: nothing, or a payment.
func TestOrderAnswers(t *testing.T) {
	t.Parallel()
	for mode, c := range map[string]struct{ done, definite, busy bool }{
		"busy": {false, true, true}, "throttled": {false, true, true}, "down": {false, false, false}, "error_before": {false, false, false},
		"error": {true, false, false}, "lose": {true, false, false}, "hang": {true, false, false},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b, m := payments(t, nil)
			if err := b.control.QueueScript(limit(t), phone, control.Script{OrderAnswer: mode}); err != nil {
				t.Fatal(err)
			}
			ctx, hangUp := context.WithCancel(limit(t))
			t.Cleanup(hangUp)
			if mode == "hang" { // the caller gives up when all is done
				b.answer = func(string) (int, string) { hangUp(); return 200, "" }
			}
			_, err := m.PayB2C(ctx, b.payout("w-1", 1500))
			if err == nil || daraja.Definite(err) != c.definite || daraja.Busy(err) != c.busy || daraja.Duplicate(err) {
				t.Fatalf("%v", err)
			}
			if c.done {
				if got := b.paidOut(t); got.Outcome != daraja.Paid {
					t.Errorf("%+v", got)
				}
			} else if lines := b.lines(t, DefaultB2CShortCode); len(lines) != 0 {
				t.Errorf("%+v", lines)
			}
			_, err = m.PayB2C(limit(t), b.payout("w-1", 1500)) // the same again under the same id
			if daraja.Duplicate(err) != c.done || (err == nil) == c.done {
				t.Errorf("again: %v", err)
			}
			if !c.done && b.paidOut(t).Outcome != daraja.Paid {
				t.Error("the second send was not paid")
			}
			if lines := b.lines(t, DefaultB2CShortCode); len(lines) != 1 {
				t.Errorf("%+v", lines)
			}
		})
	}
}

// TestQueuedScriptsGoToTheirKind checks that a payout does not use up what waits for a prompt, nor the reverse.
func TestQueuedScriptsGoToTheirKind(t *testing.T) {
	t.Parallel()
	b, m := payments(t, nil)
	for _, s := range []control.Script{{STK: "cancel"}, {B2C: "unregistered"}} {
		if err := b.control.QueueScript(limit(t), phone, s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
		t.Fatal(err)
	}
	if got := b.paidOut(t); got.Reason != daraja.ReasonReceiverNotAllowed {
		t.Errorf("%+v", got)
	}
	b.push(t)
	if got := b.nextSTK(t); got.ResultCode != "1032" {
		t.Errorf("%+v", got)
	}
}

func TestResultScripts(t *testing.T) {
	t.Parallel()
	pay := func(t *testing.T, s control.Script) (*bench, *daraja.Client, daraja.Ack) {
		t.Helper()
		b, m := payments(t, func(c *Config) { c.TimeScale = 1000 })
		b.script(t, s)
		ack, err := m.PayB2C(limit(t), b.payout("w-1", 1500))
		if err != nil {
			t.Fatal(err)
		}
		return b, m, ack
	}
	t.Run("lose", func(t *testing.T) {
		t.Parallel()
		b, _, _ := pay(t, control.Script{Result: "lose"})
		d, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool { return d.ID == "w-1" })
		if err != nil || !d.Lost || d.Kind != "b2c" || len(b.lines(t, DefaultB2CShortCode)) != 1 {
			t.Errorf("%+v, %v", d, err)
		}
		b.none(t)
	})
	t.Run("duplicate", func(t *testing.T) {
		t.Parallel()
		b, _, _ := pay(t, control.Script{Result: "duplicate"})
		first := b.paidOut(t)
		for range 4 {
			if again := b.paidOut(t); again.Receipt != first.Receipt || again.Outcome != daraja.Paid {
				t.Errorf("%+v, %+v", first, again)
			}
		}
	})
	t.Run("alter", func(t *testing.T) {
		t.Parallel()
		b, _, _ := pay(t, control.Script{Result: "alter"})
		if got := b.paidOut(t); got.AmountMinor != 15_000_00 || b.lines(t, DefaultB2CShortCode)[0].AmountMinor != -1500_00 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("delay", func(t *testing.T) {
		t.Parallel()
		start := time.Now()
		b, _, _ := pay(t, control.Script{Result: "delay", ResultDelayMS: control.Int(300)})
		if got := b.paidOut(t); got.Outcome != daraja.Paid || time.Since(start) < 300*time.Millisecond {
			t.Errorf("%+v after %v", got, time.Since(start))
		}
	})
	for way, from := range map[string]string{"forge": "127.0.0.1", "forge_source": "127.0.0.2"} {
		for outcome, s := range map[daraja.Outcome]control.Script{daraja.Paid: {Result: way}, daraja.Failed: {Result: way, B2C: "insufficient"}} {
			t.Run(way+" "+string(outcome), func(t *testing.T) {
				t.Parallel()
				b, _, ack := pay(t, s)
				r := b.next(t)
				forged, err := daraja.ParseResult(r.body)
				if err != nil || r.from != from || forged.ConversationID == ack.ConversationID || forged.OriginatorConversationID == "w-1" {
					t.Fatalf("from %s: %+v, %v", r.from, forged, err)
				}
				if got, err := forged.B2C(); err != nil || got.Outcome == outcome || got.Outcome == daraja.Unknown {
					t.Errorf("forged: %+v, %v", got, err)
				}
				if got := b.paidOut(t); got.Outcome != outcome {
					t.Errorf("%+v", got)
				}
			})
		}
	}
	t.Run("queue_timeout", func(t *testing.T) {
		t.Parallel()
		b, _, ack := pay(t, control.Script{Result: "queue_timeout"})
		r := b.next(t)
		waited, err := daraja.ParseResult(r.body)
		if err != nil || r.path != timeoutPath || waited.Final || waited.ConversationID != ack.ConversationID {
			t.Fatalf("%s: %+v, %v", r.path, waited, err)
		}
		if got, err := waited.B2C(); err != nil || got.Outcome != daraja.Unknown {
			t.Errorf("%+v, %v", got, err)
		}
		if got := b.paidOut(t); got.Outcome != daraja.Paid {
			t.Errorf("%+v", got)
		}
	})
	t.Run("reversed", func(t *testing.T) {
		t.Parallel()
		b, _, _ := pay(t, control.Script{B2C: "reversed"})
		got := b.paidOut(t)
		if _, err := b.control.WaitSMS(limit(t), phone,
			func(m control.Message) bool { return strings.Contains(m.Text, "has been reversed") }); err != nil {
			t.Fatal(err)
		}
		lines := b.lines(t, DefaultB2CShortCode)
		if len(lines) != 2 || lines[1].Kind != "reversed_b2c" || lines[1].Original != got.Receipt || lines[1].AmountMinor != 1500_00 ||
			lines[1].BalanceMinor != defaultFloatMinor || lines[1].Originator != "w-1" {
			t.Errorf("%+v", lines)
		}
		if p, err := b.control.Phone(limit(t), phone); err != nil || p.BalanceMinor != 100_000_00 {
			t.Errorf("%+v, %v", p, err)
		}
	})
}

func (b *bench) status(r daraja.StatusRequest) daraja.StatusRequest {
	r.Remarks, r.ResultURL, r.TimeoutURL = "status", b.hooks+resultPath, b.hooks+timeoutPath
	return r
}

func (b *bench) ask(t *testing.T, m *daraja.Client, r daraja.StatusRequest) daraja.StatusResult {
	t.Helper()
	ack, err := m.QueryStatus(limit(t), b.status(r))
	if err != nil {
		t.Fatal(err)
	}
	result := b.nextResult(t)
	got, err := result.Status()
	if err != nil || result.ConversationID != ack.ConversationID || result.OriginatorConversationID != ack.OriginatorConversationID {
		t.Fatalf("%+v, %v, asked as %+v", result, err, ack)
	}
	return got
}

func TestStatusQueries(t *testing.T) {
	t.Parallel()
	b, m := payments(t, nil)
	ack, err := m.PayB2C(limit(t), b.payout("w-1", 1500))
	if err != nil {
		t.Fatal(err)
	}
	paid := b.paidOut(t)
	for range 8 { // in several ways of writing it
		got := b.ask(t, m, daraja.StatusRequest{OriginalConversationID: "w-1"})
		if got.Outcome != daraja.Paid || got.Receipt != paid.Receipt || got.AmountMinor != 1500_00 || got.OriginatorConversationID != "w-1" ||
			got.ConversationID != ack.ConversationID || *got.ChargeMinor != 5_00 || !strings.HasPrefix(got.DebitParty, DefaultB2CShortCode) ||
			!strings.HasPrefix(got.CreditParty, phone[1:]) {
			t.Errorf("%+v", got)
		}
	}
	if got := b.ask(t, m, daraja.StatusRequest{Receipt: paid.Receipt}); got.Outcome != daraja.Paid || got.OriginatorConversationID != "w-1" {
		t.Errorf("by receipt: %+v", got)
	}
	if err := b.control.QueueScript(limit(t), phone, control.Script{B2C: "insufficient"}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-2", 1500)); err != nil {
		t.Fatal(err)
	}
	b.nextResult(t)
	if got := b.ask(t, m, daraja.StatusRequest{OriginalConversationID: "w-2"}); got.Outcome != daraja.Failed || got.Receipt != "" ||
		got.Reason != daraja.ReasonDeclined {
		t.Errorf("failed: %+v", got)
	}
	for name, r := range map[string]daraja.StatusRequest{"never sent": {OriginalConversationID: "w-3"},
		"no such receipt": {Receipt: "UKL1234567"}} {
		if got := b.ask(t, m, r); got.Outcome != daraja.Unknown {
			t.Errorf("%s: %+v", name, got)
		}
	}
	other := b.initiator(func(c *daraja.Config) { c.ShortCode = "600000" })
	if got := b.ask(t, other, daraja.StatusRequest{OriginalConversationID: "w-1"}); got.Outcome != daraja.Unknown {
		t.Errorf("of another short code: %+v", got)
	}
	entry, err := b.control.C2B(limit(t), control.C2BPayment{Msisdn: phone, Account: "A", AmountMinor: 700_00})
	if err != nil {
		t.Fatal(err)
	}
	paybill := b.initiator(func(c *daraja.Config) { c.ShortCode = DefaultShortCode })
	if got := b.ask(t, paybill, daraja.StatusRequest{Receipt: entry.Receipt}); got.Outcome != daraja.Paid || got.AmountMinor != 700_00 ||
		!strings.HasPrefix(got.DebitParty, phone[1:]) {
		t.Errorf("a customer's payment: %+v", got)
	}
}

func TestStatusWhileItWaits(t *testing.T) {
	t.Parallel()
	b, m := payments(t, func(c *Config) { c.TimeScale = 1000 })
	late := control.Script{Result: "queue_timeout", ResultDelayMS: control.Int(600_000)}
	if err := b.control.QueueScript(limit(t), phone, late); err != nil {
		t.Fatal(err)
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
		t.Fatal(err)
	}
	b.next(t) // the queue's time-out
	if got := b.ask(t, m, daraja.StatusRequest{OriginalConversationID: "w-1"}); got.Outcome != daraja.Pending || got.Status != "Initiated" {
		t.Errorf("%+v", got)
	}
}

func TestQueryResultScripts(t *testing.T) {
	t.Parallel()
	b, m := payments(t, nil)
	if err := b.control.QueueScript(limit(t), phone, control.Script{QueryResult: "fail"}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
		t.Fatal(err)
	}
	b.paidOut(t)
	if got := b.ask(t, m, daraja.StatusRequest{OriginalConversationID: "w-1"}); got.Outcome != daraja.Unknown {
		t.Errorf("fail: %+v", got)
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-2", 1500)); err != nil {
		t.Fatal(err)
	}
	b.paidOut(t)
	if err := b.control.QueueOrder(limit(t), DefaultB2CShortCode, control.Script{QueryResult: "lose"}); err != nil {
		t.Fatal(err)
	}
	ack, err := m.QueryStatus(limit(t), b.status(daraja.StatusRequest{OriginalConversationID: "w-2"}))
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool { return d.ID == ack.OriginatorConversationID })
	if err != nil || !d.Lost || d.Kind != "status" {
		t.Errorf("%+v, %v", d, err)
	}
	if got := b.ask(t, m, daraja.StatusRequest{OriginalConversationID: "w-2"}); got.Outcome != daraja.Paid { // the queued one is used up
		t.Errorf("%+v", got)
	}
}

func TestBalanceAndFloat(t *testing.T) {
	t.Parallel()
	b, m := payments(t, nil)
	ask := func(c *daraja.Client) daraja.BalanceResult {
		t.Helper()
		if _, err := c.QueryBalance(limit(t), daraja.BalanceRequest{Remarks: "balance", ResultURL: b.hooks + resultPath,
			TimeoutURL: b.hooks + timeoutPath}); err != nil {
			t.Fatal(err)
		}
		got, err := b.nextResult(t).Balance()
		if err != nil || !got.OK {
			t.Fatalf("%+v, %v", got, err)
		}
		return got
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
		t.Fatal(err)
	}
	b.paidOut(t)
	top := daraja.B2BRequest{CommandID: daraja.MMFToUtility, Receiver: DefaultB2CShortCode, AmountMinor: 4_000_00, AccountReference: "float",
		Remarks: "Float", ResultURL: b.hooks + resultPath, TimeoutURL: b.hooks + timeoutPath}
	if _, err := m.PayB2B(limit(t), top); err != nil {
		t.Fatal(err)
	}
	result := b.nextResult(t)
	moved, err := result.B2B()
	if err != nil || moved.Outcome != daraja.Paid || moved.AmountMinor != 4_000_00 || result.Reference("BillReferenceNumber") != "float" {
		t.Fatalf("%+v, %v", moved, err)
	}
	got := ask(m)
	for name, minor := range map[string]int64{"Utility Account": defaultFloatMinor + 2_500_00, "Working Account": defaultFloatMinor - 4_000_00,
		"Charges Paid Account": -5_00, "Float Account": 0} {
		if a, ok := got.Account(name); !ok || a.AvailableMinor != minor || a.Currency != "KES" {
			t.Errorf("%s = %+v", name, a)
		}
	}
	lines := b.lines(t, DefaultB2CShortCode)
	if len(lines) != 3 || lines[1].Kind != "float" || lines[1].Account != "working" || lines[1].Receipt != moved.Receipt ||
		lines[2].Account != "utility" || lines[2].AmountMinor != 4_000_00 {
		t.Errorf("%+v", lines)
	}
	if _, err := m.Reverse(limit(t), daraja.ReversalRequest{Receipt: moved.Receipt, AmountMinor: 4_000_00, Remarks: "return",
		ResultURL: b.hooks + resultPath, TimeoutURL: b.hooks + timeoutPath}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.nextResult(t).Reversal(); err != nil || got.Reason != daraja.ReasonOriginalUnknown {
		t.Errorf("float is nobody's payment: %+v, %v", got, err)
	}
	top.CommandID, top.Receiver = daraja.BusinessPayBill, "999999"
	if _, err := m.PayB2B(limit(t), top); err != nil {
		t.Fatal(err)
	}
	if got, err := b.nextResult(t).B2B(); err != nil || got.Reason != daraja.ReasonReceiverUnknown {
		t.Errorf("to nobody: %+v, %v", got, err)
	}
	top.CommandID, top.Receiver, top.AmountMinor = daraja.BusinessPayToBulk, "600000", defaultFloatMinor
	if _, err := m.PayB2B(limit(t), top); err != nil {
		t.Fatal(err)
	}
	if got, err := b.nextResult(t).B2B(); err != nil || got.Reason != daraja.ReasonNoFloat || len(b.lines(t, "600000")) != 0 {
		t.Errorf("more than there is: %+v, %v", got, err)
	}
	if err := b.control.QueueOrder(limit(t), DefaultB2CShortCode, control.Script{QueryResult: "fail"}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.QueryBalance(limit(t), daraja.BalanceRequest{Remarks: "balance", ResultURL: b.hooks + resultPath,
		TimeoutURL: b.hooks + timeoutPath}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.nextResult(t).Balance(); err != nil || got.OK {
		t.Errorf("a query that failed: %+v, %v", got, err)
	}
}

func TestReversals(t *testing.T) {
	t.Parallel()
	b, m := payments(t, nil)
	paybill := b.initiator(func(c *daraja.Config) { c.ShortCode = DefaultShortCode })
	reverse := func(c *daraja.Client, receipt string, minor int64) daraja.ReversalResult {
		t.Helper()
		if _, err := c.Reverse(limit(t), daraja.ReversalRequest{Receipt: receipt, AmountMinor: minor, Remarks: "return",
			ResultURL: b.hooks + resultPath, TimeoutURL: b.hooks + timeoutPath}); err != nil {
			t.Fatal(err)
		}
		got, err := b.nextResult(t).Reversal()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	entry, err := b.control.C2B(limit(t), control.C2BPayment{Msisdn: phone, Account: "WRONG", AmountMinor: 700_00})
	if err != nil {
		t.Fatal(err)
	}
	b.script(t, control.Script{STK: "pay"})
	b.push(t)
	prompt := b.nextSTK(t)
	for name, c := range map[string]struct {
		receipt string
		minor   int64
		by      *daraja.Client
	}{"no such receipt": {"UKL1234567", 700_00, paybill}, "another amount": {entry.Receipt, 600_00, paybill},
		"another short code": {entry.Receipt, 700_00, m}} {
		if got := reverse(c.by, c.receipt, c.minor); got.Outcome != daraja.Failed || got.Reason != daraja.ReasonOriginalUnknown {
			t.Errorf("%s: %+v", name, got)
		}
	}
	back := reverse(paybill, strings.ToLower(entry.Receipt), 700_00)
	if back.Outcome != daraja.Paid || back.AlreadyReversed || back.OriginalReceipt != entry.Receipt || back.AmountMinor != 700_00 {
		t.Errorf("%+v", back)
	}
	if again := reverse(paybill, entry.Receipt, 700_00); again.Outcome != daraja.Paid || !again.AlreadyReversed || again.Receipt != "" {
		t.Errorf("again: %+v", again)
	}
	if got := reverse(paybill, prompt.Receipt, 1500_00); got.Outcome != daraja.Paid || got.AlreadyReversed {
		t.Errorf("a paid prompt: %+v", got)
	}
	lines := b.lines(t, DefaultShortCode)
	if len(lines) != 4 || lines[2].Kind != "reversal" || lines[2].Original != entry.Receipt || lines[2].Receipt != back.Receipt ||
		lines[2].AmountMinor != -700_00 || lines[3].BalanceMinor != 0 || lines[3].Party != phone {
		t.Errorf("%+v", lines)
	}
	if p, err := b.control.Phone(limit(t), phone); err != nil || p.BalanceMinor != 100_000_00 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := b.control.WaitSMS(limit(t), phone, func(m control.Message) bool {
		return strings.HasPrefix(m.Text, back.Receipt) && strings.Contains(m.Text, entry.Receipt+" has been reversed")
	}); err != nil {
		t.Error(err)
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
		t.Fatal(err)
	}
	if got := reverse(m, b.paidOut(t).Receipt, 1500_00); got.Reason != daraja.ReasonOriginalUnknown {
		t.Errorf("a payout: %+v", got)
	}
}

func TestInitiatorIsLocked(t *testing.T) {
	t.Parallel()
	b, right := payments(t, nil)
	n := 0
	pay := func(c *daraja.Client) daraja.Reason {
		t.Helper()
		n++
		if _, err := c.PayB2C(limit(t), b.payout(fmt.Sprint("w-", n), 1500)); err != nil {
			t.Fatal(err)
		}
		return b.paidOut(t).Reason
	}
	wrong := b.initiator(func(c *daraja.Config) { c.InitiatorPassword = "wrong" })
	stranger := b.initiator(func(c *daraja.Config) { c.Initiator = "somebody" })
	for range 4 {
		if got := pay(wrong); got != daraja.ReasonCredential {
			t.Fatalf("wrong password: %s", got)
		}
	}
	if got := pay(right); got != "" { // a right one in between begins anew
		t.Fatalf("right password: %s", got)
	}
	for range 4 {
		pay(wrong)
	}
	if got := pay(stranger); got != daraja.ReasonCredential {
		t.Errorf("another name: %s", got)
	}
	if got := pay(right); got != daraja.ReasonCredentialLocked {
		t.Errorf("after five in a row: %s", got)
	}
	if err := b.control.UnlockInitiator(limit(t)); err != nil {
		t.Fatal(err)
	}
	if got := pay(right); got != "" {
		t.Errorf("unlocked: %s", got)
	}
	if lines := b.lines(t, DefaultB2CShortCode); len(lines) != 2 {
		t.Errorf("%+v", lines)
	}
}

// TestResultsAreWrittenInManyWays checks that the documented variants occur, and that the same seed writes the same.
func TestResultsAreWrittenInManyWays(t *testing.T) {
	t.Parallel()
	shapes := func(seed uint64) []string {
		b, m := payments(t, func(c *Config) { c.Seed = seed })
		seen := map[string]bool{}
		var out []string
		for i := range 40 {
			if i == 20 {
				b.script(t, control.Script{B2C: "insufficient"})
			}
			if _, err := m.PayB2C(limit(t), b.payout(fmt.Sprint("w-", i), 1500)); err != nil {
				t.Fatal(err)
			}
			r := b.next(t)
			result, err := daraja.ParseResult(r.body)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := result.B2C(); err != nil || (got.AmountMinor == 1500_00) != (i < 20) {
				t.Fatalf("%s: %+v, %v", r.body, got, err)
			}
			var way []string
			for name, part := range map[string]string{"number code": `"ResultCode":0`, "text code": `"ResultCode":"0"`,
				"object": `"ReferenceItem":{`, "list": `"ReferenceItem":[`, "no value": `{"Key":"Occasion"}`, "number": `"Value":1500`,
				"text": `"Value":"1500`, "one parameter": `"ResultParameter":{`} {
				if strings.Contains(string(r.body), part) {
					seen[name] = true
					way = append(way, name)
				}
			}
			if !strings.Contains(string(r.body), "ResultParameters") {
				seen["no parameters"] = true
			}
			out = append(out, fmt.Sprint(len(way), strings.Index(string(r.body), "TransactionAmount") < strings.Index(string(r.body), "Receiver")))
		}
		if len(seen) != 9 {
			t.Errorf("only %v", seen)
		}
		return out
	}
	first := shapes(1)
	if again := shapes(1); fmt.Sprint(again) != fmt.Sprint(first) {
		t.Error("the same seed writes differently")
	}
	if other := shapes(2); fmt.Sprint(other) == fmt.Sprint(first) {
		t.Error("another seed writes the same")
	}
}

// TestOrdersAreChecked sends what the client never would.
func TestOrdersAreChecked(t *testing.T) {
	t.Parallel()
	b, _ := payments(t, nil)
	common := map[string]any{"Initiator": "testapi", "InitiatorName": "testapi", "SecurityCredential": "eA==", "Remarks": "ok",
		"ResultURL": b.hooks + resultPath, "QueueTimeOutURL": b.hooks + timeoutPath, "Amount": "100", "PartyA": "600997", "IdentifierType": "4"}
	for path, c := range map[string]struct {
		body map[string]any
		bad  map[string]string
	}{
		"/mpesa/b2c/v3/paymentrequest": {map[string]any{"OriginatorConversationID": "w", "CommandID": "BusinessPayment", "PartyB": phone[1:]},
			map[string]string{"OriginatorConversationID": "", "InitiatorName": "", "SecurityCredential": "no base64", "CommandID": "Pay",
				"Amount": "1.5",
				"PartyA": "123456", "PartyB": "0712345678", "Remarks": "x", "QueueTimeOutURL": "nowhere", "ResultURL": "",
				"Occassion": strings.Repeat("x", 101)}}, //nolint:misspell // Safaricom's
		"/mpesa/b2c/v1/paymentrequest": {map[string]any{"CommandID": "SalaryPayment", "PartyB": phone[1:]}, map[string]string{"Amount": "-1"}},
		"/mpesa/b2b/v1/paymentrequest": {map[string]any{"CommandID": "BusinessPayBill", "SenderIdentifierType": "4",
			"RecieverIdentifierType": "4", "PartyB": "600000", "AccountReference": "a"},
			map[string]string{"Initiator": "", "CommandID": "BusinessPayment", "SenderIdentifierType": "1", "RecieverIdentifierType": "11",
				"PartyB": phone[1:], "AccountReference": "12345678901234", "Requester": "x", "Amount": "0"}},
		"/mpesa/transactionstatus/v1/query": {map[string]any{"CommandID": "TransactionStatusQuery", "OriginalConversationID": "w"},
			map[string]string{"CommandID": "x", "TransactionID": "", "IdentifierType": "1", "PartyA": "1"}},
		"/mpesa/accountbalance/v1/query": {map[string]any{"CommandID": "AccountBalance"},
			map[string]string{"CommandID": "x", "IdentifierType": "1"}},
		"/mpesa/reversal/v1/request": {map[string]any{"CommandID": "TransactionReversal", "TransactionID": "UKL1234567",
			"ReceiverParty": "600997", "RecieverIdentifierType": "11"},
			map[string]string{"CommandID": "x", "TransactionID": "", "ReceiverParty": "x", "RecieverIdentifierType": "4", "Amount": "1.00"}},
	} {
		for field, value := range c.bad {
			body := maps.Clone(common)
			maps.Copy(body, c.body)
			body[field] = value
			status, code, text := b.raw(t, path, body)
			if status != http.StatusBadRequest || code != "400.002.02" || text != "Bad Request - Invalid "+field {
				t.Errorf("%s, %s=%q: %d %s %s", path, field, value, status, code, text)
			}
		}
		body := maps.Clone(common)
		maps.Copy(body, c.body)
		if status, _, text := b.raw(t, path, body); status != http.StatusOK { // its credential is wrong, which the result says
			t.Errorf("%s: %d %s", path, status, text)
		}
		if got := b.nextResult(t); got.Code != "2001" && got.Code != "8006" {
			t.Errorf("%s: %+v", path, got)
		}
	}
	for amount, code := range map[string]daraja.Reason{"9": daraja.ReasonBelowMinimum, "250001": daraja.ReasonAboveMaximum} {
		if err := b.control.UnlockInitiator(limit(t)); err != nil {
			t.Fatal(err)
		}
		key, err := daraja.ParseCertificate(DefaultCertificate)
		if err != nil {
			t.Fatal(err)
		}
		body := maps.Clone(common)
		body["SecurityCredential"], err = daraja.SecurityCredential(key, DefaultInitiatorPassword)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(body, map[string]any{"OriginatorConversationID": "w" + amount, "CommandID": "BusinessPayment", "PartyB": phone[1:],
			"Amount": amount})
		if status, _, text := b.raw(t, "/mpesa/b2c/v3/paymentrequest", body); status != http.StatusOK {
			t.Fatalf("%d %s", status, text)
		}
		if got := b.paidOut(t); got.Reason != code {
			t.Errorf("%s: %+v", amount, got)
		}
	}
}

func TestOrganisationControl(t *testing.T) {
	t.Parallel()
	b, _ := payments(t, func(c *Config) { c.FloatMinor = 1000_00 })
	list, err := b.control.Organisations(limit(t))
	if err != nil || len(list) != 2 || list[0].ShortCode != DefaultShortCode || list[0].UtilityMinor != 0 ||
		list[1].ShortCode != DefaultB2CShortCode || list[1].WorkingMinor != 1000_00 {
		t.Errorf("%+v, %v", list, err)
	}
	minor := int64(200_00)
	if err := b.control.SetFloat(limit(t), DefaultB2CShortCode, control.Float{UtilityMinor: &minor}); err != nil {
		t.Fatal(err)
	}
	lines := b.lines(t, DefaultB2CShortCode)
	if len(lines) != 1 || lines[0].Kind != "adjustment" || lines[0].AmountMinor != -800_00 || lines[0].BalanceMinor != 200_00 {
		t.Errorf("%+v", lines)
	}
	if last, err := b.control.OrganisationStatement(limit(t), DefaultB2CShortCode, 1); err != nil || len(last.Data) != 1 || last.Count != 3 {
		t.Errorf("%+v, %v", last, err)
	}
	if _, err := b.control.Organisation(limit(t), "123456"); err == nil {
		t.Error("a short code that there is not")
	}
	minor = -1
	if err := b.control.SetFloat(limit(t), DefaultB2CShortCode, control.Float{WorkingMinor: &minor}); err == nil {
		t.Error("a negative balance was set")
	}
	if err := b.control.QueueOrder(limit(t), DefaultB2CShortCode, control.Script{Result: "unheard of"}); err == nil {
		t.Error("a script that there is not")
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(limit(t)), http.MethodGet, b.url+"/sandbox/certificate", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := daraja.ParseCertificate(string(text)); err != nil || string(text) != DefaultCertificate {
		t.Errorf("certificate: %v", err)
	}
}
