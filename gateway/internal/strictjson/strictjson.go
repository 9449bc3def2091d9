// Package strictjson decodes exactly the JSON that every decoder reads the same way. What the gateway checks and what a service then
// reads must be one thing: duplicate keys, a second value, 1.0 for an integer or half a surrogate pair are read differently by
// different decoders, so they are refused.
package strictjson

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep objects and arrays may be nested.
const MaxDepth = 32

// The codes of refusals.
const (
	CodeSyntax    = "syntax"
	CodeEmpty     = "empty"
	CodeTrailing  = "trailing_data"
	CodeDuplicate = "duplicate_key"
	CodeDepth     = "too_deep"
	CodeUTF8      = "invalid_utf8"
	CodeString    = "invalid_string"
	CodeFraction  = "not_an_integer"
	CodeRange     = "number_out_of_range"
	CodeNUL       = "nul_character"
)

// Fault says what is refused and where. It never carries what was sent, except names of properties in Path.
type Fault struct {
	Code string
	Path []string // from the innermost segment outwards
}

// Error returns the code alone.
func (f *Fault) Error() string { return "strict json: " + f.Code }

// Options choose what the decoder lets through.
type Options struct {
	// Fractions lets numbers with a fraction or exponent pass, as float64; without it every number is an int64.
	Fractions bool
}

type decoder struct {
	data  []byte
	pos   int
	depth int
	opts  Options
}

// Decode returns the one JSON value of data: nil, bool, string, int64, float64, []any or map[string]any.
func Decode(data []byte, opts Options) (any, *Fault) {
	d := decoder{data: data, opts: opts}
	d.space()
	if d.pos == len(data) {
		return nil, &Fault{Code: CodeEmpty}
	}
	v, f := d.value()
	if f != nil {
		return nil, f
	}
	d.space()
	if d.pos != len(data) {
		return nil, &Fault{Code: CodeTrailing}
	}
	return v, nil
}

func (d *decoder) space() {
	for d.pos < len(d.data) {
		switch d.data[d.pos] {
		case ' ', '\t', '\n', '\r':
			d.pos++
		default:
			return
		}
	}
}

func (d *decoder) peek() byte {
	if d.pos < len(d.data) {
		return d.data[d.pos]
	}
	return 0
}

func (d *decoder) value() (any, *Fault) {
	switch c := d.peek(); {
	case c == '{':
		return d.object()
	case c == '[':
		return d.array()
	case c == '"':
		return d.str()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	case c == 't':
		return true, d.literal("true")
	case c == 'f':
		return false, d.literal("false")
	case c == 'n':
		return nil, d.literal("null")
	}
	return nil, &Fault{Code: CodeSyntax}
}

func (d *decoder) literal(word string) *Fault {
	if !strings.HasPrefix(string(d.data[d.pos:min(d.pos+len(word), len(d.data))]), word) {
		return &Fault{Code: CodeSyntax}
	}
	d.pos += len(word)
	return nil
}

func (d *decoder) enter() *Fault {
	d.pos++
	if d.depth++; d.depth > MaxDepth {
		return &Fault{Code: CodeDepth}
	}
	d.space()
	return nil
}

func (d *decoder) object() (any, *Fault) {
	if f := d.enter(); f != nil {
		return nil, f
	}
	out := map[string]any{}
	if d.peek() == '}' {
		d.pos++
		d.depth--
		return out, nil
	}
	for {
		if d.peek() != '"' {
			return nil, &Fault{Code: CodeSyntax}
		}
		key, f := d.str()
		if f != nil {
			return nil, f
		}
		if _, twice := out[key]; twice {
			return nil, &Fault{Code: CodeDuplicate, Path: []string{key}}
		}
		if d.space(); d.peek() != ':' {
			return nil, &Fault{Code: CodeSyntax}
		}
		d.pos++
		d.space()
		v, f := d.value()
		if f != nil {
			f.Path = append(f.Path, key)
			return nil, f
		}
		out[key] = v
		done, f := d.next('}')
		if f != nil || done {
			return out, f
		}
	}
}

