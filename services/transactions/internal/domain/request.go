package domain

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
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

// Request is one transaction as its caller asks for it. All but Reference and Body is set by the use case.
type Request struct {
	Reference string
	Body

	TransactionID uuid.UUID
	Salt          [16]byte // of the leaf
	MetadataSalt  [16]byte
	BodyHash      []byte
	AtomicList    int64 // requests with the same number, if it is not 0, are posted together or not at all
	Doomed        bool  // its atomic list cannot be posted, whatever the state
}

// Body is what the hash covers; the field order and names are fixed for ever, and a new field must be omitted when it is empty, or
// stored references would no longer match their repeats. A time that is nil is absent. Versions that took the beginning of the year 1 for
// absent left it out of the hash, and so does this one.
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
	ExpiresAt   *time.Time        `json:"expires_at,omitzero"` // UTC, microseconds; nil: never
	OverMaximum bool              `json:"over_maximum,omitempty"`
	UpToMaximum bool              `json:"up_to_maximum,omitempty"` // a release of what there is room for
	EffectiveAt *time.Time        `json:"effective_at,omitzero"`   // UTC, microseconds; nil: when it is recorded
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// Hash identifies the body of the transaction, never who sent it. Metadata stays out: a plain hash would let erased facts be guessed;
// repeats are compared with the stored metadata instead.
func (r *Request) Hash() []byte {
	b := r.appendJSON(append(make([]byte, 0, 512), hashDomain...))
	sum := sha256.Sum256(b)
	return sum[:]
}

// hashDomain keeps the hash apart from every other one.
const hashDomain = "sendtip ledger request 1\n"

// HashWithMetadata is the hash under which versions before the proof stored references.
func (r *Request) HashWithMetadata() []byte {
	b, err := json.Marshal(r.Body)
	if err != nil {
		panic(fmt.Sprintf("a request cannot be encoded: %v", err)) // strings, integers and ids only
	}
	sum := sha256.Sum256(append([]byte(hashDomain), b...))
	return sum[:]
}

// appendJSON writes what json.Marshal writes of a body without metadata, at a tenth of the price: every request pays it. Validation keeps
// out all that would need escapes.
func (b *Body) appendJSON(to []byte) []byte {
	to = appendField(to, `{"action":"`, string(b.Action))
	to = appendField(to, `,"type":"`, b.Type)
	to = appendField(to, `,"channel":"`, b.Channel)
	for i := range b.Postings {
		p := &b.Postings[i]
		if i == 0 {
			to = append(to, `,"postings":[`...)
		} else {
			to = append(to, ',')
		}
		to = appendID(to, `{"source":"`, p.Source)
		to = appendID(to, `,"destination":"`, p.Destination)
		to = strconv.AppendInt(append(to, `,"amount":`...), p.Amount, 10)
		to = append(appendField(to, `,"currency":"`, p.Currency), '}')
	}
	if len(b.Postings) > 0 {
		to = append(to, ']')
	}
	if b.HoldID != uuid.Nil {
		to = appendID(to, `,"hold_id":"`, b.HoldID)
	}
	if b.OriginalID != uuid.Nil {
		to = appendID(to, `,"transaction_id":"`, b.OriginalID)
	}
	if b.Amount != 0 {
		to = strconv.AppendInt(append(to, `,"amount":`...), b.Amount, 10)
	}
	if b.Currency != "" {
		to = appendField(to, `,"currency":"`, b.Currency)
	}
	if b.HasAmount {
		to = append(to, `,"has_amount":true`...)
	}
	if b.ExpiresAt != nil && !b.ExpiresAt.IsZero() {
		to = append(b.ExpiresAt.AppendFormat(append(to, `,"expires_at":"`...), time.RFC3339Nano), '"')
	}
	if b.OverMaximum {
		to = append(to, `,"over_maximum":true`...)
	}
	if b.UpToMaximum {
		to = append(to, `,"up_to_maximum":true`...)
	}
	if b.EffectiveAt != nil && !b.EffectiveAt.IsZero() {
		to = append(b.EffectiveAt.AppendFormat(append(to, `,"effective_at":"`...), time.RFC3339Nano), '"')
	}
	return append(to, '}')
}

func appendField(to []byte, name, value string) []byte {
	return append(append(append(to, name...), value...), '"')
}

func appendID(to []byte, name string, id uuid.UUID) []byte {
	to = append(to, name...)
	n := len(to)
	to = append(to, "00000000-0000-0000-0000-000000000000"...)
	encodeHex(to[n:], id)
	return append(to, '"')
}

