package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// ApplyNumberChangeArgs is the job that makes a change of number when its time has come. It is tried until it is decided.
type ApplyNumberChangeArgs struct {
	NumberChangeID uuid.UUID `json:"number_change_id"`
}

// Kind names the job.
func (ApplyNumberChangeArgs) Kind() string { return "user.apply_number_change" }

// InsertOpts let it run until there is a decision.
func (ApplyNumberChangeArgs) InsertOpts() river.InsertOpts { return jobs.MoneyOpts() }

// ApplyNumberChange gives the customer the number, unless somebody stopped it or has the number by now. It returns how long to wait, or
// zero.
func (a *App) ApplyNumberChange(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	c, err := a.q.GetNumberChange(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("read number change: %w", err)
	}
	if c.State != domain.NumberCoolingDown {
		return 0, nil
	}
	if wait := c.AppliesAt.Sub(a.Now()); wait > 0 {
		return wait, nil
	}
	err = a.applyNumberChange(ctx, c.UserID, id, "")
	if pg.Constraint(err) == "users_phone_once" { // somebody registered the number at this moment
		err = a.applyNumberChange(ctx, c.UserID, id, domain.NumberTaken)
	}
	return 0, err
}

// applyNumberChange makes the change or, for a reason, ends it without one.
func (a *App) applyNumberChange(ctx context.Context, user, id uuid.UUID, reason string) error {
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		u, c, err := a.lockNumberChange(ctx, tx, user, id)
		if err != nil || c.State != domain.NumberCoolingDown {
			return err
		}
		phone, err := a.open("number_change.phone", c.ID, c.PhoneSealed)
		if err != nil {
			return err
		}
		holder, err := a.findByPhone(ctx, tx, phone)
		if err != nil {
			return err
		}
		switch {
		case u.Status != domain.StatusActive || isStaff(u.Role):
			reason = domain.NumberNotActive
		case holder != nil:
			reason = domain.NumberTaken
		}
		if reason != "" {
			return a.endNumberChange(ctx, tx, c, domain.NumberFailed, reason)
		}
		return a.makeNumberChange(ctx, tx, u, c, phone)
	})
}

func (a *App) makeNumberChange(ctx context.Context, tx pgx.Tx, u userdb.User, c userdb.NumberChange, phone string) error {
	former, version, err := a.moveNumber(ctx, tx, u, phone)
	if err != nil {
		return err
	}
	if err := a.q.CloseNumberChange(ctx, tx, userdb.CloseNumberChangeParams{ID: c.ID, State: domain.NumberApplied, Now: a.Now()}); err != nil {
		return fmt.Errorf("close number change: %w", err)
	}
	if err := a.auditNumber(ctx, tx, "number.changed", u.ID, c.ID, ""); err != nil {
		return err
	}
	return a.publish(ctx, tx, "user.number_changed", u.ID,
		events.UserNumberChanged{UserID: u.ID, NumberChangeID: c.ID, FormerNumberID: former, Version: version})
}

// lockNumberChange locks the customer, and then a change of theirs: always in this order.
func (a *App) lockNumberChange(ctx context.Context, tx pgx.Tx, user, id uuid.UUID) (userdb.User, userdb.NumberChange, error) {
	u, err := a.lockUser(ctx, tx, user)
	if err != nil {
		return u, userdb.NumberChange{}, err
	}
	c, err := a.q.LockNumberChange(ctx, tx, id)
	if err != nil {
		return u, c, fmt.Errorf("lock number change: %w", err)
	}
	return u, c, nil
}

// endNumberChange ends a change and leaves the number as it is.
func (a *App) endNumberChange(ctx context.Context, tx pgx.Tx, c userdb.NumberChange, state, reason string) error {
	if err := a.q.CloseNumberChange(ctx, tx,
		userdb.CloseNumberChangeParams{ID: c.ID, State: state, ReasonCode: reason, Now: a.Now()}); err != nil {
		return fmt.Errorf("close number change: %w", err)
	}
	if err := a.auditNumber(ctx, tx, "number.change_"+state, c.UserID, c.ID, reason); err != nil {
		return err
	}
	return a.publish(ctx, tx, "user.number_change_ended", c.UserID,
		events.UserNumberChangeEnded{UserID: c.UserID, NumberChangeID: c.ID, State: state, ReasonCode: reason})
}

