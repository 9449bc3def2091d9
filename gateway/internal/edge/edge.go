// Package edge is the chain that every request passes, cheapest check first: route, address limit, credential, revocation, scopes,
// step-up, idempotency key, principal limits, body, contract, body limits, forward. Each check is one step; the steps of an operation
// are put together once, at load.
package edge

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/auth"
	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/keys"
	"github.com/sendtip/sendtip/gateway/internal/limit"
	"github.com/sendtip/sendtip/gateway/internal/proxy"
	"github.com/sendtip/sendtip/gateway/internal/route"
	"github.com/sendtip/sendtip/gateway/internal/validate"
	kitauth "github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/fault"
	kitlog "github.com/sendtip/sendtip/kit/log"
	"github.com/sendtip/sendtip/kit/web"
)

// Refusals of the chain itself.
var (
	ErrNoRoute     = fault.New(fault.NotFound, "not_found", "There is no such path.")
	ErrMethod      = fault.New(fault.MethodNotAllowed, "method_not_allowed", "This path does not support that method.")
	ErrURITooLong  = fault.New(fault.Invalid, "uri_too_long", "The address is too long.")
	ErrTooLarge    = fault.New(fault.TooLarge, "payload_too_large", "The body is too large.")
	ErrIdempotency = fault.New(fault.Invalid, "idempotency_key_required", "An Idempotency-Key header is required.")
	ErrLimited     = fault.New(fault.TooMany, "rate_limited", "Too many requests; wait and try again.")
	ErrMalformed   = fault.New(fault.Invalid, "invalid_request", "The request cannot be read.")
	ErrSlow        = fault.New(fault.TooSlow, "body_too_slow", "The body arrived too slowly; send it again.")
	ErrNoRoom      = fault.New(fault.Unavailable, "busy",
		"Too many requests are being read; send this one again.").WithRetryAfter(2 * time.Second)
)

// maxURI bounds path and query.
const maxURI = 4096

// Deps are what the chain works with.
type Deps struct {
	Set         *contract.Set
	Upstreams   map[string]*proxy.Upstream
	Identity    map[string][]byte // current key of each service
	Delegation  []byte
	Tokens      *auth.Tokens
	Revocations *auth.Revocations
	Services    *auth.Services
	Keys        *keys.Live
	Limiter     *limit.Limiter
	Log         *slog.Logger
	Metrics     *Metrics
	Now         func() time.Time
	Proxies     []netip.Prefix            // whose X-Forwarded-For is believed
	Sources     map[string][]netip.Prefix // per two letters of a webhook path: where it should come from
	Sample      float64                   // share of answers held against the contract
	Origins     []string                  // whose pages may call
	HSTS        bool
	Docs        http.Handler // paths outside the contracts, on the public listener
}

// Gateway makes the handlers of both listeners.
type Gateway struct {
	Deps
	address  contract.Policy
	general  contract.Policy
	subjects map[string][]string
	senders  senderWatch
	sampled  *slog.Logger // for what strangers cause: they must not fill the log
}

// New expects an upstream and an identity key of every service that has operations.
func New(d Deps) (*Gateway, error) {
	for kind := range d.Sources {
		d.Metrics.onlyStrangers(kind, false)
	}
	return &Gateway{Deps: d, address: d.Set.Policies["address"], general: d.Set.Policies["default"], subjects: subjectLimits(d.Set),
		senders: senderWatch{of: map[string]*sender{}}, sampled: kitlog.Sampled(d.Log, d.Now)}, nil
}

type step func(x *exchange) error

// endpoint is one operation with its steps.
type endpoint struct {
	op       *contract.Operation
	plan     *validate.Plan
	upstream *proxy.Upstream
	key      []byte
	steps    []step
	before   []contract.Limit // counted by address, before anything costs
	after    []contract.Limit // counted by principal
	body     []contract.Limit // counted by a value of the checked body
	forward  []string         // canonical names of headers that travel on
}

// exchange is one request on its way through the steps.
type exchange struct {
	w           *web.Recorder
	r           *http.Request
	id          string
	entry       *route.Entry
	params      route.Params
	end         *endpoint
	address     netip.Addr
	addressName string
	caller      auth.Caller
	stepUp      *auth.StepUp
	body        []byte
	value       any
	buffer      *[]byte
	room        *room
	held        int64
	began       time.Time
	known       bool // a webhook from where its provider sends
}

// Public serves public operations and webhooks.
func (g *Gateway) Public() (http.Handler, error) {
	return g.listener(g.Docs, func(op *contract.Operation) bool { return op.Visibility != contract.Internal })
}

// Internal serves what other services may call, and nothing else.
func (g *Gateway) Internal() (http.Handler, error) {
	return g.listener(nil, func(op *contract.Operation) bool { return op.AcceptsScheme(contract.ServiceKey) })
}

type listener struct {
	g        *Gateway
	table    *route.Table
	ends     map[*contract.Operation]*endpoint
	docs     http.Handler
	internal bool
	room     *room
}

func (g *Gateway) listener(docs http.Handler, serves func(*contract.Operation) bool) (http.Handler, error) {
	l := &listener{g: g, docs: docs, internal: docs == nil, ends: map[*contract.Operation]*endpoint{}, room: newRoom(maxBodiesOf)}
	if l.internal {
		l.room = newRoom(0) // a service has one address for all of its customers
	}
	g.Metrics.room(l.name(), l.room)
	var ops []*contract.Operation
	for _, op := range g.Set.Operations {
		if serves(op) {
			ops = append(ops, op)
			l.ends[op] = g.endpoint(op, l.internal)
		}
	}
	var err error
	l.table, err = route.New(ops)
	return l, err
}

