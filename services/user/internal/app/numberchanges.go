package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/events"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// NumberChange is a change of a customer's number, from its confirmation on.
type NumberChange struct {
	ID                   uuid.UUID
	Phone, State, Reason string
	CreatedAt, AppliesAt time.Time
	ClosedAt             *time.Time
}

func (a *App) numberChange(c userdb.NumberChange) (NumberChange, error) {
	out := NumberChange{ID: c.ID, State: c.State, Reason: c.ReasonCode, CreatedAt: c.CreatedAt.UTC(), AppliesAt: c.AppliesAt.UTC()}
	if c.ClosedAt != nil {
		at := c.ClosedAt.UTC()
		out.ClosedAt = &at
	}
	var err error
	out.Phone, err = a.open("number_change.phone", c.ID, c.PhoneSealed)
	return out, err
}

// mover is the caller, if they may have another number. Staff would take their role along to a number that one person chose alone.
func (a *App) mover(ctx context.Context) (userdb.User, error) {
	u, _, err := a.caller(ctx)
	if err == nil && isStaff(u.Role) {
		err = domain.ErrStaffNumber
	}
	return u, err
}

// StartNumberChange sends a code to the number that shall be the caller's. It never looks whose that number is: who proves to hold it
// learns that later.
func (a *App) StartNumberChange(ctx context.Context, phone string) (Challenge, error) {
	u, err := a.mover(ctx)
	if err != nil {
		return Challenge{}, err
	}
	if err := domain.CheckPhone(phone, u.Country); err != nil {
		return Challenge{}, err
	}
	own, err := a.open("user.phone", u.ID, u.PhoneSealed)
	if err != nil {
		return Challenge{}, err
	}
	if own == phone {
		return Challenge{}, domain.ErrNumberUnchanged
	}
	var c Challenge
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if err := a.admit(ctx, tx, domain.CodesOfCustomer, u.ID.String()); err != nil {
			return err
		}
		c, err = a.insertChallenge(ctx, tx, challengeInput{who: asker{phone: phone}, purpose: domain.OtpNumberChange, country: u.Country,
			language: u.Language, user: &u, send: true})
		return err
	})
	return c, err
}

// ConfirmNumberChange takes the code and the approval, and lets the change wait for its time. A repeated call is answered with the change.
func (a *App) ConfirmNumberChange(ctx context.Context, id uuid.UUID, code string) (NumberChange, error) {
	u, _, err := a.caller(ctx)
	if err != nil {
		return NumberChange{}, err
	}
	known, err := a.ownNumberChange(ctx, u.ID, id)
	if !errors.Is(err, fault.ErrNotFound) {
		return known, err
	}
	owner, err := a.q.ChallengeOwner(ctx, a.Pool, id, domain.OtpNumberChange)
	if pg.IsNoRows(err) || err == nil && (owner == nil || *owner != u.ID) {
		return NumberChange{}, fault.ErrNotFound // and no try of another customer's code is used up
	}
	if err != nil {
		return NumberChange{}, fmt.Errorf("read challenge: %w", err)
	}
	out, err := a.confirmNumberChange(ctx, u, id, code)
	if errors.Is(err, domain.ErrOtpInvalid) { // a twin may have spent it
		if known, errKnown := a.ownNumberChange(ctx, u.ID, id); errKnown == nil {
			return known, nil
		}
	}
	return out, err
}

func (a *App) confirmNumberChange(ctx context.Context, u userdb.User, id uuid.UUID, code string) (NumberChange, error) {
	c, err := a.tryOtp(ctx, id, domain.OtpNumberChange, code)
	if err != nil {
		return NumberChange{}, err
	}
	phone, err := a.open("otp.phone", c.ID, c.PhoneSealed)
	if err != nil {
		return NumberChange{}, err
	}
	now := a.Now()
	row := userdb.InsertNumberChangeParams{ID: id, UserID: u.ID, CreatedAt: now, AppliesAt: now.Add(domain.NumberCooling)}
	if row.PhoneSealed, err = a.seal("number_change.phone", id, phone); err != nil {
		return NumberChange{}, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		locked, err := a.q.LockUser(ctx, tx, u.ID)
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		switch {
		case locked.Status != domain.StatusActive:
			return domain.ErrUserSuspended
		case isStaff(locked.Role):
			return domain.ErrStaffNumber
		case !bytes.Equal(locked.PinSealed, u.PinSealed):
			return domain.ErrSessionEnded // the PIN that approved it was replaced meanwhile
		}
		return a.openNumberChange(ctx, tx, row, phone)
	})
	return NumberChange{ID: id, Phone: phone, State: domain.NumberCoolingDown, CreatedAt: row.CreatedAt.UTC(),
		AppliesAt: row.AppliesAt.UTC()}, err
}

