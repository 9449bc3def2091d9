package testworld

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/providers/paystack/spec"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/banking/internal/app"
	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// PaystackKey is the business's key.
const PaystackKey = sandbox.DefaultPaystackKey

// OwnAccount is an account whose owner the bank calls by the name of every customer here.
const OwnAccount = "0100100037"

// Line is the connection to Paystack, which can be cut, and on which answers about payments can be changed.
type Line struct {
	mu    sync.Mutex
	cut   bool
	alter func(data map[string]any)
	held  *held
}

// held is an answer that has been given and not arrived.
type held struct{ given, release chan struct{} }

// Cut breaks the connection before anything is sent, or no more.
func (l *Line) Cut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

// Alter changes what Paystack says about payments when it is asked; nil ends that.
func (l *Line) Alter(change func(data map[string]any)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alter = change
}

// RoundTrip sends a request.
func (l *Line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	cut, alter := l.cut, l.alter
	l.mu.Unlock()
	if cut {
		return nil, errors.New("the line is cut")
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	l.mu.Lock()
	h := l.held
	l.held = nil
	l.mu.Unlock()
	if h != nil {
		close(h.given)
		<-h.release
	}
	if err != nil || alter == nil || !strings.HasPrefix(r.URL.Path, "/transaction/verify/") || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	defer func() { _ = resp.Body.Close() }()
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return nil, err
	}
	if data, ok := body["data"].(map[string]any); ok {
		alter(data)
	}
	changed, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
	resp.Header.Del("Content-Length")
	return resp, nil
}

// HoldPaystack keeps the next answer on its way until it is released. It tells when it was given.
func (w *World) HoldPaystack() (release func(), given <-chan struct{}) {
	h := &held{given: make(chan struct{}), release: make(chan struct{})}
	w.Line.mu.Lock()
	defer w.Line.mu.Unlock()
	w.Line.held = h
	return func() { close(h.release) }, h.given
}

// PaystackDown breaks all connections to Paystack, or no more.
func (w *World) PaystackDown(down bool) { w.Line.Cut(down) }

// startPaystack runs the sandbox, whose books are the other side's truth, and returns a client of Paystack each of whose exchanges is held
// against the official description. Its webhooks go to the service as the gateway would send them.
func (w *World) startPaystack(t testing.TB) *paystack.Client {
	t.Helper()
	hooks := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = w.App.ReceivePaystackEvent(context.WithoutCancel(r.Context()), r.Header.Get(paystack.SignatureHeader), body)
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
	w.Line = &Line{}
	checked, err := spec.NewChecked(w.Line, func(err error) { t.Errorf("not as described: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return paystack.New(paystack.Config{BaseURL: server.URL, SecretKey: PaystackKey, Now: w.Clock.Now, HTTP: &http.Client{Transport: checked}})
}

// Linked makes an account of a person's that can be paid to.
func (w *World) Linked(p Person) domain.BankAccount {
	w.t.Helper()
	id := uuid.New()
	account, err := w.App.CreateBankAccount(w.ApproveHash(w.As(p), domain.BankAccountApprovalHash(id)),
		app.BankAccountInput{ID: id, BankCode: "68", Number: OwnAccount})
	if err != nil {
		w.t.Fatalf("link: %v", err)
	}
	return account
}

// StoredToBank makes a withdrawal to an account that nothing has happened to.
func (w *World) StoredToBank(p Person, account uuid.UUID, shillings int64) domain.Withdrawal {
	w.t.Helper()
	q, err := w.App.CreateWithdrawalQuote(w.As(p), app.QuoteInput{WalletID: p.WalletID, Amount: KES(shillings), Account: &account})
	if err != nil {
		w.t.Fatalf("quote: %v", err)
	}
	made, err := w.App.CreateWithdrawal(w.Approve(w.As(p), q.ID), app.WithdrawalInput{Key: uuid.NewString(), QuoteID: q.ID})
	if err != nil {
		w.t.Fatalf("create: %v", err)
	}
	return made
}
