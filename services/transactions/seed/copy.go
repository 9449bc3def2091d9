package seed

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/pg"
)

// rows are rows of one table in PostgreSQL's binary COPY format. It is written by hand because reflection over forty values of each of
// millions of transactions would cost more than deciding and hashing them.
type rows struct {
	b []byte
	n int64
}

const (
	copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	uuidType   = 2950 // in pg_type
)

func (r *rows) reset() { r.b, r.n = append(r.b[:0], copyHeader...), 0 }

// end returns the whole stream.
func (r *rows) end() []byte { return append(r.b, 0xff, 0xff) }

func (r *rows) row(columns uint16) {
	r.b = binary.BigEndian.AppendUint16(r.b, columns)
	r.n++
}

func (r *rows) length(n int) { r.b = binary.BigEndian.AppendUint32(r.b, uint32(n)) } // #nosec G115 -- at most some kilobytes

func (r *rows) null() { r.b = append(r.b, 0xff, 0xff, 0xff, 0xff) }

func (r *rows) uuid(id uuid.UUID) {
	r.length(len(id))
	r.b = append(r.b, id[:]...)
}

// optionalUUID writes null for the nil id.
func (r *rows) optionalUUID(id uuid.UUID) {
	if id == uuid.Nil {
		r.null()
		return
	}
	r.uuid(id)
}

func (r *rows) uuids(ids []uuid.UUID) {
	r.length(20 + 20*len(ids))
	for _, n := range []int{1, 0, uuidType, len(ids), 1} { // dimensions, whether it has nulls, type of elements, their number, first index
		r.length(n)
	}
	for _, id := range ids {
		r.uuid(id)
	}
}

func (r *rows) text(s string) {
	r.length(len(s))
	r.b = append(r.b, s...)
}

func (r *rows) bytes(b []byte) {
	r.length(len(b))
	r.b = append(r.b, b...)
}

// optionalBytes writes null for nil.
func (r *rows) optionalBytes(b []byte) {
	if b == nil {
		r.null()
		return
	}
	r.bytes(b)
}

func (r *rows) jsonb(b []byte) {
	r.length(1 + len(b))
	r.b = append(append(r.b, 1), b...) // version 1 of the format
}

func (r *rows) int16(n int) {
	r.length(2)
	r.b = binary.BigEndian.AppendUint16(r.b, uint16(n)) // #nosec G115 -- positions
}

func (r *rows) int32(n int) {
	r.length(4)
	r.length(n)
}

func (r *rows) int64(n int64) {
	r.length(8)
	r.b = binary.BigEndian.AppendUint64(r.b, uint64(n)) // #nosec G115 -- the sign bit is meant
}

// optionalInt64 writes null for nil.
func (r *rows) optionalInt64(n *int64) {
	if n == nil {
		r.null()
		return
	}
	r.int64(*n)
}

func (r *rows) time(t time.Time) { r.int64(t.UnixMicro() - pg.Epoch) }

// optionalTime writes null for the zero time.
func (r *rows) optionalTime(t time.Time) {
	if t.IsZero() {
		r.null()
		return
	}
	r.time(t)
}
