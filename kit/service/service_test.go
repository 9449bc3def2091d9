package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/keycheck"
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

// TestGuard: nothing is served and no loop runs before the guard lets the service work, and it is asked until it does.
func TestGuard(t *testing.T) {
	t.Parallel()
	var asked, loops atomic.Int32
	var away atomic.Bool
	away.Store(true)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	s := &service.Service{Name: "test", Listen: free(t), OpsListen: free(t), Handler: handler,
		Also: []service.Listener{{Addr: free(t), Handler: handler}},
		Guard: func(context.Context) error {
			if asked.Add(1); away.Load() {
				return errors.New("database is away")
			}
			return nil
		},
		Loops: []service.Loop{{Name: "loop", Run: func(ctx context.Context) error { loops.Add(1); <-ctx.Done(); return nil }}},
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- service.Run(ctx, s, slog.New(slog.DiscardHandler)) }()
	wait(t, "the guard to be asked again", func() bool { return asked.Load() >= 3 })
	for _, addr := range []string{s.Listen, s.Also[0].Addr} {
		if code, body := get(t, "http://"+addr); code != 503 || !strings.Contains(body, `"unavailable"`) {
			t.Errorf("%d %s", code, body)
		}
	}
	if code, body := get(t, "http://"+s.OpsListen+"/readyz"); code != 503 || !strings.Contains(body, "keys: not checked yet") ||
		loops.Load() != 0 {
		t.Errorf("%d %s, %d loops run", code, body, loops.Load())
	}
	away.Store(false)
	wait(t, "the loop", func() bool { return loops.Load() == 1 })
	if code, _ := get(t, "http://"+s.Listen); code != 200 {
		t.Errorf("%d after the guard", code)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestGuardRefuses: the service ends, with the reason.
func TestGuardRefuses(t *testing.T) {
	t.Parallel()
	loops := 0
	s := &service.Service{Name: "test", Listen: free(t), OpsListen: free(t), Handler: http.NotFoundHandler(),
		Guard: func(context.Context) error { return fmt.Errorf("%w: SENDTIP_KEK", keycheck.ErrRefused) },
		Loops: []service.Loop{{Name: "loop", Run: func(context.Context) error { loops++; return nil }}},
	}
	if err := service.Run(t.Context(), s, slog.New(slog.DiscardHandler)); !errors.Is(err, keycheck.ErrRefused) ||
		!strings.Contains(err.Error(), "SENDTIP_KEK") || loops != 0 {
		t.Errorf("%v, %d loops ran", err, loops)
	}
}

// TestStoppedBeforeAdmitted: a stop while the database is away starts nothing and is no error.
func TestStoppedBeforeAdmitted(t *testing.T) {
	t.Parallel()
	loops := 0
	ctx, stop := context.WithCancel(t.Context())
	s := &service.Service{Name: "test", Listen: free(t), Handler: http.NotFoundHandler(),
		Guard: func(context.Context) error { stop(); return errors.New("database is away") },
		Loops: []service.Loop{{Name: "loop", Run: func(context.Context) error { loops++; return nil }}},
	}
	if err := service.Run(ctx, s, slog.New(slog.DiscardHandler)); err != nil || loops != 0 {
		t.Errorf("%v, %d loops ran", err, loops)
	}
}

// TestLoopThatDoesNotRun: a loop that ends again and again, for whatever reason, is started again each time, and readiness and the log name
// it.
func TestLoopThatDoesNotRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end  func() error
		says string
	}{
		"error":  {func() error { return errors.New("broken relay") }, "loop test: broken relay"},
		"panic":  {func() error { panic("index out of range") }, "loop test: panic: index out of range"},
		"return": {func() error { return nil }, "loop test: it ended without a reason"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mended atomic.Bool
			var runs atomic.Int32
			s := &service.Service{Name: "test", Listen: free(t), OpsListen: free(t), Handler: http.NotFoundHandler(),
				Loops: []service.Loop{{Name: "test", Run: func(ctx context.Context) error {
					if runs.Add(1); mended.Load() {
						<-ctx.Done()
						return nil
					}
					return c.end()
				}}},
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			var lines strings.Builder
			go func() { done <- service.Run(ctx, s, slog.New(slog.NewTextHandler(&lines, nil))) }()
			wait(t, "readiness to name it", func() bool {
				code, body := get(t, "http://"+s.OpsListen+"/readyz")
				return code == 503 && strings.Contains(body, c.says)
			})
			mended.Store(true)
			before := runs.Load()
			wait(t, "another start", func() bool { return runs.Load() > before })
			if code, _ := get(t, "http://"+s.OpsListen+"/readyz"); code != 503 {
				t.Errorf("%d right after the start: it has run too short to be believed", code)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if !strings.Contains(lines.String(), "level=ERROR") || !strings.Contains(lines.String(), "loop=test") {
				t.Errorf("the log: %s", lines.String())
			}
		})
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
