// Package e2e takes the journeys of customers and operators through the whole platform: real HTTP through the gateway with the generated
// clients, real PostgreSQL, the Kafka and Redis protocols, and the sandbox of all providers. Every answer is checked against the contracts.
package e2e_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/test/contract"
	"github.com/sendtip/sendtip/test/ports"
)

// world is a running platform with what tests need of it.
type world struct {
	journey.World
	p       *platform.Platform
	log     *buffer
	checker *contract.Checker
	dir     string
	ports   platform.Ports

	appointing sync.Mutex
	admins     journey.Admins // the first two; nil until staff is asked for
}

// start runs a platform of its own for the test; change may set options.
func start(t testing.TB, change func(*platform.Options)) *world {
	t.Helper()
	w, err := newWorld(t.Context(), t.TempDir(), change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.stop(t)
		removeCluster(t.Logf, w.dir)
	})
	return w
}

// removeCluster deletes a stopped platform with its database, which lies outside the test's folder when root runs the tests.
func removeCluster(log func(string, ...any), dir string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := platform.Remove(ctx, dir); err != nil {
		log("remove the database of %s: %v\n", dir, err)
	}
}

func newWorld(ctx context.Context, dir string, change func(*platform.Options)) (*world, error) {
	checker, err := contract.New()
	if err != nil {
		return nil, err
	}
	checkersMu.Lock()
	checkers = append(checkers, checker)
	checkersMu.Unlock()
	w := &world{log: &buffer{}, checker: checker, dir: dir}
	var now func() time.Time
	for range 5 { // another process may take a port between the look and the start
		o := platform.Options{Dir: dir, Ports: ports.Free(), Log: w.log, Environ: map[string]string{}}
		if change != nil {
			change(&o)
		}
		if err := putAt(&o); err != nil {
			return nil, err
		}
		w.ports, now = o.Ports, time.Now
		if o.Clock != nil {
			now = o.Clock.Now
		}
		if w.p, err = platform.Start(ctx, o); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, w.log.tail(4000))
	}
	client := &http.Client{Timeout: 40 * time.Second, Transport: checker.Transport(&http.Transport{MaxIdleConnsPerHost: 128})}
	w.World = journey.World{Gateway: w.p.PublicURL(), Sandbox: control.New(w.p.SandboxURL(), &http.Client{Timeout: 30 * time.Second}),
		HTTP: client, CheckLedger: w.checkLedger, MakeAdmin: w.makeAdmin, Now: now}
	return w, nil
}

// moved is how far SENDTIP_TEST_CLOCK (RFC 3339) is from the moment at which the tests began: `make test-clock` lets all journeys happen
// around the ends of days, months and years.
var moved = sync.OnceValues(func() (time.Duration, error) {
	text := os.Getenv("SENDTIP_TEST_CLOCK")
	if text == "" {
		return 0, nil
	}
	moment, err := time.Parse(time.RFC3339, text)
	return time.Until(moment), err
})

// putAt moves a platform there, unless the test chose a time itself.
func putAt(o *platform.Options) error {
	offset, err := moved()
	if err == nil && offset != 0 && o.Clock == nil && o.Environ["SENDTIP_CLOCK_OFFSET"] == "" {
		o.Clock = clock.New(offset)
	}
	return err
}

func (w *world) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := w.p.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := platform.Remove(ctx, w.dir); err != nil {
		t.Errorf("remove: %v", err)
	}
	for _, f := range w.checker.Faults() {
		t.Errorf("contract: %s", f)
	}
	if t.Failed() {
		t.Logf("last log lines:\n%s", w.log.tail(6000))
	}
}

func (w *world) checkLedger(ctx context.Context) (string, error) {
	pool, err := pg.Open(ctx, w.p.AdminURL("transactions"), pg.Options{MaxConns: 2})
	if err != nil {
		return "", err
	}
	defer pool.Close()
	violations, err := check.Check(ctx, pool)
	if err == nil && len(violations) > 0 {
		err = fmt.Errorf("the ledger is broken: %+v", violations)
	}
	return "every invariant holds", err
}

