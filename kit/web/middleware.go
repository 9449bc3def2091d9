// Package web owns what all HTTP servers share: the chain of middleware, the problem writer, and the life of a server.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"

	"github.com/sendtip/sendtip/kit/fault"
	kitlog "github.com/sendtip/sendtip/kit/log"
)

// RequestIDHeader names the request in both directions.
const RequestIDHeader = "X-Request-Id"

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9-]{8,64}$`)

type requestKey struct{}

// request is what a context knows of the request that it belongs to.
type request struct {
	id     string
	header http.Header // of the answer
	log    *slog.Logger
}

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// RequestID returns the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string { return requestOf(ctx).id }

// WithRequestID returns a context that belongs to a request; the gateway and jobs set it.
func WithRequestID(ctx context.Context, id string) context.Context {
	r := requestOf(ctx)
	r.id = id
	return context.WithValue(ctx, requestKey{}, r)
}

// ResponseHeader returns the headers of the answer being made, so that a use case can add what the generated types do not carry
// (Idempotency-Replayed). Outside a request it returns a header that nobody reads.
func ResponseHeader(ctx context.Context) http.Header {
	if h := requestOf(ctx).header; h != nil {
		return h
	}
	return http.Header{}
}

// WithLog returns a context whose problems are logged by l; Middleware and the gateway set it.
func WithLog(ctx context.Context, l *slog.Logger) context.Context {
	r := requestOf(ctx)
	r.log = l
	return context.WithValue(ctx, requestKey{}, r)
}

func slogFrom(ctx context.Context) *slog.Logger {
	if l := requestOf(ctx).log; l != nil {
		return l
	}
	return slog.Default()
}

// NewRequestID returns the caller's id if it is well formed, else a new one.
func NewRequestID(sent string) string {
	if requestIDPattern.MatchString(sent) {
		return sent
	}
	return uuid.Must(uuid.NewV7()).String()
}

// Metrics counts requests by route template, so that neither ids nor webhook tokens become labels.
type Metrics struct {
	seconds *prometheus.HistogramVec
}

// NewMetrics registers the request metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_seconds", Help: "Requests by route template and status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"method", "route", "status"})}
	reg.MustRegister(m.seconds)
	return m
}

// Observe counts one request.
func (m *Metrics) Observe(method, route string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other" // a label must not be the sender's words: each new one would stay in memory
	}
	m.seconds.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
}

// Middleware is the chain of every service: request id, trace, recovered panics, one access line by route template, bounded bodies.
func Middleware(log *slog.Logger, m *Metrics, maxBody int64) func(http.Handler) http.Handler {
	sampled := kitlog.Sampled(log, time.Now)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			id := NewRequestID(r.Header.Get(RequestIDHeader))
			rec := &Recorder{ResponseWriter: w}
			rec.Header().Set(RequestIDHeader, id)
			ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
			ctx = context.WithValue(ctx, requestKey{}, request{id: id, header: rec.Header(), log: log})
			r = r.WithContext(ctx)
			r.Body = http.MaxBytesReader(rec, r.Body, maxBody)
			defer func() {
				if p := recover(); p != nil {
					if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
						panic(p)
					}
					log.ErrorContext(ctx, "panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()), "request_id", id)
					if rec.Status == 0 {
						WriteProblem(rec, r, fault.ErrInternal)
					}
				}
				took := time.Since(start)
				route := routeOf(r)
				m.Observe(r.Method, route, rec.code(), took)
				if !log.Enabled(ctx, slog.LevelDebug) {
					return // its arguments would be made all the same
				}
				line := log
				if code := rec.code(); code >= http.StatusBadRequest && code < http.StatusInternalServerError {
					line = sampled // anybody can cause these
				}
				line.DebugContext(ctx, "request", "method", r.Method, "route", route, "status", rec.code(), "ms", took.Milliseconds(), "request_id", id)
			}()
			next.ServeHTTP(rec, r)
		})
	}
}

func routeOf(r *http.Request) string {
	if rc := chi.RouteContext(r.Context()); rc != nil && rc.RoutePattern() != "" {
		return rc.RoutePattern()
	}
	return "unmatched"
}

// Recorder remembers the status of an answer.
type Recorder struct {
	http.ResponseWriter
	Status int
}

// WriteHeader remembers the status.
func (r *Recorder) WriteHeader(status int) {
	if r.Status == 0 {
		r.Status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (r *Recorder) Write(b []byte) (int, error) {
	if r.Status == 0 {
		r.Status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the writer below.
func (r *Recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *Recorder) code() int {
	if r.Status == 0 {
		return http.StatusOK
	}
	return r.Status
}