// dropNumberChange cancels what the customer's former credentials had begun, under the customer's lock.
func (a *App) dropNumberChange(ctx context.Context, tx pgx.Tx, user uuid.UUID, reason string) error {
	id, err := a.q.OpenNumberChange(ctx, tx, user)
	if pg.IsNoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read open number change: %w", err)
	}
	c, err := a.q.LockNumberChange(ctx, tx, id)
	if err != nil {
		return fmt.Errorf("lock number change: %w", err)
	}
	return a.endNumberChange(ctx, tx, c, domain.NumberCancelled, reason)
}

// moveNumber gives a locked customer another number, which nobody has: codes and tries of the former one end. It returns where the former
// one is kept, and the customer's new version.
func (a *App) moveNumber(ctx context.Context, tx pgx.Tx, u userdb.User, phone string) (*uuid.UUID, int64, error) {
	now := a.Now()
	u, err := a.leaveClaimed(ctx, tx, u)
	if err != nil {
		return nil, 0, err
	}
	former, err := a.keepFormer(ctx, tx, u, now)
	if err != nil {
		return nil, 0, err
	}
	p := userdb.UpdateUserPhoneParams{ID: u.ID, PhoneIndex: a.Sealer.Index(indexPhone, phone), Now: now}
	if p.PhoneSealed, err = a.seal("user.phone", u.ID, phone); err != nil {
		return nil, 0, err
	}
	version, err := a.q.UpdateUserPhone(ctx, tx, p)
	if err != nil {
		return nil, 0, fmt.Errorf("update phone: %w", err)
	}
	for _, index := range [][]byte{u.PhoneIndex, p.PhoneIndex} {
		if err := a.q.ClearPinTries(ctx, tx, index, now); err != nil {
			return nil, 0, fmt.Errorf("clear pin tries: %w", err)
		}
	}
	if err := a.q.VoidChallenges(ctx, tx, now, u.ID); err != nil {
		return nil, 0, fmt.Errorf("void codes: %w", err)
	}
	return former, version, a.noteCredentials(ctx, tx, u.ID)
}

// keepFormer keeps the number that a customer leaves until it was told; nil for a customer who has none.
func (a *App) keepFormer(ctx context.Context, tx pgx.Tx, u userdb.User, now time.Time) (*uuid.UUID, error) {
	if u.PhoneSealed == nil {
		return nil, nil
	}
	old, err := a.open("user.phone", u.ID, u.PhoneSealed)
	if err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	row := userdb.InsertFormerNumberParams{ID: id, UserID: u.ID, LeftAt: now}
	if row.PhoneSealed, err = a.seal("former.phone", id, old); err != nil {
		return nil, err
	}
	if err := a.q.InsertFormerNumber(ctx, tx, row); err != nil {
		return nil, fmt.Errorf("keep former number: %w", err)
	}
	return &id, nil
}

// FormerNumber is a number that a customer has just left.
type FormerNumber struct{ Phone, Language string }

// GetFormerNumber tells the service that sends messages where to say that the number is no longer the customer's.
func (a *App) GetFormerNumber(ctx context.Context, id uuid.UUID) (FormerNumber, error) {
	if err := auth.Require(ctx, scopes.UsersContacts); err != nil {
		return FormerNumber{}, err
	}
	row, err := a.q.GetFormerNumber(ctx, a.Pool, id)
	if pg.IsNoRows(err) {
		return FormerNumber{}, fault.ErrNotFound
	}
	if err != nil {
		return FormerNumber{}, fmt.Errorf("read former number: %w", err)
	}
	phone, err := a.open("former.phone", id, row.PhoneSealed)
	return FormerNumber{Phone: phone, Language: row.Language}, err
}
