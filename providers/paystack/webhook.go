package paystack

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// SignatureHeader carries the signature of a webhook.
const SignatureHeader = "x-paystack-signature"

// Names of events. Failed payments are not announced: Verify tells of them.
const (
	ChargeSuccess        = "charge.success"
	TransferSuccess      = "transfer.success"
	TransferFailed       = "transfer.failed"
	TransferReversed     = "transfer.reversed"
	RefundIsPending      = "refund.pending"
	RefundIsProcessing   = "refund.processing"
	RefundIsProcessed    = "refund.processed"
	RefundHasFailed      = "refund.failed"
	RefundIsInNeed       = "refund.needs-attention"
	DisputeCreated       = "charge.dispute.create"
	DisputeReminded      = "charge.dispute.remind"
	DisputeResolved      = "charge.dispute.resolve"
	BankTransferRejected = "bank.transfer.rejected"
)

// Sign is the signature of a body: HMAC-SHA512 over its raw bytes, in hexadecimal.
func Sign(key string, raw []byte) string {
	mac := hmac.New(sha512.New, []byte(key))
	mac.Write(raw)
	return hex.EncodeToString(mac.Sum(nil))
}

// VerifySignature reports whether the raw bytes were signed with one of the keys (two while a key is changed). It takes the same time
// whichever key it is, and covers no age: the same event can be sent again by anybody who has seen it.
func VerifySignature(raw []byte, header string, keys ...string) bool {
	valid := false
	for _, key := range keys {
		if key == "" {
			continue // anybody can sign with the empty key
		}
		if hmac.Equal([]byte(Sign(key, raw)), []byte(header)) {
			valid = true
		}
	}
	return valid
}

// Event is one webhook. The one of Transaction, Transfer, Refund and Dispute that the name tells of is set; other events have none.
type Event struct {
	Name string
	// Key names the event: a second delivery has the same. Events carry no id, so two refunds of one payment over the same amount have the
	// same key while Paystack gives them no reference: read the refund again when in doubt.
	Key         string
	Transaction *Transaction
	Transfer    *Transfer
	Refund      *RefundEvent
	Dispute     *Dispute
}

// RefundEvent is what a webhook tells of a refund: less than the refund has.
type RefundEvent struct {
	ID                   string // only of those that need attention
	TransactionReference string
	RefundReference      string // "" until it is known
	Status               string
	AmountMinor          int64
	Currency             string
	Domain               string
}

// Dispute is a customer's complaint at the bank.
type Dispute struct {
	ID                   string
	TransactionReference string
	Status               string // awaiting-merchant-feedback, awaiting-bank-feedback, pending, resolved
	Resolution           string // merchant-accepted or declined; "" while it is open
	AmountMinor          int64  // what is disputed
	Currency             string
	Domain               string
	DueAt                time.Time
	ResolvedAt           time.Time
}

// ParseWebhook reads a body whose signature was verified. What it says about money is a hint: the payment or payout is read again.
func ParseWebhook(raw []byte) (Event, error) {
	envelope, err := wire.ParseFields(raw)
	if err != nil {
		return Event{}, errors.New("webhook: unreadable")
	}
	out := Event{Name: text(envelope, "event")}
	data, err := wire.ParseFields(envelope["data"])
	if err != nil || out.Name == "" {
		return Event{}, errors.New("webhook: no event or data")
	}
	switch {
	case out.Name == ChargeSuccess:
		t, err := transactionOf(data)
		if err != nil {
			return Event{}, errors.New("webhook: " + err.Error())
		}
		out.Transaction, out.Key = &t, out.Name+"/"+t.ID
	case strings.HasPrefix(out.Name, "transfer."):
		t, err := transferOf(data)
		if err != nil {
			return Event{}, errors.New("webhook: " + err.Error())
		}
		out.Transfer, out.Key = &t, out.Name+"/"+t.Code
	case strings.HasPrefix(out.Name, "refund."):
		r, err := refundEventOf(data)
		if err != nil {
			return Event{}, errors.New("webhook: " + err.Error())
		}
		out.Refund, out.Key = &r, strings.Join([]string{out.Name, r.TransactionReference, r.RefundReference, data.Text("amount")}, "/")
	case strings.HasPrefix(out.Name, "charge.dispute."):
		d, err := disputeOf(data)
		if err != nil {
			return Event{}, errors.New("webhook: " + err.Error())
		}
		out.Dispute, out.Key = &d, strings.Join([]string{out.Name, d.ID, d.Status}, "/")
	}
	return out, nil
}

func refundEventOf(f wire.Fields) (RefundEvent, error) {
	amount, currency, err := sum(f)
	if err != nil {
		return RefundEvent{}, err
	}
	out := RefundEvent{ID: id(f, "id"), TransactionReference: text(f, "transaction_reference"), RefundReference: text(f, "refund_reference"),
		Status: text(f, "status"), AmountMinor: amount, Currency: currency, Domain: text(f, "domain")}
	if out.TransactionReference == "" || out.Status == "" {
		return RefundEvent{}, errors.New("no transaction or status")
	}
	return out, nil
}

// disputeOf reads a dispute. Its amount is called refund_amount and can be absent: then all that was paid is disputed.
func disputeOf(f wire.Fields) (Dispute, error) {
	paid := child(f, "transaction")
	out := Dispute{ID: id(f, "id"), TransactionReference: text(paid, "reference"), Status: text(f, "status"),
		Resolution: text(f, "resolution"),
		Currency:   text(f, "currency"), Domain: text(f, "domain"), DueAt: at(f, "dueAt", "due_at"),
		ResolvedAt: at(f, "resolvedAt", "resolved_at")}
	if out.TransactionReference == "" {
		out.TransactionReference = text(f, "transaction_reference")
	}
	if out.Currency == "" {
		out.Currency = text(paid, "currency")
	}
	amount := optionalMinor(f, "refund_amount")
	if amount == nil || *amount == 0 {
		amount = optionalMinor(paid, "amount")
	}
	if out.ID == "" || out.TransactionReference == "" || out.Status == "" || amount == nil || !currencyCode.MatchString(out.Currency) {
		return Dispute{}, errors.New("no id, transaction, status or amount")
	}
	out.AmountMinor = *amount
	return out, nil
}
