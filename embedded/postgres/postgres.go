//go:build unix

// Package postgres runs a private PostgreSQL cluster: it finds or installs the programs, creates the cluster
// once, starts it on a loopback port and stops it. The data survives a restart, Ctrl-C and kill -9.
//
// Two file locks say who lives. The owner's lock is held by the process that started the server; the data lock
// is inherited by the server and its children. So a server without an owner can be told from a running
// platform, and a postmaster.pid without a server can be removed, without ever trusting a process id.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/internal/child"
)

// Superuser is the name of the role that Server.URL connects as.
const Superuser = "postgres"

const (
	defaultMaxConnections = 300
	readyTimeout          = 2 * time.Minute // recovery after a crash replays at most max_wal_size
	portAttempts          = 5
)

// ErrRunning says that another process already runs the cluster of this folder.
var ErrRunning = errors.New("PostgreSQL is already running for this folder")

// Config says where and how to run the cluster.
type Config struct {
	// Dir is the folder of the installation (.sendtip). An ordinary user's data lives in Dir/postgres; root's
	// lives in /var/lib/sendtip/<hash of Dir>, because the server must not run as root and its user may not be
	// able to reach Dir. Dir/postgres.location then names the place.
	Dir string
	// DataDir, if set, is used instead, for example a memory-backed folder for tests. It is created; its parents
	// must be open (o+x) to the server's user.
	DataDir string
	// Port on the loopback interface; 0 picks a free one.
	Port int
	// Password of the superuser. Empty: a random one is made once and kept beside the data (0600). A password
	// that differs from the cluster's is set before the server opens its port.
	Password string
	// NoFsync gives up durability for speed: a crash of the machine may destroy the cluster. For tests only.
	NoFsync bool
	// MaxConnections defaults to 300.
	MaxConnections int
	// Settings are further postgresql.conf settings; they win over the package's own.
	Settings map[string]string
	// Log receives what happens; nil discards.
	Log *slog.Logger
	// Progress receives sentences for a person who waits; nil discards.
	Progress func(string)
}

// Server is a running cluster.
type Server struct {
	place    place
	owner    *filelock.Lock
	process  *child.Process
	port     int
	password string
}

// Start runs the cluster of cfg and returns when it accepts connections. It creates the cluster on the first
// start. An error says what to do next.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	where, err := findPlace(cfg)
	if err != nil {
		return nil, err
	}
	owner, data, err := where.claim(ctx, cfg)
	if err != nil {
		return nil, err
	}
	server, err := start(ctx, cfg, where, data)
	// From here on only the server holds the data lock: it ends with the server's last process.
	_ = data.Release()
	if err != nil {
		_ = owner.Release()
		return nil, err
	}
	server.owner = owner
	return server, nil
}

func start(ctx context.Context, cfg Config, where place, data *filelock.Lock) (*Server, error) {
	programs, err := findPrograms(ctx, cfg, where)
	if err != nil {
		return nil, err
	}
	password, err := where.prepare(ctx, cfg, programs)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		port, err := freePort(cfg.Port)
		if err != nil {
			return nil, err
		}
		cfg.Progress(fmt.Sprintf("starting PostgreSQL %d on port %d", programs.major, port))
		server := &Server{place: where, port: port, password: password}
		if server.process, err = where.run(cfg, programs, port, data); err != nil {
			return nil, err
		}
		err = server.waitReady(ctx)
		if err == nil {
			cfg.Log.InfoContext(ctx, "postgres ready", "port", port, "data", where.data())
			return server, nil
		}
		server.process.Kill()
		// A free port may be taken by somebody else before the server opens it; then another one is as good.
		if cfg.Port != 0 || attempt == portAttempts || !errors.Is(err, errEnded) {
			return nil, err
		}
	}
}

// URL is the superuser's address of a database on this server. It contains the password: never log it.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(Superuser, s.password),
		Host:     "127.0.0.1:" + strconv.Itoa(s.port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Port is the loopback port that the server listens on.
func (s *Server) Port() int { return s.port }

// DataDir is the cluster's data directory (PGDATA).
func (s *Server) DataDir() string { return s.place.data() }

// Done is closed when the server has ended, asked or not.
func (s *Server) Done() <-chan struct{} { return s.process.Done() }

// Ending says how the server ended, with the end of its log; ask only after Done.
func (s *Server) Ending() string {
	return fmt.Sprintf("%v: %s", s.process.Err(), s.place.logTail())
}

// Stop shuts the cluster down: open transactions are rolled back, a checkpoint is written. If ctx ends first,
// the server is killed; committed data survives that too.
func (s *Server) Stop(ctx context.Context) error {
	err := s.process.Stop(ctx, syscall.SIGINT)
	if err != nil {
		err = fmt.Errorf("stop PostgreSQL: %w", err)
	}
	return errors.Join(err, ignoreClosed(s.owner.Release()))
}

// EndOrphan returns when no server is left of an earlier run on the cluster that cfg names: a killed owner's server needs a moment to end
// and holds its port until then. It refuses while another process runs the cluster.
func EndOrphan(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	where, err := findPlace(cfg)
	if err != nil {
		return err
	}
	owner, data, err := where.claim(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(data.Release(), owner.Release())
}

// waitReady asks until the server answers a query, which also proves that it is ours: it knows the password.
func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.process.Done():
			return fmt.Errorf("%w: %s", errEnded, s.place.logTail())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer on port %d (%w): %s", s.port, ctx.Err(), s.place.logTail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c Config) withDefaults() Config {
	if c.MaxConnections == 0 {
		c.MaxConnections = defaultMaxConnections
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return c
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil // stopped twice
	}
	return err
}
