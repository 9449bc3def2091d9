// Package proxy hands checked requests to the service that owns the operation, over a transport with many kept connections. Only
// headers that the contract knows travel on; a client cannot speak to a service past the gateway.
package proxy

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
	"sync/atomic"
	"time"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
)

// Upstream is one service.
type Upstream struct {
	Name      string
	base      *url.URL
	transport http.RoundTripper
}

// Outgoing is a request to an upstream.
type Outgoing struct {
	Method   string
	Path     string // decoded; it is encoded again in one canonical way
	RawQuery string
	Header   http.Header
	Body     []byte
	open     atomic.Int32
}

// Idle says that nobody reads Body any more. A transport may still be sending it when the answer is complete.
func (o *Outgoing) Idle() bool { return o.open.Load() == 0 }

// sending is Body while the transport reads it.
type sending struct {
	bytes.Reader
	o    *Outgoing
	once sync.Once
}

// Close says that the transport is done with the body.
func (s *sending) Close() error {
	s.once.Do(func() { s.o.open.Add(-1) })
	return nil
}

func (o *Outgoing) reader() (io.ReadCloser, error) {
	o.open.Add(1)
	s := &sending{o: o}
	s.Reset(o.Body)
	return s, nil
}

// Transport returns the transport of all upstreams. With net/http's default of 2 idle connections a host the throughput halves.
func Transport() *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConns:        1024,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     30 * time.Second, // less than a service's own, so that it never closes first
		DisableCompression:  true,
		ReadBufferSize:      16 << 10,
		WriteBufferSize:     16 << 10,
	}
}

// New makes the upstream of a service. The address is scheme and host only.
func New(name, address string, transport http.RoundTripper) (*Upstream, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("the address of upstream %s must be like http://127.0.0.1:8102", name)
	}
	return &Upstream{Name: name, base: &url.URL{Scheme: u.Scheme, Host: u.Host}, transport: transport}, nil
}

// Send returns the upstream's answer. It answers fault.ErrTimeout when ctx ran out of time and fault.ErrUnavailable when the service
// cannot be reached; both wrap the cause.
func (u *Upstream) Send(ctx context.Context, o *Outgoing) (*http.Response, error) {
	target := *u.base
	target.Path, target.RawQuery = o.Path, o.RawQuery
	r := &http.Request{Method: o.Method, URL: &target, Host: u.base.Host, Header: o.Header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if len(o.Body) > 0 {
		r.ContentLength = int64(len(o.Body))
		r.GetBody = o.reader // a kept connection may just have closed
		r.Body, _ = o.reader()
	}
	resp, err := u.transport.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, u.refusal(ctx, err)
	}
	if resp.StatusCode == http.StatusUnauthorized && resp.Header.Get(auth.OtherKeyHeader) != "" {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%w: %s has another identity key: SENDTIP_IDENTITY_KEYS here and SENDTIP_IDENTITY_KEY there must agree",
			fault.ErrUnavailable, u.Name)
	}
	return resp, nil
}

func (u *Upstream) refusal(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %s: %w", fault.ErrTimeout, u.Name, err)
	}
	return fmt.Errorf("%w: %s: %w", fault.ErrUnavailable, u.Name, err)
}

// Get reads a small document from the upstream, for the gateway's own needs.
func (u *Upstream) Get(ctx context.Context, path, query string, h http.Header, limit int64) ([]byte, error) {
	resp, err := u.Send(ctx, &Outgoing{Method: http.MethodGet, Path: path, RawQuery: query, Header: h})
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", path, u.Name, err)
	}
	if resp.StatusCode != http.StatusOK || int64(len(data)) > limit {
		return nil, fmt.Errorf("%s of %s answered %d with %d bytes", path, u.Name, resp.StatusCode, len(data))
	}
	return data, nil
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// hopByHop are the headers of one connection (RFC 9110, 7.6.1), and those that only the gateway sets.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Te": true,
	"Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Server": true, "X-Powered-By": true, "X-Request-Id": true,
	"Set-Cookie": true,
}

// Copy writes the upstream's answer. seen, if not nil, gets the body too. An error means that the answer is incomplete and the
// connection must be cut, so that the client does not take half a document for a whole one.
func Copy(w http.ResponseWriter, resp *http.Response, seen io.Writer) error {
	h := w.Header()
	for name, values := range resp.Header {
		if !hopByHop[name] && !strings.HasPrefix(name, "Sendtip-") {
			h[name] = values
		}
	}
	if h.Get("Cache-Control") == "" {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(resp.StatusCode)
	body := io.Reader(resp.Body)
	if seen != nil {
		body = io.TeeReader(body, seen)
	}
	buf, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, body, *buf); err != nil {
		return fmt.Errorf("copy answer: %w", err)
	}
	return nil
}

// InProcess serves an upstream's requests by a handler of this process: the gateway's own operations go through the same chain.
type InProcess struct{ Handler http.Handler }

// RoundTrip runs the handler to its end and returns what it wrote.
func (p InProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	defer func() { _ = in.Body.Close() }()
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	p.Handler.ServeHTTP(w, in)
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}, nil
}

type recorder struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if !w.wrote {
		w.status, w.wrote = status, true
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.wrote = true
	return w.body.Write(b)
}