// customer is a signed-up customer with an open wallet and some money.
func (w *world) customer(t testing.TB, name string, minor int64) *journey.Customer {
	t.Helper()
	c, err := w.NewCustomer(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Join(t.Context(), c); err != nil {
		t.Fatalf("%s joins: %v", name, err)
	}
	if minor > 0 {
		w.fund(t, c, minor)
	}
	return c
}

func (w *world) fund(t testing.TB, c *journey.Customer, minor int64) {
	t.Helper()
	if err := w.Sandbox.QueueScript(t.Context(), c.Phone, control.Script{STK: "pay", DelayMS: control.Int(0)}); err != nil {
		t.Fatal(err)
	}
	id, err := c.TopUp(t.Context(), minor)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WaitTopUp(t.Context(), id, "paid"); err != nil {
		t.Fatal(err)
	}
}

func balance(t testing.TB, c *journey.Customer) int64 {
	t.Helper()
	b, err := c.Balance(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// eventually polls until ok, at most for a minute: jobs that settle lost answers stand 30 s ahead, for which servicetest.Eventually is too
// short.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if ok() {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatalf("waited a minute for %s", what)
}

// sms waits for a message to the customer that contains every word and returns its text.
func (w *world) sms(t testing.TB, c *journey.Customer, words ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := w.Sandbox.WaitSMS(ctx, c.Phone, func(m control.Message) bool {
		for _, word := range words {
			if !strings.Contains(m.Text, word) {
				return false
			}
		}
		return true
	})
	if err != nil {
		t.Fatalf("SMS with %q: %v", words, err)
	}
	return m.Text
}

// query reads one value from a service's database as the superuser: what no operation shows.
func query[T any](t testing.TB, w *world, database, sql string, args ...any) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.p.AdminURL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// ask sends a request as it is and expects status and, unless it is empty, the problem's code.
func ask(t testing.TB, c *journey.Customer, method, path, body string, header map[string]string, status int, code string) {
	t.Helper()
	gotStatus, gotCode, err := c.Raw(t.Context(), method, path, body, header)
	if err != nil || gotStatus != status || code != "" && gotCode != code {
		t.Errorf("%s %s: want %d %s, got %d %s %v", method, path, status, code, gotStatus, gotCode, err)
	}
}

// dies checks that a credential stops working: no request that is sent later than a second from now is served.
func dies(t testing.TB, c *journey.Customer, path, body string, header map[string]string) {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	for revoked := time.Now(); ; <-time.After(20 * time.Millisecond) {
		sent := time.Now()
		status, code, err := c.Raw(t.Context(), method, path, body, header)
		switch {
		case err != nil:
			t.Fatal(err)
		case status == http.StatusUnauthorized:
			return
		case sent.Sub(revoked) > time.Second:
			t.Fatalf("%s after the credential was revoked, %s was served: %d %s", sent.Sub(revoked), path, status, code)
		}
	}
}

// key is a new idempotency key.
func key() string { return "e2e-" + uuid.NewString() }

var (
	sharedOnce  sync.Once
	sharedWorld *world
	sharedErr   error

	checkersMu sync.Mutex
	checkers   []*contract.Checker // of all worlds
)

// shared is the platform that tests use together; nobody stops parts of it.
func shared(t testing.TB) *world {
	t.Helper()
	sharedOnce.Do(func() {
		dir, err := os.MkdirTemp("", "sendtip-e2e-*")
		if err != nil {
			sharedErr = err
			return
		}
		sharedWorld, sharedErr = newWorld(context.Background(), dir, func(o *platform.Options) {
			// All customers of all tests share one address here, and some do in a second what takes a person an hour.
			o.Environ["SENDTIP_TIME_SCALE"] = "30" // rails are asked after 1.5 s, and money is in doubt after 22
			o.Environ["SENDTIP_RATE_POLICIES"] = "address=60000/60/10000,default=60000/60/10000,otp_address=60000/60/10000,lookup=60000/60/10000," +
				"step_up=60000/60/10000,payment=60000/60/10000,admin=60000/60/10000"
		})
	})
	if sharedErr != nil {
		t.Fatal(sharedErr)
	}
	return sharedWorld
}

func TestMain(m *testing.M) {
	code := m.Run()
	if sharedWorld != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := sharedWorld.p.Stop(ctx); err != nil {
			fmt.Println("stop:", err)
			code = 1
		}
		cancel()
		for _, f := range sharedWorld.checker.Faults() {
			fmt.Println("contract:", f)
			code = 1
		}
		fmt.Println("operations by status:")
		sharedWorld.checker.Table(os.Stdout)
		if flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" && code == 0 {
			code = unanswered()
		}
		if code == 0 {
			_ = platform.Remove(context.Background(), sharedWorld.dir)
		}
	}
	os.Exit(code)
}

// unanswered compares what all tests together were answered with what the contracts document, and returns the exit code.
func unanswered() int {
	pairs := contract.Unanswered(checkers...)
	faults := contract.Compare(pairs, contract.List)
	for _, f := range faults {
		fmt.Println("statuses:", f)
	}
	documented := checkers[0].Documented()
	fmt.Printf("statuses: %d of %d documented answers were given, %d failed\n", documented-len(pairs), documented, len(faults))
	return min(len(faults), 1)
}

// buffer keeps the platform's log lines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (b *buffer) tail(n int) string {
	s := b.String()
	return s[max(0, len(s)-n):]
}

// root is the repository's folder.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
