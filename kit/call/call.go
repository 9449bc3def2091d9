// Package call owns calls from one service to another: through the gateway's internal listener, with the service key, on
// the caller's behalf within a request, with a deadline, a limited answer, the trace and a circuit breaker. It never
// repeats a call: what may be repeated, and under which reference, is the caller's knowledge.
package call

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/web"
)

const (
	defaultTimeout = 5 * time.Second
	// maxAnswer is the largest answer that is read, in bytes.
	maxAnswer = 4 << 20
	// maxBreakers bounds memory if paths were ever to hold ids in their first three segments.
	maxBreakers = 256

	// A peer is given up for a moment when most of at least 10 calls within 10 s failed; then one call tries again.
	breakerRate   = 0.5
	breakerCalls  = 10
	breakerPeriod = 10 * time.Second
	breakerDelay  = 2 * time.Second
)

var (
	errOpen      = errors.New("the circuit breaker is open")
	errTooLarge  = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	errElsewhere = errors.New("call: the service key is sent to the gateway only")
)

// Config says how a service calls.
type Config struct {
	GatewayURL string        // the gateway's internal listener, "http://127.0.0.1:8090"
	Service    string        // the calling service's name
	ServiceKey config.Secret // the gateway knows its hash
	Timeout    time.Duration // for the whole call; 0 means 5 s; an earlier deadline of the context wins
}

// Doer performs the requests of generated clients (`WithHTTPClient(doer)`). It is safe for concurrent use.
type Doer struct {
	gateway *url.URL
	service string
	key     config.Secret
	timeout time.Duration
	client  *http.Client

	mu       sync.Mutex
	breakers map[string]circuitbreaker.CircuitBreaker[any]
}

// NewClient returns a Doer. A gateway that is down is met at the first call; a malformed URL makes every call fail.
func NewClient(cfg Config) *Doer {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	gateway, err := url.Parse(cfg.GatewayURL)
	if err != nil {
		gateway = &url.URL{} // matches no request, see Do
	}
	return &Doer{
		gateway: gateway, service: cfg.Service, key: cfg.ServiceKey, timeout: cfg.Timeout,
		breakers: map[string]circuitbreaker.CircuitBreaker[any]{},
		client: &http.Client{
			// A redirect would carry the service key to another place.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
				TLSHandshakeTimeout: 3 * time.Second,
				MaxIdleConns:        128,
				MaxIdleConnsPerHost: 64, // there is one host; the default of 2 would reconnect all the time
				IdleConnTimeout:     90 * time.Second,
				ForceAttemptHTTP2:   true,
			},
		},
	}
}

// GatewayURL is the server address for generated clients.
func (d *Doer) GatewayURL() string { return d.gateway.String() }

// AsService returns a context whose calls are made as the service itself, not on behalf of the request's user.
func AsService(ctx context.Context) context.Context { return auth.WithoutDelegation(ctx) }

// Do sends the request and returns the whole answer, read already. An error means that no usable answer came: the peer
// may or may not have acted (IsUnknown), and a caller that passes it on answers 503 or 504.
func (d *Doer) Do(req *http.Request) (*http.Response, error) {
	if d.gateway.Host == "" || req.URL.Host != d.gateway.Host || req.URL.Scheme != d.gateway.Scheme {
		return nil, errElsewhere
	}
	prefix := pathPrefix(req.URL.Path)
	breaker := d.breaker(prefix)
	if !breaker.TryAcquirePermit() {
		return nil, &lost{peer: prefix, cause: errOpen}
	}
	ctx, cancel := context.WithTimeout(req.Context(), d.timeout)
	defer cancel()
	resp, err := d.exchange(req.Clone(ctx))
	record(req.Context(), breaker, resp, err)
	if err != nil {
		return nil, &lost{peer: prefix, cause: withoutURL(err)}
	}
	return resp, nil
}

func (d *Doer) exchange(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	req.Header.Set(auth.ServiceKeyHeader, d.key.Reveal())
	req.Header.Set("User-Agent", "sendtip-"+d.service)
	if token := auth.Delegation(ctx); token != "" {
		req.Header.Set(auth.OnBehalfOfHeader, token)
	}
	if id := web.RequestID(ctx); id != "" {
		req.Header.Set("X-Request-Id", id)
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errTooLarge
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// record counts only what says that the peer is in trouble: a lost connection, a time-out, 502, 503, 504. A refusal is
// an answer, and a caller that hung up says nothing about the peer.
func record(caller context.Context, breaker circuitbreaker.CircuitBreaker[any], resp *http.Response, err error) {
	switch {
	case err != nil && caller.Err() != nil && !breaker.IsHalfOpen():
		return
	case err != nil && !errors.Is(err, errTooLarge):
		breaker.RecordFailure()
	case err == nil && resp.StatusCode >= http.StatusBadGateway && resp.StatusCode <= http.StatusGatewayTimeout:
		breaker.RecordFailure()
	default:
		breaker.RecordSuccess()
	}
}

func (d *Doer) breaker(prefix string) circuitbreaker.CircuitBreaker[any] {
	d.mu.Lock()
	defer d.mu.Unlock()
	if b, ok := d.breakers[prefix]; ok {
		return b
	}
	if len(d.breakers) >= maxBreakers {
		prefix = "" // one shared breaker for the rest
		if b, ok := d.breakers[prefix]; ok {
			return b
		}
	}
	b := circuitbreaker.NewBuilder[any]().
		WithFailureRateThreshold(breakerRate, breakerCalls, breakerPeriod).
		WithDelay(breakerDelay).
		WithSuccessThreshold(1).
		Build()
	d.breakers[prefix] = b
	return b
}

// pathPrefix is the first three segments, "/v1/ledger/transactions": enough to tell the peers and their operations apart.
func pathPrefix(path string) string {
	segments := strings.SplitN(strings.TrimPrefix(path, "/"), "/", 4)
	return "/" + strings.Join(segments[:min(3, len(segments))], "/")
}

// withoutURL drops the address from an error of net/http: paths and queries hold ids.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// lost is a call without a usable answer.
type lost struct {
	peer  string
	cause error
}

func (l *lost) Error() string { return "call " + l.peer + ": " + l.cause.Error() }

// Unwrap shows the fault that a caller's own client gets when nobody handles the error.
func (l *lost) Unwrap() []error {
	if errors.Is(l.cause, context.DeadlineExceeded) {
		return []error{l.cause, fault.ErrTimeout}
	}
	return []error{l.cause, fault.ErrUnavailable}
}
