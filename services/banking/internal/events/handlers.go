// Package events maps what user publishes to the use cases of this service.
package events

import (
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/event"

	"github.com/sendtip/sendtip/services/banking/internal/app"
)

// Topics are what this service listens to.
var Topics = []string{"sendtip.user.v1"}

// Handlers returns one handler per event type. Other types concern other services.
func Handlers(a *app.App) map[string]event.Handler {
	return map[string]event.Handler{
		"user.status_changed": a.Approvals.HearUser(scopes.OfRole),
		"user.role_changed":   a.Approvals.HearUser(scopes.OfRole),
	}
}
