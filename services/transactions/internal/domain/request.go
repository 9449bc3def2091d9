package domain

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
)

// Action is what a transaction does.
type Action string

// The actions.
const (
	ActionPost    Action = "post"
	ActionHold    Action = "hold"
	ActionCapture Action = "capture"
	ActionRelease Action = "release"
	ActionReverse Action = "reverse"
)

// Posting is an amount, in minor units, from a source account (debited) to a destination account (credited).
type Posting struct {
	Source      uuid.UUID `json:"source"`
	Destination uuid.UUID `json:"destination"`
	Amount      int64     `json:"amount"`
	Currency    string    `json:"currency"`
}

// Request is one transaction as its caller asks for it. TransactionID is chosen by the use case and no part of the body.
type Request struct {
	TransactionID uuid.UUID
	Reference     string
	Body
}

// Body is what the hash covers; the field order and names are fixed for ever, and a new field must be omitted when it is empty, or
// stored references would no longer match their repeats.
type Body struct {
	Action      Action            `json:"action"`
	Type        string            `json:"type"`
	Channel     string            `json:"channel"`
	Postings    []Posting         `json:"postings,omitempty"`
	HoldID      uuid.UUID         `json:"hold_id,omitzero"`
	OriginalID  uuid.UUID         `json:"transaction_id,omitzero"`
	Amount      int64             `json:"amount,omitempty"` // partial capture, release or reversal
	Currency    string            `json:"currency,omitempty"`
	HasAmount   bool              `json:"has_amount,omitempty"`
	ExpiresAt   time.Time         `json:"expires_at,omitzero"` // UTC, microseconds
	OverMaximum bool              `json:"over_maximum,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// Hash identifies the body of the transaction, never who sent it.
func (r Request) Hash() []byte {
	b, err := json.Marshal(r.Body)
	if err != nil {
		panic(fmt.Sprintf("a request cannot be encoded: %v", err)) // strings, integers and ids only
	}
	sum := sha256.Sum256(append([]byte("sendtip ledger request 1\n"), b...))
	return sum[:]
}

const (
	maxPostings = 20
	maxMetadata = 10
	maxValue    = 200
	// ExpirySuffix ends the references under which the ledger releases expired holds itself.
	ExpirySuffix = ":expire"
)

var (
	referencePattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)
	typePattern      = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)
	currencyPattern  = regexp.MustCompile(`^[A-Z]{3}$`)
	channels         = []string{"mpesa", "paystack", "bank", "internal"}
)

// Expiry is the release that the ledger sends for a hold whose time is over.
func Expiry(holdID uuid.UUID) Request {
	return Request{Reference: holdID.String() + ExpirySuffix, Body: Body{Action: ActionRelease, Type: "hold_expiry", Channel: "internal", HoldID: holdID}}
}

// expires says whether the request is the ledger's own release of an expired hold.
func (r Request) expires() bool { return r.Reference == r.HoldID.String()+ExpirySuffix }

// Validate returns a fault that names everything malformed in callers' requests, before anything is written. Its code is that of the first fault.
func Validate(requests []Request) error {
	v := &validator{}
	for i, r := range requests {
		v.at = fmt.Sprintf("/transactions/%d", i)
		v.request(r)
	}
	if len(v.fields) == 0 {
		return nil
	}
	err := fault.New(fault.Unprocessable, v.fields[0].Code, v.fields[0].Detail)
	for _, f := range v.fields[:min(len(v.fields), 50)] {
		err = err.WithField(f.Pointer, f.Code, f.Detail)
	}
	return err
}

type validator struct {
	at     string
	fields []fault.Field
}

func (v *validator) refuse(unless bool, pointer, code, detail string) {
	if !unless {
		v.fields = append(v.fields, fault.Field{Pointer: v.at + pointer, Code: code, Detail: detail})
	}
}

func (v *validator) request(r Request) {
	v.refuse(referencePattern.MatchString(r.Reference), "/reference", "reference_invalid", "The reference is malformed.")
	v.refuse(!strings.HasSuffix(r.Reference, ExpirySuffix), "/reference", "reference_reserved", "References that end in :expire belong to the ledger.")
	v.refuse(typePattern.MatchString(r.Type), "/type", "type_invalid", "The type is malformed.")
	v.refuse(slices.Contains(channels, r.Channel), "/channel", "channel_invalid", "There is no such channel.")
	v.shape(r)
	v.refuse(len(r.Postings) <= maxPostings, "/postings", "postings_invalid", "There are too many postings.")
	for i, p := range r.Postings {
		at := fmt.Sprintf("/postings/%d", i)
		v.money(at+"/amount", p.Amount, p.Currency)
		v.refuse(p.Source != p.Destination, at+"/destination", "same_account", "Source and destination are the same account.")
		v.refuse(r.Action != ActionHold || p.Source == r.Postings[0].Source, at+"/source", "hold_one_source", "A hold reserves money of one account.")
	}
	if r.HasAmount {
		v.money("/amount", r.Amount, r.Currency)
	}
	v.refuse(total(r.Postings) <= MaxAmount, "/postings", "amount_invalid", "The amounts add up to too much.")
	v.refuse(len(r.Metadata) <= maxMetadata, "/metadata", "metadata_invalid", "There are too many facts.")
	for k, s := range r.Metadata {
		v.refuse(len(k) > 0 && len(k) <= 64 && utf8.RuneCountInString(s) <= maxValue, "/metadata", "metadata_invalid", "A fact is too long.")
		// PostgreSQL's jsonb refuses NUL, and that would fail the neighbours too.
		v.refuse(printable(k) && printable(s), "/metadata", "metadata_invalid", "A fact has control characters.")
	}
}

// shape checks which fields the action needs and which it excludes.
func (v *validator) shape(r Request) {
	hasPostings, hasHold, hasOriginal := len(r.Postings) > 0, r.HoldID != uuid.Nil, r.OriginalID != uuid.Nil
	var needPostings, mayHavePostings, needHold, needOriginal, mayHaveAmount bool
	switch r.Action {
	case ActionPost, ActionHold:
		needPostings, mayHavePostings = true, true
	case ActionCapture:
		needHold, mayHavePostings, mayHaveAmount = true, true, true
	case ActionRelease:
		needHold, mayHaveAmount = true, true
	case ActionReverse:
		needOriginal, mayHavePostings, mayHaveAmount = true, true, true
	default:
		v.refuse(false, "/action", "action_invalid", "There is no such action.")
		return
	}
	const excluded = "The action excludes this field."
	v.refuse(hasPostings || !needPostings, "/postings", "postings_invalid", "The action needs postings.")
	v.refuse(!hasPostings || mayHavePostings, "/postings", "field_not_allowed", excluded)
	v.refuse(hasHold == needHold, "/hold_id", "hold_id_invalid", "Capture and release need a hold, and nothing else has one.")
	v.refuse(hasOriginal == needOriginal, "/transaction_id", "transaction_id_invalid", "A reversal needs a transaction, and nothing else has one.")
	v.refuse(!r.HasAmount || mayHaveAmount && !hasPostings, "/amount", "field_not_allowed", "A partial amount excludes postings.")
	v.refuse(r.ExpiresAt.IsZero() || r.Action == ActionHold, "/expires_at", "field_not_allowed", excluded)
	v.refuse(!r.OverMaximum || r.Action == ActionPost || r.Action == ActionReverse, "/over_maximum", "field_not_allowed", excluded)
}

func (v *validator) money(pointer string, amount int64, currency string) {
	v.refuse(amount > 0 && amount <= MaxAmount, pointer+"/amount", "amount_invalid", "The amount is not a whole number of minor units from 1 to 2^53-1.")
	v.refuse(currencyPattern.MatchString(currency), pointer+"/currency", "currency_invalid", "The currency is malformed.")
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

func total(postings []Posting) int64 {
	var sum int64
	for _, p := range postings {
		if p.Amount > MaxAmount || sum > MaxAmount {
			return MaxAmount + 1
		}
		sum += max(p.Amount, 0)
	}
	return sum
}
