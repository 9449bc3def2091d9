package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Outcomes that compliance decides on. They are stored: never change one.
const (
	OutcomeKeep    = "keep"
	OutcomeRelease = "release"
)

// claimPayload is what a decision on a claim keeps for its checker.
type claimPayload struct {
	UserID  uuid.UUID `json:"user_id"`
	Outcome string    `json:"outcome"`
}

// claimUser is the holder whom a decision is about.
func claimUser(approval approve.Approval) (uuid.UUID, error) {
	var p claimPayload
	err := approval.Decode(&p)
	return p.UserID, err
}

// ListNumberClaims returns a page of the claims in a state, oldest first, and the cursor of the next one. Who reads it is audited.
func (a *App) ListNumberClaims(ctx context.Context, state string, in page.Request) ([]Claim, *string, error) {
	if _, err := a.operator(ctx, scopes.AdminNumbers); err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listNumberClaims", in, state)
	if err != nil {
		return nil, nil, err
	}
	after := p.From(uuid.Nil)
	var rows []userdb.NumberClaim
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if rows, err = a.q.ListNumberClaims(ctx, tx, state, after, p.Size+1); err != nil {
			return fmt.Errorf("list number claims: %w", err)
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "number_claim.read", ObjectType: "number_claim", ObjectID: "list",
			Detail: map[string]string{"after": after.String(), "state": state}})
	})
	if err != nil {
		return nil, nil, err
	}
	rows, next := page.Cut(p, rows, func(c userdb.NumberClaim) uuid.UUID { return c.ID })
	out := make([]Claim, len(rows))
	for i, c := range rows {
		out[i] = claimOf(c)
		if out[i].Phone, err = a.open("claim.phone", c.ID, c.PhoneSealed); err != nil {
			return nil, nil, err
		}
	}
	return out, next, nil
}

// ProposeNumberDecision asks to end a claim: OutcomeKeep or OutcomeRelease.
func (a *App) ProposeNumberDecision(ctx context.Context, claim uuid.UUID, outcome, reason string) (approve.Approval, error) {
	about, err := a.q.GetNumberClaim(ctx, a.Pool, claim)
	if err != nil && !pg.IsNoRows(err) {
		return approve.Approval{}, fmt.Errorf("read number claim: %w", err)
	}
	return a.propose(ctx, scopes.AdminNumbers, about.UserID, func(tx pgx.Tx) (approve.Approval, error) {
		u, c, err := a.lockClaim(ctx, tx, claim)
		if errors.Is(err, fault.ErrNotFound) {
			return approve.Approval{}, domain.ErrClaimUnknown
		}
		if err != nil {
			return approve.Approval{}, err
		}
		if _, err := facts(c).Decide(outcome == OutcomeKeep); err != nil {
			return approve.Approval{}, err
		}
		return a.Approvals.Propose(ctx, tx, approve.Proposal{Action: actionNumber, ObjectType: "number_claim", ObjectID: c.ID.String(),
			Payload: claimPayload{u.ID, outcome}, Reason: reason})
	})
}

// applyNumberDecision ends a claim as two people decided.
func (a *App) applyNumberDecision(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	var p claimPayload
	if err := approval.Decode(&p); err != nil {
		return err
	}
	if _, err := a.operator(ctx, scopes.AdminNumbersApprove); err != nil { // as of now: the token may be older
		return err
	}
	claim, err := uuid.Parse(approval.ObjectID)
	if err != nil || p.Outcome != OutcomeKeep && p.Outcome != OutcomeRelease {
		return fmt.Errorf("approval %s ends no claim: %w", approval.ID, err)
	}
	_, c, err := a.lockClaim(ctx, tx, claim)
	if err != nil {
		return err
	}
	next, err := facts(c).Decide(p.Outcome == OutcomeKeep)
	if err != nil {
		return err
	}
	_, err = a.moveClaim(ctx, tx, c, next, approval.Checker)
	return err
}