// encodeHex writes an id over 36 bytes that have the hyphens already.
func encodeHex(to []byte, id uuid.UUID) {
	hex.Encode(to[0:8], id[0:4])
	hex.Encode(to[9:13], id[4:6])
	hex.Encode(to[14:18], id[6:8])
	hex.Encode(to[19:23], id[8:10])
	hex.Encode(to[24:36], id[10:16])
}

const (
	maxPostings = 20
	maxMetadata = 10
	maxValue    = 200
	// ExpirySuffix ends the references under which the ledger releases expired holds itself.
	ExpirySuffix = ":expire"
	// roomInfix follows the hold's id in the references under which the ledger frees money above a maximum itself; a number follows it.
	roomInfix = ":room:"
)

// latest is the last moment that a time may be: the formats of answers and leaves have four digits for a year.
var latest = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)

var channels = []string{"mpesa", "paystack", "bank", "internal"}

// The patterns of the contract, without a regular expression for each of ten thousand requests a second.

// IsReference says whether a transaction can have the reference.
func IsReference(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && all(s, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == ':' || c == '-'
	})
}

func isType(s string) bool {
	return len(s) >= 1 && len(s) <= 40 && s[0] >= 'a' && s[0] <= 'z' && all(s, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
	})
}

func isCurrency(s string) bool {
	return len(s) == 3 && all(s, func(c byte) bool { return c >= 'A' && c <= 'Z' })
}

