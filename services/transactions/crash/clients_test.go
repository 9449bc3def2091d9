package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

type money struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type posting struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
	Amount      money  `json:"amount"`
}

type request struct {
	Reference     string    `json:"reference"`
	Action        string    `json:"action"`
	Type          string    `json:"type"`
	Channel       string    `json:"channel"`
	Postings      []posting `json:"postings,omitempty"`
	HoldID        string    `json:"hold_id,omitempty"`
	TransactionID string    `json:"transaction_id,omitempty"`
	Amount        *money    `json:"amount,omitempty"`
}

// outcome is what a client is told; a repeat must be told the same.
type outcome struct {
	Reference     string `json:"reference"`
	Status        string `json:"status"`
	Code          string `json:"code"`
	TransactionID string `json:"transaction_id"`
	HoldID        string `json:"hold_id"`
	RecordedAt    string `json:"recorded_at"`
	Balances      []struct {
		AccountID string `json:"account_id"`
		Balance   money  `json:"balance"`
		Available money  `json:"available"`
		Sequence  int64  `json:"sequence"`
	} `json:"balances"`
}

// posted is a list that a client sent, with what it was answered.
type posted struct {
	requests []request
	atomic   bool
	outcomes []outcome
}

// history is all that clients have sent, to whom, and what they know of it.
type history struct {
	tb        testing.TB
	addresses []string // of the replicas
	accounts  []string

	token     string
	calls     atomic.Int64
	answered  atomic.Int64 // transactions
	unknown   atomic.Int64 // answers that were none
	mu        sync.Mutex
	lists     []posted
	transport *http.Client
}

func newHistory(t testing.TB) *history {
	t.Helper()
	token, err := auth.Mint([]byte(identityKey), time.Now(), auth.Claims{Scope: "ledger:post ledger:read ledger:accounts",
		RegisteredClaims: jwt.RegisteredClaims{Subject: "service:wallet", Audience: jwt.ClaimStrings{"transactions"}}})
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	return &history{tb: t, token: token, transport: &http.Client{Transport: transport, Timeout: 6 * time.Second}}
}

// send makes one attempt at one of the replicas, each in turn.
func (h *history) send(method, path string, body, into any) bool {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	address := h.addresses[int(h.calls.Add(1))%len(h.addresses)]
	req, err := http.NewRequestWithContext(context.Background(), method, "http://"+address+path, bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(auth.IdentityHeader, h.token)
	res, err := h.transport.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return json.NewDecoder(res.Body).Decode(into) == nil
	case http.StatusServiceUnavailable:
	default: // a client that is well made and a database that is away give no other answers
		var problem any
		_ = json.NewDecoder(res.Body).Decode(&problem)
		h.tb.Errorf("%s %s: %d %v", method, path, res.StatusCode, problem)
	}
	return false
}

// persist repeats an attempt until it has an answer.
func (h *history) persist(what string, attempt func() bool) bool {
	for deadline := time.Now().Add(patience); !attempt(); <-time.After(10 * time.Millisecond) {
		h.unknown.Add(1)
		if time.Now().After(deadline) {
			h.tb.Errorf("never answered: %s", what)
			return false
		}
	}
	return true
}

// ask sends a list until it has outcomes.
func (h *history) ask(list []request, together bool) []outcome {
	var answer struct {
		Outcomes []outcome `json:"outcomes"`
	}
	if !h.persist(list[0].Reference, func() bool {
		answer.Outcomes = nil
		return h.send(http.MethodPost, "/v1/ledger/transactions", map[string]any{"transactions": list, "atomic": together}, &answer)
	}) {
		return nil
	}
	if len(answer.Outcomes) != len(list) {
		h.tb.Errorf("%d outcomes for %d transactions", len(answer.Outcomes), len(list))
		return nil
	}
	return answer.Outcomes
}

// post is ask with a note of it.
func (h *history) post(list []request, together bool) []outcome {
	outcomes := h.ask(list, together)
	if outcomes == nil {
		return make([]outcome, len(list))
	}
	h.mu.Lock()
	h.lists = append(h.lists, posted{list, together, outcomes})
	h.mu.Unlock()
	h.answered.Add(int64(len(list)))
	return outcomes
}

// askAgain repeats every list: what was acknowledged stays as it was.
func (h *history) askAgain() {
	for _, p := range h.lists {
		if again := h.ask(p.requests, p.atomic); !reflect.DeepEqual(again, p.outcomes) {
			h.tb.Errorf("acknowledged %+v, later %+v", p.outcomes, again)
			return
		}
	}
}

func newRequest(action string, amount int64, source, destination string) request {
	r := request{Reference: "crash:" + uuid.NewString(), Action: action, Type: "test", Channel: "internal"}
	if source != "" {
		r.Postings = []posting{{source, destination, money{amount, "KES"}}}
	} else {
		r.Amount = &money{amount, "KES"}
	}
	return r
}

