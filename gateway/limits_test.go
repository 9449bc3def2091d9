package gateway

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	kitauth "github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/openapi"
)

// TestAdmittedRate asks every operation of the platform's contracts until it is refused: what was admitted is its own policy's burst, by
// address and by user, and the general one's only where the contract has none of the same key.
func TestAdmittedRate(t *testing.T) {
	t.Parallel()
	set, err := contract.Load(openapi.FS)
	if err != nil {
		t.Fatal(err)
	}
	bursts := map[string]int{"address": 5, "default": 4}
	w := setup(t, func(w *world) {
		w.contracts = openapi.FS
		w.trust("127.0.0.0/8")
		for i, p := range slices.Sorted(maps.Keys(set.Policies)) {
			if bursts[p] == 0 {
				bursts[p] = 7 + i // larger than the general ones: whoever counts by both is found out
			}
			w.cfg.RatePolicies = append(w.cfg.RatePolicies, Pair{p, fmt.Sprintf("1/3600/%d", bursts[p])})
		}
		for _, s := range set.Services {
			if s != name && w.cfg.Upstreams[s] == "" {
				w.cfg.Upstreams[s] = w.wallet.URL
				w.cfg.IdentityKeys = append(w.cfg.IdentityKeys, Pair{s, string(identityKey(s))})
			}
		}
	})
	for i, op := range set.Operations {
		if op.Visibility == contract.Internal {
			continue
		}
		want := map[string]int{"address": bursts["address"], "user": bursts["default"]}
		if len(op.Security) == 0 {
			delete(want, "user")
		}
		for _, l := range op.Limits {
			if !l.Body() {
				want[l.Key] = bursts[l.Policy.Name]
			}
		}
		limited := func(key string, ask func() ask) {
			for n := 1; ; n++ {
				got := w.do(ask())
				if got.status == 429 && n-1 != want[key] || n > 60 {
					t.Errorf("%s: %d admitted by %s, want %d", op.ID, n-1, key, want[key])
				}
				if got.status == 429 || n > 60 {
					return
				}
			}
		}
		limited("address", func() ask { // a new person each time
			w.user, w.session = uuid.NewString(), uuid.NewString()
			return w.ask(op).with("X-Forwarded-For", fmt.Sprintf("41.1.%d.1", i))
		})
		if len(op.Security) == 0 {
			continue
		}
		user, session, sent := uuid.NewString(), uuid.NewString(), 0
		limited("user", func() ask { // one person, from everywhere
			sent++
			w.user, w.session = user, session
			return w.ask(op).with("X-Forwarded-For", fmt.Sprintf("41.2.%d.%d", i, sent))
		})
	}
}

// ask is a request that reaches the limits of an operation. What its body and parameters are worth is checked later.
func (w *world) ask(op *contract.Operation) ask {
	path := op.Path
	for _, p := range op.Parameters {
		if p.In == "path" {
			value := transferID
			if p.Name == "token" {
				value = hookToken
			}
			path = strings.Replace(path, "{"+p.Name+"}", value, 1)
		}
	}
	a := ask{method: op.Method, path: path, header: map[string]string{"Idempotency-Key": uuid.NewString()}}
	if op.Visibility == contract.Webhook {
		a.body = "x"
	}
	for _, alternative := range op.Security {
		if alternative.Scheme == contract.UserAuth {
			step := w.stepUp()
			a = a.with("Authorization", "Bearer "+sign(w.t, w.key, nil, with(w.access(), "scope", strings.Join(alternative.Scopes, " ")))).
				with("Step-Up-Token", sign(w.t, w.key, map[string]any{"typ": "step-up+jwt"}, with(step, "op", op.ID)))
		}
	}
	return a
}

// TestQuoteCountsOnce: a service that asks another one within a customer's request spends nothing of the policy that has counted it.
func TestQuoteCountsOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	lookup := func(header map[string]string) answer {
		return w.send(w.internal.URL, ask{method: "POST", path: "/v1/internal/recipient-lookups", body: `{"phone":"+254712345678"}`,
			header: header})
	}
	for range 5 { // the whole burst at once
		if got := w.do(w.transfer()); got.status != 201 {
			t.Fatalf("%d %s", got.status, got.body)
		}
		s := w.wallet.last(t)
		if got := lookup(map[string]string{kitauth.ServiceKeyHeader: walletKey, kitauth.OnBehalfOfHeader: s.delegation}); got.status != 202 {
			t.Fatalf("the call within: %d %s", got.status, got.body)
		}
	}
	refused(t, w.do(w.transfer()), 429, "rate_limited")
	for n := range 6 { // a service on its own account is counted
		if got := lookup(map[string]string{kitauth.ServiceKeyHeader: walletKey}); (got.status == 429) != (n == 5) {
			t.Fatalf("call %d: %d", n, got.status)
		}
	}
}

// TestWaitAsTold: Retry-After, the problem's retry_after and RateLimit name the same moment, in each refusal, with and without Redis.
func TestWaitAsTold(t *testing.T) {
	t.Parallel()
	for _, redis := range []bool{true, false} {
		w := setup(t)
		if !redis {
			w.redis.Close()
		}
		send := func() answer {
			return w.do(ask{method: "POST", path: "/v1/registrations", body: `{"phone":"+254712345678"}`})
		}
		began := time.Now()
		for range 3 {
			send()
		}
		for range 4 {
			got := send()
			refused(t, got, 429, "rate_limited")
			earliest := 299 - int(time.Since(began).Seconds())
			wait, err := strconv.Atoi(got.header.Get("Retry-After"))
			if err != nil || wait < earliest || wait > 300 || got.problem(t).RetryAfter != wait {
				t.Fatalf("Retry-After %q, in the body %d, want %d to 300", got.header.Get("Retry-After"), got.problem(t).RetryAfter, earliest)
			}
			if !strings.Contains(got.header.Get("RateLimit"), `"otp_phone";r=0;t=`+strconv.Itoa(wait)) {
				t.Fatalf("RateLimit: %s", got.header.Get("RateLimit"))
			}
		}
	}
}

