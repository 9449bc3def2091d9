package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// asker is who asks for a code or tries to sign in: a customer on a device of theirs, or anybody who knows a phone.
type asker struct {
	user          *userdb.User // whose phone it is; nil for nobody's
	phone, device string
	bound         bool // the device is the customer's
	inReview      bool // it is not clear whose the phone is
}

// asker looks who asks. A phone that is nobody's takes the same way as a customer's.
func (a *App) asker(ctx context.Context, phone, device string) (asker, error) {
	who := asker{phone: phone, device: device}
	var err error
	if who.user, err = a.findByPhone(ctx, a.Pool, phone); err != nil {
		return who, err
	}
	owner := uuid.Nil // nobody's device
	if who.user != nil {
		owner = who.user.ID
	}
	if who.bound, err = a.q.DeviceBound(ctx, a.Pool, owner, a.Sealer.Indexes(indexDevice, device)); err != nil {
		return who, fmt.Errorf("read device: %w", err)
	}
	if who.inReview, err = a.inReview(ctx, a.Pool, owner); err != nil { // asked about nobody's phone too
		return who, err
	}
	return who, nil
}

// admitSignIn counts a try to sign in, committed before anything is looked at.
func (a *App) admitSignIn(ctx context.Context, who asker) error {
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if who.bound {
			return a.admit(ctx, tx, domain.SignInsOfDevice, who.own())
		}
		return a.admit(ctx, tx, domain.SignInsOfPhone, who.phone)
	})
}

// admitCode counts a code in the transaction that makes it: what was not made is not counted. The count of the range includes customers'
// phones, as long as the device is not theirs: else a full range would tell which phones are customers'.
func (a *App) admitCode(ctx context.Context, tx pgx.Tx, who asker) error {
	if who.bound {
		return a.admit(ctx, tx, domain.CodesOfDevice, who.own())
	}
	if err := a.admit(ctx, tx, domain.CodesOfPhone, who.phone); err != nil {
		return err
	}
	return a.admit(ctx, tx, domain.CodesOfPrefix, domain.PhonePrefix(who.phone)) // always after the phone's: locks in one order
}

// own names a customer on a device of theirs.
func (w asker) own() string { return w.user.ID.String() + "/" + w.device }

// admit counts one request of subject, or refuses it and leaves everything as it was. Requests of one subject come one after the other.
// Only keyed hashes are stored: neither a phone nor a customer can be read from them.
func (a *App) admit(ctx context.Context, tx pgx.Tx, l domain.Limit, subject string) error {
	keys := a.Sealer.Indexes(indexLimit, l.Name+"/"+subject)
	taken, err := a.q.LockLimit(ctx, tx, keys[0], a.Now())
	if err != nil {
		return fmt.Errorf("lock %s: %w", l.Name, err)
	}
	var previous [][]time.Time
	if len(keys) > 1 {
		if previous, err = a.q.PreviousLimits(ctx, tx, keys[1:]); err != nil {
			return fmt.Errorf("read previous %s: %w", l.Name, err)
		}
	}
	now := a.Now() // under the lock: what waited for it comes later
	keep, err := l.Take(taken, slices.Concat(previous...), now)
	if err != nil {
		a.metrics.limited.WithLabelValues(l.Name).Inc()
		return err
	}
	if err := a.q.UpdateLimit(ctx, tx, keep, now.Add(l.Window), keys[0]); err != nil {
		return fmt.Errorf("count %s: %w", l.Name, err)
	}
	return nil
}