const rail = "rail.mpesa.paybill.KES"

// open makes accounts with money.
func (h *history) open(n int) {
	h.tb.Helper()
	for range n {
		id := uuid.NewString()
		var account any
		h.persist("account", func() bool {
			return h.send(http.MethodPut, "/v1/ledger/accounts/"+id, map[string]any{"owner_id": id, "kind": "customer_wallet", "currency": "KES"},
				&account)
		})
		h.accounts = append(h.accounts, id)
		h.post([]request{newRequest("post", 1_000, rail, id)}, false)
	}
}

// load moves money from several goroutines until stop is called, which waits for the last answers.
func (h *history) load(workers int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 42))
			pace := time.NewTicker(15 * time.Millisecond) // a few hundred transactions a second do
			defer pace.Stop()
			for ctx.Err() == nil && !h.tb.Failed() {
				h.act(rng)
				<-pace.C
			}
		})
	}
	return func() { cancel(); wg.Wait() }
}

// act is one thing that a caller does.
func (h *history) act(rng *rand.Rand) {
	pair := rng.Perm(len(h.accounts))
	from, to := h.accounts[pair[0]], h.accounts[pair[1]]
	transfer := func() request { return newRequest("post", 1+rng.Int64N(700), from, to) } // some are refused
	switch rng.IntN(6) {
	case 0:
		h.post([]request{transfer(), transfer()}, true)
	case 1:
		h.post([]request{transfer(), newRequest("hold", 1+rng.Int64N(50), to, from), transfer()}, false)
	case 2:
		held := h.post([]request{newRequest("hold", 60, from, to)}, false)[0]
		if held.Status != string(domain.Posted) {
			return
		}
		capture, release := newRequest("capture", 1+rng.Int64N(59), "", ""), newRequest("release", 1, "", "")
		capture.HoldID, release.HoldID = held.HoldID, held.HoldID
		h.post([]request{capture, release}, false)
	case 3:
		moved := h.post([]request{transfer()}, false)[0]
		if moved.Status != string(domain.Posted) {
			return
		}
		reverse := newRequest("reverse", 1, "", "")
		reverse.TransactionID = moved.TransactionID
		h.post([]request{reverse}, false)
	default:
		h.post([]request{transfer()}, false)
	}
}

// paper is the ledger as a client keeps it: it knows outcomes only.
type paper struct {
	balance, held map[string]int64
	moved         map[string]posting // by transaction
	holds         map[string]posting // by hold
	transactions  map[string]string  // ids by reference
	refusals      map[string]string  // codes by reference
}

// paper books every posted outcome; the order does not matter, as the sums do not depend on it.
func (h *history) paper() *paper {
	p := &paper{balance: map[string]int64{}, held: map[string]int64{}, moved: map[string]posting{}, holds: map[string]posting{},
		transactions: map[string]string{}, refusals: map[string]string{}}
	for _, later := range []bool{false, true} { // captures and reversals need what they are of
		for _, list := range h.lists {
			for i, r := range list.requests {
				if later == (len(r.Postings) == 0) {
					p.book(h.tb, r, list.outcomes[i])
				}
			}
		}
	}
	return p
}

func (p *paper) book(tb testing.TB, r request, o outcome) {
	if o.Reference != r.Reference {
		tb.Errorf("%s was answered with the outcome of %s", r.Reference, o.Reference)
	}
	if o.Status != string(domain.Posted) {
		if o.Status != string(domain.Refused) || o.Code == "" {
			tb.Errorf("%s has no outcome: %+v", r.Reference, o)
		}
		p.refusals[r.Reference] = o.Code
		return
	}
	p.transactions[r.Reference] = o.TransactionID
	switch r.Action {
	case "post":
		p.move(o.TransactionID, r.Postings[0].Source, r.Postings[0].Destination, r.Postings[0].Amount.Amount)
	case "hold":
		p.holds[o.HoldID] = r.Postings[0]
		p.held[r.Postings[0].Source] += r.Postings[0].Amount.Amount
	case "capture":
		hold := p.holds[r.HoldID]
		p.held[hold.Source] -= r.Amount.Amount
		p.move(o.TransactionID, hold.Source, hold.Destination, r.Amount.Amount)
	case "release":
		p.held[p.holds[r.HoldID].Source] -= r.Amount.Amount
	case "reverse":
		original := p.moved[r.TransactionID]
		p.move(o.TransactionID, original.Destination, original.Source, r.Amount.Amount)
	default:
		tb.Errorf("nobody sends %q", r.Action)
	}
}

func (p *paper) move(transaction, source, destination string, amount int64) {
	p.balance[source] -= amount
	p.balance[destination] += amount
	p.moved[transaction] = posting{source, destination, money{amount, "KES"}}
}

// String says how much there is to prove.
func (h *history) String() string {
	return fmt.Sprintf("%d transactions answered, %d answers lost", h.answered.Load(), h.unknown.Load())
}
