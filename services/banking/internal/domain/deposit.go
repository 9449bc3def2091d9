package domain

import (
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/providers/paystack"
)

// RailPaystack is Paystack: it collects deposits.
const RailPaystack = "paystack"

// How a deposit is paid.
const (
	ChannelPage  = "page"  // a hosted page: card, mobile money, bank transfer
	ChannelMpesa = "mpesa" // a prompt on the customer's own phone
)

// How long a customer has. Money that comes later is credited all the same.
const (
	PageLife   = time.Hour
	PromptLife = 10 * time.Minute
)

// States of a deposit, besides those that a withdrawal has as well (stored, requested, paid, failed).
const (
	Waiting Status = "waiting" // for the customer
	Expired Status = "expired" // nobody paid in time
	Broken  Status = "broken"  // another amount or currency came than was asked for
)

// What follows at the ledger when money has come. The names are part of references, and never change.
const (
	StepCredit   = "credit"
	StepSuspense = "suspense"
)

// ByVerify is Paystack's answer to a question about a payment, the only thing that decides about money.
const ByVerify = "verify"

// depositMoves is the whole machine of deposits. The schema has the same list.
var depositMoves = map[Status][]Status{
	"":        {Stored},
	Stored:    {Requested, Failed},
	Requested: {Waiting, Paid, Failed, Expired, Broken},
	Waiting:   {Paid, Failed, Expired, Broken},
	Failed:    {Paid, Broken},
	Expired:   {Paid, Broken},
}

// Deposit is a customer's money on its way in. Its id is Paystack's reference.
type Deposit struct {
	Price

	ID, IdempotencyID, UserID, WalletID uuid.UUID
	Channel                             string
	Phone                               string // E.164, that is asked to pay
	TariffVersion                       string
	Status                              Status
	Seq                                 int32
	FailureCode                         string
	CheckoutURL, DisplayText            string
	ProviderID, Receipt                 string
	CameMinor, RailFeeMinor             *int64
	Asked                               int32
	FirstSentAt                         *time.Time
	CreatedAt, UpdatedAt                time.Time // UTC
}

// Credit is what the wallet gets.
func (d Deposit) Credit() money.Money {
	return money.Money{Amount: d.Amount.Amount - d.Fee.Amount - d.Excise.Amount, Currency: d.Amount.Currency}
}

// Life is how long the customer has.
func (d Deposit) Life() time.Duration {
	if d.Channel == ChannelMpesa {
		return PromptLife
	}
	return PageLife
}

// Open says whether the customer can be expected to pay.
func (d Deposit) Open() bool { return d.Status == Requested || d.Status == Waiting }

// MayCome says whether money can come for it.
func (d Deposit) MayCome() bool {
	return d.FirstSentAt != nil && (d.Open() || d.Status == Failed || d.Status == Expired)
}

// Came is a payment as Paystack has it.
type Came struct {
	ProviderID, Receipt string
	Minor               int64
	FeeMinor            *int64
}

// Move applies a transition. It reports false when the machine does not have it; came is of a payment.
func (d Deposit) Move(to Status, b Because, came Came, at time.Time) (Deposit, Transition, bool) {
	legal := false
	for _, s := range depositMoves[d.Status] {
		legal = legal || s == to
	}
	arrived := to == Paid || to == Broken
	if !legal || arrived && d.FirstSentAt == nil {
		return d, Transition{}, false
	}
	t := Transition{Seq: d.Seq + 1, From: d.Status, To: to, Reason: b.Reason, Evidence: b.Evidence, At: at}
	d.Status, d.Seq, d.UpdatedAt = to, t.Seq, at
	switch to {
	case Requested:
		d.FirstSentAt = &at
	case Failed:
		d.FailureCode, t.Limit = b.Reason, LimitRelease
	case Expired:
		t.Limit = LimitRelease
	case Paid:
		d.FailureCode, t.Ledger, t.Limit = "", StepCredit, LimitCommit
	case Broken:
		t.Limit = LimitRelease
		if came.Minor > 0 {
			t.Ledger = StepSuspense
		}
	}
	if arrived {
		d.ProviderID, d.Receipt, d.RailFeeMinor = came.ProviderID, came.Receipt, came.FeeMinor
		if came.Minor > 0 {
			d.CameMinor = &came.Minor
		}
	}
	return d, t, true
}

