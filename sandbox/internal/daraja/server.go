// Package daraja is the local counterpart of Safaricom's M-Pesa API, with the wire shapes of the real one: OAuth, STK
// push and query, C2B registration, simulation, confirmation and validation, and an initiator's orders with their results.
package daraja

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// Options are the merchant's credentials and the timings.
type Options struct {
	ShortCode      string
	Passkey        string
	ConsumerKey    string
	ConsumerSecret string
	TokenLife      time.Duration
	AnswerDelay    time.Duration // of scripted answers without a delay of their own
	PromptTimeout  time.Duration // of prompts that nobody answers
	Dir            string        // keeps the registrations; empty: in memory

	B2CShortCode      string // known beside ShortCode and the portal's
	Initiator         string
	InitiatorPassword string
	ResultDelay       time.Duration // until an order is carried out
	Seed              uint64        // of the ways in which results are written
}

// maxPushes bounds the pushes that can still be queried.
const maxPushes = 100_000

// maxOpen bounds the prompts that wait for an answer: each has a goroutine.
const maxOpen = 20_000

const maxBodyBytes = 64 << 10

// eat is Nairobi time, in which Daraja writes every time.
var eat = time.FixedZone("EAT", 3*60*60)

const stampLayout = "20060102150405"

// Server answers the M-Pesa API. It is safe for concurrent use.
type Server struct {
	opt           Options
	world         *world.World
	tokens        *tokens
	registrations *registrations
	initiator     *initiator

	mu       sync.Mutex
	pushes   map[string]*push // by CheckoutRequestID
	order    []string         // of pushes, oldest first
	open     map[string]*push // by msisdn: one prompt per handset
	receipts receiptMaker
	sequence int
	orders   map[string]*order // by OriginatorConversationID and by ConversationID
	orderIDs []*order          // oldest first
	waiting  int               // orders that are being carried out
}

// New returns a server with the registrations that an earlier one kept.
func New(o Options, w *world.World) (*Server, error) {
	kept, err := loadRegistrations(o.Dir)
	if err != nil {
		return nil, err
	}
	user, err := newInitiator(o.Initiator, o.InitiatorPassword)
	if err != nil {
		return nil, err
	}
	return &Server{
		opt: o, world: w, tokens: newTokens(o.TokenLife, w.Now), registrations: kept, initiator: user, pushes: map[string]*push{},
		open: map[string]*push{}, receipts: newReceiptMaker(), orders: map[string]*order{},
	}, nil
}

// Routes adds the API's paths.
func (s *Server) Routes(mux *http.ServeMux) {
	mux.HandleFunc("/oauth/v1/generate", s.generateToken)
	mux.HandleFunc("/mpesa/stkpush/v1/processrequest", s.guard(s.stkPush))
	mux.HandleFunc("/mpesa/stkpushquery/v1/query", s.guard(s.stkQuery))
	for version := 1; version <= 2; version++ {
		prefix := fmt.Sprintf("/mpesa/c2b/v%d/", version)
		mux.HandleFunc(prefix+"registerurl", s.guard(s.registerC2B(version)))
		mux.HandleFunc(prefix+"simulate", s.guard(s.simulateC2B))
	}
	for _, version := range []int{1, 3} {
		mux.HandleFunc(fmt.Sprintf("/mpesa/b2c/v%d/paymentrequest", version), s.guard(s.payB2C(version)))
	}
	mux.HandleFunc("/mpesa/b2b/v1/paymentrequest", s.guard(s.payB2B))
	mux.HandleFunc("/mpesa/transactionstatus/v1/query", s.guard(s.queryStatus))
	mux.HandleFunc("/mpesa/accountbalance/v1/query", s.guard(s.queryBalance))
	mux.HandleFunc("/mpesa/reversal/v1/request", s.guard(s.reverse))
	mux.HandleFunc("/pulltransactions/v1/register", s.guard(s.registerPull))
	mux.HandleFunc("/pulltransactions/v1/query", s.guard(s.queryPull))
	mux.HandleFunc("/mpesa/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, "404.001.01", "Resource not found")
	})
}

// guard checks what all operations share: method, token and a JSON body.
func (s *Server) guard(next func(http.ResponseWriter, *http.Request, fields)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			fail(w, http.StatusMethodNotAllowed, "405.001", "Method Not Allowed")
			return
		}
		if !s.tokens.valid(r.Header.Get("Authorization")) {
			fail(w, http.StatusNotFound, "404.001.03", "Invalid Access Token") // a 404, as observed
			return
		}
		var in fields
		body := http.MaxBytesReader(w, r.Body, maxBodyBytes)
		if !isJSON(r) || json.NewDecoder(body).Decode(&in) != nil {
			fail(w, http.StatusBadRequest, "400.002.02", "Bad Request - Invalid Request Payload")
			return
		}
		next(w, r, in)
	}
}

var jsonType = regexp.MustCompile(`(?i)^application/json\s*(;|$)`)

func isJSON(r *http.Request) bool { return jsonType.MatchString(r.Header.Get("Content-Type")) }

// fields is a request body whose numbers may come as strings, as in Safaricom's own samples.
type fields map[string]json.RawMessage

func (f fields) text(name string) string {
	raw := f[name]
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String()
	}
	return ""
}

func fail(w http.ResponseWriter, status int, code, message string) {
	write(w, status, map[string]string{"requestId": newRequestID(), "errorCode": code, "errorMessage": message})
}

func invalidField(w http.ResponseWriter, field string) {
	fail(w, http.StatusBadRequest, "400.002.02", "Bad Request - Invalid "+field)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller hung up: nothing to do
}

// breakConnection ends the exchange without an answer.
func breakConnection() { panic(http.ErrAbortHandler) }
