package world

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
)

// Copies is how often the script "duplicate" sends a callback.
const Copies = 5

// maxInFlight bounds callbacks that are being sent at one moment.
const maxInFlight = 256

type poster struct {
	known    *http.Client
	stranger *http.Client
	slots    chan struct{}
}

// source is the address that callbacks leave from: the platform tells the sandbox from everybody else on this machine by it.
var source = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}

// dial leaves from the sandbox's own address, unless the system has no such address or the other end is not on this machine.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{LocalAddr: source}).DialContext(ctx, network, address)
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EINVAL) {
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	return conn, err
}

func newPoster(timeout time.Duration) *poster {
	client := func(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
		return &http.Client{
			Timeout:       timeout,
			Transport:     &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &poster{known: client(dial), stranger: client((&net.Dialer{}).DialContext), slots: make(chan struct{}, maxInFlight)}
}

// Callback is one message to the platform under test.
type Callback struct {
	Kind        string
	ID          string
	URL         string
	ContentType string
	Header      http.Header
	Body        []byte
	Stranger    bool // it leaves from this machine's ordinary address, as anybody's would
}

// Post sends a callback once (a provider that repeats one calls it again) and returns status and answer; status 0 means
// that there was no answer.
func (w *World) Post(ctx context.Context, c Callback) (int, []byte) {
	select {
	case w.poster.slots <- struct{}{}:
		defer func() { <-w.poster.slots }()
	case <-ctx.Done():
		return 0, nil
	}
	status, body, err := w.poster.send(ctx, c)
	if err != nil {
		// Neither id nor address: a checkout id ends with the phone number, an address holds a secret.
		w.log.WarnContext(ctx, "callback not delivered", "kind", c.Kind)
	}
	w.delivered(control.Delivery{Kind: c.Kind, ID: c.ID, Status: status, At: w.Now()})
	return status, body
}

// PostCopies sends the same callback copies times at once, as a provider's retries can overlap.
func (w *World) PostCopies(ctx context.Context, c Callback, copies int) {
	var wg sync.WaitGroup
	for range copies {
		wg.Go(func() { w.Post(ctx, c) })
	}
	wg.Wait()
}

// Lose records a callback that a script keeps back.
func (w *World) Lose(kind, id string) {
	w.delivered(control.Delivery{Kind: kind, ID: id, Lost: true, At: w.Now()})
}

func (w *World) delivered(d control.Delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deliveries = push(w.deliveries, d, maxDeliveries)
}

// Deliveries returns the callbacks that were sent or lost, oldest first.
func (w *World) Deliveries() []control.Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]control.Delivery{}, w.deliveries...)
}

func (p *poster) send(ctx context.Context, c Callback) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(c.Body))
	if err != nil {
		return 0, nil, err
	}
	for key, values := range c.Header {
		req.Header[key] = values
	}
	req.Header.Set("Content-Type", c.ContentType)
	client := p.known
	if c.Stranger {
		client = p.stranger
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return resp.StatusCode, body, err
}
