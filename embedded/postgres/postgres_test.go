package postgres

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// childEnv makes the test binary run a server on the folder that it names until it is killed.
const childEnv = "SENDTIP_TEST_POSTGRES_CHILD"

func TestMain(m *testing.M) {
	if folder := os.Getenv(childEnv); folder != "" {
		serveUntilKilled(folder)
	}
	os.Exit(m.Run())
}

func serveUntilKilled(folder string) {
	server, err := Start(context.Background(), Config{DataDir: folder})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("ready", server.URL("postgres"))
	select {}
}

// folder is a place that the server's user can reach also when the test runs as root (t.TempDir is closed).
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sendtip-postgres-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "cluster")
}

func begin(t *testing.T, cfg Config) *Server {
	t.Helper()
	server, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}

func stop(t *testing.T, server *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func exec1(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func query1(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var got string
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRestartKeepsData(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var progress []string
	server := begin(t, Config{DataDir: dir, Progress: func(s string) { progress = append(progress, s) }})
	if len(progress) < 2 {
		t.Errorf("progress = %q, want the creation and the start", progress)
	}
	if _, err := Start(t.Context(), Config{DataDir: dir}); !errors.Is(err, ErrRunning) {
		t.Fatalf("second start: %v, want ErrRunning", err)
	}
	exec1(t, server.URL("postgres"), `CREATE TABLE kept (v text); INSERT INTO kept VALUES ('here')`)
	stop(t, server)
	select {
	case <-server.Done():
	default:
		t.Error("Done is not closed after Stop")
	}
	again := begin(t, Config{DataDir: dir, Port: server.Port()})
	if got := query1(t, again.URL("postgres"), `SELECT v FROM kept`); got != "here" {
		t.Fatalf("kept = %q", got)
	}
	if again.DataDir() != filepath.Join(dir, "data") {
		t.Errorf("DataDir = %s", again.DataDir())
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	odd := filepath.Join(folder(t), "a,b")
	safe := begin(t, Config{DataDir: odd})
	fast := begin(t, Config{DataDir: folder(t), NoFsync: true, Settings: map[string]string{"autovacuum": "off"}})
	for _, c := range []struct {
		server     *Server
		name, want string
	}{
		{safe, "fsync", "on"},
		{safe, "full_page_writes", "on"},
		{safe, "synchronous_commit", "on"},
		{safe, "max_connections", "300"},
		{safe, "data_checksums", "on"},
		{safe, "listen_addresses", "127.0.0.1"},
		{fast, "fsync", "off"},
		{fast, "autovacuum", "off"},
	} {
		if got := query1(t, c.server.URL("postgres"), "SHOW "+c.name); got != c.want {
			t.Errorf("%s = %s, want %s", c.name, got, c.want)
		}
	}
	if got := query1(t, safe.URL("postgres"),
		`SELECT count(*)::text FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'`); got != "0" {
		t.Errorf("%s ways in without a password", got)
	}
	if _, err := os.Stat(filepath.Join(odd, "run", fmt.Sprint(".s.PGSQL.", safe.Port()))); err != nil {
		t.Errorf("the socket of a folder whose name has a comma: %v", err)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := begin(t, Config{DataDir: dir, NoFsync: true})
	info, err := os.Stat(filepath.Join(dir, "superuser.password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("password file: %v %v", info.Mode(), err)
	}
	first := server.URL("postgres")
	wrong := strings.Replace(first, server.password, "wrong", 1)
	if conn, err := pgx.Connect(t.Context(), wrong); err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("a wrong password was let in")
	}
	stop(t, server)
	// The caller's keys were made anew: the cluster follows.
	given := begin(t, Config{DataDir: dir, NoFsync: true, Password: "it's new", Port: server.Port()})
	if got := query1(t, given.URL("postgres"), `SELECT 'in'`); got != "in" {
		t.Fatal(got)
	}
	if conn, err := pgx.Connect(t.Context(), first); err == nil {
		_ = conn.Close(t.Context())
		t.Fatal("the old password still opens the door")
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	port := listener.Addr().(*net.TCPAddr).Port
	dir := folder(t)
	_, err = Start(t.Context(), Config{DataDir: dir, Port: port, NoFsync: true})
	if err == nil || !strings.Contains(err.Error(), "port "+strconv.Itoa(port)) || !strings.Contains(err.Error(), "SENDTIP_PORT_BASE") {
		t.Fatalf("the error names neither the port nor what to do: %v", err)
	}
	begin(t, Config{DataDir: dir, NoFsync: true}) // the failed start left no lock behind
}

// TestKillNine kills the process that started the server and finds committed data again, also with a
// postmaster.pid that names a living process.
func TestKillNine(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	for round := range 2 {
		child, url := startChild(t, dir)
		if round == 0 {
			exec1(t, url, `CREATE TABLE kept (round int)`)
		}
		exec1(t, url, fmt.Sprintf(`INSERT INTO kept VALUES (%d)`, round))
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = child.Wait() // it says "killed"
	}
	server := begin(t, Config{DataDir: dir})
	if got := query1(t, server.URL("postgres"), `SELECT count(*)::text FROM kept`); got != "2" {
		t.Fatalf("%s rows, want 2", got)
	}
}

func startChild(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "ready ")
	if !ok {
		t.Fatalf("child: %s", line)
	}
	return cmd, url
}

// TestParentDeathStopsTheServer shows that nothing is left running after kill -9 of the owner.
func TestParentDeathStopsTheServer(t *testing.T) {
	t.Parallel()
	child, url := startChild(t, folder(t))
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it says "killed"
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := pgx.Connect(t.Context(), url)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = conn.Close(t.Context())
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server outlived its owner by 20 s (%v)", err)
		}
	}
}

// TestOrphanIsStopped starts on data that a server without an owner still holds, as after kill -9 on a system
// without parent death signals.
func TestOrphanIsStopped(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	orphan, err := Start(t.Context(), Config{DataDir: dir, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	exec1(t, orphan.URL("postgres"), `CREATE TABLE kept ()`)
	if err := orphan.owner.Release(); err != nil {
		t.Fatal(err)
	}
	server := begin(t, Config{DataDir: dir, NoFsync: true})
	select {
	case <-orphan.Done():
	default:
		t.Fatal("two servers on one data directory")
	}
	if got := query1(t, server.URL("postgres"), `SELECT count(*)::text FROM kept`); got != "0" {
		t.Fatal(got)
	}
}

// TestEndOrphan: afterwards nothing holds the port, so that a restart right after kill -9 may look whether its ports are free.
func TestEndOrphan(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	orphan, err := Start(t.Context(), Config{DataDir: dir, NoFsync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := EndOrphan(t.Context(), Config{DataDir: dir}); !errors.Is(err, ErrRunning) {
		t.Fatalf("while its owner lives: %v, want ErrRunning", err)
	}
	if err := orphan.owner.Release(); err != nil {
		t.Fatal(err)
	}
	if err := EndOrphan(t.Context(), Config{DataDir: dir}); err != nil {
		t.Fatal(err)
	}
	if conn, err := pgx.Connect(t.Context(), orphan.URL("postgres")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("the port is still held: %v %v", conn, err)
	}
	begin(t, Config{DataDir: dir, NoFsync: true}) // both locks are free
}

// TestStalePidFile starts although postmaster.pid names a living process that the server would believe in.
func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	server := begin(t, Config{DataDir: dir, NoFsync: true})
	stop(t, server)
	other := begin(t, Config{DataDir: folder(t), NoFsync: true}) // a living process of the same user
	pid, err := os.ReadFile(filepath.Join(other.DataDir(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), pid, 0o600); err != nil {
		t.Fatal(err)
	}
	begin(t, Config{DataDir: dir, NoFsync: true})
	if got := query1(t, other.URL("postgres"), `SELECT 'alive'`); got != "alive" {
		t.Fatal("the other server was hit")
	}
}

func TestDefaultPlaceAndRemove(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: filepath.Join(folder(t), ".sendtip"), NoFsync: true}
	if os.Geteuid() != 0 {
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	server := begin(t, cfg)
	if err := Remove(t.Context(), cfg); !errors.Is(err, ErrRunning) {
		t.Fatalf("remove while running: %v, want ErrRunning", err)
	}
	if os.Geteuid() == 0 {
		location, err := os.ReadFile(filepath.Join(cfg.Dir, "postgres.location"))
		if err != nil || filepath.Join(strings.TrimSpace(string(location)), "data") != server.DataDir() {
			t.Errorf("postgres.location = %q, %v; data in %s", location, err, server.DataDir())
		}
	}
	stop(t, server)
	if err := Remove(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(server.DataDir()); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the data is still there: %v", err)
	}
}

func TestSearchRefusesOtherVersions(t *testing.T) {
	t.Parallel()
	where, err := findPlace(Config{DataDir: folder(t)})
	if err != nil {
		t.Fatal(err)
	}
	found, ok := search(t.Context(), where, 0, installedFolders())
	if !ok {
		t.Fatal("no PostgreSQL found")
	}
	if _, ok := search(t.Context(), where, found.major+1, []string{filepath.Dir(found.postgres)}); ok {
		t.Error("another major version was taken for an existing cluster")
	}
	if fits(minMajor-1, 0) || !fits(minMajor, 0) {
		t.Error("the oldest version is judged wrongly")
	}
}
