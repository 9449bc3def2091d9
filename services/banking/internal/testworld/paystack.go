package testworld

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/providers/paystack/spec"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
)

// PaystackKey is the business's key.
const PaystackKey = sandbox.DefaultPaystackKey

// OwnAccount is an account whose owner the bank calls by the name of every customer here.
const OwnAccount = "0100100037"

// line is what lies between here and Paystack.
type line struct{ cut atomic.Bool }

// RoundTrip implements http.RoundTripper.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.cut.Load() {
		return nil, errors.New("the line is cut")
	}
	return http.DefaultTransport.RoundTrip(r)
}

// PaystackDown breaks all connections to Paystack, or no more.
func (w *World) PaystackDown(down bool) { w.line.cut.Store(down) }

// startPaystack runs the sandbox, whose books are the other side's truth, and returns a client of Paystack each of whose exchanges is held
// against the official description. Its webhooks go to the service as the gateway would send them.
func (w *World) startPaystack(t testing.TB) *paystack.Client {
	t.Helper()
	hooks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = w.App.ReceivePaystackEvent(r.Context(), r.Header.Get(paystack.SignatureHeader), body)
		}
		if f, ok := fault.As(err); err != nil && (!ok || f.Kind != fault.Unauthenticated) {
			t.Errorf("webhook: %v", err)
		}
		if err != nil {
			rw.WriteHeader(http.StatusUnauthorized)
		}
	}))
	box, err := sandbox.New(sandbox.Config{Now: w.Clock.Now, ResultDelay: -1, PaystackWebhookURL: hooks.URL})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(box.Handler())
	t.Cleanup(func() {
		box.Close()
		server.Close()
		hooks.Close()
	})
	w.Bank = control.New(server.URL, nil)
	checked, err := spec.NewChecked(&w.line, func(err error) { t.Errorf("not as described: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return paystack.New(paystack.Config{BaseURL: server.URL, SecretKey: PaystackKey, Now: w.Clock.Now, HTTP: &http.Client{Transport: checked}})
}
