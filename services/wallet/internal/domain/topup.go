package domain

import (
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/providers/safaricom"
)

// TopupStatus is a state of a top-up.
type TopupStatus string

// States of a top-up.
const (
	TopupStored    TopupStatus = "stored"    // the prompt has not been sent
	TopupRequested TopupStatus = "requested" // it is being sent; written before the first byte leaves
	TopupPrompted  TopupStatus = "prompted"  // Safaricom has taken it
	TopupPaid      TopupStatus = "paid"      // Safaricom has the money
	TopupFailed    TopupStatus = "failed"    // Safaricom says no
	TopupExpired   TopupStatus = "expired"   // no result in time
	TopupUnknown   TopupStatus = "unknown"   // nobody knows whether a prompt went out, or what became of it
)

// TopupEvent is something that happened to a top-up.
type TopupEvent string

// Events of a top-up.
const (
	EventSend     TopupEvent = "send"     // the prompt is about to leave
	EventAccepted TopupEvent = "accepted" // Safaricom took it
	EventRefused  TopupEvent = "refused"  // Safaricom certainly did not take it
	EventLost     TopupEvent = "lost"     // the answer is missing
	EventPaid     TopupEvent = "paid"     // callback, confirmation or query says paid
	EventDeclined TopupEvent = "declined" // callback or query says failed
	EventSilent   TopupEvent = "silent"   // the time for a result is over and Safaricom has none
)

// topupTransitions is the whole machine; what is not in it does not happen. Failed and expired can become paid (a success after code
// 1037 was seen in the field); paid is the end. A stored top-up was never shown to anybody, so it cannot be paid.
var topupTransitions = map[TopupStatus]map[TopupEvent]TopupStatus{
	TopupStored: {EventSend: TopupRequested, EventRefused: TopupFailed},
	TopupRequested: {EventAccepted: TopupPrompted, EventRefused: TopupFailed, EventLost: TopupUnknown, EventPaid: TopupPaid,
		EventDeclined: TopupFailed},
	TopupPrompted: {EventPaid: TopupPaid, EventDeclined: TopupFailed, EventSilent: TopupExpired, EventLost: TopupUnknown},
	TopupUnknown:  {EventPaid: TopupPaid, EventDeclined: TopupFailed, EventSilent: TopupExpired},
	TopupFailed:   {EventPaid: TopupPaid},
	TopupExpired:  {EventPaid: TopupPaid},
	TopupPaid:     {},
}

// Credit says where the money of a payment is.
type Credit string

// Where the money is.
const (
	CreditNone     Credit = "none"     // there is none
	CreditDue      Credit = "due"      // to be posted
	CreditWallet   Credit = "wallet"   // posted to the wallet
	CreditSuspense Credit = "suspense" // posted to suspense: the wallet cannot take it
)

// Topup is a payment from M-Pesa that a customer asked for.
type Topup struct {
	ID                  uuid.UUID
	UserID              uuid.UUID
	WalletID            uuid.UUID
	Amount              money.Money
	AccountReference    string
	Status              TopupStatus
	FailureCode         string
	CheckoutRequestID   string
	MerchantRequestID   string
	Receipt             string
	Credit              Credit
	LedgerTransactionID *uuid.UUID
	CreatedAt           time.Time
	PromptedAt          *time.Time
	UpdatedAt           time.Time
	OthersPhone         bool // the prompt goes to a number that is not the customer's own
}

// Share says what becomes of the reserved limit.
type Share string

// What becomes of a reservation.
const (
	ShareKept      Share = ""
	ShareCommitted Share = "committed"
	ShareReleased  Share = "released"
)

// Apply moves the top-up along the machine. It reports what becomes of the limit, and false when the event changes nothing.
func (t Topup) Apply(e TopupEvent, failureCode string, at time.Time) (Topup, Share, bool) {
	next, legal := topupTransitions[t.Status][e]
	if !legal {
		return t, ShareKept, false
	}
	t.Status, t.UpdatedAt, t.FailureCode = next, at, ""
	switch next {
	case TopupPrompted:
		t.PromptedAt = &at
	case TopupPaid:
		t.Credit = CreditDue
		return t, ShareCommitted, true
	case TopupFailed, TopupExpired:
		t.FailureCode = failureCode
		return t, ShareReleased, true
	}
	return t, ShareKept, true
}

// TakesConfirmation says whether a paybill payment under the top-up's reference is the top-up's own: the amount agrees, and it was
// prompted but has no receipt yet (unpaid, or paid by a query, which returns none). Anything else is a new deposit.
func (t Topup) TakesConfirmation(amount money.Money) bool {
	return t.Receipt == "" && t.Status != TopupStored && t.Amount == amount
}

