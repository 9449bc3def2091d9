package domain

import (
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/stepup"
)

// QuoteLife is how long a quote pins price and recipient.
const QuoteLife = 5 * time.Minute

// Quote is a price and a recipient, good for one transfer.
type Quote struct {
	ID                uuid.UUID
	UserID            uuid.UUID
	WalletID          uuid.UUID
	RecipientUserID   uuid.UUID
	RecipientWalletID uuid.UUID
	RecipientName     string // masked
	Price
	ExpiresAt time.Time
	RequestID *uuid.UUID // the request for money that it pays
}

// ApprovalHash is what a step-up token for a transfer of this quote carries.
func ApprovalHash(quoteID uuid.UUID) string { return stepup.OfQuote(quoteID) }

// States of a transfer. Created means that the outcome is not known yet.
const (
	TransferCreated   = "created"
	TransferCompleted = "completed"
	TransferFailed    = "failed"
)

// Transfer moves a quoted amount and its price out of one wallet.
type Transfer struct {
	ID                uuid.UUID
	QuoteID           uuid.UUID
	UserID            uuid.UUID
	WalletID          uuid.UUID
	RecipientUserID   uuid.UUID
	RecipientWalletID uuid.UUID
	RecipientName     string
	Price
	Status              string
	FailureCode         string
	Note                string
	ClientReference     string
	IdempotencyID       uuid.UUID
	JobID               int64
	LedgerTransactionID *uuid.UUID
	CreatedAt           time.Time
	ClosedAt            *time.Time
	RequestID           *uuid.UUID // the request for money that it pays
}

// LedgerRequest is one transaction as the ledger shall post it. It depends on stored rows only, so that the inline call and the job
// send the same body.
type LedgerRequest struct {
	Reference       string
	Type            string
	Channel         string
	Postings        []Posting
	HoldOverMaximum bool // what does not fit under the account's maximum is credited and held
	Metadata        map[string]string
}

// Posting moves an amount from a debited account to a credited one; accounts are wallet ids or codes of the chart.
type Posting struct {
	Source, Destination string
	Amount              money.Money
}

// Accounts of the chart, before their currency.
const (
	AccountFees     = "fees.revenue."
	AccountExcise   = "excise.payable."
	AccountSuspense = "suspense."
	AccountPaybill  = "rail.mpesa.paybill."
)

// LedgerRequest is amount, fee and excise in one transaction: all of it happens or nothing does.
func (t Transfer) LedgerRequest() LedgerRequest {
	from := t.WalletID.String()
	r := LedgerRequest{Reference: t.ID.String() + ":post", Type: KindTransfer, Channel: "internal",
		Postings: []Posting{{Source: from, Destination: t.RecipientWalletID.String(), Amount: t.Amount}}}
	if t.Fee.IsPositive() {
		r.Postings = append(r.Postings, Posting{Source: from, Destination: AccountFees + t.Fee.Currency, Amount: t.Fee})
	}
	if t.Excise.IsPositive() {
		r.Postings = append(r.Postings, Posting{Source: from, Destination: AccountExcise + t.Excise.Currency, Amount: t.Excise})
	}
	return r
}

// TransferRefusal turns the ledger's code into what the sender may read. Only the recipient's account has a maximum.
func TransferRefusal(ledgerCode string) *fault.Error {
	switch ledgerCode {
	case "insufficient_funds":
		return ErrInsufficientFunds
	case "over_maximum", "balance_overflow":
		return ErrRecipientLimit
	case "account_frozen":
		return ErrWalletFrozen // a frozen account still takes money in, so it is the sender's
	}
	return ErrTransferRefused
}
