// Package paystack is the local counterpart of Paystack's API for Kenya, with the wire shapes of the real one: hosted payments, mobile
// money, refunds, transfers, and signed webhooks that are repeated until they are taken. Its books are the other side's truth.
package paystack

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// Options are the merchant's key and the timings.
type Options struct {
	SecretKey    string
	WebhookURL   string        // none if empty
	PublicURL    string        // of the hosted pages; empty: the address that was asked
	BalanceMinor int64         // in KES, at the start
	AnswerDelay  time.Duration // of scripted answers without a delay of their own
	ResultDelay  time.Duration // until a payout or refund ends
}

// Bounds of what is kept. Payments and the like are never dropped, as their references must stay unique: beyond it nothing new is taken.
const (
	maxObjects   = 500_000
	maxLines     = 200_000
	maxQueued    = 100
	maxBodyBytes = 64 << 10
)

// Server answers the Paystack API. It is safe for concurrent use.
type Server struct {
	opt    Options
	world  *world.World
	domain string

	mu         sync.Mutex
	sequence   int64
	books      books
	scripts    scripts
	webhookURL string
	payments   map[string]*payment // by reference
	byID       map[string]*payment
	byCode     map[string]*payment // by access code
	paid       []*payment          // in the order in which they came
	refunds    []*refund
	refundByID map[string]*refund
	recipients map[string]*recipient // by code
	accounts   map[string]*recipient // by type, bank and number
	transfers  map[string]*transfer  // by reference
	payouts    []*transfer
}

// New returns a server.
func New(o Options, w *world.World) *Server {
	s := &Server{opt: o, world: w, domain: paystack.Domain(o.SecretKey), sequence: 4_110_000, webhookURL: o.WebhookURL,
		books: books{balances: map[string]int64{}}, scripts: newScripts(), payments: map[string]*payment{}, byID: map[string]*payment{},
		byCode: map[string]*payment{}, recipients: map[string]*recipient{}, accounts: map[string]*recipient{},
		transfers: map[string]*transfer{}, refundByID: map[string]*refund{}}
	s.books.add(control.PaystackLine{Kind: "opening", Currency: paystack.KES, AmountMinor: o.BalanceMinor, At: w.Now()})
	return s
}

// Routes adds the API's paths.
func (s *Server) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /transaction/initialize", s.guard(s.initialize))
	mux.HandleFunc("GET /transaction/verify/{reference}", s.guard(s.verify))
	mux.HandleFunc("POST /charge", s.guard(s.charge))
	mux.HandleFunc("GET /charge/{reference}", s.guard(s.getCharge))
	mux.HandleFunc("POST /refund", s.guard(s.createRefund))
	mux.HandleFunc("GET /refund", s.guard(s.listRefunds))
	mux.HandleFunc("GET /refund/{id}", s.guard(s.getRefund))
	mux.HandleFunc("GET /bank", s.guard(s.listBanks))
	mux.HandleFunc("GET /bank/resolve", s.guard(s.resolve))
	mux.HandleFunc("POST /transferrecipient", s.guard(s.createRecipient))
	mux.HandleFunc("POST /transfer", s.guard(s.createTransfer))
	mux.HandleFunc("GET /transfer/verify/{reference}", s.guard(s.verifyTransfer))
	mux.HandleFunc("GET /balance", s.guard(s.getBalance))
}

// fields is a request body whose numbers may come as strings.
type fields map[string]json.RawMessage

func (f fields) text(name string) string {
	var s string
	if json.Unmarshal(f[name], &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(f[name], &n) == nil {
		return n.String()
	}
	return ""
}

// minor is an amount; 0 if it is none.
func (f fields) minor(name string) int64 {
	n, err := strconv.ParseInt(f.text(name), 10, 64)
	if err != nil || n < 0 || n > 1<<53-1 {
		return 0
	}
	return n
}

func (f fields) object(name string) fields {
	var out fields
	_ = json.Unmarshal(f[name], &out) // what is no object has no members
	return out
}

func (f fields) list(name string) []string {
	var out []string
	_ = json.Unmarshal(f[name], &out)
	return out
}

// guard checks what all operations share: the key, and a JSON body.
func (s *Server) guard(next func(http.ResponseWriter, *http.Request, fields)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+s.opt.SecretKey {
			write(w, http.StatusUnauthorized, map[string]any{"status": false, "message": "Invalid key"})
			return
		}
		in := fields{}
		if r.Method == http.MethodPost && json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes)).Decode(&in) != nil {
			refuse(w, "invalid_params", "Invalid JSON body")
			return
		}
		next(w, r, in)
	}
}

// before answers a request that its script does not let happen.
func before(w http.ResponseWriter, way string) bool {
	switch way {
	case "throttled":
		throttle(w)
	case "down":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "error_before":
		broken(w)
	default:
		return false
	}
	return true
}

// after answers a request that was done, unless its script keeps the answer back.
func (s *Server) after(w http.ResponseWriter, r *http.Request, way string, status int, message string, data any) {
	switch way {
	case "error":
		broken(w)
		return
	case "hang":
		world.Pause(r.Context(), s.world.Scaled(maxHang))
		panic(http.ErrAbortHandler)
	case "lose":
		panic(http.ErrAbortHandler)
	}
	answer(w, status, message, data)
}

// maxHang is how long an answer that never comes is waited for at most.
const maxHang = 2 * time.Minute

// asked answers a question whose script does not let it be answered.
func asked(w http.ResponseWriter, way string) bool {
	switch way {
	case "throttled":
		throttle(w)
	case "error":
		broken(w)
	case "lose":
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

func throttle(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	write(w, http.StatusTooManyRequests, map[string]any{"status": false, "message": "Too many requests", "type": "api_error",
		"code": "rate_limited"})
}

func broken(w http.ResponseWriter) {
	write(w, http.StatusInternalServerError, map[string]any{"status": false, "message": "An error occurred", "type": "api_error",
		"code": "unknown"})
}

func refuse(w http.ResponseWriter, code, message string) {
	write(w, http.StatusBadRequest, map[string]any{"status": false, "message": message, "type": "validation_error", "code": code,
		"meta": map[string]string{"nextStep": "Check the request and try again"}})
}

func notFound(w http.ResponseWriter, code, message string) {
	write(w, http.StatusNotFound, map[string]any{"status": false, "message": message, "type": "validation_error", "code": code})
}

func answer(w http.ResponseWriter, status int, message string, data any) {
	write(w, status, map[string]any{"status": true, "message": message, "data": data})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller hung up: nothing to do
}

// stamp writes a time as Paystack does; null for none.
func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// next is a new number. Callers hold mu.
func (s *Server) next() int64 {
	s.sequence++
	return s.sequence
}

// code is a new code of Paystack's: letters and digits. Callers hold mu.
func (s *Server) code(prefix string) string {
	return prefix + strings.ToLower(strconv.FormatInt(s.next()*1_000_003, 36))
}
