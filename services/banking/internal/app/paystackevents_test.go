package app_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// signed is an event about a payment of somebody's, in a mode of Paystack.
func signed(reference, mode string) (body []byte, signature string) {
	body = fmt.Appendf(nil, `{"event":"charge.success","data":{"id":1,"domain":%q,"status":"success","reference":%q,"amount":50000,
		"currency":"KES"}}`, mode, reference)
	return body, paystack.Sign(testworld.PaystackKey, body)
}

// TestEventsAreSigned: a body counts with the business's signature over its very bytes, once; whatever else comes is refused and not kept.
func TestEventsAreSigned(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	body, signature := signed("0197a1b2-0000-7000-8000-000000000001", paystack.Test)
	other := append([]byte(" "), body...)
	for name, c := range map[string]struct {
		body      []byte
		signature string
	}{
		"none": {body, ""}, "another body's": {other, signature}, "another key's": {body, paystack.Sign("sk_test_other", body)},
		"the empty key's": {body, paystack.Sign("", body)}, "capitals": {body, "A" + signature[1:]},
	} {
		if err := w.App.ReceivePaystackEvent(t.Context(), c.signature, c.body); !errors.Is(err, domain.ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.Count("SELECT count(*) FROM paystack_events"); n != 0 {
		t.Errorf("%d were kept", n)
	}
	errs := servicetest.Together(5, func(int) error { return w.App.ReceivePaystackEvent(t.Context(), signature, body) })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if n, jobs := w.Count("SELECT count(*) FROM paystack_events"), w.Count("SELECT count(*) FROM river_job"); n != 1 || jobs != 1 {
		t.Errorf("%d kept, %d jobs", n, jobs)
	}
}

// TestEventsThatConcernNobody end with a verdict that a person reads: of the other mode, unreadable, or about a payment that is not ours.
// The last waits, as our own row may not be committed yet.
func TestEventsThatConcernNobody(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	hear := func(body []byte) string {
		t.Helper()
		if err := w.App.ReceivePaystackEvent(t.Context(), paystack.Sign(testworld.PaystackKey, body), body); err != nil {
			t.Fatal(err)
		}
		id := uuid.MustParse(w.Text("SELECT id::text FROM paystack_events WHERE judged_at IS NULL"))
		wait, err := w.App.Hear(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if wait > 0 {
			if w.Count("SELECT count(*) FROM paystack_events WHERE judged_at IS NULL") != 1 {
				t.Error("judged, and to be judged again")
			}
			w.Advance(10 * time.Minute)
			if wait, err = w.App.Hear(t.Context(), id); err != nil || wait != 0 {
				t.Fatalf("wait %s: %v", wait, err)
			}
		}
		return w.Text("SELECT verdict FROM paystack_events WHERE id = $1", id)
	}
	unknown, _ := signed("0197a1b2-0000-7000-8000-000000000002", paystack.Test)
	live, _ := signed("0197a1b2-0000-7000-8000-000000000003", paystack.Live)
	for want, body := range map[domain.Verdict][]byte{
		domain.VerdictNobody: unknown, domain.VerdictDomain: live, domain.VerdictUnreadable: []byte("{"),
		domain.VerdictNothing: []byte(`{"event":"subscription.create","data":{"id":1}}`),
	} {
		if got := hear(body); got != string(want) {
			t.Errorf("%s: %s", want, got)
		}
	}
}
