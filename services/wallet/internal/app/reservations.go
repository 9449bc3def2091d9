package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// reserver is the service whose reservations the caller means. wallet's own are none of theirs.
func reserver(ctx context.Context) (string, error) {
	if err := auth.Require(ctx, scopes.LimitsReserve); err != nil {
		return "", err
	}
	service := auth.From(ctx).Service()
	if service == "" || service == domain.OwnReservations {
		return "", fault.ErrForbidden
	}
	return service, nil
}

// PutLimitReservation reserves a share of a customer's limit for a row of the calling service, and says whether it is new. A refusal is
// kept, so that a repeat is refused too, whatever has become of the limit.
func (a *App) PutLimitReservation(ctx context.Context, id uuid.UUID, d domain.Demand) (r domain.Reservation, created bool, err error) {
	service, err := reserver(ctx)
	if err != nil {
		return r, false, err
	}
	if caller, ok := auth.From(ctx).UserID(); ok && caller != d.UserID { // on a user's behalf it is that user's limit
		return r, false, fault.ErrForbidden
	}
	if !domain.IsKind(d.Kind) {
		return r, false, fault.ErrInvalid.WithField("/kind", "enum", "The kind is not known.")
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return r, false, err
	}
	var refusal error // kept by the same transaction, which is why it is no error of that
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		created, refusal = false, nil
		c, err := a.customerIn(ctx, tx, d.UserID)
		if err != nil {
			return err
		}
		now := a.Now()
		period := domain.PeriodOf(c.Country, now)
		n, err := a.q.InsertReservation(ctx, tx, walletdb.InsertReservationParams{ID: id, Service: service, UserID: &d.UserID,
			Kind: &d.Kind, Currency: &d.Amount.Currency, AmountMinor: &d.Amount.Amount, Day: date(period.Day),
			Month: date(period.Month), At: now})
		if err != nil {
			return fmt.Errorf("insert reservation: %w", err)
		}
		if n == 0 {
			if r, err = a.lockReservation(ctx, tx, service, id); err == nil {
				refusal = r.Put(d)
			}
			return err
		}
		r = domain.Reservation{ID: id, Demand: d, Status: domain.Reserved, Period: period, CreatedAt: now}
		created = true
		refusal, err = a.takeShare(ctx, tx, service, r, rules.Limit(c, d.Kind, d.Amount.Currency, now))
		return err
	})
	if err != nil {
		return r, false, err
	}
	return r, created, refusal
}

// takeShare adds a new reservation to its counters, which stay locked until the commit; above a limit it gives back what it added, and
// keeps the refusal.
func (a *App) takeShare(ctx context.Context, tx pgx.Tx, service string, r domain.Reservation, limit domain.Limit) (refusal, err error) {
	used := int64(0)
	if refusal = limit.CheckAmount(r.Amount.Amount); refusal == nil {
		used = r.Amount.Amount
		sums, err := a.q.UseLimit(ctx, tx, walletdb.UseLimitParams{UserID: r.UserID, Kind: r.Kind, Currency: r.Amount.Currency,
			Day: date(r.Period.Day), AmountMinor: used, Month: date(r.Period.Month)})
		if err != nil {
			return nil, fmt.Errorf("use limit: %w", err)
		}
		refusal = limit.CheckUsed(domain.Used{Day: sums.UsedDay, Month: sums.UsedMonth})
	}
	if refusal == nil {
		return nil, nil
	}
	f, _ := fault.As(refusal)
	at := r.CreatedAt
	if err := a.q.RefuseReservation(ctx, tx, walletdb.RefuseReservationParams{Refusal: f.Code, At: &at, ID: r.ID, Service: service,
		UsedMinor: used}); err != nil {
		return nil, fmt.Errorf("refuse reservation: %w", err)
	}
	return refusal, nil
}

// CommitLimitReservation counts a share for good, on the day of its reservation: the money has moved.
func (a *App) CommitLimitReservation(ctx context.Context, id uuid.UUID) (domain.Reservation, error) {
	service, err := reserver(ctx)
	if err != nil {
		return domain.Reservation{}, err
	}
	var r domain.Reservation
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if r, err = a.lockReservation(ctx, tx, service, id); err != nil {
			return err
		}
		changes, err := r.Commit()
		if err != nil || !changes {
			return err
		}
		r.Status = domain.Committed
		return a.settleReservation(ctx, tx, service, r)
	})
	return r, err
}

// ReleaseLimitReservation frees a share: the money will not move. Of an id that is not known it keeps that it was released, because the
// request for it may still be under way.
func (a *App) ReleaseLimitReservation(ctx context.Context, id uuid.UUID) error {
	service, err := reserver(ctx)
	if err != nil {
		return err
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		n, err := a.q.InsertTombstone(ctx, tx, id, service, a.Now())
		if err != nil {
			return fmt.Errorf("insert tombstone: %w", err)
		}
		if n > 0 {
			return nil
		}
		r, err := a.lockReservation(ctx, tx, service, id)
		if err != nil {
			return err
		}
		changes, err := r.Release()
		if err != nil || !changes {
			return err
		}
		r.Status = domain.Released
		return a.settleReservation(ctx, tx, service, r)
	})
}

func (a *App) settleReservation(ctx context.Context, tx pgx.Tx, service string, r domain.Reservation) error {
	at := a.Now()
	if _, err := a.q.SettleReservation(ctx, tx, walletdb.SettleReservationParams{Status: r.Status, At: &at, ID: r.ID,
		Service: service}); err != nil {
		return fmt.Errorf("settle reservation: %w", err)
	}
	return nil
}

func (a *App) lockReservation(ctx context.Context, tx pgx.Tx, service string, id uuid.UUID) (domain.Reservation, error) {
	row, err := a.q.LockReservation(ctx, tx, id, service)
	if pg.IsNoRows(err) {
		return domain.Reservation{}, fault.ErrNotFound
	}
	if err != nil {
		return domain.Reservation{}, fmt.Errorf("lock reservation: %w", err)
	}
	r := domain.Reservation{ID: id, Status: row.Status, Refusal: row.Refusal,
		Period: domain.Period{Day: row.Day.Time, Month: row.Month.Time}, CreatedAt: row.CreatedAt.UTC()}
	if row.UserID != nil { // the whole row, but for a tombstone's
		r.Demand = domain.Demand{UserID: *row.UserID, Kind: *row.Kind, Amount: money.Money{Amount: *row.AmountMinor, Currency: *row.Currency}}
	}
	return r, nil
}
