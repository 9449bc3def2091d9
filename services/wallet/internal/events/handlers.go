// Package events maps what user publishes to the use cases of this service.
package events

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/event"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// Topics are what this service listens to.
var Topics = []string{"sendtip.user.v1"}

var errPayload = errors.New("payload does not fit its schema")

// Handlers returns one handler per event type. Other types concern other services. What an event says is a hint: its version, and every
// right that it grants, count for nothing.
func Handlers(a *app.App) map[string]event.Handler {
	return map[string]event.Handler{
		"user.kyc_verified": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserKycVerified
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil || p.Tier < 0 || p.Tier > domain.MaxTier || len(p.Country) != 2 {
				return event.Refuse(errPayload)
			}
			return a.HearCustomer(ctx, tx, app.Hint{UserID: p.UserID, Tier: int16(p.Tier)})
		},
		"user.status_changed": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserStatusChanged
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil || p.Tier < 0 || p.Tier > domain.MaxTier ||
				(p.Status != domain.CustomerActive && p.Status != domain.CustomerSuspended) {
				return event.Refuse(errPayload)
			}
			if p.Status == domain.CustomerSuspended {
				if err := a.Approvals.Withdraw(ctx, tx, p.UserID); err != nil {
					return err
				}
			}
			return a.HearCustomer(ctx, tx, app.Hint{UserID: p.UserID, Suspended: p.Status == domain.CustomerSuspended, Tier: int16(p.Tier)})
		},
		"user.number_claimed": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserNumberClaimed
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil {
				return event.Refuse(errPayload)
			}
			return a.HearNumberClaimed(ctx, tx, p.UserID)
		},
		"user.number_claim_closed": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserNumberClaimClosed
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil {
				return event.Refuse(errPayload)
			}
			return a.AskStanding(ctx, tx, p.UserID)
		},
		"user.number_changed": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserNumberChanged
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil {
				return event.Refuse(errPayload)
			}
			return a.AskStanding(ctx, tx, p.UserID) // who had none has one
		},
		"user.recovered": func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			var p events.UserRecovered
			if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil {
				return event.Refuse(errPayload)
			}
			return a.AskStanding(ctx, tx, p.UserID) // likewise
		},
		"user.role_changed": a.Approvals.HearUser(scopes.OfRole),
	}
}
