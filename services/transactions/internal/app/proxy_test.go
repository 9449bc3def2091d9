package app_test

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// cut is how a connection breaks when COMMIT passes it.
type cut int

// The four fates of a COMMIT whose answer does not come.
const (
	commitArrives  cut = iota // the server commits, and nobody hears of it
	commitLost                // the server never gets it
	backendEnded              // pg_terminate_backend while the server may be at it
	backendRefuses            // pg_terminate_backend before it, and the server says so
	cuts
)

// proxy stands between the committers and PostgreSQL. It knows as much of the protocol as it takes to see a pipeline with COMMIT in it.
type proxy struct {
	t      testing.TB
	server string
	admin  *pgxpool.Pool
	listen net.Listener
	on     atomic.Bool
	did    [cuts]atomic.Int64
	mu     sync.Mutex
	rng    *rand.Rand
}

// newProxy returns a proxy and the database's address through it.
func newProxy(t testing.TB, appURL string, admin *pgxpool.Pool) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(appURL)
	if err != nil {
		t.Fatal("the application's address cannot be read")
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, server: u.Host, admin: admin, listen: l, rng: rand.New(rand.NewPCG(1, 2))}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // the test is over
			}
			go p.serve(client)
		}
	}()
	u.Host = l.Addr().String()
	// A client that may encrypt asks first, by a message and an answer of another shape than all others, and both sides would wait for ever.
	query := u.Query()
	query.Set("sslmode", "disable")
	u.RawQuery = query.Encode()
	return p, u.String()
}

// pick says whether and how this COMMIT's connection breaks: every second one does.
func (p *proxy) pick() (cut, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cut(p.rng.IntN(int(cuts))), p.on.Load() && p.rng.IntN(2) == 0
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	pid            atomic.Uint32 // of the backend
	deaf           atomic.Bool   // the client hears nothing any more
	answered       chan struct{} // closed when the server has ended
}

func (p *proxy) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	l := &link{client: client, server: server, answered: make(chan struct{})}
	go l.answers()
	p.requests(l)
	<-l.answered
}

// message reads one message of the protocol; the first one of a client has no type.
func message(from io.Reader, typed bool) (kind byte, raw []byte, err error) {
	head := make([]byte, 4, 512)
	if typed {
		head = head[:5]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return 0, nil, err
	}
	if typed {
		kind = head[0]
	}
	size := int(binary.BigEndian.Uint32(head[len(head)-4:])) - 4
	raw = append(head, make([]byte, size)...)
	_, err = io.ReadFull(from, raw[len(head):])
	return kind, raw, err
}

// answers passes on what the server says, until it ends or the client is not to hear more.
func (l *link) answers() {
	defer close(l.answered)
	defer func() { _ = l.client.Close() }()
	for {
		kind, raw, err := message(l.server, true)
		if err != nil {
			return
		}
		if kind == 'K' { // BackendKeyData: the process id comes first
			l.pid.Store(binary.BigEndian.Uint32(raw[5:9]))
		}
		if l.deaf.Load() {
			if kind == 'Z' { // ReadyForQuery: the server is done with what it got
				_ = l.server.Close()
			}
			continue
		}
		if _, err := l.client.Write(raw); err != nil {
			l.deaf.Store(true)
		}
	}
}

// requests passes on what the client says, pipeline by pipeline, and breaks the connection at some of those that commit.
func (p *proxy) requests(l *link) {
	_, raw, err := message(l.client, false)
	if err != nil {
		_ = l.server.Close()
		return
	}
	if _, err = l.server.Write(raw); err != nil {
		return
	}
	commits, isCommit := "", false // the name of the prepared statement; whether this pipeline has it
	var held []byte
	for {
		kind, raw, err := message(l.client, true)
		if err != nil {
			_ = l.server.Close()
			return
		}
		held = append(held, raw...)
		switch kind {
		case 'P': // Parse: name, statement
			if name, rest, _ := strings.Cut(string(raw[5:]), "\x00"); strings.HasPrefix(rest, "commit\x00") {
				commits = name
			}
		case 'B': // Bind: portal, name of the statement
			_, rest, _ := strings.Cut(string(raw[5:]), "\x00")
			name, _, _ := strings.Cut(rest, "\x00")
			isCommit = isCommit || commits != "" && name == commits
		}
		if isCommit && kind != 'S' {
			continue // until the pipeline's end
		}
		if how, breaks := p.pick(); isCommit && breaks {
			p.breakAt(l, how, held)
			return
		}
		if _, err := l.server.Write(held); err != nil {
			return
		}
		held, isCommit = nil, false
	}
}

// breakAt ends the connection around the last bytes of a pipeline with COMMIT.
func (p *proxy) breakAt(l *link, how cut, held []byte) {
	p.did[how].Add(1)
	if how != backendRefuses {
		l.deaf.Store(true) // first, so that no answer can pass
		_ = l.client.Close()
	}
	switch how {
	case commitArrives:
		_, _ = l.server.Write(held)
	case commitLost:
		_ = l.server.Close()
	case backendEnded:
		_, _ = l.server.Write(held)
		p.terminate(l)
	case backendRefuses:
		p.terminate(l)
		_, _ = l.server.Write(held) // an error says that it is gone already
	}
}

func (p *proxy) terminate(l *link) {
	if _, err := p.admin.Exec(context.Background(), "SELECT pg_terminate_backend($1, 5000)", int32(l.pid.Load())); err != nil {
		p.t.Errorf("terminate: %v", err)
	}
}
