package daraja

import (
	"errors"
	"strings"
	"time"
)

// Reason says why M-Pesa did not pay, in words that stay the same.
type Reason string

// The reasons of failed orders. Those of the operator (no float, credential, role, product, state) stop every further payment as well.
const (
	ReasonNoFloat            Reason = "no_float"
	ReasonBelowMinimum       Reason = "below_minimum"
	ReasonAboveMaximum       Reason = "above_maximum"
	ReasonDailyLimit         Reason = "daily_limit"
	ReasonReceiverFull       Reason = "receiver_balance_limit"
	ReasonDebitPartyState    Reason = "debit_party_state"
	ReasonRole               Reason = "initiator_role"
	ReasonCredential         Reason = "initiator_credential"
	ReasonCredentialLocked   Reason = "credential_locked" //nolint:gosec // a word, not a credential
	ReasonAccountInactive    Reason = "account_inactive"
	ReasonProduct            Reason = "product_not_allowed"
	ReasonReceiverUnknown    Reason = "receiver_unknown"
	ReasonReceiverNotAllowed Reason = "receiver_not_registered"
	ReasonOriginalUnknown    Reason = "original_unknown"
	ReasonCancelled          Reason = "cancelled"
	ReasonDeclined           Reason = "declined"
	ReasonExpired            Reason = "expired"
)

// failedOrders are the documented codes that end an order without money moving (Daraja portal, August 2026). Codes of system trouble (17,
// 26) and of duplicates (15) are left out on purpose: they do not say that nothing was paid.
var failedOrders = map[string]Reason{
	"1": ReasonNoFloat, "2": ReasonBelowMinimum, "3": ReasonAboveMaximum, "4": ReasonDailyLimit, "8": ReasonReceiverFull,
	"11": ReasonDebitPartyState, "21": ReasonRole, "2001": ReasonCredential, "2006": ReasonAccountInactive, "2028": ReasonProduct,
	"2040": ReasonReceiverNotAllowed, "8006": ReasonCredentialLocked, "SFC_IC0003": ReasonReceiverUnknown,
}

// codeReversed and codeNoOriginal are reversals' own: the receipt was given back before; there is no such receipt.
const (
	codeReversed   = "R000001"
	codeNoOriginal = "R000002"
)

// ClassifyB2C maps the code of a payout's final result. Codes that are not documented are Unknown.
func ClassifyB2C(code string) (Outcome, Reason) {
	if code == CodeSuccess {
		return Paid, ""
	}
	if reason, ok := failedOrders[code]; ok {
		return Failed, reason
	}
	return Unknown, ""
}

func (r Result) classify() (Outcome, Reason) {
	if !r.Final {
		return Unknown, ""
	}
	return ClassifyB2C(r.Code)
}

// receipt is the order's own; where two are given they must agree.
func (r Result) receipt(key string) (string, error) {
	text, err := r.parameters.only(key)
	if err != nil {
		return "", err
	}
	receipt := receiptOf(text)
	switch {
	case receipt == "":
		receipt = r.TransactionID
	case r.TransactionID != "" && r.TransactionID != receipt:
		return "", errors.New("result: two receipts")
	}
	if receipt == "" {
		return "", errors.New("result: success without a receipt")
	}
	return receipt, nil
}

// B2CResult is how a payment to a customer ended.
type B2CResult struct {
	Outcome       Outcome // Paid, Failed or Unknown
	Reason        Reason  // of a failure
	Receipt       string
	AmountMinor   int64  // KES minor units; a claim, to be compared with the order
	ReceiverPhone string // E.164; "" when absent or masked
	ReceiverName  string
	CompletedAt   time.Time // UTC; zero when unreadable
	UtilityMinor  *int64    // what the accounts of the short code hold afterwards; nil when absent
	WorkingMinor  *int64
	ChargesMinor  *int64
}

