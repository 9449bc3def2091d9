// Package journey walks customers through the platform by its public API, the way a phone's app does. `sendtip demo` prints the walk,
// and the end-to-end tests take the same steps.
package journey

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/safaricom"
	"github.com/sendtip/sendtip/sandbox/control"
)

// World is where the journey takes place.
type World struct {
	Gateway string          // public address
	Sandbox *control.Client // the phones and the providers' misbehaviour
	HTTP    *http.Client
	// CheckLedger proves that the ledger's totals are zero and says how much it checked.
	CheckLedger func(ctx context.Context) (string, error)
	// MakeAdmin does what `sendtip admin create` does, for a person with phone, PIN and device, and fills in the user's id. breakGlass is the
	// reason to do it although there are two admins; empty: it is not done.
	MakeAdmin func(ctx context.Context, c *Customer, breakGlass string) error
	// Now is the platform's clock; nil: the machine's.
	Now func() time.Time

	trace *trace
}

// Step is one finished step.
type Step struct {
	Name            string
	Took            time.Duration
	Request, Answer string // the last exchange, in short
	Note            string // what came out
	Err             error
}

// Run takes every step, reports each, and returns how many passed and failed. After a failed step the rest of its part is left out and
// counted as failed: what builds on a broken step proves nothing.
func Run(ctx context.Context, w World, report func(Step)) (passed, failed int) {
	w.trace = &trace{}
	s := &story{World: w}
	for _, part := range [][]step{s.beginning(), s.staff(), s.failures()} {
		broken := false
		for _, st := range part {
			if broken {
				failed++
				report(Step{Name: st.name, Err: errors.New("left out after the failure above")})
				continue
			}
			started := time.Now()
			note, err := st.do(ctx)
			request, answer := w.trace.take()
			report(Step{Name: st.name, Took: time.Since(started), Request: request, Answer: answer, Note: note, Err: err})
			if err != nil {
				broken = true
				failed++
				continue
			}
			passed++
		}
		if broken && s.amina.WalletID == [16]byte{} {
			break // nobody to go on with
		}
	}
	return passed, failed
}

type step struct {
	name string
	do   func(ctx context.Context) (note string, err error)
}

// patience bounds each wait for something that happens in the background.
const patience = 60 * time.Second

// until polls until ok answers true, an error, or patience ends.
func until(ctx context.Context, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		done, err := ok()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited %s for %s", patience, what)
		case <-time.After(200 * time.Millisecond): // a customer may ask ten times a second
		}
	}
}

// newPhone returns a Kenyan number that nobody has yet.
func newPhone() string { return safaricom.MobilePrefix + digits(8) }

// newID returns a national ID number that the sandbox's authority knows (last digit 0).
func newID() string { return "3" + digits(6) + "0" }

func digits(n int) string {
	var b strings.Builder
	for range n {
		d, err := rand.Int(rand.Reader, big.NewInt(10))
		if err != nil {
			panic(err) // no randomness: a broken machine
		}
		b.WriteString(d.String())
	}
	return b.String()
}

// newKey returns an idempotency key.
func newKey() string { return "demo-" + digits(24) }

var otpPattern = regexp.MustCompile(`\b\d{6}\b`)

// sms waits for a message to the customer that contains every word.
func (w World) sms(ctx context.Context, c *Customer, words ...string) (control.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m, err := w.Sandbox.WaitSMS(ctx, c.Phone, func(m control.Message) bool {
		for _, word := range words {
			if !strings.Contains(m.Text, word) {
				return false
			}
		}
		return true
	})
	if err != nil {
		return m, fmt.Errorf("SMS with %q: %w", words, err)
	}
	return m, nil
}

// kes shows minor units.
func kes(minor int64) string { return fmt.Sprintf(safaricom.Currency+" %d.%02d", minor/100, minor%100) }
