package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/kit/pgtest"
)

// childEnv makes the test binary clone one database, print its administrator's address, and end with its input.
const childEnv = "SENDTIP_TEST_PGTEST_CHILD"

// provision makes a database with roles, the same in every process.
func provision(ctx context.Context, adminURL, database string) (ownerURL, appURL string, err error) {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	quoted := pgx.Identifier{database}.Sanitize()
	for _, sql := range []string{
		"SELECT pg_advisory_lock(1)",
		`DO $$ BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgt_owner') THEN CREATE ROLE pgt_owner LOGIN PASSWORD 'o'; END IF;
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgt_app') THEN CREATE ROLE pgt_app LOGIN PASSWORD 'a'; END IF;
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgt_other') THEN CREATE ROLE pgt_other LOGIN PASSWORD 'x'; END IF;
		END $$`,
		"CREATE DATABASE " + quoted + " OWNER pgt_owner",
		"REVOKE ALL ON DATABASE " + quoted + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + quoted + " TO pgt_app",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", "", err
		}
	}
	return as(adminURL, database, "pgt_owner", "o"), as(adminURL, database, "pgt_app", "a"), nil
}

func as(address, database, role, password string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic("the administrator's URL cannot be read")
	}
	u.Path, u.User = "/"+database, url.UserPassword(role, password)
	return u.String()
}

func migrate(ctx context.Context, ownerURL string) error {
	conn, err := pgx.Connect(ctx, ownerURL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, `CREATE TABLE notes (text text); GRANT SELECT, INSERT ON notes TO pgt_app; INSERT INTO notes VALUES ('template')`)
	return err
}

func sharedKey(t *testing.T) string {
	t.Helper()
	return fmt.Sprint(t.Name(), os.Getpid())
}

