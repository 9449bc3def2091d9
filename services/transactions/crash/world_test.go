package crash_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/embedded/kafka"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/servicetest"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

const (
	identityKey = "an identity key for tests, 32 b+"
	origin      = "sendtip.test/crash"
	patience    = time.Minute
)

// built is the folder of the built program; TestMain makes and removes it.
var built string

// binary is the ledger with failpoints, built once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "transactions")
	build := exec.Command("go", "build", "-tags", "failpoints", "-o", path, "../cmd/transactions")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the ledger: %w\n%s", err, out)
	}
	return path, nil
})

// TestMain keeps the built program until all tests are over.
func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "sendtip-crash-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(built) // a leftover in the temporary folder
	os.Exit(code)
}

// cluster is a PostgreSQL with a migrated database, of which each world gets a copy.
type cluster struct {
	adminURL string
	mu       sync.Mutex // copies are made one by one: a database that is being copied takes no second connection
	copies   int
}

const base = "ledger_base"

var passwords = pg.Passwords{Owner: "crash-owner", App: "crash-app"}

func newCluster(t testing.TB, adminURL string) *cluster {
	t.Helper()
	c := &cluster{adminURL: adminURL}
	if err := pg.Provision(t.Context(), adminURL, base, "transactions", passwords); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), c.url(base, "transactions_owner", passwords.Owner), transactionssql.Migrations()); err != nil {
		t.Fatal(err)
	}
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		var value string
		if err := c.admin(t).QueryRow(t.Context(), "SELECT current_setting($1)", setting).Scan(&value); err != nil || value != "on" {
			t.Fatalf("%s is %q (%v): what is proved here would say nothing", setting, value, err)
		}
	}
	return c
}

func (c *cluster) url(database, role, password string) string {
	u, err := url.Parse(c.adminURL)
	if err != nil {
		panic("the administrator's address cannot be read")
	}
	u.Path, u.User = "/"+database, url.UserPassword(role, password)
	return u.String()
}

func (c *cluster) admin(t testing.TB) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.adminURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (c *cluster) clone(t testing.TB) (appURL string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.copies++
	name := fmt.Sprintf("ledger_%d", c.copies)
	admin := c.admin(t)
	for _, stmt := range []string{"CREATE DATABASE " + name + " TEMPLATE " + base + " OWNER transactions_owner", "GRANT CONNECT ON DATABASE " +
		name + " TO transactions_app"} {
		if _, err := admin.Exec(t.Context(), stmt); err != nil {
			t.Fatal(err)
		}
	}
	return c.url(name, "transactions_app", passwords.App)
}

// world is a database with a broker, the processes that work on them, and what clients know.
type world struct {
	*history
	t        *testing.T
	appURL   string
	pool     *pgxpool.Pool
	broker   *kafka.Broker
	secret   string // PEM
	public   string
	replicas []*replica
}

func newWorld(t *testing.T, c *cluster) *world {
	t.Helper()
	w := &world{t: t, appURL: c.clone(t), history: newHistory(t)}
	var err error
	if w.pool, err = pg.Open(context.Background(), w.appURL, pg.Options{MaxConns: 4}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pool.Close)
	w.broker, err = kafka.Start(t.Context(), kafka.Config{Dir: t.TempDir(), Topics: []kafka.Topic{{Name: app.Topic, Partitions: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.broker.Stop() })
	w.secret = testworld.SecretKey(t)
	key, err := proof.ParseKey(origin, []byte(w.secret))
	if err != nil {
		t.Fatal(err)
	}
	w.public = key.VerifierKey
	return w
}

// replica is one process of the ledger, which may die and be started again at the same address.
type replica struct {
	w                 *world
	name, listen, ops string
	checkpoints       string // file
	cmd               *exec.Cmd
	output            *bytes.Buffer
	done              chan struct{}
}

func (w *world) replica(name string) *replica {
	r := &replica{w: w, name: name, listen: servicetest.FreeAddress(w.t), ops: servicetest.FreeAddress(w.t),
		checkpoints: filepath.Join(w.t.TempDir(), "checkpoints")}
	w.replicas = append(w.replicas, r)
	w.addresses = append(w.addresses, r.listen)
	w.t.Cleanup(r.kill)
	return r
}

// start runs the process; failpoint is "" or <point>:<hit>.
func (r *replica) start(failpoint string) {
	r.w.t.Helper()
	path, err := binary()
	if err != nil {
		r.w.t.Fatal(err)
	}
	address, err := url.Parse(r.w.appURL)
	if err != nil {
		r.w.t.Fatal("the application's address cannot be read")
	}
	query := address.Query()
	query.Set("application_name", r.name) // tells whose a lock is
	address.RawQuery = query.Encode()
	r.output, r.done = &bytes.Buffer{}, make(chan struct{})
	r.cmd = exec.Command(path)
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	r.cmd.Env = append(os.Environ(), "SENDTIP_LISTEN="+r.listen, "SENDTIP_OPS_LISTEN="+r.ops, "SENDTIP_DATABASE_URL="+address.String(),
		"SENDTIP_LOG_LEVEL=warn",
		"SENDTIP_KAFKA_BROKERS="+strings.Join(r.w.broker.Brokers(), ","), "SENDTIP_IDENTITY_KEY="+identityKey,
		"SENDTIP_KEK=MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
		"SENDTIP_SIGNING_KEY="+r.w.secret, "SENDTIP_LEDGER_ORIGIN="+origin, "SENDTIP_CHECKPOINT_FILE="+r.checkpoints, "SENDTIP_FAILPOINT="+
			failpoint)
	if err := r.cmd.Start(); err != nil {
		r.w.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(done)
	}(r.cmd, r.done)
}

func (r *replica) waitReady() {
	r.w.t.Helper()
	r.w.eventually(r.name+" is ready", func() bool {
		select {
		case <-r.done:
			r.w.t.Fatalf("%s has ended: %s\n%s", r.name, r.cmd.ProcessState, r.output)
		default:
		}
		req, err := http.NewRequestWithContext(r.w.t.Context(), http.MethodGet, "http://"+r.ops+"/readyz", nil)
		if err != nil {
			r.w.t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// diedAt waits until the process has ended itself at its failpoint.
func (r *replica) diedAt(point string) {
	r.w.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		r.w.t.Fatalf("%s is not reached", point)
	}
	status, ok := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL || !strings.Contains(r.output.String(), "failpoint "+point+"\n") {
		r.w.t.Fatalf("%s ended otherwise than at %s: %s\n%s", r.name, point, r.cmd.ProcessState, r.output)
	}
}

// end is a stop in order.
func (r *replica) end() {
	r.w.t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.w.t.Fatal(err)
	}
	<-r.done
}

// kill is kill -9.
func (r *replica) kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill() // an error says that it has ended already
	<-r.done
}

func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !done(); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
	}
}

// number is one number of the database; -1 while that does not answer.
func (w *world) number(query string, args ...any) int64 {
	n := int64(-1)
	if err := w.pool.QueryRow(w.t.Context(), query, args...).Scan(&n); err != nil {
		return -1
	}
	return n
}
