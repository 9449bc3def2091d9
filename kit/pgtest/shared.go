//go:build unix

package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/postgres"
)

const (
	urlEnv = "SENDTIP_TEST_POSTGRES_URL"
	// superviseEnv makes a test binary run the shared cluster of the folder it names, instead of tests.
	superviseEnv = "SENDTIP_PGTEST_SUPERVISE"
	// idleEnv is how long the shared cluster stays without users, as a Go duration; for the package's own tests.
	idleEnv     = "SENDTIP_PGTEST_IDLE"
	idleDefault = 30 * time.Second

	memoryFolder    = "/dev/shm"
	memoryBytesFree = 2 << 30 // containers often have 64 MB there
	adminPoolSize   = 4
	pingTimeout     = 5 * time.Second
)

// connectOnce is the one connection of this process: the seat at the shared cluster lasts until the process ends.
var connectOnce = sync.OnceValues(connect)

// init turns a copy of the test binary into the supervisor of the shared cluster. Only an init runs in every
// test binary without a TestMain in each package, and the cluster must not live in a test process: it outlives
// the first.
func init() { //nolint:gochecknoinits // see above
	if dir := os.Getenv(superviseEnv); dir != "" {
		if err := supervise(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

func connect() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	s := &server{adminURL: os.Getenv(urlEnv)}
	if s.adminURL == "" {
		taken, err := takeSeat(ctx)
		if err != nil {
			return nil, fmt.Errorf("shared cluster (or set %s): %w", urlEnv, err)
		}
		s.seat, s.adminURL = taken, taken.url
	}
	cfg, err := pgxpool.ParseConfig(s.adminURL)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read", urlEnv)
	}
	cfg.MaxConns = adminPoolSize
	if s.admin, err = pgxpool.NewWithConfig(context.Background(), cfg); err != nil {
		return nil, err
	}
	return s, s.dropLeftovers(ctx)
}

// seat is this process's share in the shared cluster.
type seat struct {
	users *filelock.Lock // shared; the kernel drops it when the process ends, however it ends
	url   string
}

// takeSeat joins the shared cluster and starts it if nobody has. The start lock makes joining, starting and
// reaping exclude each other.
func takeSeat(ctx context.Context) (*seat, error) {
	dir, err := controlFolder()
	if err != nil {
		return nil, err
	}
	starting, err := filelock.Acquire(ctx, filepath.Join(dir, "start.lock"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = starting.Release() }() // nothing was written
	users, err := filelock.AcquireShared(ctx, filepath.Join(dir, "users.lock"))
	if err != nil {
		return nil, err
	}
	for {
		if url, ok := runningURL(ctx, dir); ok {
			return &seat{users: users, url: url}, nil
		}
		supervisor, err := filelock.Try(filepath.Join(dir, "supervisor.lock"))
		if err == nil {
			_ = supervisor.Release() // it was free: nobody supervises
			err = startSupervisor(ctx, dir)
		}
		if err != nil && !errors.Is(err, filelock.ErrHeld) {
			return nil, errors.Join(err, users.Release())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), users.Release())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// controlFolder holds the locks and the address. Its name is known to everybody on the machine, so it must be ours.
func controlFolder() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("sendtip-pgtest-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o711); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // the server's user must pass through
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() {
		return "", fmt.Errorf("%s belongs to somebody else: remove it or set TMPDIR", dir)
	}
	return dir, nil
}

func urlFile(dir string) string { return filepath.Join(dir, "url") }
func logFile(dir string) string { return filepath.Join(dir, "supervisor.log") }

func runningURL(ctx context.Context, dir string) (string, bool) {
	text, err := os.ReadFile(urlFile(dir))
	if err != nil {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, string(text))
	if err != nil {
		return "", false
	}
	return string(text), conn.Close(ctx) == nil
}

// startSupervisor runs this binary again, detached, and waits until the cluster is up. Its output must not be
// ours: go test waits until everybody has closed it.
func startSupervisor(ctx context.Context, dir string) error {
	if err := os.RemoveAll(urlFile(dir)); err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(logFile(dir), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the supervisor has its own copy
	cmd := exec.Command(binary)        //nolint:noctx // this program; it must outlive every context here
	cmd.Env = append(os.Environ(), superviseEnv+"="+dir)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if _, err := os.Stat(urlFile(dir)); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			text, _ := os.ReadFile(logFile(dir)) // the log is a bonus
			return fmt.Errorf("the supervisor ended (%w): %s", err, strings.TrimSpace(string(text)))
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// supervise runs the cluster until no process has used it for a while.
func supervise(dir string) error {
	ctx, stopSignals := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stopSignals()
	patience, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	lock, err := filelock.Acquire(patience, filepath.Join(dir, "supervisor.lock"))
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // the process ends now anyway
	cfg := postgres.Config{
		DataDir: dataFolder(dir),
		NoFsync: true,
		// Every test has its own pools, and several packages run at once.
		MaxConnections: 500,
		Settings: map[string]string{
			"autovacuum":      "off", // its workers would connect to templates, which blocks clones
			"wal_level":       "minimal",
			"max_wal_senders": "0",
			"max_wal_size":    "256MB",
			"min_wal_size":    "64MB",
		},
	}
	// What a killed supervisor left is of no use.
	if err := postgres.Remove(patience, cfg); err != nil {
		return err
	}
	server, err := postgres.Start(patience, cfg)
	if err != nil {
		return err
	}
	if err := os.WriteFile(urlFile(dir)+".tmp", []byte(server.URL("postgres")), 0o600); err != nil {
		return err
	}
	if err := os.Rename(urlFile(dir)+".tmp", urlFile(dir)); err != nil {
		return err
	}
	starting := waitUnused(ctx, dir, server.Done())
	if starting != nil {
		defer func() { _ = starting.Release() }() // the process ends now anyway
	}
	ending, cancelEnding := context.WithTimeout(context.Background(), cleanupTimeout)
	defer cancelEnding()
	return errors.Join(os.RemoveAll(urlFile(dir)), server.Stop(ending), postgres.Remove(ending, cfg))
}

// waitUnused returns when nobody has had a seat for the idle time, holding the start lock so that nobody joins
// a cluster that is ending; or, without it, when the cluster or the supervisor is told to end.
func waitUnused(ctx context.Context, dir string, ended <-chan struct{}) *filelock.Lock {
	idle, err := time.ParseDuration(os.Getenv(idleEnv))
	if err != nil {
		idle = idleDefault
	}
	lastUse := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			return nil
		case <-time.After(min(idle, 500*time.Millisecond)):
		}
		if isUsed(dir) {
			lastUse = time.Now()
			continue
		}
		if time.Since(lastUse) < idle {
			continue
		}
		starting, err := filelock.Try(filepath.Join(dir, "start.lock"))
		if err != nil {
			continue // somebody is joining
		}
		if !isUsed(dir) {
			return starting
		}
		_ = starting.Release() // nothing was written
	}
}

func isUsed(dir string) bool {
	users, err := filelock.Try(filepath.Join(dir, "users.lock"))
	if err != nil {
		return true
	}
	_ = users.Release() // nothing was written
	return false
}

// dataFolder is on memory if there is enough of it. One control folder has one data folder.
func dataFolder(dir string) string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(memoryFolder, &stat); err != nil {
		return filepath.Join(dir, "cluster")
	}
	if uint64(stat.Bavail)*uint64(stat.Bsize) < memoryBytesFree { //nolint:unconvert // the types differ between systems
		return filepath.Join(dir, "cluster")
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(memoryFolder, filepath.Base(dir)+"-"+hex.EncodeToString(sum[:4]))
}
