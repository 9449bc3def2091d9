package domain

import (
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
)

// OwnReservations is the service under which this service's transfers and top-ups reserve.
const OwnReservations = "wallet"

// States of a reservation.
const (
	Reserved  = "reserved"
	Committed = "committed" // the money has moved
	Released  = "released"  // it will not move
	Refused   = "refused"   // it would have been above a limit
	Tombstone = "tombstone" // released before it came
)

// Refusals that another service reads.
var (
	ErrReservationDiffers   = fault.New(fault.Unprocessable, "reservation_differs", "This id reserves something else.")
	ErrReservationReleased  = fault.New(fault.Conflict, "reservation_released", "This id was released.")
	ErrReservationRefused   = fault.New(fault.Conflict, "reservation_refused", "This reservation was refused.")
	ErrReservationCommitted = fault.New(fault.Conflict, "reservation_committed", "This reservation was committed; it cannot be released.")
)

// Demand is what is asked of a customer's limit.
type Demand struct {
	UserID uuid.UUID
	Kind   string
	Amount money.Money
}

// Reservation is a share of a customer's limit, as it is stored.
type Reservation struct {
	ID uuid.UUID // of the row of the calling service that uses it
	Demand
	Status    string
	Refusal   string // code
	Period    Period
	CreatedAt time.Time
}

// Put answers a repeated request for a reservation that exists: nil when it holds.
func (r Reservation) Put(d Demand) error {
	switch {
	case r.Status == Tombstone:
		return ErrReservationReleased
	case r.Demand != d:
		return ErrReservationDiffers
	case r.Status == Released: // a request that comes late must not make its sender think that the limit is held
		return ErrReservationReleased
	case r.Status == Refused:
		return limitRefusal(r.Refusal)
	}
	return nil
}

// Commit says whether the counters or the state change. Money that has moved is counted, whatever was said of it before.
func (r Reservation) Commit() (changes bool, err error) {
	switch r.Status {
	case Tombstone:
		return false, ErrReservationReleased // nothing is known of it
	case Refused:
		return false, ErrReservationRefused
	}
	return r.Status != Committed, nil
}

// Release says whether the counters or the state change.
func (r Reservation) Release() (changes bool, err error) {
	if r.Status == Committed {
		return false, ErrReservationCommitted
	}
	return r.Status == Reserved, nil
}

func limitRefusal(code string) error {
	for _, known := range []*fault.Error{ErrLimitTransaction, ErrLimitDay, ErrLimitMonth} {
		if known.Code == code {
			return known
		}
	}
	return fault.New(fault.Unprocessable, code, "The amount exceeds a limit.") // of another version
}
