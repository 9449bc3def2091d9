package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/events"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// MyRecovery is an approved recovery as its customer sees it.
type MyRecovery struct {
	ID                   uuid.UUID
	State                string
	CreatedAt, AppliesAt time.Time
	ClosedAt             *time.Time
}

func myRecovery(r userdb.Recovery) MyRecovery {
	return MyRecovery{ID: r.ID, State: r.State, CreatedAt: r.CreatedAt.UTC(), AppliesAt: r.AppliesAt.UTC(), ClosedAt: utcOf(r.ClosedAt)}
}

// ListMyRecoveries returns a page of the approved recoveries of the caller's account, newest first, and the cursor of the next one.
func (a *App) ListMyRecoveries(ctx context.Context, in page.Request) ([]MyRecovery, *string, error) {
	u, _, err := a.caller(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listMyRecoveries", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListUserRecoveries(ctx, a.Pool, u.ID, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list recoveries: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r userdb.Recovery) uuid.UUID { return r.ID })
	out := make([]MyRecovery, len(rows))
	for i, r := range rows {
		out[i] = myRecovery(r)
	}
	return out, next, nil
}

// CancelRecovery is the customer's answer that it is somebody else: who has a bound device and the PIN has not lost them.
func (a *App) CancelRecovery(ctx context.Context, id uuid.UUID) (MyRecovery, error) {
	u, _, err := a.caller(ctx)
	if err != nil {
		return MyRecovery{}, err
	}
	r, err := a.q.GetRecovery(ctx, a.Pool, id)
	if pg.IsNoRows(err) || err == nil && (r.UserID == nil || *r.UserID != u.ID || r.AppliesAt == nil) {
		return MyRecovery{}, fault.ErrNotFound
	}
	if err != nil {
		return MyRecovery{}, fmt.Errorf("read recovery: %w", err)
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		_, r, err := a.lockRecovery(ctx, tx, u.ID, id)
		switch {
		case err != nil:
			return err
		case r.State == domain.RecoveryCancelled:
			return nil
		case r.State != domain.RecoveryCooling:
			return domain.ErrRecoveryClosed
		}
		if err := a.spendStepUp(ctx, tx, "cancelRecovery", id); err != nil {
			return err
		}
		a.metrics.recoveryFraud.Inc()
		return a.endRecovery(ctx, tx, r, domain.RecoveryCancelled, domain.RecoveryFraud)
	})
	if err != nil {
		return MyRecovery{}, err
	}
	if r, err = a.q.GetRecovery(ctx, a.Pool, id); err != nil {
		return MyRecovery{}, fmt.Errorf("read recovery: %w", err)
	}
	return myRecovery(r), nil
}

// endRecovery ends an approved recovery, and leaves the account as it is.
func (a *App) endRecovery(ctx context.Context, tx pgx.Tx, r userdb.Recovery, state, reason string) error {
	if err := a.q.CloseRecovery(ctx, tx,
		userdb.CloseRecoveryParams{ID: r.ID, State: state, ReasonCode: reason, Now: a.Now()}); err != nil {
		return fmt.Errorf("close recovery: %w", err)
	}
	if err := a.auditRecovery(ctx, tx, state, r, reason); err != nil {
		return err
	}
	return a.publish(ctx, tx, "user.recovery_ended", *r.UserID,
		events.UserRecoveryEnded{UserID: *r.UserID, RecoveryID: r.ID, State: state, ReasonCode: reason})
}

// ApplyRecoveryArgs is the job that gives the account back when its time has come. It is tried until it is decided.
type ApplyRecoveryArgs struct {
	RecoveryID uuid.UUID `json:"recovery_id"`
}

// Kind names the job.
func (ApplyRecoveryArgs) Kind() string { return "user.apply_recovery" }

// InsertOpts let it run until there is a decision.
func (ApplyRecoveryArgs) InsertOpts() river.InsertOpts { return jobs.MoneyOpts() }

// ApplyRecovery replaces number, PIN and devices, unless the customer stopped it or something hinders it by now. It returns how long to
// wait, or zero.
func (a *App) ApplyRecovery(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	r, err := a.q.GetRecovery(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("read recovery: %w", err)
	}
	if r.State != domain.RecoveryCooling {
		return 0, nil
	}
	if wait := r.AppliesAt.Sub(a.Now()); wait > 0 {
		return wait, nil
	}
	err = a.applyRecovery(ctx, *r.UserID, id, "")
	if pg.Constraint(err) == "users_phone_once" { // somebody registered the number at this moment
		err = a.applyRecovery(ctx, *r.UserID, id, domain.NumberTaken)
	}
	return 0, err
}

