//go:build unix

// Package pgtest gives every test a PostgreSQL database of its own, cloned from a migrated template.
//
// The server is the one of SENDTIP_TEST_POSTGRES_URL (a superuser's address of a server that holds nothing of
// value: roles and passwords on it are overwritten). Unset, the first test process starts a shared cluster on
// memory if it can, the others use it too, and it goes away soon after the last of them.
package pgtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/embedded/postgres"
)

const (
	setupTimeout   = 3 * time.Minute // the first test may have to install PostgreSQL
	cleanupTimeout = time.Minute
	poolSize       = 16 // a service's
)

// Provisioner creates the database with its owner and application roles on the server of adminURL, and returns
// the addresses of both. It may run many times and in many processes at once, and must give the same passwords
// each time, because roles belong to the whole server.
type Provisioner func(ctx context.Context, adminURL, database string) (ownerURL, appURL string, err error)

// Migrator brings an empty database to the current schema; it runs as the owner role.
type Migrator func(ctx context.Context, ownerURL string) error

// DB is one test's database. Pool is connected as the application's role, as the service is.
type DB struct {
	Pool     *pgxpool.Pool
	AppURL   string
	OwnerURL string
	AdminURL string // a superuser's, for what neither role may do
	Name     string
}

// New returns a fresh clone of the template that provision and migrate make once per key. The key must change
// when the schema does: a hash of the migrations. The clone is dropped when the test ends.
func New(tb testing.TB, service, key string, provision Provisioner, migrate Migrator) *DB {
	tb.Helper()
	db := cloneFor(tb, recipe{service: service, key: key, provision: provision, migrate: migrate})
	cfg, err := pgxpool.ParseConfig(db.AppURL)
	if err != nil {
		tb.Fatal("pgtest: provision returned an application URL that cannot be read")
	}
	cfg.MaxConns = poolSize
	db.Pool, err = pgxpool.NewWithConfig(tb.Context(), cfg)
	if err != nil {
		tb.Fatalf("pgtest: open the pool: %v", err)
	}
	tb.Cleanup(db.Pool.Close) // before the drop: cleanups run last in, first out
	return db
}

// cloneFor makes the database and registers its end, without a pool.
func cloneFor(tb testing.TB, r recipe) *DB {
	tb.Helper()
	server, err := connectOnce()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), setupTimeout)
	defer cancel()
	db, err := server.clone(ctx, r)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout) // the test's own has ended
		defer cancel()
		if err := drop(ctx, server.admin, db.Name); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return db
}

// Cluster starts an own cluster on disk with fsync on, for tests of durability and of kills. It is stopped and
// removed when the test ends.
func Cluster(tb testing.TB) *postgres.Server {
	tb.Helper()
	// Not tb.TempDir: that one is closed to the user that the server runs as when root runs the tests.
	dir, err := os.MkdirTemp("", "sendtip-cluster-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // see above
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), setupTimeout)
	defer cancel()
	server, err := postgres.Start(ctx, postgres.Config{DataDir: filepath.Join(dir, "cluster")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTimeout)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			tb.Error(err)
		}
	})
	return server
}