func (d *decoder) array() (any, *Fault) {
	if f := d.enter(); f != nil {
		return nil, f
	}
	out := []any{}
	if d.peek() == ']' {
		d.pos++
		d.depth--
		return out, nil
	}
	for {
		v, f := d.value()
		if f != nil {
			f.Path = append(f.Path, strconv.Itoa(len(out)))
			return nil, f
		}
		out = append(out, v)
		done, f := d.next(']')
		if f != nil || done {
			return out, f
		}
	}
}

// next steps over a comma, or says that the closing bracket came.
func (d *decoder) next(closing byte) (bool, *Fault) {
	d.space()
	switch d.peek() {
	case ',':
		d.pos++
		d.space()
		return false, nil
	case closing:
		d.pos++
		d.depth--
		return true, nil
	}
	return false, &Fault{Code: CodeSyntax}
}

func (d *decoder) number() (any, *Fault) {
	start := d.pos
	if d.peek() == '-' {
		d.pos++
	}
	switch c := d.peek(); {
	case c == '0':
		d.pos++ // no digit may follow: the callers then see it as syntax
	case c >= '1' && c <= '9':
		d.digits()
	default:
		return nil, &Fault{Code: CodeSyntax}
	}
	fraction := false
	if d.peek() == '.' {
		d.pos++
		if fraction = true; d.digits() == 0 {
			return nil, &Fault{Code: CodeSyntax}
		}
	}
	if c := d.peek(); c == 'e' || c == 'E' {
		d.pos++
		if c := d.peek(); c == '+' || c == '-' {
			d.pos++
		}
		if fraction = true; d.digits() == 0 {
			return nil, &Fault{Code: CodeSyntax}
		}
	}
	if fraction {
		return d.float(string(d.data[start:d.pos]))
	}
	n, err := strconv.ParseInt(string(d.data[start:d.pos]), 10, 64)
	if err != nil {
		return nil, &Fault{Code: CodeRange}
	}
	return n, nil
}

func (d *decoder) float(text string) (any, *Fault) {
	if !d.opts.Fractions {
		return nil, &Fault{Code: CodeFraction}
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(v, 0) {
		return nil, &Fault{Code: CodeRange}
	}
	return v, nil
}

func (d *decoder) digits() int {
	start := d.pos
	for c := d.peek(); c >= '0' && c <= '9'; c = d.peek() {
		d.pos++
	}
	return d.pos - start
}

// str reads a string. Most have no escape and are one slice of the input.
func (d *decoder) str() (string, *Fault) {
	d.pos++
	start, plain := d.pos, true
	for d.pos < len(d.data) {
		switch c := d.data[d.pos]; {
		case c == '"':
			raw := d.data[start:d.pos]
			d.pos++
			if !utf8.Valid(raw) {
				return "", &Fault{Code: CodeUTF8}
			}
			if plain {
				return string(raw), nil
			}
			return unescape(raw)
		case c == '\\':
			plain = false
			d.pos += 2
		case c < 0x20:
			return "", &Fault{Code: CodeString}
		default:
			d.pos++
		}
	}
	return "", &Fault{Code: CodeSyntax}
}

const escapes = `"\/bfnrt`
const meanings = "\"\\/\b\f\n\r\t"

func unescape(raw []byte) (string, *Fault) {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		if at := strings.IndexByte(escapes, raw[i+1]); at >= 0 {
			out = append(out, meanings[at])
			i += 2
			continue
		}
		r, n := escapedRune(raw[i:])
		if n == 0 {
			return "", &Fault{Code: CodeString}
		}
		if r == 0 { // PostgreSQL cannot hold it
			return "", &Fault{Code: CodeNUL}
		}
		out = utf8.AppendRune(out, r)
		i += n
	}
	return string(out), nil
}

// escapedRune reads \uXXXX or a whole surrogate pair; n is 0 for anything else.
func escapedRune(raw []byte) (r rune, n int) {
	r, ok := hex4(raw)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	low, ok := hex4(raw[6:])
	if !ok {
		return 0, 0
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, 0
	}
	return r, 12
}

func hex4(raw []byte) (rune, bool) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[2:6]), 16, 32)
	return rune(n), err == nil // #nosec G115 -- at most 0xFFFF
}
