package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/embedded/postgres"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/test/ports"
)

// program is the sendtip binary with a folder and ports of its own.
type program struct {
	path, dir string
	ports     platform.Ports
}

// command is a call of the program; no setting of the person who runs the tests reaches it.
func (p program) command(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	args = append(args, "--dir", p.dir, "--port-base", fmt.Sprint(p.ports.Base))
	cmd := exec.CommandContext(ctx, p.path, args...) // #nosec G204 -- our own program
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SENDTIP_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Dir = t.TempDir()
	return cmd
}

// running is a `sendtip up` and what it has printed.
type running struct {
	cmd   *exec.Cmd
	out   *buffer
	ended chan struct{}
	err   error
}

// up starts the platform as a child process and waits until it says that it is up.
func (p program) up(t testing.TB) *running {
	t.Helper()
	r := &running{cmd: p.command(context.Background(), t, "up"), out: &buffer{}, ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		r.err = r.cmd.Wait()
	}()
	t.Cleanup(func() { r.end(t, syscall.SIGTERM) }) // does nothing once it has ended
	eventually(t, "sendtip up", func() bool {
		select {
		case <-r.ended:
			t.Fatalf("sendtip up ended: %v\n%s", r.err, r.out.tail(4000))
		default:
		}
		return strings.Contains(r.out.String(), "SENDTIP is up")
	})
	return r
}

// end sends a signal and waits for the end of the process, at most 30 s.
func (r *running) end(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("%s: %v", signal, err)
	}
	select {
	case <-r.ended:
	case <-time.After(30 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.ended
		t.Errorf("30 s after %s it still ran:\n%s", signal, r.out.tail(4000))
	}
}

// fails runs a command that must end with status 1 and a sentence that contains every word.
func (p program) fails(t testing.TB, words []string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := p.command(ctx, t, args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("%v: want status 1, got %v\n%s", args, err, out)
	}
	for _, word := range words {
		if !strings.Contains(string(out), word) {
			t.Errorf("%v does not say %q:\n%s", args, word, out)
		}
	}
}

