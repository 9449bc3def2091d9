package sandbox

import (
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/sandbox/control"
)

func (b *bench) storm(t *testing.T, s control.Storm) {
	t.Helper()
	if err := b.control.SetStorm(limit(t), s); err != nil {
		t.Fatal(err)
	}
}

// TestStorm pays out under a storm and compares what it says it did with what the platform met.
func TestStorm(t *testing.T) {
	t.Parallel()
	const payouts = 200
	run := func(seed uint64) (map[string]int, []string) {
		b, m := payments(t, func(c *Config) { c.TimeScale = 10_000 })
		b.storm(t, control.Storm{Seed: seed, Percent: map[string]int{"lost": 20, "twice": 20, "error_before": 20, "forged": 10}})
		var met []string
		refused := 0
		for i := range payouts {
			r := b.payout(fmt.Sprint("w-", i), 10)
			r.Phone = fmt.Sprintf("+2547123456%02d", i%20)
			if _, err := m.PayB2C(limit(t), r); err != nil {
				refused++
				met = append(met, r.OriginatorConversationID)
			}
		}
		report, err := b.control.Storm(limit(t))
		if err != nil {
			t.Fatal(err)
		}
		wanted := payouts - refused - report.Hits["payout.lost"] + 4*report.Hits["payout.twice"] + report.Hits["payout.forged"]
		for range wanted {
			b.next(t)
		}
		b.none(t)
		lost := map[string]bool{}
		if _, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool {
			if d.Lost {
				lost[d.ID] = true
			}
			return len(lost) == report.Hits["payout.lost"]
		}); err != nil {
			t.Fatal(err)
		}
		if lines := b.lines(t, DefaultB2CShortCode); len(lines) != payouts-refused {
			t.Errorf("%d lines after %d refusals", len(lines), refused)
		}
		if refused != report.Hits["payout.error_before"] || report.Seen["payout"] != payouts {
			t.Errorf("%d refused: %+v", refused, report)
		}
		for kind, percent := range report.Percent {
			if hits := report.Hits["payout."+kind]; hits < percent*payouts/100/2 || hits > percent*payouts/100*2 {
				t.Errorf("%s: %d of %d", kind, hits, payouts)
			}
		}
		return report.Hits, met
	}
	hits, met := run(7)
	if again, metAgain := run(7); !maps.Equal(hits, again) || !reflect.DeepEqual(met, metAgain) {
		t.Errorf("the same seed: %v, %v", hits, again)
	}
	if _, other := run(8); reflect.DeepEqual(met, other) {
		t.Error("another seed strikes the same payments")
	}
}

func TestStormOnEveryChannel(t *testing.T) {
	t.Parallel()
	b, m := payments(t, func(c *Config) { c.TimeScale = 10_000 })
	b.register(t)
	b.script(t, control.Script{STK: "pay"})
	b.storm(t, control.Storm{Percent: map[string]int{"lost": 100}})
	accepted := b.push(t)
	if _, err := b.control.WaitDelivery(limit(t),
		func(d control.Delivery) bool { return d.ID == accepted.CheckoutRequestID && d.Lost }); err != nil {
		t.Fatal(err)
	}
	receipt := b.nextC2B(t).TransID // of the prompt, which is not what was lost
	entry, err := b.control.C2B(limit(t), control.C2BPayment{Msisdn: phone, Account: "A", AmountMinor: 100_00})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool { return d.ID == entry.Receipt && d.Lost }); err != nil {
		t.Fatal(err)
	}
	paybill := b.initiator(func(c *daraja.Config) { c.ShortCode = DefaultShortCode })
	ack, err := paybill.Reverse(limit(t), daraja.ReversalRequest{Receipt: receipt, AmountMinor: 1500_00, Remarks: "return",
		ResultURL: b.hooks + resultPath, TimeoutURL: b.hooks + timeoutPath})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.control.WaitDelivery(limit(t),
		func(d control.Delivery) bool { return d.ID == ack.OriginatorConversationID && d.Lost }); err != nil {
		t.Fatal(err)
	}
	if err := b.control.QueueScript(limit(t), phone, control.Script{Result: "normal"}); err != nil { // it wins
		t.Fatal(err)
	}
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
		t.Fatal(err)
	}
	b.paidOut(t)
	report, err := b.control.Storm(limit(t))
	want := map[string]int{"prompt.lost": 1, "paybill.lost": 1, "reversal.lost": 1}
	if err != nil || !maps.Equal(report.Hits, want) {
		t.Errorf("%+v, %v", report, err)
	}
	b.storm(t, control.Storm{})
	if _, err := m.PayB2C(limit(t), b.payout("w-2", 1500)); err != nil {
		t.Fatal(err)
	}
	b.paidOut(t)
	for _, bad := range []map[string]int{{"lost": 101}, {"lost": 60, "late": 41}, {"lost": -1}, {"hail": 1}} {
		if err := b.control.SetStorm(limit(t), control.Storm{Percent: bad}); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

// TestForgedCallbacks are a stranger's, told before the true one.
func TestForgedCallbacks(t *testing.T) {
	t.Parallel()
	for stk, code := range map[string]string{"pay": "0", "cancel": "1032"} {
		b := setup(t, nil)
		b.script(t, control.Script{STK: stk, Callback: "forge"})
		accepted := b.push(t)
		r := b.next(t)
		forged, err := daraja.ParseSTKCallback(r.body)
		if err != nil || r.from != "127.0.0.1" || forged.ResultCode == code || forged.CheckoutRequestID == accepted.CheckoutRequestID {
			t.Errorf("%s: from %s: %+v, %v", stk, r.from, forged, err)
		}
		if got := b.nextSTK(t); got.ResultCode != code || got.CheckoutRequestID != accepted.CheckoutRequestID {
			t.Errorf("%s: %+v", stk, got)
		}
	}
	b := setup(t, nil)
	b.register(t)
	b.script(t, control.Script{Callback: "forge"})
	entry, err := b.control.C2B(limit(t), control.C2BPayment{Msisdn: phone, Account: "A", AmountMinor: 100_00})
	if err != nil {
		t.Fatal(err)
	}
	r := b.next(t)
	forged, err := daraja.ParseC2B(r.body)
	if err != nil || r.from != "127.0.0.1" || forged.AmountMinor != 200_00 || forged.TransID == entry.Receipt {
		t.Errorf("from %s: %+v, %v", r.from, forged, err)
	}
	if got := b.nextC2B(t); got.TransID != entry.Receipt || got.AmountMinor != 100_00 {
		t.Errorf("%+v", got)
	}
	if s, err := b.control.Statement(limit(t)); err != nil || s.Count != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTimeScaleIsANumber(t *testing.T) {
	t.Parallel()
	if cfg, err := configFrom(map[string]string{"SENDTIP_TIME_SCALE": "100"}); err != nil ||
		cfg.withDefaults().ResultDelay.Milliseconds() != 10 {
		t.Errorf("%+v, %v", cfg.ResultDelay, err)
	}
	if _, err := configFrom(map[string]string{"SENDTIP_TIME_SCALE": "fast"}); err == nil || !strings.Contains(err.Error(), "a whole number") {
		t.Errorf("%v", err)
	}
}
