package redis_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	embedded "github.com/sendtip/sendtip/embedded/redis"
)

// begin runs a server until the test ends.
func begin(t *testing.T, password string) *embedded.Server {
	t.Helper()
	server, err := embedded.Start(0, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

func connect(t *testing.T, server *embedded.Server, password string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts.Password = password
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	client := connect(t, begin(t, ""), "")
	ctx := t.Context()
	if err := client.Set(ctx, "short", "x", 50*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(ctx, "kept", "y", 0).Err(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(5 * time.Second)
	for !errors.Is(client.Get(ctx, "short").Err(), redis.Nil) {
		if time.Now().After(deadline) {
			t.Fatal("the key with a lifetime of 50 ms is still there after 5 s")
		}
	}
	if got := client.Get(ctx, "kept").Val(); got != "y" {
		t.Fatalf("kept = %q", got)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	first := begin(t, "")
	u, err := url.Parse(first.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	_, err = embedded.Start(port, "")
	if err == nil || !strings.Contains(err.Error(), "port "+u.Port()) || !strings.Contains(err.Error(), "SENDTIP_PORT_BASE") {
		t.Fatalf("error names neither the port nor what to do: %v", err)
	}
	first.Stop()
	again, err := embedded.Start(port, "")
	if err != nil {
		t.Fatalf("after stop: %v", err)
	}
	again.Stop()
}

func TestPassword(t *testing.T) {
	t.Parallel()
	server := begin(t, "secret")
	for password, good := range map[string]bool{"secret": true, "guess": false, "": false} {
		if err := connect(t, server, password).Set(t.Context(), "k", "v", 0).Err(); (err == nil) != good {
			t.Errorf("with %q: %v", password, err)
		}
	}
}

// TestHostileRequests: what is no request ends its connection, and nothing else.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	client := connect(t, begin(t, "secret"), "secret")
	for _, request := range []string{"*0\r\n", "*-5\r\n", "*-1\r\n", "*1\r\n$9223372036854775807\r\n", "*1\r\n$-1\r\n",
		"*9223372036854775807\r\n", "*1\r\n$1048577\r\n",
		"\r\n", "PING\r\n", "*1\r\n:5\r\n", "*1\r\n$4\r\nPINGxx", "*1\n$4\nPING\n", strings.Repeat("*", 1<<16), "*1\r\n$7\r\nCLUSTER\r\n"} {
		conn, err := net.Dial("tcp", client.Options().Addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = conn.Write([]byte(request)) // it may be ended while we write
		if answer, err := io.ReadAll(conn); len(answer) != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.40q: answer %q, %v", request, answer, err)
		}
		_ = conn.Close()
		if err := client.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatalf("after %.40q: %v", request, err)
		}
	}
}