// B2C reads the result of PayB2C. A success without a receipt and an amount is an error: nothing follows from it.
func (r Result) B2C() (B2CResult, error) {
	out := B2CResult{}
	if out.Outcome, out.Reason = r.classify(); out.Outcome != Paid {
		return out, nil
	}
	p := r.parameters
	var err error
	if out.Receipt, err = r.receipt("TransactionReceipt"); err != nil {
		return B2CResult{}, err
	}
	if out.AmountMinor, err = p.amount("TransactionAmount"); err != nil {
		return B2CResult{}, err
	}
	out.ReceiverPhone, out.ReceiverName = party(p.first("ReceiverPartyPublicName"))
	out.CompletedAt = p.at("TransactionCompletedDateTime")
	out.UtilityMinor = p.balance("B2CUtilityAccountAvailableFunds")
	out.WorkingMinor = p.balance("B2CWorkingAccountAvailableFunds")
	out.ChargesMinor = p.balance("B2CChargesPaidAccountAvailableFunds")
	return out, nil
}

// B2BResult is how a payment to a short code ended.
type B2BResult struct {
	Outcome      Outcome // Paid, Failed or Unknown
	Reason       Reason  // of a failure
	Receipt      string
	AmountMinor  int64 // KES minor units; a claim, to be compared with the order
	ReceiverName string
	CompletedAt  time.Time // UTC; zero when unreadable
	ChargeMinor  *int64    // nil when absent
}

// B2B reads the result of PayB2B. A success without a receipt and an amount is an error: nothing follows from it.
func (r Result) B2B() (B2BResult, error) {
	out := B2BResult{}
	if out.Outcome, out.Reason = r.classify(); out.Outcome != Paid {
		return out, nil
	}
	p := r.parameters
	var err error
	if out.Receipt, err = r.receipt("TransactionReceipt"); err != nil {
		return B2BResult{}, err
	}
	if out.AmountMinor, err = p.amount("Amount"); err != nil {
		return B2BResult{}, err
	}
	_, out.ReceiverName = party(p.first("ReceiverPartyPublicName"))
	out.CompletedAt = p.at("TransCompletedTime", "TransactionCompletedTime")
	out.ChargeMinor = p.charge("DebitPartyCharges")
	return out, nil
}

// StatusResult is what became of the transaction that was asked for.
type StatusResult struct {
	Outcome                  Outcome // Paid, Failed, Pending, or Unknown: the query failed or its answer is not documented
	Reason                   Reason  // of a failure
	Status                   string  // as sent
	OriginatorConversationID string  // of the transaction that it speaks about; must be the one asked for
	ConversationID           string
	Receipt                  string
	AmountMinor              int64 // KES minor units; a claim, to be compared with the order
	DebitParty               string
	CreditParty              string
	ChargeMinor              *int64    // nil when absent
	FinalisedAt              time.Time // UTC; zero when absent or unreadable
}

// transactionStates are the documented values of TransactionStatus, in small letters.
var transactionStates = map[string]struct {
	outcome Outcome
	reason  Reason
}{
	"completed": {Paid, ""}, "cancelled": {Failed, ReasonCancelled}, "declined": {Failed, ReasonDeclined}, "expired": {Failed, ReasonExpired},
	"initiated": {Pending, ""}, "authorized": {Pending, ""}, "pending authorized": {Pending, ""},
}

// Status reads the result of QueryStatus. The outer code says only whether the query worked. A completed transaction without a receipt
// and an amount is an error: nothing follows from it.
func (r Result) Status() (StatusResult, error) {
	out := StatusResult{Outcome: Unknown}
	if !r.done() {
		return out, nil
	}
	p := r.parameters
	texts := map[string]string{}
	for _, key := range []string{"TransactionStatus", "OriginatorConversationID", "ConversationID", "ReceiptNo"} {
		text, err := p.only(key)
		if err != nil {
			return StatusResult{}, err
		}
		texts[key] = text
	}
	out.Status, out.Receipt = texts["TransactionStatus"], receiptOf(texts["ReceiptNo"])
	out.OriginatorConversationID, out.ConversationID = texts["OriginatorConversationID"], texts["ConversationID"]
	if state, ok := transactionStates[strings.ToLower(out.Status)]; ok {
		out.Outcome, out.Reason = state.outcome, state.reason
	}
	out.AmountMinor, _ = p.amount("Amount") // decides only about what was paid, below
	if out.Outcome == Paid && (out.AmountMinor == 0 || out.Receipt == "") {
		return StatusResult{}, errors.New("result: completed without amount or receipt")
	}
	out.DebitParty, out.CreditParty = p.first("DebitPartyName"), p.first("CreditPartyName")
	if parties := p.all("DebitPartyName"); out.CreditParty == "" && len(parties) > 1 {
		out.CreditParty = parties[1] // documented: the key is written twice
	}
	out.ChargeMinor, out.FinalisedAt = p.charge("DebitPartyCharges"), p.at("FinalisedTime")
	return out, nil
}

