package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// indexPrompted is the purpose of the blind index of numbers that others send prompts to.
const indexPrompted = "prompted phone"

// declinedByCustomer is the failure of a prompt that the person at the phone put away.
const declinedByCustomer = "cancelled_by_customer"

// isOthersPhone says whether a number is not the customer's own. If user does not tell the own number, every number counts as another's.
func (a *App) isOthersPhone(ctx context.Context, in TopupInput) (bool, error) {
	if in.Phone == "" {
		return false, nil
	}
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return false, err
	}
	own, err := a.phoneOf(ctx, userID)
	if errors.Is(err, errPhoneWithheld) {
		return true, nil
	}
	return own != in.Phone, err
}

// changePrompted locks what is known of a number, and stores what change makes of it.
func (a *App) changePrompted(ctx context.Context, tx pgx.Tx, phone string,
	change func(p domain.PromptedPhone) (domain.PromptedPhone, error)) error {
	indexes, now := a.Sealer.Indexes(indexPrompted, phone), a.Now()
	if err := a.q.AddPromptedPhone(ctx, tx, indexes[0], now); err != nil {
		return fmt.Errorf("add prompted phone: %w", err)
	}
	rows, err := a.q.LockPromptedPhones(ctx, tx, indexes)
	if err != nil {
		return fmt.Errorf("lock prompted phone: %w", err)
	}
	var p domain.PromptedPhone
	for _, r := range rows {
		p = p.And(domain.PromptedPhone{Recent: r.Recent, Declined: int(r.Declined), BlockedUntil: r.BlockedUntil})
	}
	if p, err = change(p); err != nil {
		return err
	}
	if len(rows) > 1 {
		if err := a.q.DeletePromptedPhones(ctx, tx, indexes[1:]); err != nil {
			return fmt.Errorf("delete prompted phone: %w", err)
		}
	}
	err = a.q.UpdatePromptedPhone(ctx, tx, walletdb.UpdatePromptedPhoneParams{PhoneIndex: indexes[0], Recent: p.Recent,
		Declined: int32(p.Declined), BlockedUntil: p.BlockedUntil, At: now})
	if err != nil {
		return fmt.Errorf("update prompted phone: %w", err)
	}
	return nil
}

// endPrompt notes at the number what a prompt of somebody else came to.
func (a *App) endPrompt(ctx context.Context, tx pgx.Tx, t domain.Topup) error {
	paid := t.Status == domain.TopupPaid
	if !t.OthersPhone || !paid && t.FailureCode != declinedByCustomer {
		return nil
	}
	row, err := a.q.GetTopup(ctx, tx, t.ID)
	if err != nil {
		return fmt.Errorf("get topup: %w", err)
	}
	phone, err := a.openText(sealPhone, t.ID, row.PhoneSealed)
	if err != nil {
		return err
	}
	return a.changePrompted(ctx, tx, phone, func(p domain.PromptedPhone) (domain.PromptedPhone, error) { return p.End(paid, a.Now()), nil })
}

// LiftMyPromptBlock lets the caller's own number take prompts of others again.
func (a *App) LiftMyPromptBlock(ctx context.Context) error {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return err
	}
	phone, err := a.phoneOf(ctx, userID)
	if err != nil {
		return err
	}
	if phone == "" {
		return fault.ErrNotFound
	}
	return a.liftPromptBlock(ctx, phone)
}

// LiftPromptBlock is LiftMyPromptBlock for any number, by an operator.
func (a *App) LiftPromptBlock(ctx context.Context, phone string) error {
	if _, err := auth.UserFrom(ctx); err != nil {
		return err
	}
	if err := auth.Require(ctx, scopes.AdminUsers); err != nil {
		return err
	}
	return a.liftPromptBlock(ctx, phone)
}

func (a *App) liftPromptBlock(ctx context.Context, phone string) error {
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		err := a.changePrompted(ctx, tx, phone, func(p domain.PromptedPhone) (domain.PromptedPhone, error) { return p.Lift(), nil })
		if err != nil {
			return err
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "prompts.unblocked", ObjectType: "phone",
			ObjectID: hex.EncodeToString(a.Sealer.Index(indexPrompted, phone))})
	})
}
