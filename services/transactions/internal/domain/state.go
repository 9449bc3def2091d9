package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// State is what Decide works on: everything was read under the locks of the accounts, and Now was read after them.
type State struct {
	Accounts  map[uuid.UUID]Account
	Holds     map[uuid.UUID]HoldState
	Originals map[uuid.UUID]Original
	Now       time.Time
}

// HoldReason says who asked for a hold.
type HoldReason string

// The reasons of holds.
const (
	HoldRequested HoldReason = "requested"
	HoldOverCap   HoldReason = "over_cap" // the ledger itself, for money above the maximum
)

// HoldStatus is the state of a hold.
type HoldStatus string

// The states of a hold; all but the first are final.
const (
	HoldActive   HoldStatus = "active"
	HoldCaptured HoldStatus = "captured" // used up, at least in part by captures
	HoldReleased HoldStatus = "released"
	HoldExpired  HoldStatus = "expired"
)

// HoldState is money of one account that is reserved. The lock of that account guards it.
type HoldState struct {
	ID        uuid.UUID
	AccountID uuid.UUID
	Book      Book // of the account, which the leaf of the opening transaction has; "" if the hold was there before
	Currency  string
	Amount    int64
	Captured  int64
	Released  int64
	Lines     []HoldLine // where it is meant to go; none for money above the maximum
	Reason    HoldReason
	Status    HoldStatus
	ExpiresAt time.Time // zero, which no hold can have: never
	CreatedAt time.Time
}

// HoldLine is one intended destination, whose credit is pending.
type HoldLine struct {
	Destination uuid.UUID `json:"destination"`
	Amount      int64     `json:"amount"`
	Remaining   int64     `json:"remaining"`
}

// Remaining is what is still reserved.
func (h HoldState) Remaining() int64 { return h.Amount - h.Captured - h.Released }

// Original is a transaction that is to be reversed. The locks of its accounts guard what is left of it.
type Original struct {
	ID       uuid.UUID
	Action   Action
	Postings []OriginalPosting
}

// OriginalPosting is one posting with what earlier reversals took of it.
type OriginalPosting struct {
	Posting
	Position int
	Reversed int64
}

// Transaction is what is written for a posted request.
type Transaction struct {
	ID         uuid.UUID
	Reference  string
	Action     Action
	Type       string
	Channel    string
	HoldID     uuid.UUID
	HoldDelta  int64 // added to what the hold reserves; negative for captures and releases
	ReversesID uuid.UUID
	RecordedAt time.Time
	Request    *Request // what was asked: metadata, salts, effective time
	Postings   []PostedPosting
	Balances   []OutcomeBalance
}

// PostedPosting is a posting with the running numbers of both accounts, balances on their normal sides.
type PostedPosting struct {
	Posting
	Book                Book // of both accounts
	SourceSequence      int64
	SourceBalance       int64
	DestinationSequence int64
	DestinationBalance  int64
	ReversesPosition    int // -1: reverses nothing
}

// OutcomeStatus is posted or refused.
type OutcomeStatus string

// The two fates of a transaction.
const (
	Posted  OutcomeStatus = "posted"
	Refused OutcomeStatus = "refused"
)

// Outcome is the fate of one transaction, as it is stored under its reference.
type Outcome struct {
	Reference     string
	Status        OutcomeStatus
	Code          string
	Detail        string
	TransactionID uuid.UUID
	HoldID        uuid.UUID
	Released      int64  // what a release freed, in minor units; 0: it is none
	Currency      string // of Released
	RecordedAt    time.Time
	Balances      []OutcomeBalance
}

// OutcomeBalance is an account right after the transaction.
type OutcomeBalance struct {
	AccountID uuid.UUID
	Currency  string
	Balance   int64
	Available int64
	Sequence  int64
}

// LockIDs returns the accounts that Decide needs, in the order in which they are to be locked.
func LockIDs(requests []Request, holds map[uuid.UUID]HoldState, originals map[uuid.UUID]Original) []uuid.UUID {
	var ids []uuid.UUID
	for i := range requests {
		for _, p := range requests[i].Postings {
			ids = append(ids, p.Source, p.Destination)
		}
	}
	for _, h := range holds {
		ids = append(ids, h.AccountID)
		for _, l := range h.Lines {
			ids = append(ids, l.Destination)
		}
	}
	for _, o := range originals {
		for _, p := range o.Postings {
			ids = append(ids, p.Source, p.Destination)
		}
	}
	return Distinct(ids)
}

// Distinct sorts ids and drops repeats.
func Distinct(ids []uuid.UUID) []uuid.UUID {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}