// Account is one account of a short code, in minor units of its currency.
type Account struct {
	Name           string
	Currency       string
	CurrentMinor   int64
	AvailableMinor int64
	ReservedMinor  int64
	UnclearedMinor int64
}

// BalanceResult is what the accounts of a short code hold. OK is false when the query failed; Accounts are nil then.
type BalanceResult struct {
	OK       bool
	Accounts []Account
	At       time.Time // UTC; zero when absent or unreadable
}

// Account returns the account of that name.
func (b BalanceResult) Account(name string) (Account, bool) {
	for _, a := range b.Accounts {
		if strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return Account{}, false
}

// Balance reads the result of QueryBalance: accounts joined by "&", each "Name|KES|current|available|reserved|uncleared". One that cannot
// be read makes the whole an error, since a missing account would look empty.
func (r Result) Balance() (BalanceResult, error) {
	if !r.done() {
		return BalanceResult{}, nil
	}
	text, err := r.parameters.only("AccountBalance")
	if err != nil {
		return BalanceResult{}, err
	}
	out := BalanceResult{OK: true, At: r.parameters.at("BOCompletedTime")}
	for part := range strings.SplitSeq(text, "&") {
		a, err := parseAccount(part)
		if err != nil {
			return BalanceResult{}, err
		}
		out.Accounts = append(out.Accounts, a)
	}
	return out, nil
}

func parseAccount(text string) (Account, error) {
	const fields = 6
	parts := strings.Split(text, "|")
	if len(parts) != fields || strings.TrimSpace(parts[0]) == "" {
		return Account{}, errors.New("result: not an account")
	}
	a := Account{Name: strings.TrimSpace(parts[0]), Currency: strings.TrimSpace(parts[1])}
	for i, into := range []*int64{&a.CurrentMinor, &a.AvailableMinor, &a.ReservedMinor, &a.UnclearedMinor} {
		minor, err := signedMinor(strings.TrimSpace(parts[2+i]))
		if err != nil {
			return Account{}, errors.New("result: not an account")
		}
		*into = minor
	}
	return a, nil
}

// ReversalResult is how the return of a payment ended.
type ReversalResult struct {
	Outcome         Outcome // Paid: the payer has the money back; Failed or Unknown
	Reason          Reason  // of a failure
	AlreadyReversed bool    // the payer had it back before this order (R000001): Paid, without receipt and amount
	Receipt         string  // of the reversal itself
	OriginalReceipt string
	AmountMinor     int64 // KES minor units; a claim, to be compared with the order
	ChargeMinor     *int64
	CompletedAt     time.Time // UTC; zero when unreadable
}

// Reversal reads the result of Reverse. A success without a receipt and an amount is an error: nothing follows from it.
func (r Result) Reversal() (ReversalResult, error) {
	out := ReversalResult{}
	out.Outcome, out.Reason = r.classify()
	switch {
	case r.Final && r.Code == codeReversed:
		out.Outcome, out.AlreadyReversed = Paid, true
		return out, nil
	case r.Final && r.Code == codeNoOriginal:
		out.Outcome, out.Reason = Failed, ReasonOriginalUnknown
		return out, nil
	case out.Outcome != Paid:
		return out, nil
	}
	p := r.parameters
	original, err := p.only("OriginalTransactionID")
	if err != nil {
		return ReversalResult{}, err
	}
	if out.Receipt = r.TransactionID; out.Receipt == "" {
		return ReversalResult{}, errors.New("result: success without a receipt")
	}
	if out.AmountMinor, err = p.amount("Amount"); err != nil {
		return ReversalResult{}, err
	}
	out.OriginalReceipt, out.ChargeMinor, out.CompletedAt = receiptOf(original), p.charge("Charge"), p.at("TransCompletedTime")
	return out, nil
}
