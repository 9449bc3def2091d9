package app_test

import (
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func (w *world) claimState() string {
	w.Helper()
	return w.Text("SELECT state || ' ' || reason FROM number_claims")
}

// TestChangeOfAClaimedNumber: whoever has another number leaves the claimed one to who proved it.
func TestChangeOfAClaimedNumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	n := w.cooling(c, newPhone)
	w.want(w.claim(phone, stranger), domain.ErrNumberInReview)
	w.due(n)
	st, err := w.App.GetStanding(w.service("users:standing"), c.id)
	w.must(err)
	if got := w.claimState(); got != "released given_up" || st.Number != domain.NumberHeld || w.phoneOf(c) != newPhone {
		t.Errorf("the claim is %s, the number %s", got, st.Number)
	}
	if other := w.register(phone); other.id == c.id {
		t.Error("the number is still the former holder's")
	}
}

// TestChangeWithoutANumber: a customer whose number has passed to somebody else gets another one by the same door.
func TestChangeWithoutANumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	_, err := w.DB.Pool.Exec(t.Context(), "UPDATE users SET phone_sealed = NULL, phone_index = NULL WHERE id = $1", c.id)
	w.must(err)
	w.due(w.cooling(c, phone)) // the same one is another one now
	_, last := w.events()
	if _, told := last["former_number_id"]; told || w.phoneOf(c) != phone {
		t.Errorf("the number is %s, the event %v", w.phoneOf(c), last)
	}
}

// TestRecoveryOfAClaimedNumber: compliance sees both, and the recovery answers the claim as its holder does.
func TestRecoveryOfAClaimedNumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.decided(w.register(phone), document)
	o := w.officers()
	r := w.recovering(phone, document, newDevice)
	w.want(w.claim(phone, stranger), domain.ErrNumberInReview)
	list, _, err := w.App.ListRecoveries(o.maker, domain.RecoveryChecked, page.Request{})
	if w.must(err); len(list) != 1 || list[0].ClaimID == nil || list[0].NumberTaken {
		t.Fatalf("%+v", list)
	}
	w.must(w.agreed(o, r.ID))
	w.Advance(24 * time.Hour)
	w.must(ignore(w.App.ApplyRecovery(t.Context(), r.ID)))
	if got := w.claimState(); got != "disputed rejected" || w.recovery(r.ID) != "applied " {
		t.Errorf("the claim is %s, the recovery %s", got, w.recovery(r.ID))
	}
}
