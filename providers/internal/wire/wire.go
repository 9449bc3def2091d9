// Package wire holds what every provider client does the same way on the wire: bounded bodies, values that arrive
// as strings or numbers, amounts without floats, and texts that are safe to log.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// DefaultTimeout bounds one call to a provider when the caller brings no http.Client of its own.
const DefaultTimeout = 20 * time.Second

// maxMinor is the largest amount that JSON readers in every language keep exact (2^53-1).
const maxMinor = 1<<53 - 1

// ErrTooLarge says that an answer was cut off because it exceeded the cap: its content must not be trusted.
var ErrTooLarge = errors.New("answer is larger than allowed")

// Client returns a copy of c (or of a default one) that never follows redirects: a provider that redirects a
// payment is either misconfigured or not the provider, and a followed 307 would send the body to a stranger.
func Client(c *http.Client) *http.Client {
	own := http.Client{Timeout: DefaultTimeout}
	if c != nil {
		own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// ReadBody reads at most limit bytes and closes the body. One byte more is ErrTooLarge.
func ReadBody(resp *http.Response, limit int64) ([]byte, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, ErrTooLarge
	}
	return body, nil
}

// NeverSent reports that a failed round trip proves that no byte of the request left: the connection could not even
// be opened. Every other transport error leaves the outcome unknown.
func NeverSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// Text is a JSON value that providers send as a string in one document and as a number or boolean in the next.
// Absent and null become "". Objects and arrays are refused.
type Text string

// UnmarshalJSON accepts a string, number, boolean or null. Numbers in exponent form are written out exactly.
func (t *Text) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		*t = ""
		return nil
	}
	switch raw[0] {
	case '"':
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*t = Text(s)
		return nil
	case '{', '[':
		return errors.New("expected a string or a number")
	case 't', 'f':
		*t = Text(raw)
		return nil
	default:
		plain, err := plainNumber(string(raw))
		*t = Text(plain)
		return err
	}
}

// plainNumber writes "2.54708374149E11" (Java prints large doubles so) as "254708374149", exactly.
func plainNumber(s string) (string, error) {
	at := strings.IndexAny(s, "eE")
	if at < 0 {
		return s, nil
	}
	exponent, err := strconv.Atoi(s[at+1:])
	if err != nil || exponent < -20 || exponent > 20 || len(s) > 64 {
		return "", errors.New("number is out of range") // bounded, because the expansion is as long as the exponent says
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return "", errors.New("not a number")
	}
	if r.IsInt() {
		return r.Num().String(), nil
	}
	return r.FloatString(40), nil
}

// grouped is a number with thousands separators and a decimal point, which reads in one way only ("1,000" alone could be a decimal comma).
var grouped = regexp.MustCompile(`^\d{1,3}(,\d{3})+\.\d+$`)

// Minor turns a decimal text in major units ("5.00", "5", "1250.5", "1,250.50") into minor units with two decimals.
// Negative values, exponents and non-zero digits past the second decimal are refused; no float is involved.
func Minor(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if grouped.MatchString(s) {
		s = strings.ReplaceAll(s, ",", "")
	}
	whole, fraction, _ := strings.Cut(s, ".")
	fraction = strings.TrimRight(fraction, "0")
	if whole == "" || len(whole) > 15 || len(fraction) > 2 || !digits(whole) || !digits(fraction) {
		return 0, errors.New("not an amount")
	}
	minor, err := strconv.ParseInt(whole+(fraction + "00")[:2], 10, 64)
	if err != nil || minor > maxMinor {
		return 0, errors.New("amount is out of range")
	}
	return minor, nil
}

func digits(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

var (
	longDigits  = regexp.MustCompile(`\+?\d[\d*]{6,}`)
	accessToken = regexp.MustCompile(`(?i)(access token)\s*-.*`)
)

// Scrub makes a provider's text fit for logs and errors: no phone or identity numbers, no echoed token, one short line.
func Scrub(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = accessToken.ReplaceAllString(s, "$1")
	s = longDigits.ReplaceAllString(s, "[number]")
	if r := []rune(s); len(r) > 160 {
		s = string(r[:160])
	}
	return s
}

// Describe builds the one line that all provider errors show: who, status, code, text.
func Describe(provider string, status int, code, message string, cause error) string {
	var b strings.Builder
	b.WriteString(provider)
	if status != 0 {
		fmt.Fprintf(&b, ": http %d", status)
	}
	if code != "" {
		b.WriteString(": " + code)
	}
	if message != "" {
		b.WriteString(": " + Scrub(message))
	}
	if cause != nil {
		b.WriteString(": " + cause.Error())
	}
	return b.String()
}