// openNumberChange writes all that lets the change happen without anybody, under the customer's lock.
func (a *App) openNumberChange(ctx context.Context, tx pgx.Tx, row userdb.InsertNumberChangeParams, phone string) error {
	if err := a.spendOtp(ctx, tx, row.ID); err != nil {
		return err
	}
	if err := a.spendStepUp(ctx, tx, "confirmNumberChange", row.ID); err != nil {
		return err
	}
	switch holder, err := a.findByPhone(ctx, tx, phone); {
	case err != nil:
		return err
	case holder != nil && holder.ID == row.UserID:
		return domain.ErrNumberUnchanged
	case holder != nil:
		return domain.ErrNumberTaken
	}
	if err := a.q.InsertNumberChange(ctx, tx, row); err != nil {
		if pg.Constraint(err) == "number_changes_one_open" {
			return domain.ErrNumberChangeOpen
		}
		return fmt.Errorf("insert number change: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, ApplyNumberChangeArgs{row.ID}, &river.InsertOpts{ScheduledAt: row.AppliesAt}); err != nil {
		return fmt.Errorf("enqueue number change: %w", err)
	}
	if err := a.auditNumber(ctx, tx, "number.change_started", row.UserID, row.ID, ""); err != nil {
		return err
	}
	return a.publish(ctx, tx, "user.number_change_started", row.UserID,
		events.UserNumberChangeStarted{UserID: row.UserID, NumberChangeID: row.ID})
}

func (a *App) auditNumber(ctx context.Context, tx pgx.Tx, action string, user, change uuid.UUID, reason string) error {
	detail := map[string]string{"number_change": change.String()}
	if reason != "" {
		detail["reason_code"] = reason
	}
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: action, ObjectType: "user", ObjectID: user.String(), Detail: detail})
}

// ownNumberChange answers ErrNotFound for a change of another customer.
func (a *App) ownNumberChange(ctx context.Context, user, id uuid.UUID) (NumberChange, error) {
	c, err := a.q.GetNumberChange(ctx, a.Pool, id)
	if pg.IsNoRows(err) || err == nil && c.UserID != user {
		return NumberChange{}, fault.ErrNotFound
	}
	if err != nil {
		return NumberChange{}, fmt.Errorf("read number change: %w", err)
	}
	return a.numberChange(c)
}

// GetNumberChange returns the caller's own change.
func (a *App) GetNumberChange(ctx context.Context, id uuid.UUID) (NumberChange, error) {
	u, _, err := a.caller(ctx)
	if err != nil {
		return NumberChange{}, err
	}
	return a.ownNumberChange(ctx, u.ID, id)
}

// ListNumberChanges returns a page of the caller's changes, newest first, and the cursor of the next one.
func (a *App) ListNumberChanges(ctx context.Context, in page.Request) ([]NumberChange, *string, error) {
	u, _, err := a.caller(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listNumberChanges", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListNumberChanges(ctx, a.Pool, u.ID, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list number changes: %w", err)
	}
	rows, next := page.Cut(p, rows, func(c userdb.NumberChange) uuid.UUID { return c.ID })
	out := make([]NumberChange, len(rows))
	for i, c := range rows {
		if out[i], err = a.numberChange(c); err != nil {
			return nil, nil, err
		}
	}
	return out, next, nil
}

// CancelNumberChange keeps the number. Any session of the customer's may: the one that asked for the change may be a thief's.
func (a *App) CancelNumberChange(ctx context.Context, id uuid.UUID) (NumberChange, error) {
	u, _, err := a.caller(ctx)
	if err != nil {
		return NumberChange{}, err
	}
	if _, err := a.ownNumberChange(ctx, u.ID, id); err != nil {
		return NumberChange{}, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		_, c, err := a.lockNumberChange(ctx, tx, u.ID, id)
		switch {
		case err != nil:
			return err
		case c.State == domain.NumberCancelled:
			return nil
		case c.State != domain.NumberCoolingDown:
			return domain.ErrNumberChangeClosed
		}
		return a.endNumberChange(ctx, tx, c, domain.NumberCancelled, domain.NumberByCustomer)
	})
	if err != nil {
		return NumberChange{}, err
	}
	return a.ownNumberChange(ctx, u.ID, id)
}
