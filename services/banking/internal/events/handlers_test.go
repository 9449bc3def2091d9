package events_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/event"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/events"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

// TestProposalsEndWithTheRight: what a member of staff proposed ends when they are suspended or may no longer propose it.
func TestProposalsEndWithTheRight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, field, value, want string
	}{
		"suspended":      {"user.status_changed", "status", "suspended", approve.Withdrawn},
		"another role":   {"user.role_changed", "role", scopes.RoleSupport, approve.Withdrawn},
		"reinstated":     {"user.status_changed", "status", "active", approve.Open},
		"the role, late": {"user.role_changed", "role", scopes.RoleFinance, approve.Open},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			inDoubt := w.InDoubt(w.Person(5000))
			maker := uuid.Must(uuid.NewV7())
			a, err := w.App.ProposeSettlement(w.User(maker, scopes.AdminRails), inDoubt.ID,
				app.Settlement{Outcome: "returned", Evidence: "Statement, page 4."}, "The statement shows it.")
			if err != nil {
				t.Fatal(err)
			}
			e := w.Event("sendtip.user.v1", c.kind, map[string]any{"user_id": maker, c.field: c.value, "version": 2})
			if err := w.Deliver(events.Handlers(w.App), e); err != nil {
				t.Fatal(err)
			}
			if state := w.Text("SELECT state FROM approvals WHERE id = $1", a.ID); state != c.want {
				t.Errorf("the request is %s", state)
			}
			e = w.Event("sendtip.user.v1", c.kind, map[string]any{"user_id": maker})
			if err := w.Deliver(events.Handlers(w.App), e); !event.IsRefused(err) {
				t.Errorf("an event that says nothing: %v", err)
			}
		})
	}
}
