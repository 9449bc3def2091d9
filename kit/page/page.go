// Package page owns the pages of lists: how many rows one holds, and the cursor that leads from one to the next. A cursor is opaque text.
// It is good for one operation, one filter and one principal, and only this service can make it: so the position in it is trusted, and
// whoever finds, guesses or changes one gets ErrCursor.
package page

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/seal"
)

// The limit as openapi/common.yaml says it.
const (
	DefaultSize = 25
	MaxSize     = 100
)

// Refusals of what a caller sends.
var (
	ErrCursor = fault.New(fault.Unprocessable, "cursor_invalid", "The cursor does not belong to this list; start from the first page.")
	ErrLimit  = fault.ErrInvalid.WithField("limit", "limit_invalid", "The limit must be between 1 and 100.")
)

const (
	// version is the first byte of a cursor: another layout gets another one.
	version = 1
	macSize = 16
	// purpose names the key; a cursor of another purpose cannot have the same one.
	purpose = "page cursor"
)

// Pager makes and reads the cursors of a service.
type Pager struct{ macs [][]byte }

// New makes a service's pager. Cursors that were made under the previous key are good until that key is dropped.
func New(s *seal.Sealer) *Pager {
	return &Pager{macs: append([][]byte{s.Derive(purpose)}, s.DerivePrevious(purpose)...)}
}

// Request is what a caller sends of the contract's parameters.
type Request struct {
	Limit  *int32
	Cursor *string
}

// Page is one page of a list whose rows lie at positions of type P: an id, a number, or a struct of what the order goes by. P must survive
// JSON, in at most 100 bytes of it.
type Page[P any] struct {
	Size int32

	at    *P // where the page before ended
	mac   []byte
	bound []byte
}

// Read reads a request for a page of the operation. filter is whatever else decides which rows the list has, path parameters included: a
// cursor is refused with any other. It answers ErrCursor or ErrLimit.
func Read[P any](ctx context.Context, p *Pager, operation string, r Request, filter ...any) (Page[P], error) {
	out := Page[P]{Size: DefaultSize, mac: p.macs[0]}
	if r.Limit != nil {
		if *r.Limit < 1 || *r.Limit > MaxSize {
			return out, ErrLimit
		}
		out.Size = *r.Limit
	}
	who := auth.From(ctx)
	var err error
	// JSON keeps the parts apart, whatever they contain.
	if out.bound, err = json.Marshal([]any{operation, who.Subject, who.Act, filter}); err != nil {
		return out, fmt.Errorf("page of %s: %w", operation, err)
	}
	if r.Cursor == nil {
		return out, nil
	}
	position, ok := p.open(*r.Cursor, out.bound)
	if !ok || json.Unmarshal(position, &out.at) != nil {
		return out, ErrCursor
	}
	return out, nil
}

// From is where the page begins: after the page before, or at start if it is the first.
func (p Page[P]) From(start P) P {
	if p.at == nil {
		return start
	}
	return *p.at
}

// First says whether no cursor was sent.
func (p Page[P]) First() bool { return p.at == nil }

// Next is the cursor of the page after position at.
func (p Page[P]) Next(at P) *string {
	position, err := json.Marshal(at)
	if err != nil {
		panic("page: a position that JSON does not know: " + err.Error())
	}
	c := encode(p.mac, p.bound, position)
	return &c
}

// Cut takes off the row beyond the page's size, which the query asked for to learn whether more follow, and returns the cursor to it: nil
// on the last page.
func Cut[P, R any](p Page[P], rows []R, at func(R) P) ([]R, *string) {
	if len(rows) <= int(p.Size) {
		return rows, nil
	}
	rows = rows[:p.Size]
	return rows, p.Next(at(rows[p.Size-1]))
}

// open returns the position in a cursor. The whole text is made anew and compared: so each byte counts, also where base64 has two
// spellings.
func (p *Pager) open(cursor string, bound []byte) (position []byte, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) <= 1+macSize {
		return nil, false
	}
	position = raw[1+macSize:]
	for _, mac := range p.macs {
		if hmac.Equal([]byte(cursor), []byte(encode(mac, bound, position))) {
			ok = true
		}
	}
	return position, ok
}

// encode makes the text of a cursor: version (1), HMAC (16), position.
func encode(mac, bound, position []byte) string {
	h := hmac.New(sha256.New, mac)
	_, _ = fmt.Fprintf(h, "%d:%d:%s", version, len(bound), bound)
	_, _ = h.Write(position)
	raw := append([]byte{version}, h.Sum(nil)[:macSize]...)
	return base64.RawURLEncoding.EncodeToString(append(raw, position...))
}
