package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// Actions that need two people. The names are stored, and the owner's function add_rule knows them: never change one.
const (
	actionTariff = "tariff.add"
	actionTax    = "tax.add"
	actionLimit  = "limit.add"
)

// change is a tariff, tax or limit to come.
type change interface {
	Judge(r domain.Rules, now time.Time) error
	Name() string
}

// actions are what this service's approvals do.
func (a *App) actions() []approve.Action {
	of := func(name string, apply func(ctx context.Context, tx pgx.Tx, approval approve.Approval) error) approve.Action {
		return approve.Action{Name: name, Propose: scopes.AdminTariffs, Approve: scopes.AdminTariffsApprove, Apply: apply}
	}
	return []approve.Action{a.Rails.Action(scopes.AdminRails, scopes.AdminRailsApprove),
		of(actionTariff, applyChange[domain.TariffChange](a)), of(actionTax, applyChange[domain.TaxChange](a)),
		of(actionLimit, applyChange[domain.LimitChange](a)),
		{Name: actionSuspense, Propose: scopes.AdminRails, Approve: scopes.AdminRailsApprove, Apply: a.applySuspense}}
}

// ProposeTariff asks for a price list.
func (a *App) ProposeTariff(ctx context.Context, c domain.TariffChange, reason string) (approve.Approval, error) {
	c.EffectiveFrom = stored(c.EffectiveFrom)
	return a.proposeChange(ctx, actionTariff, "tariff", c, reason)
}

// ProposeTax asks for a rate on fees.
func (a *App) ProposeTax(ctx context.Context, c domain.TaxChange, reason string) (approve.Approval, error) {
	c.EffectiveFrom = stored(c.EffectiveFrom)
	return a.proposeChange(ctx, actionTax, "tax", c, reason)
}

// ProposeLimit asks for limits of a tier.
func (a *App) ProposeLimit(ctx context.Context, c domain.LimitChange, reason string) (approve.Approval, error) {
	c.EffectiveFrom = stored(c.EffectiveFrom)
	return a.proposeChange(ctx, actionLimit, "limit", c, reason)
}

// finance lets only a person with the right on.
func finance(ctx context.Context) error {
	if _, err := auth.UserFrom(ctx); err != nil {
		return err
	}
	return auth.Require(ctx, scopes.AdminTariffs)
}

// stored is an instant as the database keeps it.
func stored(at time.Time) time.Time { return at.UTC().Truncate(time.Microsecond) }

func (a *App) proposeChange(ctx context.Context, action, object string, c change, reason string) (approve.Approval, error) {
	if err := finance(ctx); err != nil {
		return approve.Approval{}, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return approve.Approval{}, fmt.Errorf("encode change: %w", err)
	}
	var out approve.Approval
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if err := a.judgeChange(ctx, tx, c); err != nil {
			return err
		}
		out, err = a.Approvals.Propose(ctx, tx, approve.Proposal{Action: action, ObjectType: object,
			ObjectID: c.Name() + "/" + domain.ChangeHash(text), Payload: c, Reason: reason})
		return err
	})
	return out, err
}

func (a *App) judgeChange(ctx context.Context, tx pgx.Tx, c change) error {
	rules, err := a.loadRules(ctx, tx) // as they are now, not as they were kept
	if err != nil {
		return fmt.Errorf("load rules: %w", err)
	}
	return c.Judge(rules, a.Now())
}

// applyChange adds the rule as the checker was shown it. The owner's function inserts it, and looks at the approval once more.
func applyChange[C change](a *App) func(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
	return func(ctx context.Context, tx pgx.Tx, approval approve.Approval) error {
		var c C
		if err := approval.Decode(&c); err != nil {
			return err
		}
		if err := a.judgeChange(ctx, tx, c); err != nil {
			return err
		}
		if err := a.q.AddRule(ctx, tx, approval.ID, string(approval.Payload)); err != nil {
			switch pg.Constraint(err) {
			case "tariffs_once", "taxes_pkey", "limits_pkey": // two were approved at the same moment
				return domain.ErrRuleExists
			}
			return fmt.Errorf("add rule: %w", err)
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "rule.added", ObjectType: approval.ObjectType, ObjectID: approval.ObjectID,
			Detail: map[string]string{"approval": approval.ID.String()}})
	}
}

// ListRules returns what holds of a country's prices, taxes and limits, and what is to come.
func (a *App) ListRules(ctx context.Context, country string) (domain.Rules, error) {
	if err := finance(ctx); err != nil {
		return domain.Rules{}, err
	}
	rules, err := a.loadRules(ctx, a.Pool)
	if err != nil {
		return rules, fmt.Errorf("load rules: %w", err)
	}
	return rules.Coming(country, a.Now()), nil
}
