package journey

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
	notificationclient "github.com/sendtip/sendtip/generated/notification/client"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
)

// Customer is a person with a phone and an app: the generated clients, signed in once there are tokens.
type Customer struct {
	Name, Phone, Email, PIN, Device string

	UserID    uuid.UUID
	WalletID  uuid.UUID
	SessionID uuid.UUID
	// DepositAccount is what a payer types at the paybill to pay into the wallet.
	DepositAccount string
	// IDNumber is the one that was submitted last.
	IDNumber string
	// KycID is the verification that was submitted last.
	KycID uuid.UUID
	// Tokens are those of the last sign-in.
	Tokens userclient.Tokens

	User         *userclient.ClientWithResponses
	Wallet       *walletclient.ClientWithResponses
	Ledger       *transactionsclient.ClientWithResponses
	Notification *notificationclient.ClientWithResponses
	Banking      *bankingclient.ClientWithResponses

	gateway string
	http    *http.Client
	trace   *trace
	clock   func() time.Time

	totpSecret string // of staff
	totpStep   int64  // of the last code that was used

	mu    sync.Mutex
	token string
}

// NewCustomer returns a person with a new phone number who has not signed up yet.
func (w World) NewCustomer(name string) (*Customer, error) {
	if w.trace == nil {
		w.trace = &trace{}
	}
	c := &Customer{Name: name, Phone: newPhone(), PIN: "4826", Device: uuid.NewString(), gateway: w.Gateway, http: w.HTTP, trace: w.trace,
		clock: w.Now}
	c.Email = fmt.Sprintf("%s.%s@example.com", name, c.Phone[len(c.Phone)-6:])
	var err error
	if c.User, err = userclient.NewClientWithResponses(w.Gateway, userclient.WithHTTPClient(c)); err != nil {
		return nil, err
	}
	if c.Wallet, err = walletclient.NewClientWithResponses(w.Gateway, walletclient.WithHTTPClient(c)); err != nil {
		return nil, err
	}
	if c.Ledger, err = transactionsclient.NewClientWithResponses(w.Gateway, transactionsclient.WithHTTPClient(c)); err != nil {
		return nil, err
	}
	if c.Banking, err = bankingclient.NewClientWithResponses(w.Gateway, bankingclient.WithHTTPClient(c)); err != nil {
		return nil, err
	}
	c.Notification, err = notificationclient.NewClientWithResponses(w.Gateway, notificationclient.WithHTTPClient(c))
	return c, err
}

// SignIn makes later calls carry the access token; "" signs out.
func (c *Customer) SignIn(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

// Do sends a request of the generated clients and remembers it in short.
func (c *Customer) Do(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	token := c.token
	c.mu.Unlock()
	if token != "" && req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	c.trace.set(req, resp, body)
	return resp, nil
}

// Raw sends a body as it is, for what the generated client would never send.
func (c *Customer) Raw(ctx context.Context, method, path, body string, header map[string]string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.gateway+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, code(b), err
}

// code reads the stable code of a problem.
func code(body []byte) string {
	var p struct {
		Code string `json:"code"`
	}
	_ = json.Unmarshal(body, &p) // not a problem: no code
	return p.Code
}

// refusal is an error that shows status and code of an unexpected answer.
func refusal(status int, body []byte) error { return fmt.Errorf("answer %d %s", status, code(body)) }

// trace holds the last request and answer in short; secrets and personal data are not in it.
type trace struct {
	mu              sync.Mutex
	request, answer string
}

func (t *trace) set(req *http.Request, resp *http.Response, body []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.request = req.Method + " " + req.URL.Path
	t.answer = fmt.Sprint(resp.StatusCode)
	if c := code(body); c != "" && resp.StatusCode >= 400 {
		t.answer += " " + c
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		t.answer += " " + strings.Join(resp.Header.Values("RateLimit"), ", ")
	}
	if resp.Header.Get("Idempotency-Replayed") != "" {
		t.answer += " (replayed)"
	}
}

func (t *trace) take() (request, answer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	request, answer = t.request, t.answer
	t.request, t.answer = "", ""
	return request, answer
}