// TestEverythingCounts: whoever tries paths and methods is limited like any other.
func TestEverythingCounts(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]ask{
		"404": {method: "GET", path: "/v1/nothing"}, "405": {method: "DELETE", path: "/v1/wallets"},
		"too long": {method: "GET", path: "/v1/wallets?cursor=" + strings.Repeat("a", 5000)},
		"HEAD":     {method: "HEAD", path: "/v1/wallets"}, "OPTIONS": {method: "OPTIONS", path: "/v1/wallets"},
		"unknown hook":    {method: "POST", path: "/v1/hooks/zz/" + hookToken},
		"invented method": {method: "BREW", path: "/v1/wallets"}, "encoded": {method: "GET", path: "/v1/wallets%2f1"},
		"hook of a wrong shape": {method: "POST", path: "/v1/hooks/st/x/y", body: "x"},
		"too large":             {method: "POST", path: "/v1/registrations", body: strings.Repeat("x", 70_000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, func(w *world) { w.cfg.RatePolicies = Pairs{{"address", "1/60/3"}, {"otp_address", "1/60/3"}} })
			for n := range 5 {
				if got := w.do(a); (got.status == 429) != (n >= 3) {
					t.Fatalf("request %d: %d", n, got.status)
				}
			}
		})
	}
}

// TestTransferEncodingEndsTheConnection: a length beside it is dropped unseen, and a proxy may have counted by that.
func TestTransferEncodingEndsTheConnection(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, c := range map[string]struct {
		head, body string
		closed     bool
	}{
		"both":         {"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", true},
		"chunked":      {"Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n", true},
		"length alone": {"Content-Length: 2\r\n", "{}", false},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(w.public.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s\r\n%s", hookPath, c.head,
				c.body); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != 201 || resp.Close != c.closed {
				t.Fatalf("%d, closed %t, want %t", resp.StatusCode, resp.Close, c.closed)
			}
		})
	}
}

// TestBodiesAreBounded: 250 connections that send 2 MiB each without any credential. What is admitted of them is bounded, the others
// are refused, other addresses are served meanwhile, and everybody afterwards.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	const connections, size, each = 250, 2 << 20, 16 << 20
	w := setup(t, func(w *world) {
		w.trust("127.0.0.1/32")
		files := w.contracts.(fstest.MapFS)
		data, err := fs.ReadFile(files, "wallet.yaml")
		if err != nil {
			t.Fatal(err)
		}
		files["wallet.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(data), "x-max-body: 2048", "x-max-body: 2MiB", 1))}
	})
	held := func() float64 { return w.metric("gateway_body_bytes", "public") }
	type result struct {
		status int
		wait   string
	}
	results := make(chan result, connections)
	last := make(chan struct{}) // closed when the last byte of each body may come
	for range connections {
		go func() {
			body := io.MultiReader(strings.NewReader(strings.Repeat("x", size-1)), readerFunc(func(p []byte) (int, error) {
				<-last
				return copy(p, "x"), io.EOF
			}))
			r, err := http.NewRequest(http.MethodPost, w.public.URL+hookPath, body)
			if err != nil {
				results <- result{}
				return
			}
			r.ContentLength = size
			r.Header.Set("X-Forwarded-For", "41.90.1.1")
			resp, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				results <- result{status: -1} // the refusal was cut off by the body that was still being sent
				return
			}
			_ = resp.Body.Close()
			results <- result{resp.StatusCode, resp.Header.Get("Retry-After")}
		}()
	}
	refusedN := 0
	for refusedN < connections-each/size-1 {
		r := <-results
		if refusedN++; r.status != -1 && (r.status != 503 || r.wait == "") {
			t.Fatalf("beyond the bound: %+v", r)
		}
		if now := held(); now > each {
			t.Fatalf("%v bytes are held of one address", now)
		}
	}
	if got := w.do(ask{method: "POST", path: hookPath, body: `{}`}.with("X-Forwarded-For", "41.90.1.2")); got.status != 201 {
		t.Fatalf("another address meanwhile: %d %s", got.status, got.body)
	}
	if got := w.do(w.transfer().with("X-Forwarded-For", "41.90.1.2")); got.status != 201 {
		t.Fatalf("a customer meanwhile: %d %s", got.status, got.body)
	}
	close(last)
	for range connections - refusedN {
		<-results
	}
	eventually(t, "everything is given back", func() bool { return held() == 0 })
	if got := w.do(ask{method: "POST", path: hookPath, body: `{}`}.with("X-Forwarded-For", "41.90.1.1")); got.status != 201 {
		t.Fatalf("the same address afterwards: %d %s", got.status, got.body)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestSlowBody: a body that does not come ends, and does not keep its place.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	w := setup(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.public.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	started := time.Now()
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n{", hookPath); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != 408 || !resp.Close || time.Since(started) > 20*time.Second {
		t.Fatalf("%d after %s, closed %t", resp.StatusCode, time.Since(started), resp.Close)
	}
	eventually(t, "its place is free", func() bool { return w.metric("gateway_body_bytes", "public") == 0 })
}
