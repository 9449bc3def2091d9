package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Limits on what is read.
const (
	// MaxReceipt is the size of the largest receipt that is read, in bytes.
	MaxReceipt  = 512 << 10
	maxParts    = 1024
	maxProof    = 64 // a tree has at most 2^63 leaves
	maxIndex    = 1<<53 - 1
	maxMetadata = 32 << 10
)

// ParseReceipt reads a receipt file: the fields of the format, each at most once and no others, all base64 in its one spelling. It proves
// nothing: Verify does.
func ParseReceipt(data []byte) (Receipt, error) {
	if len(data) > MaxReceipt {
		return Receipt{}, fmt.Errorf("%w: the receipt has more than %d bytes", ErrMalformed, MaxReceipt)
	}
	if !utf8.Valid(data) {
		return Receipt{}, fmt.Errorf("%w: the receipt is not UTF-8", ErrMalformed)
	}
	p := parser{json.NewDecoder(bytes.NewReader(data))}
	p.UseNumber()
	r, err := p.receipt()
	if err == nil {
		if _, end := p.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the receipt")
		}
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: receipt: %w", ErrMalformed, err)
	}
	return r, nil
}

// parser reads tokens by the shape that the format has, so that its depth is bounded.
type parser struct{ *json.Decoder }

func (p parser) receipt() (Receipt, error) {
	var r Receipt
	seen, err := p.object(func(name string) (err error) {
		switch name {
		case "format":
			var format string
			format, err = p.text()
			switch {
			case err != nil:
			case format == receiptFormat1:
				r.Version = LeafVersion1
			case format == receiptFormat2:
				r.Version = LeafVersion2
			default:
				err = errors.New("it has another format")
			}
		case "index":
			r.Index, err = p.number()
		case "parts":
			err = p.array(maxParts, func() error {
				part, err := p.part()
				r.Parts = append(r.Parts, part)
				return err
			})
		case "proof":
			r.Proof = []Hash{}
			err = p.array(maxProof, func() error {
				var h Hash
				err := p.bytes(h[:])
				r.Proof = append(r.Proof, h)
				return err
			})
		case "checkpoint":
			r.Checkpoint, err = p.text()
		case "metadata":
			r.Metadata, err = p.metadata()
		default:
			err = errUnknownField
		}
		return err
	})
	if err != nil {
		return r, err
	}
	for _, name := range []string{"format", "index", "parts", "proof", "checkpoint"} {
		if !seen[name] {
			return r, fmt.Errorf("%q is missing", name)
		}
	}
	return r, nil
}

func (p parser) part() (ReceiptPart, error) {
	var shown Part
	var part ReceiptPart
	seen, err := p.object(func(name string) (err error) {
		switch name {
		case "json":
			var s string
			s, err = p.text()
			shown.JSON = []byte(s)
		case "salt":
			err = p.bytes(shown.Salt[:])
		case "hash":
			err = p.bytes(part.Hash[:])
		default:
			err = errUnknownField
		}
		return err
	})
	switch {
	case err != nil:
		return part, err
	case seen["json"] && seen["salt"] && len(seen) == 2:
		part.Disclosed = &shown
	case !seen["hash"] || len(seen) != 1:
		return part, errors.New("a part has either JSON and salt, or a hash")
	}
	return part, nil
}

func (p parser) metadata() (*ReceiptMetadata, error) {
	var m ReceiptMetadata
	seen, err := p.object(func(name string) (err error) {
		switch name {
		case "json":
			var s string
			if s, err = p.text(); err == nil && len(s) > maxMetadata {
				err = errors.New("too long")
			}
			m.JSON = []byte(s)
		case "salt":
			err = p.bytes(m.Salt[:])
		default:
			err = errUnknownField
		}
		return err
	})
	if err == nil && len(seen) != 2 {
		err = errors.New("metadata has JSON and salt")
	}
	return &m, err
}

var errUnknownField = errors.New("there is no such field")

// object calls field with each name, after which it must have read the value, and returns the names.
func (p parser) object(field func(name string) error) (map[string]bool, error) {
	if err := p.delimiter('{'); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for p.More() {
		name, err := p.text()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("%.20q comes twice", name)
		}
		seen[name] = true
		if err := field(name); err != nil {
			return nil, fmt.Errorf("%.20q: %w", name, err)
		}
	}
	return seen, p.delimiter('}')
}

func (p parser) array(limit int, element func() error) error {
	if err := p.delimiter('['); err != nil {
		return err
	}
	for n := 0; p.More(); n++ {
		if n == limit {
			return fmt.Errorf("more than %d elements", limit)
		}
		if err := element(); err != nil {
			return fmt.Errorf("element %d: %w", n, err)
		}
	}
	return p.delimiter(']')
}

var errJSON = errors.New("it is not JSON of the format's shape")

func (p parser) delimiter(want json.Delim) error {
	if got, err := p.Token(); err != nil || got != want {
		return errJSON
	}
	return nil
}

func (p parser) text() (string, error) {
	token, err := p.Token()
	s, ok := token.(string)
	if err != nil || !ok {
		return "", errJSON
	}
	return s, nil
}

func (p parser) number() (uint64, error) {
	token, err := p.Token()
	s, ok := token.(json.Number)
	if err != nil || !ok {
		return 0, errJSON
	}
	n, err := strconv.ParseUint(s.String(), 10, 64)
	if err != nil || n > maxIndex {
		return 0, errors.New("it is no whole number from 0 to 2^53-1")
	}
	return n, nil
}

// bytes reads base64 of exactly len(into) bytes.
func (p parser) bytes(into []byte) error {
	s, err := p.text()
	if err != nil {
		return err
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(into) || base64.StdEncoding.EncodeToString(b) != s { // line breaks are passed over when decoding
		return fmt.Errorf("it is no base64 of %d bytes", len(into))
	}
	copy(into, b)
	return nil
}

// Hex is bytes that JSON has as a hexadecimal string.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }
