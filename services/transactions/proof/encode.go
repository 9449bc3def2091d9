package proof

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/rfc6962"
)

// First bytes of everything that is hashed, so that no hash can be taken for one of another kind. 0 and 1 are RFC 6962's.
const (
	leafPrefix     = rfc6962.RFC6962LeafHashPrefix
	partPrefix     = 2
	saltPrefix     = 3
	metadataPrefix = 4
)

// leafMark and a version in decimal, followed by a line feed, start the data of every leaf.
const leafMark = "sendtip-leaf/"

func appendMark(b []byte, version int) []byte {
	return append(strconv.AppendInt(append(b, leafMark...), int64(version), 10), '\n')
}

// timeLayout is RFC 3339 in UTC with exactly six decimals.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// Part is one piece of a leaf, which a receipt shows or hides as a whole.
type Part struct {
	JSON []byte // canonical
	Salt [SaltSize]byte
}

// Hash is SHA-256(0x02 ‖ salt ‖ json): without the salt nobody can guess what a hidden part says.
func (p Part) Hash() Hash {
	b := append(make([]byte, 0, 1+SaltSize+len(p.JSON)), partPrefix)
	b = append(b, p.Salt[:]...)
	return sha256.Sum256(append(b, p.JSON...))
}

// partCount is the number of parts: header, two sides per posting, the hold that it opened, outcome.
func partCount(postings int, opensHold bool) int {
	n := 2 + 2*postings
	if opensHold {
		n++
	}
	return n
}

// Parts returns the parts of the transaction's leaf, in their order.
func Parts(t *Transaction) []Part {
	parts := make([]Part, partCount(len(t.Postings), t.Hold != nil))
	for i := range parts {
		parts[i] = Part{JSON: appendPart(nil, t, i), Salt: partSalt(&t.Salt, i)}
	}
	return parts
}

// LeafHash returns the hash of the transaction's leaf. Where many are hashed, an Encoder does it without allocating.
func LeafHash(t *Transaction) Hash {
	var e Encoder
	return e.LeafHash(t)
}

// LeafFromParts returns the hash of the leaf of this version whose parts have these hashes.
func LeafFromParts(version int, parts []Hash) Hash {
	b := append(make([]byte, 0, len(leafMark)+4+HashSize*len(parts)), leafPrefix)
	b = appendMark(b, version)
	for i := range parts {
		b = append(b, parts[i][:]...)
	}
	return sha256.Sum256(b)
}

// Encoder hashes leaves. It keeps its buffers, so one goroutine at a time may use it.
type Encoder struct {
	part []byte
	leaf []byte
}

// LeafHash is the function LeafHash, without allocations once the buffers have grown.
func (e *Encoder) LeafHash(t *Transaction) Hash {
	e.leaf = append(e.leaf[:0], leafPrefix)
	e.leaf = appendMark(e.leaf, t.Version)
	for i := range partCount(len(t.Postings), t.Hold != nil) {
		salt := partSalt(&t.Salt, i)
		e.part = append(e.part[:0], partPrefix)
		e.part = append(e.part, salt[:]...)
		e.part = appendPart(e.part, t, i)
		hash := sha256.Sum256(e.part)
		e.leaf = append(e.leaf, hash[:]...)
	}
	return sha256.Sum256(e.leaf)
}

// partSalt is the first half of SHA-256(0x03 ‖ salt of the transaction ‖ number of the part as big-endian uint32).
func partSalt(salt *[SaltSize]byte, part int) [SaltSize]byte {
	var b [1 + SaltSize + 4]byte
	b[0] = saltPrefix
	copy(b[1:], salt[:])
	binary.BigEndian.PutUint32(b[1+SaltSize:], uint32(part))
	sum := sha256.Sum256(b[:])
	return [SaltSize]byte(sum[:SaltSize])
}

// appendPart appends the canonical JSON of part i: keys sorted, no white space, absent values left out.
func appendPart(b []byte, t *Transaction, i int) []byte {
	switch last := partCount(len(t.Postings), t.Hold != nil) - 1; {
	case i == 0:
		h := headerOf(t)
		return h.append(b)
	case i <= 2*len(t.Postings):
		e := entryOf(t, i)
		return e.append(b)
	case i < last:
		h := *t.Hold
		if t.Version == LeafVersion1 {
			h.Book = ""
		}
		return h.append(b)
	}
	o := Outcome{Balances: t.Balances, HoldDelta: t.HoldDelta, HoldID: t.HoldID, RequestHash: t.RequestHash}
	return o.append(b)
}

func headerOf(t *Transaction) Header {
	return Header{ID: t.ID, RecordedAt: t.RecordedAt, EffectiveAt: t.EffectiveAt, Reference: t.Reference, Action: t.Action, Type: t.Type,
		Channel: t.Channel, ReversesID: t.ReversesID, MetadataHash: t.MetadataHash, Batch: t.Batch,
		BatchPosition: t.BatchPosition, Postings: len(t.Postings)}
}

