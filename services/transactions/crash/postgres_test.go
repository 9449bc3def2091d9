package crash_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sendtip/sendtip/embedded/postgres"
)

// database is a PostgreSQL of its own that the test may end as it likes.
type database struct {
	t      *testing.T
	cfg    postgres.Config
	server *postgres.Server
}

func newDatabase(t *testing.T) *database {
	t.Helper()
	dir, err := os.MkdirTemp("", "sendtip-crash-") // not t.TempDir: that one is closed to the server's user when root runs the tests
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	d := &database{t: t, cfg: postgres.Config{DataDir: filepath.Join(dir, "cluster")}}
	d.start()
	d.cfg.Port = d.server.Port()
	t.Cleanup(d.stop)
	return d
}

func (d *database) start() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var err error
	if d.server, err = postgres.Start(ctx, d.cfg); err != nil {
		d.t.Fatal(err)
	}
}

func (d *database) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := d.server.Stop(ctx); err != nil {
		d.t.Error(err)
	}
}

// crash ends the server by a signal to its first process: SIGKILL, or SIGQUIT, which is pg_ctl stop -m immediate.
func (d *database) crash(signal syscall.Signal) {
	d.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.server.DataDir(), "postmaster.pid"))
	if err != nil {
		d.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		d.t.Fatal(err)
	}
	if err := syscall.Kill(pid, signal); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-d.server.Done():
	case <-time.After(patience):
		d.t.Fatal("the server does not end")
	}
	d.stop() // lets go of the folder
}

// TestPostgresDies ends PostgreSQL under load by kill -9 and by immediate stops, three times. What was acknowledged is there once, clients
// are answered 503 meanwhile, and two replicas come back by themselves (F2).
func TestPostgresDies(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	w := newWorld(t, newCluster(t, d.server.URL("postgres")))
	for _, name := range []string{"a", "b"} {
		w.replica(name).start("")
	}
	w.open(6)
	stop := w.load(8)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGKILL} {
		w.waitAnswered(100)
		unknown := w.unknown.Load()
		d.crash(signal)
		w.eventually("clients feel it", func() bool { return w.unknown.Load() > unknown })
		d.start()
		if took := w.waitAnswered(1); took > 15*time.Second {
			t.Errorf("after %s the ledger wrote again %s after its database was back", signal, took)
		}
	}
	w.waitAnswered(100)
	for _, r := range w.replicas {
		r.waitReady()
	}
	stop()
	w.prove(0)
}
