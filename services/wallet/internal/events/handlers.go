// Package events maps what user publishes to the use cases of this service.
package events

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/event"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// Topics are what this service listens to.
var Topics = []string{"sendtip.user.v1"}

// maxTier bounds what a payload may say; the column has the same bound.
const maxTier = 9

var errPayload = errors.New("payload does not fit its schema")

// Handlers returns one handler per event type. Other types concern other services.
func Handlers(a *app.App) map[string]event.Handler {
	return map[string]event.Handler{
		"user.kyc_verified": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserKycVerified
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil || p.Tier < 0 || p.Tier > maxTier || len(p.Country) != 2 {
				return event.Refuse(errPayload)
			}
			return a.VerifyCustomer(ctx, tx, app.Verified{UserID: p.UserID, Tier: int16(p.Tier), Country: p.Country, Version: p.Version})
		},
		"user.status_changed": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserStatusChanged
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil || p.Tier < 0 || p.Tier > maxTier ||
				(p.Status != domain.CustomerActive && p.Status != domain.CustomerSuspended) {
				return event.Refuse(errPayload)
			}
			return a.SetCustomerStatus(ctx, tx, p.UserID, p.Status, int16(p.Tier), p.Version)
		},
	}
}