// entryOf returns the side of a posting that part i is: first the debit, then the credit.
func entryOf(t *Transaction, part int) Entry {
	position := (part - 1) / 2
	p := &t.Postings[position]
	e := Entry{Account: p.Source, Amount: p.Amount, Balance: p.SourceBalance, Book: p.SourceBook, Currency: p.Currency, Position: position,
		ReversesPosition: p.ReversesPosition, Sequence: p.SourceSequence, Side: Debit}
	if part%2 == 0 {
		e.Account, e.Balance, e.Book, e.Sequence, e.Side = p.Destination, p.DestinationBalance, p.DestinationBook, p.DestinationSequence, Credit
	}
	if t.Version == LeafVersion1 {
		e.Book = ""
	}
	return e
}

func (h *Header) append(b []byte) []byte {
	b = appendString(b, `{"action":`, h.Action)
	b = appendInt(b, `,"batch":`, h.Batch)
	b = appendInt(b, `,"batch_position":`, int64(h.BatchPosition))
	b = appendString(b, `,"channel":`, h.Channel)
	b = appendOptionalTime(b, `,"effective_at":`, h.EffectiveAt)
	b = appendID(b, `,"id":`, h.ID)
	b = appendHex(b, `,"metadata_hash":`, h.MetadataHash)
	b = appendInt(b, `,"postings":`, int64(h.Postings))
	b = appendTime(b, `,"recorded_at":`, h.RecordedAt)
	b = appendString(b, `,"reference":`, h.Reference)
	b = appendOptionalID(b, `,"reverses_id":`, h.ReversesID)
	b = appendString(b, `,"type":`, h.Type)
	return append(b, '}')
}

func (e *Entry) append(b []byte) []byte {
	b = appendID(b, `{"account":`, e.Account)
	b = appendInt(b, `,"amount":`, e.Amount)
	b = appendInt(b, `,"balance":`, e.Balance)
	b = appendOptionalString(b, `,"book":`, e.Book)
	b = appendString(b, `,"currency":`, e.Currency)
	b = appendInt(b, `,"position":`, int64(e.Position))
	if e.ReversesPosition >= 0 {
		b = appendInt(b, `,"reverses_position":`, int64(e.ReversesPosition))
	}
	b = appendInt(b, `,"sequence":`, e.Sequence)
	b = appendString(b, `,"side":`, string(e.Side))
	return append(b, '}')
}

func (h *Hold) append(b []byte) []byte {
	b = appendID(b, `{"account":`, h.Account)
	b = appendInt(b, `,"amount":`, h.Amount)
	b = appendOptionalString(b, `,"book":`, h.Book)
	b = appendString(b, `,"currency":`, h.Currency)
	b = appendOptionalTime(b, `,"expires_at":`, h.ExpiresAt)
	for i := range h.Lines {
		if i == 0 {
			b = append(b, `,"lines":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendInt(b, `{"amount":`, h.Lines[i].Amount)
		b = appendID(b, `,"destination":`, h.Lines[i].Destination)
		b = append(b, '}')
	}
	if len(h.Lines) > 0 {
		b = append(b, ']')
	}
	b = appendString(b, `,"reason":`, h.Reason)
	return append(b, '}')
}

func (o *Outcome) append(b []byte) []byte {
	b = append(b, '{')
	if len(o.Balances) > 0 {
		b = append(appendHexValue(append(b, `"balances":`...), o.Balances), ',')
	}
	if o.HoldDelta != 0 {
		b = append(appendInt(b, `"hold_delta":`, o.HoldDelta), ',')
	}
	if o.HoldID != uuid.Nil {
		b = append(appendID(b, `"hold_id":`, o.HoldID), ',')
	}
	return append(appendHexValue(append(b, `"request_hash":`...), o.RequestHash), '}')
}

func appendHexValue(b, bytes []byte) []byte {
	return append(hex.AppendEncode(append(b, '"'), bytes), '"')
}

// The appenders write a name, as it stands before the value, and the value; of optional ones nothing if it is absent.

func appendInt(b []byte, name string, n int64) []byte {
	return strconv.AppendInt(append(b, name...), n, 10)
}

func appendString(b []byte, name, s string) []byte {
	return appendQuoted(append(b, name...), s)
}

func appendOptionalString(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return appendString(b, name, s)
}

// appendQuoted escapes only what JSON must have escaped in text without control characters.
func appendQuoted(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

func appendOptionalTime(b []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendTime(b, name, t)
}

func appendTime(b []byte, name string, t time.Time) []byte {
	b = append(append(b, name...), '"')
	return append(t.UTC().AppendFormat(b, timeLayout), '"')
}

func appendOptionalID(b []byte, name string, id uuid.UUID) []byte {
	if id == uuid.Nil {
		return b
	}
	return appendID(b, name, id)
}

func appendID(b []byte, name string, id uuid.UUID) []byte {
	var text [36]byte
	hex.Encode(text[0:8], id[0:4])
	hex.Encode(text[9:13], id[4:6])
	hex.Encode(text[14:18], id[6:8])
	hex.Encode(text[19:23], id[8:10])
	hex.Encode(text[24:36], id[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	b = append(append(b, name...), '"')
	return append(append(b, text[:]...), '"')
}

func appendHex(b []byte, name string, bytes []byte) []byte {
	if len(bytes) == 0 {
		return b
	}
	b = append(append(b, name...), '"')
	return append(hex.AppendEncode(b, bytes), '"')
}
