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
	"regexp"
	"slices"
	"strings"
	"sync"
)

// personal are the fields of requests and answers whose values are marks. Short ones stand in quotes or alone only: four digits are in any
// number.
var personal = []string{"phone", "recipient_phone", "email", "first_name", "last_name", "id_number", "date_of_birth", "pin", "new_pin",
	"otp",
	"totp", "code", "secret", "access_token", "refresh_token", "token", "recovery_token", "device_id", "deposit_account", "account_number"}

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
	alone *regexp.Regexp // of one that is too short to be looked for inside of others: how it stands in a sentence
}

// needles are all spellings of the marks: as they are, in capitals and without, a number without its plus and as it is dialled at home, a
// token's signature, and each in hex and base64.
func needles(marks map[string]string) (out []needle) {
	for mark, field := range marks {
		spellings := []string{mark}
		switch {
		case strings.HasPrefix(mark, "+"):
			spellings = []string{mark[1:], "0" + mark[4:]} // country codes of East Africa have three digits
		case strings.Count(mark, ".") == 2 && len(mark) > 100:
			spellings = []string{mark[strings.LastIndex(mark, ".")+1:]} // what makes it a token; the rest is not secret
		case strings.HasSuffix(field, "name") || field == "email":
			spellings = append(spellings, strings.ToUpper(mark), strings.ToLower(mark))
		}
		slices.Sort(spellings)
		for _, text := range slices.Compact(spellings) {
			out = append(out, codings(field, text)...)
		}
	}
	slices.SortFunc(out, func(a, b needle) int { return strings.Compare(a.text, b.text) })
	return out
}

func codings(field, text string) []needle {
	if len(text) < 9 { // among random bytes in hex, eight digits are found sooner or later
		return []needle{{field, text, alone(text)}}
	}
	out := []needle{{field, text, nil}, {field, hex.EncodeToString([]byte(text)), nil}}
	for shift := range 3 { // where a group of three bytes begins depends on what stands before
		coded := base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{'x'}, shift), text...))
		coded = strings.TrimRight(coded, "=")
		out = append(out, needle{field, coded[(shift*8+5)/6 : len(coded)-1], nil})
	}
	return out
}

// alone is how a short mark stands where people would read it: after a word that says what it is, and from six characters on after a blank
// or a bracket. Other numbers have four digits too, and the fractions of seconds have six.
func alone(text string) *regexp.Regexp {
	mark := regexp.QuoteMeta(text)
	said := `(?i)(?:pin|code|otp|secret)[^0-9A-Za-z]{1,3}(?:(?:is|was)\W)?` + mark + `(?:\W|$)`
	if len(text) < 6 {
		return regexp.MustCompile(said)
	}
	return regexp.MustCompile(said + `|(?:^|[ =(\[])` + mark + `(?:[^\w.]|\.\D|\.?$)`)
}

// in says whether the text holds the mark.
func (n needle) in(text string) bool {
	if !strings.Contains(text, n.text) {
		return false
	}
	return n.alone == nil || text == n.text || strings.Contains(text, `"`+n.text+`"`) || n.alone.MatchString(text)
}
