package pg

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// registerArrays makes lists of the types that services write in bulk cheap to send: pgx boxes and looks at each element, which was two
// thirds of the allocations of the ledger's posting path.
func registerArrays(m *pgtype.Map) {
	register(m, "_uuid", pgtype.UUIDArrayOID, pgtype.UUIDOID, func(buf []byte, id uuid.UUID) []byte { return append(size(buf, 16), id[:]...) })
	register(m, "_text", pgtype.TextArrayOID, pgtype.TextOID, func(buf []byte, s string) []byte { return append(size(buf, len(s)), s...) })
	register(m, "_int8", pgtype.Int8ArrayOID, pgtype.Int8OID, func(buf []byte, n int64) []byte {
		return binary.BigEndian.AppendUint64(size(buf, 8), uint64(n))
	})
	register(m, "_int2", pgtype.Int2ArrayOID, pgtype.Int2OID, func(buf []byte, n int16) []byte {
		return binary.BigEndian.AppendUint16(size(buf, 2), uint16(n))
	})
	register(m, "_timestamptz", pgtype.TimestamptzArrayOID, pgtype.TimestamptzOID, func(buf []byte, t time.Time) []byte {
		return binary.BigEndian.AppendUint64(size(buf, 8), uint64(t.UnixMicro()-Epoch))
	})
	register(m, "_bytea", pgtype.ByteaArrayOID, pgtype.ByteaOID, func(buf, b []byte) []byte {
		if b == nil {
			return size(buf, -1)
		}
		return append(size(buf, len(b)), b...)
	})
}

// Epoch is 2000-01-01 in Unix microseconds: PostgreSQL's binary timestamptz counts from there.
const Epoch = 946684800 * 1_000_000

func size(buf []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(buf, uint32(int32(n)))
}

// register replaces the codec of an array type by one that writes []T itself and leaves all else to pgx's.
func register[T any](m *pgtype.Map, name string, array, element uint32, add func(buf []byte, v T) []byte) {
	elementType, ok := m.TypeForOID(element)
	if !ok {
		return // pgx has them all; without one its own way remains
	}
	m.RegisterType(&pgtype.Type{Name: name, OID: array,
		Codec: &arrayCodec[T]{ArrayCodec: pgtype.ArrayCodec{ElementType: elementType}, element: element, add: add}})
}

type arrayCodec[T any] struct {
	pgtype.ArrayCodec
	element uint32
	add     func(buf []byte, v T) []byte
}

// PreferredFormat implements pgtype.Codec: pgx would quote and escape the elements of text[].
func (*arrayCodec[T]) PreferredFormat() int16 { return pgtype.BinaryFormatCode }

// PlanEncode implements pgtype.Codec.
func (c *arrayCodec[T]) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.([]T); ok && format == pgtype.BinaryFormatCode {
		return (*arrayPlan[T])(c)
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

type arrayPlan[T any] arrayCodec[T]

// Encode writes PostgreSQL's binary array (array_send in arrayfuncs.c): dimensions, whether there are nulls, element type, length, lower
// bound, then each element with its length. nil is null.
func (p *arrayPlan[T]) Encode(value any, buf []byte) ([]byte, error) {
	list, _ := value.([]T) // PlanEncode has looked
	if list == nil {
		return nil, nil
	}
	dimensions := uint32(1)
	if len(list) == 0 {
		dimensions = 0
	}
	buf = binary.BigEndian.AppendUint32(buf, dimensions)
	buf = binary.BigEndian.AppendUint32(buf, 1) // there may be nulls; the server looks itself
	buf = binary.BigEndian.AppendUint32(buf, p.element)
	if len(list) == 0 {
		return buf, nil
	}
	buf = size(buf, len(list))
	buf = binary.BigEndian.AppendUint32(buf, 1)
	for _, v := range list {
		buf = p.add(buf, v)
	}
	return buf, nil
}
