package platform

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/embedded/postgres"
	"github.com/sendtip/sendtip/kit/servicetest"
)

type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			return true
		}
	}
	return false
}

func newTestParts(t *testing.T) (*parts, *logText) {
	t.Helper()
	dir := folder(t)
	set, err := keys.Init(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := mark(dir); err != nil {
		t.Fatal(err)
	}
	ports := Ports{Base: 20000 + 400*rand.IntN(30)}
	for ports.Free() != nil {
		ports = Ports{Base: 20000 + 400*rand.IntN(30)}
	}
	log := &logText{}
	p := newParts(withDefaults(Options{Dir: dir, Ports: ports}), set, slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(log.b.String())
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(p.stopAll(ctx), Remove(ctx, dir)); err != nil {
			t.Error(err)
		}
	})
	return p, log
}

func (w *watch) current(name string) *part {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running[name]
}

// TestPartsAreStartedAgain: what ends inside this process, although nobody stopped it, is noticed, said, and runs again with what it kept
// and whom it knew.
func TestPartsAreStartedAgain(t *testing.T) {
	t.Parallel()
	p, log := newTestParts(t)
	for _, name := range []string{"kafka", "redis", "sandbox"} {
		t.Run(name, func(t *testing.T) {
			if err := p.start(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			first := p.watch.current(name)
			if err := first.stop(t.Context()); err != nil { // past the watch, so nobody has asked for it
				t.Fatal(err)
			}
			servicetest.Eventually(t, "another "+name, func() bool { now := p.watch.current(name); return now != nil && now != first })
			if !log.has("embedded part stopped, restarting it", "part="+name, "try=1") || !log.has("embedded part is running again", "part="+name) {
				t.Error("the log does not say so")
			}
			if err := p.watch.ready(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
	tool, err := Broker(p.o.Environ, p.brokers, p.keys, keys.Tool)
	if err != nil {
		t.Fatal(err)
	}
	if made, err := ApplyTopics(tool, 1); err != nil || len(made) != 0 {
		t.Errorf("the broker after its restart: made %v, %v", made, err)
	}
	password, err := p.keys.Read(keys.RedisPassword)
	if err != nil {
		t.Fatal(err)
	}
	o, err := redis.ParseURL(p.redisURL)
	if err != nil {
		t.Fatal(err)
	}
	o.Password = password
	c := redis.NewClient(o)
	defer func() { _ = c.Close() }()
	if err := c.Ping(t.Context()).Err(); err != nil {
		t.Errorf("Redis after its restart: %v", err)
	}
}

// TestPartIsGivenUp: a part that does not start three times in a row is given up, and whoever runs the platform is told why.
func TestPartIsGivenUp(t *testing.T) {
	t.Parallel()
	p, _ := newTestParts(t)
	if err := p.start(t.Context(), "redis"); err != nil {
		t.Fatal(err)
	}
	var blocker net.Listener
	servicetest.Eventually(t, "the port", func() bool { // on a slow machine the part may be back before its port is taken
		now := p.watch.current("redis")
		if now == nil {
			return false
		}
		if err := now.stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		var err error
		blocker, err = net.Listen("tcp", loopback(p.o.Ports.Redis()))
		return err == nil
	})
	defer func() { _ = blocker.Close() }()
	servicetest.Eventually(t, "readiness to say so", func() bool {
		err := p.watch.ready(t.Context())
		return err != nil && strings.Contains(err.Error(), "embedded redis stopped, attempt ")
	})
	err := <-p.watch.failed
	for _, words := range []string{"the embedded redis stopped", "after 3 attempts in a row", "port " + strconv.Itoa(p.o.Ports.Redis()),
		"its data is kept"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q is missing in: %v", words, err)
		}
	}
	if err := p.watch.ready(t.Context()); err == nil || !strings.Contains(err.Error(), "embedded redis stopped and was given up") {
		t.Errorf("readiness: %v", err)
	}
}

// TestPostmasterDies: the database server, killed three times, runs again each time with its data; the fourth time within a minute is one
// too many, though each start succeeded.
func TestPostmasterDies(t *testing.T) {
	t.Parallel()
	p, log := newTestParts(t)
	if err := p.start(t.Context(), "postgres"); err != nil {
		t.Fatal(err)
	}
	if err := Migrate(t.Context(), p.adminURL, p.keys); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= maxTries+1; n++ {
		server := p.watch.current("postgres")
		kill(t, p.o.Dir)
		if n > maxTries {
			break
		}
		servicetest.Eventually(t, "another server", func() bool { now := p.watch.current("postgres"); return now != nil && now != server })
		if err := Migrate(t.Context(), p.adminURL, p.keys); err != nil { // the same superuser, roles and tables
			t.Errorf("kill %d: %v", n, err)
		}
		if !log.has("embedded part stopped", "part=postgres", "try="+strconv.Itoa(n), "signal: killed") {
			t.Errorf("kill %d: the log does not say so", n)
		}
	}
	if err := <-p.watch.failed; err == nil || !strings.Contains(err.Error(), "the embedded postgres stopped") {
		t.Errorf("given up: %v", err)
	}
}

// kill ends the postmaster of a folder as the system's out-of-memory killer would.
func kill(t *testing.T, dir string) {
	t.Helper()
	base, err := postgres.Location(postgres.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(base, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil || pid < 2 {
		t.Fatalf("%q: %v", line, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
