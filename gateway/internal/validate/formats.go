package validate

import (
	"errors"
	"math"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/sendtip/sendtip/kit/fault"
)

var errFormat = errors.New("format")

// formats are checked per call, not registered globally: kin's global table is not safe to change, and its dates know a February 31st.
var formats = map[string]openapi3.StringFormatValidator{
	"uuid":      check(isUUID),
	"date":      check(func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil }),
	"date-time": check(func(s string) bool { _, err := time.Parse(time.RFC3339Nano, s); return err == nil }),
	"email":     check(isEmail),
	"uri":       check(isURI),
}

var (
	requestOptions = []openapi3.SchemaValidationOption{openapi3.VisitAsRequest(), openapi3.MultiErrors(),
		openapi3.WithStringFormatValidators(formats)}
	responseOptions = []openapi3.SchemaValidationOption{openapi3.VisitAsResponse(), openapi3.MultiErrors(),
		openapi3.WithStringFormatValidators(formats)}
)

func check(ok func(string) bool) openapi3.StringFormatValidator {
	return openapi3.NewCallbackValidator(func(s string) error {
		if ok(s) {
			return nil
		}
		return errFormat
	})
}

// isUUID takes the canonical form, in either case: Swift writes capitals.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
			continue
		}
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || len(s) > 254 || strings.HasPrefix(s, "=?") {
		return false
	}
	at := strings.LastIndexByte(s, '@')
	return at <= 64 && isHost(s[at+1:]) // RFC 5321, 4.5.3.1.1
}

// isHost takes names that mail can go to: labels of letters, digits and inner hyphens, the last one no number. Literals of addresses are
// none.
func isHost(domain string) bool {
	labels := strings.Split(domain, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, c := range l {
			if c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.Is(unicode.M, c) { // no signs that nobody sees
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return len(labels) > 1 && strings.Trim(last, "0123456789") != ""
}

func isURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "")
}

// hasNumber says whether a part of the schema takes numbers that are not integers.
func hasNumber(s *openapi3.Schema, seen map[*openapi3.Schema]bool) bool {
	if s == nil || seen[s] {
		return false
	}
	seen[s] = true
	if s.Type.Includes("number") {
		return true
	}
	if s.Items != nil && hasNumber(s.Items.Value, seen) {
		return true
	}
	if s.AdditionalProperties.Schema != nil && hasNumber(s.AdditionalProperties.Schema.Value, seen) {
		return true
	}
	for _, part := range s.AllOf {
		if hasNumber(part.Value, seen) {
			return true
		}
	}
	for _, p := range s.Properties {
		if hasNumber(p.Value, seen) {
			return true
		}
	}
	return false
}

// integers refuses 1.0 and 1e3 where the schema says integer: kin takes them, and Go's decoder in the service does not.
func integers(s *openapi3.Schema, v any, path []string, out []fault.Field) []fault.Field {
	switch v := v.(type) {
	case float64:
		if s.Type.Is("integer") && v == math.Trunc(v) {
			return append(out, fault.Field{Pointer: pointer(path), Code: "not_an_integer", Detail: detailOf("not_an_integer")})
		}
	case []any:
		if s.Items != nil {
			for _, item := range v {
				out = integers(s.Items.Value, item, append(path[:len(path):len(path)], "0"), out)
			}
		}
	case map[string]any:
		for name, item := range v {
			inner := append(path[:len(path):len(path)], name)
			if p := s.Properties[name]; p != nil {
				out = integers(p.Value, item, inner, out)
			} else if extra := s.AdditionalProperties.Schema; extra != nil {
				out = integers(extra.Value, item, inner, out)
			}
		}
	}
	for _, part := range s.AllOf {
		out = integers(part.Value, v, path, out)
	}
	return out
}
