package edge

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/sendtip/sendtip/gateway/internal/auth"
	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/gateway/internal/proxy"
	"github.com/sendtip/sendtip/gateway/internal/validate"
	kitauth "github.com/sendtip/sendtip/kit/auth"
)

// always travel on besides the header parameters of the contract. Everything else stays here, credentials and identity headers above all.
var always = []string{"Accept", "Accept-Language", "Content-Type", "User-Agent"}

// endpoint puts the steps of an operation together. Their order is the order of their cost.
func (g *Gateway) endpoint(op *contract.Operation, internal bool) *endpoint {
	e := &endpoint{op: op, plan: validate.NewPlan(op), upstream: g.Upstreams[op.Service], key: g.Identity[op.Service],
		forward: slices.Clone(always)}
	for _, p := range op.Parameters {
		if name := http.CanonicalHeaderKey(p.Name); p.In == "header" && !strings.HasPrefix(name, "Sendtip-") {
			e.forward = append(e.forward, name)
		}
	}
	g.limits(e, internal)
	e.steps = g.steps(e, internal)
	return e
}

func (g *Gateway) steps(e *endpoint, internal bool) []step {
	op := e.op
	if op.Visibility == contract.Webhook {
		return []step{g.webhookSource, g.limitStrangers, checkHookPath, (*exchange).readBody, g.forward}
	}
	s := []step{g.limitAddress}
	switch {
	case internal:
		s = append(s, g.authenticateService, authorize)
	case len(op.Security) > 0:
		s = append(s, g.authenticate, g.checkRevocation, authorize)
	default:
		s = append(s, anonymous)
	}
	if op.StepUp && !internal {
		s = append(s, g.checkStepUp)
	}
	if op.Idempotent {
		s = append(s, requireIdempotencyKey)
	}
	if len(op.Security) > 0 && len(e.after) > 0 {
		s = append(s, g.limitPrincipal)
	}
	s = append(s, readChecked, checkParameters, checkBody)
	if len(e.body) > 0 {
		s = append(s, g.limitBody)
	}
	return append(s, g.forward)
}

// authenticate takes exactly one credential: two could name two people.
func (g *Gateway) authenticate(x *exchange) error {
	bearer, key := x.r.Header["Authorization"], x.r.Header["X-Api-Key"]
	if len(bearer)+len(key) == 0 {
		return auth.ErrMissing
	}
	if len(bearer)+len(key) > 1 {
		return auth.ErrAmbiguous
	}
	var err error
	if len(key) == 1 {
		x.caller, err = g.Keys.Caller(key[0])
		return err
	}
	scheme, token, ok := strings.Cut(bearer[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return auth.ErrToken
	}
	x.caller, err = g.Tokens.Access(x.r.Context(), token)
	return err
}

// authenticateService takes a service key, and a delegation if the service acts for somebody.
func (g *Gateway) authenticateService(x *exchange) (err error) {
	key, delegation := x.r.Header[kitauth.ServiceKeyHeader], x.r.Header[kitauth.OnBehalfOfHeader]
	switch {
	case len(key) == 0:
		return auth.ErrMissing
	case len(key) > 1 || len(delegation) > 1:
		return auth.ErrAmbiguous
	case len(delegation) == 1:
		x.caller, err = g.Services.Caller(key[0], delegation[0])
	default:
		x.caller, err = g.Services.Caller(key[0], "")
	}
	return err
}

func anonymous(x *exchange) error {
	x.caller = auth.Anonymous
	return nil
}

func (g *Gateway) checkRevocation(x *exchange) error {
	if x.caller.Scheme != contract.UserAuth {
		return nil
	}
	return g.Revocations.Check(x.caller)
}

func authorize(x *exchange) error {
	if err := x.caller.Allow(x.end.op.Security); err != nil {
		return err
	}
	return x.caller.CheckActor(x.end.op.Actor)
}

func (g *Gateway) checkStepUp(x *exchange) error {
	tokens := x.r.Header["Step-Up-Token"]
	if len(tokens) == 0 {
		return auth.ErrStepUpMissing
	}
	if len(tokens) > 1 {
		return auth.ErrAmbiguous
	}
	s, err := g.Tokens.StepUp(x.r.Context(), tokens[0], x.caller, x.end.op.ID)
	x.stepUp = &s
	return err
}

func requireIdempotencyKey(x *exchange) error {
	if x.r.Header.Get("Idempotency-Key") == "" {
		return ErrIdempotency
	}
	return nil
}

func checkParameters(x *exchange) error {
	return x.end.plan.Parameters(x.r, x.entry, &x.params)
}

func checkBody(x *exchange) (err error) {
	if x.end.plan.TakesBody() {
		x.value, err = x.end.plan.Body(x.body)
	}
	return err
}

func claims(x *exchange, now time.Time) kitauth.Claims {
	c := kitauth.Claims{Act: x.caller.Act, Scope: x.caller.ScopeText(), Roles: x.caller.Roles, SessionID: x.caller.SessionID,
		AgentID: x.caller.AgentID, Operation: x.end.op.ID}
	c.Subject = x.caller.Subject
	c.Audience = jwt.ClaimStrings{x.end.op.Service}
	c.IssuedAt = jwt.NewNumericDate(now)
	c.ExpiresAt = jwt.NewNumericDate(x.caller.TokenExpiry(now))
	if x.end.op.Visibility == contract.Webhook {
		c.Source = kitauth.SourceStranger
		if x.known {
			c.Source = kitauth.SourceKnown
		}
	}
	if x.stepUp != nil {
		c.StepUpJTI, c.StepUpHash, c.StepUpExp = x.stepUp.JTI, x.stepUp.Hash, jwt.NewNumericDate(x.stepUp.ExpiresAt)
	}
	return c
}

var tracer = otel.Tracer("github.com/sendtip/sendtip/gateway")

// forward hands the request to its service and copies the answer.
func (g *Gateway) forward(x *exchange) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), x.end.op.Timeout)
	defer cancel()
	if x.caller.Scheme == contract.ServiceKey { // a stranger's trace is none of ours
		ctx = otel.GetTextMapPropagator().Extract(ctx, propagation.HeaderCarrier(x.r.Header))
	}
	ctx, span := tracer.Start(ctx, x.template(), trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	out := make(http.Header, len(x.end.forward)+4)
	g.copyHeaders(out, x)
	if err := g.mintHeaders(out, x); err != nil {
		return err
	}
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(out))
	o := &proxy.Outgoing{Method: x.r.Method, Path: x.r.URL.Path, RawQuery: x.r.URL.RawQuery, Header: out, Body: x.body}
	defer func() {
		if !o.Idle() {
			x.buffer = nil // the transport still reads it
		}
	}()
	resp, err := x.end.upstream.Send(ctx, o)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var seen *sample
	if g.Sample > 0 && rand.Float64() < g.Sample { // #nosec G404 -- a share, not a secret
		seen = &sample{}
		err = proxy.Copy(x.w, resp, seen)
		g.judge(x, resp, seen)
	} else {
		err = proxy.Copy(x.w, resp, nil)
	}
	if x.end.op.Visibility == contract.Webhook {
		g.noteSource(ctx, x)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
	return nil
}