func TestClonesAreApart(t *testing.T) {
	t.Parallel()
	key := sharedKey(t)
	var migrations atomic.Int32
	counted := func(ctx context.Context, ownerURL string) error {
		migrations.Add(1)
		return migrate(ctx, ownerURL)
	}
	const clones = 8
	var wait sync.WaitGroup
	names := make(chan string, clones)
	for range clones {
		wait.Go(func() {
			db := pgtest.New(t, "pgt", key, provision, counted)
			names <- db.Name
			if _, err := db.Pool.Exec(t.Context(), `INSERT INTO notes VALUES ('mine')`); err != nil {
				t.Error(err)
			}
			var n int
			if err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM notes`).Scan(&n); err != nil || n != 2 {
				t.Errorf("%d notes, %v; want the template's and mine", n, err)
			}
		})
	}
	wait.Wait()
	close(names)
	seen := map[string]bool{}
	for name := range names {
		seen[name] = true
	}
	if len(seen) != clones || migrations.Load() != 1 {
		t.Errorf("%d databases from %d migrations, want %d from 1", len(seen), migrations.Load(), clones)
	}
}

func TestRolesAndGrantsAreTheTemplates(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "pgt", sharedKey(t), provision, migrate)
	var user string
	if err := db.Pool.QueryRow(t.Context(), `SELECT current_user`).Scan(&user); err != nil || user != "pgt_app" {
		t.Fatalf("the pool is %q, %v", user, err)
	}
	var refused *pgconn.PgError
	if _, err := db.Pool.Exec(t.Context(), `DELETE FROM notes`); !errors.As(err, &refused) || refused.Code != "42501" {
		t.Errorf("the application's role may delete: %v", err)
	}
	stranger, err := pgx.Connect(t.Context(), as(db.AdminURL, db.Name, "pgt_other", "x"))
	if err == nil {
		_ = stranger.Close(t.Context())
	}
	if !errors.As(err, &refused) || refused.Code != "42501" {
		t.Errorf("a stranger may connect to the clone: %v", err)
	}
	var owner string
	admin := connect(t, db.AdminURL)
	if err := admin.QueryRow(t.Context(),
		`SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()`).Scan(&owner); err != nil || owner != "pgt_owner" {
		t.Errorf("the clone belongs to %q, %v", owner, err)
	}
	if err := connect(t, db.OwnerURL).QueryRow(t.Context(), `SELECT current_user`).Scan(&user); err != nil || user != "pgt_owner" {
		t.Errorf("OwnerURL is %q, %v", user, err)
	}
}

func connect(t *testing.T, address string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestCloneIsDroppedAfterItsTest(t *testing.T) {
	t.Parallel()
	key := sharedKey(t)
	keeper := pgtest.New(t, "pgt", key, provision, migrate)
	var name string
	t.Run("inner", func(t *testing.T) {
		db := pgtest.New(t, "pgt", key, provision, migrate)
		name = db.Name
		connect(t, db.AppURL) // a connection left open must not keep the database
	})
	var n int
	if err := connect(t, keeper.AdminURL).QueryRow(t.Context(), `SELECT count(*) FROM pg_database WHERE datname = $1`,
		name).Scan(&n); err != nil || n != 0 {
		t.Fatalf("%s is still there (%d, %v)", name, n, err)
	}
}

func TestHalfMadeTemplateIsBuiltAgain(t *testing.T) {
	t.Parallel()
	key := sharedKey(t)
	failing := func(ctx context.Context, ownerURL string) error {
		return errors.Join(migrate(ctx, ownerURL), errors.New("broken migration"))
	}
	probe := &probeTB{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		pgtest.New(probe, "pgt", key, provision, failing)
	}()
	<-done
	if !strings.Contains(probe.fatal, "broken migration") {
		t.Fatalf("New with a broken migration said %q", probe.fatal)
	}
	db := pgtest.New(t, "pgt", key, provision, migrate)
	var n int
	if err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM notes`).Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d notes, %v; want those of one migration", n, err)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"00001_init.sql": {Data: []byte("-- +goose Up\nCREATE TABLE things (id int PRIMARY KEY);\n")}}
	db := pgtest.Open(t, "pgtopen", files)
	if _, err := db.Pool.Exec(t.Context(), `INSERT INTO things VALUES (1)`); err != nil {
		t.Fatal(err)
	}
	var user string
	if err := db.Pool.QueryRow(t.Context(), `SELECT current_user FROM outbox RIGHT JOIN (SELECT 1) one ON true`).Scan(&user); err != nil ||
		user != "pgtopen_app" {
		t.Fatalf("user %q, %v", user, err)
	}
}

func TestClusterIsDurable(t *testing.T) {
	t.Parallel()
	server := pgtest.Cluster(t)
	var fsync string
	if err := connect(t, server.URL("postgres")).QueryRow(t.Context(), `SHOW fsync`).Scan(&fsync); err != nil || fsync != "on" {
		t.Fatalf("fsync = %s, %v", fsync, err)
	}
}

// TestSharedClusterLivesAsLongAsItsUsers runs test processes with a shared cluster of their own: the second
// process keeps using the server that the first one started, also after kill -9 of the first.
func TestSharedClusterLivesAsLongAsItsUsers(t *testing.T) {
	t.Parallel()
	tmp, err := os.MkdirTemp("", "pgtest-") // t.TempDir is closed to the server's user when root runs the tests
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(tmp) })
	if err := os.Chmod(tmp, 0o711); err != nil {
		t.Fatal(err)
	}
	first, second := user(t, tmp), user(t, tmp)
	if first.server != second.server {
		t.Fatalf("two clusters: %s and %s", first.server, second.server)
	}
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait() // it says "killed"
	conn := connect(t, second.url)
	if _, err := conn.Exec(t.Context(), `SELECT pg_sleep(1)`); err != nil { // twice the idle time
		t.Fatalf("the cluster ended with its starter: %v", err)
	}
	_ = conn.Close(t.Context())
	_ = second.stdin.Close()
	if err := second.cmd.Wait(); err != nil {
		t.Fatalf("second process: %v", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := pgx.Connect(t.Context(), second.url)
		if errors.Is(err, syscall.ECONNREFUSED) {
			break
		}
		if err == nil {
			_ = conn.Close(t.Context())
		}
		if time.Now().After(deadline) {
			t.Fatal("nobody uses the cluster, and it still runs after 30 s")
		}
	}
	third := user(t, tmp)
	_ = third.stdin.Close()
	if err := third.cmd.Wait(); err != nil {
		t.Fatalf("third process: %v", err)
	}
	waitGone(t, tmp)
}

// waitGone waits until the supervisor has ended, so that it does not write into a folder being removed.
func waitGone(t *testing.T, tmp string) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		found, err := filepath.Glob(filepath.Join(tmp, "sendtip-pgtest-*", "url"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the supervisor does not end")
		}
	}
}

type userProcess struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	url    string
	server string
}

func user(t *testing.T, tmp string) userProcess {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestAsChild$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"=1", "TMPDIR="+tmp, "SENDTIP_TEST_POSTGRES_URL=", "SENDTIP_PGTEST_IDLE=500ms")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "url "); ok {
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			return userProcess{cmd: cmd, stdin: stdin, url: as(address, "postgres", u.User.Username(), password(u)), server: u.Host}
		}
	}
	t.Fatal("the child said nothing")
	return userProcess{}
}

func password(u *url.URL) string {
	p, _ := u.User.Password()
	return p
}

// TestAsChild is what the child process runs; in the parent it checks a clone like any other.
func TestAsChild(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, "pgt", "child", provision, migrate)
	if err := db.Pool.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if os.Getenv(childEnv) == "" {
		return
	}
	fmt.Println("\nurl " + db.AdminURL)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
}

// probeTB records the failure that a test would have died of.
type probeTB struct {
	testing.TB
	fatal string
}

func (p *probeTB) Fatalf(format string, args ...any) {
	p.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}
