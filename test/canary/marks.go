// Package canary lets marked people go through every journey, and then looks for what was said of them in all places where the platform
// keeps or shows something.
package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// personal are the fields of requests and answers whose values are marks. Short ones stand in quotes or alone only: four digits are in any
// number.
var personal = []string{"phone", "recipient_phone", "email", "first_name", "last_name", "id_number", "date_of_birth", "pin", "new_pin",
	"otp",
	"totp", "code", "secret", "access_token", "refresh_token", "token", "device_id", "deposit_account", "account_number"}

// recorder is a transport that learns the marks from what is sent and answered, and keeps what refusals say.
type recorder struct {
	next http.RoundTripper

	mu       sync.Mutex
	marks    map[string]string // by value: the field
	refusals []string
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		sent, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		r.learn(sent)
	}
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(got))
	if resp.StatusCode < http.StatusBadRequest {
		r.learn(got)
		return resp, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals = append(r.refusals, string(got))
	return resp, err
}

func (r *recorder) learn(text []byte) {
	var value any
	if json.Unmarshal(text, &value) != nil {
		return // no JSON: nothing that has a name
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.walk("", value)
}

func (r *recorder) walk(name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for k, item := range v {
			r.walk(k, item)
		}
	case []any:
		for _, item := range v {
			r.walk(name, item)
		}
	case string:
		if slices.Contains(personal, name) && len(v) >= 4 && !strings.Contains(v, "•") && !strings.Contains(v, "*") {
			r.marks[v] = name
		}
	}
}

// needle is one spelling of a mark.
type needle struct {
	field string
	text  string
	exact bool // too short to be looked for inside of others
}

// needles are all spellings of the marks: as they are, a number without its plus, a token's signature, and each in hex and base64.
func needles(marks map[string]string) (out []needle) {
	for mark, field := range marks {
		switch {
		case strings.HasPrefix(mark, "+"):
			mark = mark[1:]
		case strings.Count(mark, ".") == 2 && len(mark) > 100:
			mark = mark[strings.LastIndex(mark, ".")+1:] // what makes it a token; the rest is not secret
		}
		exact := len(mark) < 9 // among random bytes in hex, eight digits are found sooner or later
		out = append(out, needle{field, mark, exact})
		if exact {
			continue
		}
		out = append(out, needle{field, hex.EncodeToString([]byte(mark)), false})
		for shift := range 3 { // where a group of three bytes begins depends on what stands before
			coded := base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{'x'}, shift), mark...))
			text := strings.TrimRight(coded, "=")
			out = append(out, needle{field, text[(shift*8+5)/6 : len(text)-1], false})
		}
	}
	slices.SortFunc(out, func(a, b needle) int { return strings.Compare(a.text, b.text) })
	return out
}

// in says whether the text holds the mark.
func (n needle) in(text string) bool {
	if n.exact {
		return text == n.text || strings.Contains(text, `"`+n.text+`"`)
	}
	return strings.Contains(text, n.text)
}