func all(s string, ok func(c byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

// ExpiryRelease is the release that the ledger sends for a hold whose time is over.
func ExpiryRelease(holdID uuid.UUID) Request {
	return Request{Reference: holdID.String() + ExpirySuffix,
		Body: Body{Action: ActionRelease, Type: "hold_expiry", Channel: "internal", HoldID: holdID}}
}

// RoomRelease is the number-th release that the ledger sends for a hold of money above the maximum, of what there is room for.
func RoomRelease(holdID uuid.UUID, number int32) Request {
	return Request{Reference: holdID.String() + roomInfix + strconv.Itoa(int(number)),
		Body: Body{Action: ActionRelease, Type: "hold_room", Channel: "internal", HoldID: holdID, UpToMaximum: true}}
}

// isReserved says whether only the ledger itself may send the reference.
func isReserved(reference string) bool {
	if strings.HasSuffix(reference, ExpirySuffix) {
		return true
	}
	hold, number, found := strings.Cut(reference, roomInfix)
	if !found || len(hold) != 36 || number == "" || !all(number, func(c byte) bool { return c >= '0' && c <= '9' }) {
		return false
	}
	_, err := uuid.Parse(hold)
	return err == nil
}

// expires says whether the request is the ledger's own release of an expired hold.
func (r *Request) expires() bool {
	return strings.HasSuffix(r.Reference, ExpirySuffix) && r.Reference == r.HoldID.String()+ExpirySuffix
}

// Validate returns a fault that names everything malformed in callers' requests, before anything is written. Its code is that of the first
// fault. In an atomic list no reference comes twice, and nothing that might not be stored. Nothing is effective after now.
func Validate(requests []Request, atomic bool, now time.Time) error {
	v := &validator{now: now}
	seen := map[string]bool{}
	for i := range requests {
		v.at = "/transactions/" + strconv.Itoa(i)
		v.request(&requests[i])
		if atomic {
			v.refuse(!seen[requests[i].Reference], "/reference", "reference_repeated", "An atomic list has the same reference twice.")
			seen[requests[i].Reference] = true
			// Every refusal of a list is stored, and this one never is.
			v.refuse(!requests[i].UpToMaximum, "/up_to_maximum", "field_not_allowed", "This field is not allowed in an atomic list.")
		}
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
	now    time.Time
	at     string
	fields []fault.Field
}

func (v *validator) refuse(unless bool, pointer, code, detail string) {
	if !unless {
		v.fields = append(v.fields, fault.Field{Pointer: v.at + pointer, Code: code, Detail: detail})
	}
}

func (v *validator) request(r *Request) {
	v.refuse(IsReference(r.Reference), "/reference", "reference_invalid", "The reference is malformed.")
	v.refuse(!isReserved(r.Reference), "/reference", "reference_reserved",
		"References that end in :expire or have the form <hold>:room:<number> are reserved for the ledger.")
	v.refuse(isType(r.Type), "/type", "type_invalid", "The type is malformed.")
	v.refuse(slices.Contains(channels, r.Channel), "/channel", "channel_invalid", "There is no such channel.")
	v.shape(r)
	v.refuse(len(r.Postings) <= maxPostings, "/postings", "postings_invalid", "There are too many postings.")
	for i := range r.Postings {
		p := &r.Postings[i]
		if p.Amount > 0 && p.Amount <= MaxAmount && isCurrency(p.Currency) && p.Source != p.Destination && (r.Action != ActionHold || i == 0) {
			continue // the usual case costs no pointers
		}
		at := "/postings/" + strconv.Itoa(i)
		v.money(at+"/amount", p.Amount, p.Currency)
		v.refuse(p.Source != p.Destination, at+"/destination", "same_account", "Source and destination are the same account.")
		v.refuse(r.Action != ActionHold || p.Source == r.Postings[0].Source, at+"/source", "hold_one_source",
			"A hold can reserve money from one account only.")
	}
	if r.HasAmount {
		v.money("/amount", r.Amount, r.Currency)
	}
	v.refuse(total(r.Postings) <= MaxAmount, "/postings", "amount_invalid", "The amounts add up to more than is allowed.")
	v.refuse(len(r.Metadata) <= maxMetadata, "/metadata", "metadata_invalid", "There are too many metadata entries.")
	for k, s := range r.Metadata {
		v.refuse(len(k) > 0 && len(k) <= 64 && utf8.RuneCountInString(s) <= maxValue, "/metadata", "metadata_invalid",
			"A metadata entry is too long.")
		// PostgreSQL's jsonb refuses NUL, and that would fail the neighbours too.
		v.refuse(printable(k) && printable(s), "/metadata", "metadata_invalid", "A metadata entry contains control characters.")
	}
}

// shape checks which fields the action needs and which it excludes.
func (v *validator) shape(r *Request) {
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
	const excluded = "This field is not allowed for this action."
	v.refuse(hasPostings || !needPostings, "/postings", "postings_invalid", "This action needs postings.")
	v.refuse(!hasPostings || mayHavePostings, "/postings", "field_not_allowed", excluded)
	v.refuse(hasHold == needHold, "/hold_id", "hold_id_invalid", "Capture and release need a hold; other actions must not have one.")
	v.refuse(hasOriginal == needOriginal, "/transaction_id", "transaction_id_invalid",
		"A reversal needs a transaction; other actions must not have one.")
	v.refuse(!r.HasAmount || mayHaveAmount && !hasPostings, "/amount", "field_not_allowed", "A partial amount cannot be sent with postings.")
	moves := r.Action == ActionPost || r.Action == ActionCapture || r.Action == ActionReverse
	v.times(r, moves)
	v.refuse(!r.OverMaximum || r.Action == ActionPost || r.Action == ActionReverse, "/over_maximum", "field_not_allowed", excluded)
	v.refuse(!r.UpToMaximum || r.Action == ActionRelease && !r.HasAmount, "/up_to_maximum", "field_not_allowed", excluded)
}

// times checks that what is stored of a time is what was sent. Whether an expiry is over is decided under the locks, where it is known
// whether the hold is a repeat.
func (v *validator) times(r *Request, moves bool) {
	const excluded = "This field is not allowed for this action."
	if at := r.ExpiresAt; at != nil {
		v.refuse(r.Action == ActionHold, "/expires_at", "field_not_allowed", excluded)
		v.refuse(at.Year() >= 0 && !at.After(latest), "/expires_at", "expires_at_invalid", "The expiry is not within the years 0 to 9999 (UTC).")
	}
	if at := r.EffectiveAt; at != nil {
		v.refuse(moves, "/effective_at", "field_not_allowed", excluded)
		v.refuse(!at.After(v.now), "/effective_at", "effective_at_invalid", "The effective time is in the future.")
		// The zero time stands for none in a leaf.
		v.refuse(at.Year() >= 0 && !at.IsZero(), "/effective_at", "effective_at_invalid", "This is not a valid effective time.")
	}
}

func (v *validator) money(pointer string, amount int64, currency string) {
	v.refuse(amount > 0 && amount <= MaxAmount, pointer+"/amount", "amount_invalid",
		"The amount is not a whole number of minor units from 1 to 2^53-1.")
	v.refuse(isCurrency(currency), pointer+"/currency", "currency_invalid", "The currency is malformed.")
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