// copyHeaders takes what the contract names. Webhooks may carry a provider's signature, so there all but ours and the hop's travel on.
func (g *Gateway) copyHeaders(out http.Header, x *exchange) {
	if x.end.op.Visibility != contract.Webhook {
		for _, name := range x.end.forward {
			if v := x.r.Header[name]; len(v) > 0 {
				out[name] = v
			}
		}
		return
	}
	hop := strings.ToLower(strings.Join(x.r.Header["Connection"], ","))
	for name, v := range x.r.Header {
		if !reserved(name) && !strings.Contains(hop, strings.ToLower(name)) {
			out[name] = v
		}
	}
}

func reserved(name string) bool {
	switch name {
	case "Authorization", "X-Api-Key", "Cookie", "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding",
		"Upgrade",
		"Proxy-Authorization", "Proxy-Authenticate", "Forwarded", "Traceparent", "Tracestate", "Content-Length", "Expect", "Host",
		"Step-Up-Token":
		return true
	}
	return strings.HasPrefix(name, "Sendtip-") || strings.HasPrefix(name, "X-Forwarded-") || name == "X-Request-Id" || name == "X-Real-Ip"
}

const maxSample = 256 << 10

// sample keeps the first part of an answer.
type sample struct{ bytes.Buffer }

func (s *sample) Write(b []byte) (int, error) {
	if room := maxSample + 1 - s.Len(); room > 0 {
		_, _ = s.Buffer.Write(b[:min(room, len(b))]) // a buffer in memory does not fail
	}
	return len(b), nil
}

// judge holds an answer against the contract and logs broken rules, without values.
func (g *Gateway) judge(x *exchange, resp *http.Response, seen *sample) {
	if seen.Len() > maxSample || x.end.op.Visibility == contract.Webhook {
		return
	}
	if x.end.op.Responses[fmt.Sprint(resp.StatusCode)] == nil {
		g.mismatch(x, resp.StatusCode, "status", "")
		return
	}
	if mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";"); mediaType != "application/json" {
		return
	}
	for _, f := range x.end.plan.Response(resp.StatusCode, seen.Bytes()) {
		g.mismatch(x, resp.StatusCode, f.Code, f.Pointer)
	}
}

func (g *Gateway) mismatch(x *exchange, status int, code, pointer string) {
	g.Metrics.broken(x.end.op.ID)
	g.Log.WarnContext(x.r.Context(), "the answer breaks the contract", "operation", x.end.op.ID, "status", status, "code", code, "pointer",
		pointer, "request_id", x.id)
}
