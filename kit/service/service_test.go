package service_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/web"
)

func free(t *testing.T) string {
	t.Helper()
	l, err := web.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestRun(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	var starts atomic.Int32
	closed := false
	down.Store(true)
	s := &service.Service{Name: "test", Listen: free(t), OpsListen: free(t),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }),
		Checks: []service.Check{{Name: "database", Run: func(context.Context) error {
			if down.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}},
		Loops: []service.Loop{{Name: "fails once", Run: func(ctx context.Context) error {
			switch starts.Add(1) {
			case 1:
				return errors.New("broker is down")
			case 2:
				panic("broken")
			}
			<-ctx.Done()
			return nil
		}}},
		Close: func() { closed = true },
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx, s, slog.New(slog.DiscardHandler)) }()
	wait(t, "the loop to be started again", func() bool { return starts.Load() == 3 })
	wait(t, "the server", func() bool { code, _ := get(t, "http://"+s.Listen); return code == 200 })
	if code, body := get(t, "http://"+s.OpsListen+"/readyz"); code != 503 || !strings.Contains(body, "database: connection refused") {
		t.Fatalf("%d %s", code, body)
	}
	down.Store(false)
	if code, _ := get(t, "http://"+s.OpsListen+"/readyz"); code != 200 {
		t.Fatalf("not ready: %d", code)
	}
	if code, _ := get(t, "http://"+s.OpsListen+"/healthz"); code != 200 {
		t.Fatalf("not healthy: %d", code)
	}
	stop()
	if err := <-done; err != nil || !closed {
		t.Fatalf("a requested stop is no error: %v", err)
	}
	if s.Ready(t.Context()) == nil {
		t.Fatal("a stopping service is not ready")
	}
}

func TestRunNamesATakenPort(t *testing.T) {
	t.Parallel()
	l, err := web.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	s := &service.Service{Name: "test", Listen: free(t), OpsListen: l.Addr().String(), Handler: http.NotFoundHandler()}
	if err := service.Run(t.Context(), s, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Fatalf("want the port's name, got %v", err)
	}
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if ok() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("waited too long for %s", what)
}