// TestUp is an operator's day: start, start again by mistake, lose the process to SIGKILL, start, look, stop.
func TestUp(t *testing.T) {
	t.Parallel()
	p := program{path: filepath.Join(t.TempDir(), "sendtip"), dir: t.TempDir(), ports: ports.Free()}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.path, "./cmd/sendtip") // #nosec G204 -- our own package
	build.Dir = root()
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, b)
	}
	t.Cleanup(func() { removeCluster(t.Logf, p.dir) })
	first := p.up(t)
	client := &http.Client{Timeout: 40 * time.Second}
	url := func(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }
	w := &world{World: journey.World{Gateway: url(p.ports.Of("gateway")), Sandbox: control.New(url(p.ports.Sandbox()), client), HTTP: client}}
	amina := w.customer(t, "Amina", 750_00)

	p.fails(t, []string{"SENDTIP is already running in this folder", p.dir, "--dir"}, "up")
	p.fails(t, []string{"SENDTIP is already running in this folder", p.dir}, "reset", "--yes", "--keys")
	other := program{path: p.path, dir: t.TempDir(), ports: p.ports}
	t.Cleanup(func() { removeCluster(t.Logf, other.dir) })
	other.fails(t, []string{"is in use", "SENDTIP_PORT_BASE"}, "up")

	first.end(t, syscall.SIGKILL)
	second := p.up(t)
	ask(t, amina, http.MethodGet, "/v1/me", "", nil, http.StatusOK, "") // the session outlived the process
	if err := amina.LogIn(t.Context()); err != nil {
		t.Fatalf("signing in after the crash: %v", err)
	}
	if got := balance(t, amina); got != 750_00 {
		t.Errorf("750.00 before the crash, %d after it", got)
	}
	w.fund(t, amina, 50_00)
	if got := balance(t, amina); got != 800_00 {
		t.Errorf("800.00 were paid in all, the balance is %d", got)
	}

	p.killPostmaster(t)
	eventually(t, "the database to be back", func() bool { got, err := amina.Balance(t.Context()); return err == nil && got == 800_00 })
	if err := w.Sandbox.QueueScript(t.Context(), amina.Phone, control.Script{STK: "pay", DelayMS: control.Int(0)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a top-up", func() bool { // each pool meets its dead connections once
		id, err := amina.TopUp(t.Context(), 10_00)
		if err == nil {
			_, err = amina.WaitTopUp(t.Context(), id, "paid")
		}
		return err == nil
	})

	if out, err := p.command(t.Context(), t, "doctor").CombinedOutput(); err != nil || strings.Contains(string(out), "FAIL") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	p.setRole(t, amina.UserID, "admin") // as operators of earlier releases were customers, too
	p.fails(t, []string{"FAIL  staff", amina.UserID.String(), "what to do"}, "doctor")
	p.setRole(t, amina.UserID, "customer")
	second.end(t, syscall.SIGTERM)
	if second.err != nil {
		t.Errorf("after SIGTERM: %v\n%s", second.err, second.out.tail(4000))
	}
	if err := p.ports.Free(); err != nil {
		t.Errorf("something was left behind: %v", err)
	}
	p.fails(t, []string{"FAIL", "what to do"}, "doctor")

	third := p.up(t)
	p.breakDatabase(t)
	p.killPostmaster(t)
	eventually(t, "a service to say that it is not ready", func() bool {
		return strings.Contains(readyz(t, url(p.ports.Ops("gateway"))), "embedded postgres stopped, attempt ")
	})
	select {
	case <-third.ended:
	case <-time.After(time.Minute):
		t.Fatalf("the database does not start, and sendtip up still runs:\n%s", third.out.tail(4000))
	}
	if out := third.out.String(); third.err == nil ||
		!strings.Contains(out, "the embedded postgres stopped again after 3 attempts in a row to restart it") ||
		!strings.Contains(out, "its data is kept") {
		t.Errorf("%v\n%s", third.err, out)
	}
}

// setRole writes a role past the service.
func (p program) setRole(t testing.TB, id uuid.UUID, role string) {
	t.Helper()
	set, err := keys.Init(filepath.Join(p.dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	password, err := set.Read(keys.Of("user", keys.AppPassword))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), fmt.Sprintf("postgres://user_app:%s@127.0.0.1:%d/user", password, p.ports.Postgres()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "UPDATE users SET role = $2 WHERE id = $1", id, role); err != nil {
		t.Fatal(err)
	}
}

// place is the folder of the platform's database.
func (p program) place(t testing.TB) string {
	t.Helper()
	base, err := postgres.Location(postgres.Config{Dir: p.dir})
	if err != nil || base == "" {
		t.Fatalf("no database: %v", err)
	}
	return filepath.Join(base, "data")
}

// killPostmaster ends the database server as the system does when memory is short.
func (p program) killPostmaster(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.place(t), "postmaster.pid"))
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

// breakDatabase takes a file away without which no server starts on the data; it is put back after the test.
func (p program) breakDatabase(t testing.TB) {
	t.Helper()
	path := filepath.Join(p.place(t), "global", "pg_control")
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Rename(path+".away", path) }) // the folder is deleted anyway
}

func readyz(t testing.TB, ops string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, ops+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// TestPortInUse: the error names the port, what it is for and the way out.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	ports := ports.Free()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", ports.Of("wallet")))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	dir := t.TempDir()
	t.Cleanup(func() { removeCluster(t.Logf, dir) })
	_, err = platform.Start(t.Context(), platform.Options{Dir: dir, Ports: ports})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("port %d (wallet) is in use", ports.Of("wallet"))) ||
		!strings.Contains(err.Error(), "SENDTIP_PORT_BASE") {
		t.Errorf("the error is: %v", err)
	}
}
