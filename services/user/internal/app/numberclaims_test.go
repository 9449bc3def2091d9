package app_test

import (
	"testing"

	"github.com/sendtip/sendtip/services/user/internal/app"
)

// A customer whose number has passed to somebody else has an account like any other; what there is none of is shown as none.
func TestCustomerWithoutANumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	_, err := w.DB.Pool.Exec(t.Context(), "UPDATE users SET phone_sealed = NULL, phone_index = NULL WHERE id = $1", c.id)
	w.must(err)
	p, err := w.App.GetProfile(c.ctx)
	if w.must(err); p.Phone != "" || p.ID != c.id {
		t.Errorf("profile is %+v", p)
	}
	p, err = w.App.GetContacts(w.service("users:contacts"), c.id)
	if w.must(err); p.Phone != "" || p.Language != "en" {
		t.Errorf("contacts are %+v", p)
	}
	if _, err := w.App.CreateStepUp(c.ctx, app.StepUpInput{Pin: pin, Operation: "createTransfer", Approves: quoted(c.id)}); err != nil {
		t.Errorf("approve: %v", err)
	}
	if other := w.register(phone); other.id == c.id {
		t.Error("the number is still the former holder's")
	}
}