// Kinds of breaks.
const (
	BreakAmount   = "amount"
	BreakCurrency = "currency"
	BreakDomain   = "domain"
)

// Finding is what Paystack's answer about a deposit means.
type Finding struct {
	To    Status // "" for nothing
	Break string
	Because
	Came Came
}

// Find says what a payment at Paystack means for a deposit: amount, currency, domain, reference and status are all compared. A payment of
// the other mode is no money. An amount in another currency is not booked, as no account of the rail has it: a person must look.
func Find(d Deposit, mode string, t paystack.Transaction) Finding {
	out := Finding{Because: Because{Evidence: ByVerify}}
	switch {
	case t.Reference != d.ID.String():
		return Finding{}
	case t.Domain != mode:
		return Finding{Break: BreakDomain}
	case t.Outcome == paystack.Paid && t.Currency != d.Amount.Currency:
		out.To, out.Break, out.Reason = Broken, BreakCurrency, "other_currency"
		out.Came = Came{ProviderID: t.ID, Receipt: t.Receipt}
	case t.Outcome == paystack.Paid && t.AmountMinor != d.Amount.Amount:
		out.To, out.Break, out.Reason = Broken, BreakAmount, "other_amount"
		out.Came = Came{ProviderID: t.ID, Receipt: t.Receipt, Minor: t.AmountMinor, FeeMinor: t.FeesMinor}
	case t.Outcome == paystack.Paid:
		out.To = Paid
		out.Came = Came{ProviderID: t.ID, Receipt: t.Receipt, Minor: t.AmountMinor, FeeMinor: t.FeesMinor}
	case t.Outcome == paystack.Failed:
		out.To, out.Reason = Failed, "payment_declined"
	case t.Outcome == paystack.Reversed: // it came and went before it was credited
		out.To, out.Reason = Failed, "payment_reversed"
	}
	return out
}

// CheckDepositAmount refuses what Paystack does not collect in Kenya, and cents where M-Pesa pays.
func CheckDepositAmount(channel string, amount money.Money) error {
	switch {
	case amount.Currency != paystack.KES:
		return ErrDepositCurrency
	case amount.Amount < paystack.MinTransactionMinor || amount.Amount > maxDeposit:
		return ErrDepositAmount
	case channel == ChannelMpesa && (amount.Amount%100 != 0 || amount.Amount > maxPromptDeposit):
		return ErrPromptAmount
	}
	return nil
}

// Most of a deposit, in minor units; the tier's limit is lower. M-Pesa takes no more than the latter (Safaricom, 2026).
const (
	maxDeposit       = 1_000_000_00
	maxPromptDeposit = 250_000_00
)

const (
	paystackAccount = "rail.paystack.balance."
	accountFeesPaid = "fees.paid."
)

// Step is the transaction of a ledger step of a deposit: what came, and what Paystack keeps of it, which is our expense.
func (d Deposit) Step(step string) LedgerRequest {
	currency := d.Amount.Currency
	rail := paystackAccount + currency
	of := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: currency} }
	r := LedgerRequest{Reference: d.ID.String() + ":" + step, Action: "post", Type: KindDeposit, Channel: RailPaystack}
	came := d.Amount.Amount
	if d.CameMinor != nil {
		came = *d.CameMinor
	}
	if step == StepCredit {
		r.OverMaximum = true
		r.Postings = []Posting{{Source: rail, Destination: d.WalletID.String(), Amount: d.Credit()}}
		if d.Fee.Amount > 0 {
			r.Postings = append(r.Postings, Posting{Source: rail, Destination: accountFees + currency, Amount: d.Fee})
		}
		if d.Excise.Amount > 0 {
			r.Postings = append(r.Postings, Posting{Source: rail, Destination: accountExcise + currency, Amount: d.Excise})
		}
	} else {
		r.Postings = []Posting{{Source: rail, Destination: accountSuspense + currency, Amount: of(came)}}
	}
	if d.RailFeeMinor != nil && *d.RailFeeMinor > 0 {
		r.Postings = append(r.Postings, Posting{Source: accountFeesPaid + currency, Destination: rail, Amount: of(*d.RailFeeMinor)})
	}
	return r
}
