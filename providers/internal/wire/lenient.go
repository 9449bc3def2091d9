package wire

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// Lenient returns the JSON object that a provider meant. A byte order mark is stripped; raw line breaks and other control characters inside
// strings become blanks, and a backslash before a character that needs none is dropped. Bodies that are JSON already come back as they are.
func Lenient(body []byte) []byte {
	body = bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark))
	if json.Valid(body) {
		return body
	}
	out := make([]byte, 0, len(body))
	inString := false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '"':
			inString = !inString
		case !inString:
		case c < ' ':
			c = ' '
		case c == '\\' && i+1 < len(body):
			i++
			if escapable(body[i]) {
				out = append(out, c)
			}
			c = body[i]
			if c < ' ' {
				c = ' '
			}
		}
		out = append(out, c)
	}
	return out
}

func escapable(c byte) bool { return strings.IndexByte(`"\/bfnrtu`, c) >= 0 }

// Fields are the members of a JSON object whose side fields may be anything.
type Fields map[string]json.RawMessage

// ParseFields reads an object that may be untidy (Lenient). Names are compared without case.
func ParseFields(body []byte) (Fields, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(Lenient(body), &raw); err != nil {
		return nil, err
	}
	out := make(Fields, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) { // in order: of two names that differ in case the same one wins each time
		out[strings.ToLower(name)] = raw[name]
	}
	return out, nil
}

// Text returns a member as text, trimmed and without control characters: "" if it is absent or no plain value.
func (f Fields) Text(name string) string {
	var t Text
	raw, ok := f[strings.ToLower(name)]
	if !ok || json.Unmarshal(raw, &t) != nil {
		return ""
	}
	return Clean(string(t))
}

// Clean removes what no column and no comparison can use: control characters, NUL above all, and blanks at the ends.
func Clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s))
}