// applyRecovery gives the account back or, for a reason, leaves it as it is.
func (a *App) applyRecovery(ctx context.Context, user, id uuid.UUID, reason string) error {
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		u, r, err := a.lockRecovery(ctx, tx, user, id)
		if err != nil || r.State != domain.RecoveryCooling {
			return err
		}
		hindered, phone, err := a.recoveryHindered(ctx, tx, u, r)
		if err != nil {
			return err
		}
		if hindered != "" {
			reason = hindered
		}
		if reason != "" {
			return a.endRecovery(ctx, tx, r, domain.RecoveryFailed, reason)
		}
		return a.giveBack(ctx, tx, u, r, phone)
	})
}

// giveBack replaces all that the account could be entered with, and ends all that was begun with what it had.
func (a *App) giveBack(ctx context.Context, tx pgx.Tx, u userdb.User, r userdb.Recovery, phone string) error {
	now := a.Now()
	own, err := a.open("user.phone", u.ID, u.PhoneSealed)
	if err != nil {
		return err
	}
	var former *uuid.UUID
	if own != phone {
		if former, _, err = a.moveNumber(ctx, tx, u, phone); err != nil {
			return err
		}
	} else if err := a.keepNumber(ctx, tx, u, now); err != nil {
		return err
	}
	version, err := a.replaceCredentials(ctx, tx, u, r, now)
	if err != nil {
		return err
	}
	if err := a.dropNumberChange(ctx, tx, u.ID, domain.NumberByRecovery); err != nil {
		return err
	}
	if err := a.q.CloseRecovery(ctx, tx, userdb.CloseRecoveryParams{ID: r.ID, State: domain.RecoveryApplied, Now: now}); err != nil {
		return fmt.Errorf("close recovery: %w", err)
	}
	if err := a.q.SupersedeRecoveries(ctx, tx, now, u.ID, r.ID); err != nil {
		return fmt.Errorf("supersede recoveries: %w", err)
	}
	if err := a.auditRecovery(ctx, tx, domain.RecoveryApplied, r, ""); err != nil {
		return err
	}
	return a.publish(ctx, tx, "user.recovered", u.ID,
		events.UserRecovered{UserID: u.ID, RecoveryID: r.ID, FormerNumberID: former, Version: version})
}

// keepNumber is moveNumber for a customer who keeps the number.
func (a *App) keepNumber(ctx context.Context, tx pgx.Tx, u userdb.User, now time.Time) error {
	if err := a.q.ClearPinTries(ctx, tx, u.PhoneIndex, now); err != nil {
		return fmt.Errorf("clear pin tries: %w", err)
	}
	if err := a.q.VoidChallenges(ctx, tx, now, u.ID); err != nil {
		return fmt.Errorf("void codes: %w", err)
	}
	if err := a.rejectByRecovery(ctx, tx, u); err != nil {
		return err
	}
	return a.noteCredentials(ctx, tx, u.ID)
}

// rejectByRecovery is the holder's answer to a claim on the number by another way: who showed the document says that it is theirs.
func (a *App) rejectByRecovery(ctx context.Context, tx pgx.Tx, u userdb.User) error {
	c, err := a.waitingClaim(ctx, tx, u.ID)
	if err != nil || c == nil || c.State != domain.ClaimOpen {
		return err
	}
	next, err := facts(*c).Reject()
	if err != nil {
		return err
	}
	_, err = a.moveClaim(ctx, tx, *c, next, nil)
	return err
}

// replaceCredentials sets the PIN, leaves one device, and ends all sessions.
func (a *App) replaceCredentials(ctx context.Context, tx pgx.Tx, u userdb.User, r userdb.Recovery, now time.Time) (int64, error) {
	hash, err := a.open("recovery.pin", r.ID, r.PinSealed)
	if err != nil {
		return 0, err
	}
	sealed, err := a.seal("user.pin", u.ID, hash)
	if err != nil {
		return 0, err
	}
	version, err := a.q.ReplaceUserPin(ctx, tx, u.ID, sealed, now)
	if err != nil {
		return 0, fmt.Errorf("replace pin: %w", err)
	}
	if err := a.q.ClearPinTries(ctx, tx, ownTries(u.ID), now); err != nil {
		return 0, fmt.Errorf("clear pin tries: %w", err)
	}
	if _, err := a.q.UnbindDevices(ctx, tx, u.ID); err != nil {
		return 0, fmt.Errorf("unbind devices: %w", err)
	}
	if _, err := a.q.BindDevice(ctx, tx, u.ID, r.DeviceIndex, now); err != nil {
		return 0, fmt.Errorf("bind device: %w", err)
	}
	return version, a.revokeAll(ctx, tx, u.ID, "recovered")
}