// ServeHTTP answers one request: the first step that refuses decides.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := clock.Monotonic()
	rec := &web.Recorder{ResponseWriter: w}
	x := &exchange{w: rec, r: r, id: web.NewRequestID(r.Header.Get(web.RequestIDHeader)), room: l.room, address: l.g.clientAddress(r)}
	h := w.Header()
	h.Set(web.RequestIDHeader, x.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if l.g.HSTS {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	defer l.finish(x, start)
	if !l.internal && len(r.TransferEncoding) > 0 {
		x.closeConnection() // a length beside it was dropped unseen: whoever stands before us may count the bytes of this connection otherwise
	}
	if !l.internal && l.g.cors(x, l.table) {
		return
	}
	if l.docs != nil && outside(r.URL.Path) {
		if err := l.g.limitOthers(x); err != nil {
			l.refuse(x, err)
			return
		}
		l.docs.ServeHTTP(rec, r)
		return
	}
	if err := l.run(x); err != nil {
		l.refuse(x, err)
	}
}

// outside says whether a path belongs to no contract.
func outside(path string) bool {
	return path == "/" || path == "/openapi.json" || path == "/docs" || len(path) > 6 && path[:6] == "/docs/"
}

func (l *listener) run(x *exchange) error {
	if err := l.find(x); err != nil {
		if !l.internal {
			if limited := l.g.limitOthers(x); limited != nil {
				return limited
			}
		}
		return err
	}
	for _, s := range x.end.steps {
		if err := s(x); err != nil {
			return err
		}
	}
	return nil
}

// find looks for the operation.
func (l *listener) find(x *exchange) error {
	r := x.r
	if len(r.RequestURI) > maxURI {
		return ErrURITooLong
	}
	if r.URL.RawPath != "" || r.URL.Opaque != "" { // %2F and its kind: a service could cut the path elsewhere
		return ErrNoRoute
	}
	m := l.table.Find(r.Method, r.URL.Path)
	if m.Entry == nil {
		if m.Allow == "" {
			return ErrNoRoute
		}
		x.w.Header().Set("Allow", m.Allow)
		return ErrMethod
	}
	x.entry, x.params, x.end = m.Entry, m.Params, l.ends[m.Entry.Op]
	return nil
}

func (l *listener) name() string {
	if l.internal {
		return "internal"
	}
	return "public"
}

// refuse writes the problem. 401 says what to send; anything that is no fault is our own, and is logged here with its cause.
func (l *listener) refuse(x *exchange, err error) {
	f, ok := fault.As(err)
	switch {
	case x.w.Status != 0 || x.r.Context().Err() != nil && !errors.Is(err, fault.ErrTimeout) && !errors.Is(err, ErrSlow):
		return // the answer has begun, or nobody waits for it
	case !ok:
		l.g.Log.ErrorContext(x.r.Context(), "request failed", "request_id", x.id, "route", x.template(), "err", err)
	case errors.Is(err, ErrNoRoom):
		l.g.sampled.WarnContext(x.r.Context(), "no room for another body", "request_id", x.id, "route", x.template(), "address",
			x.address.String())
	case f.Kind == fault.Unavailable || f.Kind == fault.Timeout:
		l.g.Log.WarnContext(x.r.Context(), "request failed", "request_id", x.id, "route", x.template(), "err", err)
	}
	if ok {
		err = f // the causes stay here
		l.g.Metrics.refused(f.Code)
		if f.Kind == fault.Unauthenticated {
			x.w.Header().Set("WWW-Authenticate", `Bearer realm="sendtip"`)
		}
	}
	ctx := web.WithLog(web.WithRequestID(x.r.Context(), x.id), quiet) // what there is to say was said above, with the route's template
	web.WriteProblem(x.w, x.r.WithContext(ctx), err)
}

var quiet = slog.New(slog.DiscardHandler)

// finish counts the request, logs one line and gives the buffer back. Logs show the template: a webhook's path holds a secret.
func (l *listener) finish(x *exchange, start time.Time) {
	if p := recover(); p != nil {
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			l.count(x, start)
			panic(p)
		}
		l.g.Log.ErrorContext(x.r.Context(), "panic", "request_id", x.id, "route", x.template(), "panic", fmt.Sprint(p), "stack",
			string(debug.Stack()))
		if x.w.Status == 0 {
			l.refuse(x, fault.ErrInternal)
		}
	}
	l.count(x, start)
	x.drop()
}

func (l *listener) count(x *exchange, start time.Time) {
	took := clock.Monotonic().Sub(start)
	status := x.w.Status
	if status == 0 {
		status = 499 // the client went away
	}
	l.g.Metrics.observe(x, l.name(), status, took)
	log := l.g.Log
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		log = l.g.sampled // anybody can cause these
	}
	log.DebugContext(x.r.Context(), "request", "request_id", x.id, "route", x.template(), "status", status, "ms", took.Milliseconds(),
		"subject", x.caller.Subject, "act", x.caller.Act)
}

func (x *exchange) template() string {
	if x.end == nil {
		return "unmatched"
	}
	return x.end.op.Template()
}

// mintHeaders puts the identity and the delegation of the caller into the header for the service.
func (g *Gateway) mintHeaders(h http.Header, x *exchange) error {
	now := g.Now()
	c := claims(x, now)
	identity, err := kitauth.Mint(x.end.key, now, c)
	if err != nil {
		return fmt.Errorf("mint identity: %w", err)
	}
	delegation, err := kitauth.Mint(g.Delegation, now, c)
	if err != nil {
		return fmt.Errorf("mint delegation: %w", err)
	}
	h.Set(kitauth.IdentityHeader, identity)
	h.Set(kitauth.DelegationHeader, delegation)
	h.Set(web.RequestIDHeader, x.id)
	return nil
}