// Contradicts says whether a payment of another amount under the top-up's reference may be the top-up's own, told wrongly: its prompt is
// still open, or a query paid it and its receipt is not known. Nothing is credited on such a message. Once the top-up has its receipt, or
// is known to have failed, the payer has just used the reference again.
func (t Topup) Contradicts(amount money.Money) bool {
	if t.Receipt != "" || t.Amount == amount {
		return false
	}
	switch t.Status {
	case TopupRequested, TopupPrompted, TopupUnknown, TopupPaid:
		return true
	}
	return false
}

// LedgerRequest credits the wallet, or suspense when the wallet cannot take it.
func (t Topup) LedgerRequest(suspense bool) LedgerRequest {
	return payIn(t.ID, t.ID.String()+":credit", KindTopup, t.WalletID, t.Amount, suspense)
}

// Deposit is a payment to the paybill that nobody asked for.
type Deposit struct {
	ID       uuid.UUID
	Receipt  string
	UserID   *uuid.UUID
	WalletID *uuid.UUID // nil: no owner is known
	Amount   money.Money
	Credit   Credit
}

// LedgerRequest credits the wallet under the receipt, or suspense.
func (d Deposit) LedgerRequest(suspense bool) LedgerRequest {
	var wallet uuid.UUID
	if d.WalletID != nil {
		wallet = *d.WalletID
	}
	return payIn(d.ID, "c2b:"+d.Receipt, "deposit", wallet, d.Amount, suspense || d.WalletID == nil)
}

func payIn(row uuid.UUID, reference, kind string, wallet uuid.UUID, amount money.Money, suspense bool) LedgerRequest {
	to := wallet.String()
	if suspense {
		reference, to = row.String()+":suspense", AccountSuspense+amount.Currency
	}
	return LedgerRequest{Reference: reference, Type: kind, Channel: "mpesa", HoldOverMaximum: !suspense,
		Postings: []Posting{{Source: AccountPaybill + amount.Currency, Destination: to, Amount: amount}}}
}

// GoesToSuspense says whether the ledger's refusal of a pay-in means that the wallet can never take it: the money goes to suspense then.
func GoesToSuspense(ledgerCode string) bool {
	switch ledgerCode {
	case "account_closed", "account_not_found", "currency_mismatch", "books_differ", "balance_overflow", "over_maximum", "account_frozen":
		return true
	}
	return false
}

// When to ask Safaricom about a prompt, by its age. Results were seen after 14 to 27 s; after three minutes the prompt is over, but a
// payment whose callback was lost can still turn up.
const (
	QueryFirst    = 15 * time.Second
	QueryEvery    = 10 * time.Second
	QueryWindow   = 3 * time.Minute
	querySlowly   = time.Minute
	querySlowPast = 15 * time.Minute
	queryHourly   = time.Hour
	QueryEnd      = 24 * time.Hour
)

// NextQuery returns how long to wait before the next question, and false when there is no use in asking any more.
func NextQuery(age time.Duration) (time.Duration, bool) {
	switch {
	case age < QueryFirst:
		return QueryFirst - max(age, 0), true // a clock that was set back makes no age
	case age < QueryWindow:
		return min(QueryEvery, QueryWindow-age), true
	case age < querySlowPast:
		return querySlowly, true
	case age < QueryEnd:
		return queryHourly, true
	}
	return 0, false
}

// FailureOf turns a result code of Safaricom into our stable code.
func FailureOf(resultCode string) string {
	switch resultCode {
	case "1":
		return "insufficient_mpesa_funds"
	case "2", "3", "4", "8":
		return "mpesa_limit"
	case "17", "26", "1001":
		return "try_later"
	case "1019", "1031", "1036", "1037":
		return "no_answer"
	case "1032":
		return "cancelled_by_customer"
	case "2001":
		return "wrong_pin"
	}
	return "declined_by_mpesa"
}

// CheckTopupPhone refuses a number that Safaricom cannot prompt.
func CheckTopupPhone(e164 string) error {
	if !safaricom.CanPrompt(e164) {
		return ErrTopupPhone
	}
	return nil
}

// CheckTopupAmount refuses what M-Pesa does not take: other currencies, cents, more than KES 250,000 (Safaricom, August 2023).
func CheckTopupAmount(amount money.Money) error {
	switch {
	case amount.Currency != MpesaCurrency:
		return ErrTopupCurrency
	case amount.Amount < 1_00 || amount.Amount > 250_000_00 || amount.Amount%100 != 0:
		return ErrTopupAmount
	}
	return nil
}
