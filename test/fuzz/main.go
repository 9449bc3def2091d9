// Command fuzz holds the running platform against its served contract by Schemathesis, as a customer, an administrator, a compliance
// officer and a partner: no failure, no undocumented status, no answer that breaks its schema. Its last line is `N passed, N failed`,
// counted in operations.
//
//	go run ./test/fuzz -seconds 120 -seed 7
package main

import (
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/test/world"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r := run{}
	flag.IntVar(&r.seconds, "seconds", 120, "how long all personas together ask")
	flag.Int64Var(&r.seed, "seed", rand.Int64N(1_000_000), "of the requests; printed, so that a run repeats") // #nosec G404 -- no secret
	flag.StringVar(&r.tool, "tool", ".cache/python/bin/schemathesis", "the program")
	flag.StringVar(&r.only, "only", "", "one persona instead of all")
	flag.StringVar(&r.contract, "contract", "", "where to write the served contract")
	flag.Parse()
	var err error
	if r.tool, err = filepath.Abs(r.tool); err == nil {
		r.hooks, err = filepath.Abs("test/fuzz")
	}
	if err == nil {
		err = r.all(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		r.failed++
	}
	fmt.Printf("%d passed, %d failed\n", r.passed, r.failed)
	if r.failed > 0 || r.passed == 0 {
		os.Exit(1)
	}
}

type run struct {
	seconds        int
	seed           int64
	tool, only     string
	contract       string
	hooks          string // the folder of hooks.py
	passed, failed int
}

// persona is who asks, by a header.
type persona struct {
	name   string
	header string
	value  func() string
	renew  func(context.Context) error // nil: the credential lasts
}

func (r *run) all(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sendtip-fuzz-*")
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(dir, "platform.log")) // #nosec G304 -- our own folder
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	w, err := world.Start(ctx, filepath.Join(dir, "data"), log)
	if err != nil {
		return fmt.Errorf("start the platform (%s): %w", log.Name(), err)
	}
	if err := r.save(ctx, w); err != nil {
		return errors.Join(err, w.Stop())
	}
	people, err := gather(ctx, w)
	for _, p := range people {
		if r.only == "" || r.only == p.name {
			r.as(ctx, w, p, dir, len(people))
		}
	}
	if r.failed > 0 {
		fmt.Println("the platform's log and the reports are in", dir)
	} else {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	if stopped := w.Stop(); err == nil {
		err = stopped
	}
	return err
}

// save writes the contract as it is served to the file that was asked for.
func (r *run) save(ctx context.Context, w *world.World) error {
	if r.contract == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.Gateway+"/openapi.json", nil)
	if err != nil {
		return err
	}
	resp, err := w.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(r.contract, text, 0o600)
}

// gather makes everybody who asks; the customer has money and a history.
func gather(ctx context.Context, w *world.World) ([]persona, error) {
	customer, err := w.Customer(ctx, "Amina", 500_00)
	if err != nil {
		return nil, err
	}
	other, err := w.Customer(ctx, "Brian", 100_00)
	if err != nil {
		return nil, err
	}
	if _, err := customer.Send(ctx, other, 10_00); err != nil {
		return nil, err
	}
	admins, err := w.MakeAdmins(ctx)
	if err != nil {
		return nil, err
	}
	compliance, err := w.Appoint(ctx, admins, "Njeri", scopes.RoleCompliance)
	if err != nil {
		return nil, err
	}
	key, err := w.PartnerKey(ctx, admins[0])
	if err != nil {
		return nil, err
	}
	out := []persona{{name: "partner", header: "X-Api-Key", value: func() string { return key }}}
	for name, c := range map[string]*journey.Customer{"customer": customer, "admin": admins[0], "compliance": compliance} {
		out = append(out, persona{name: name, header: "Authorization", renew: c.Refresh,
			value: func() string { return "Bearer " + c.Tokens.AccessToken }})
	}
	return out, nil
}

// as lets one persona ask for its share of the time, and counts operations that kept their contract and that did not.
func (r *run) as(ctx context.Context, w *world.World, p persona, dir string, shares int) {
	report, credential := filepath.Join(dir, p.name+".xml"), filepath.Join(dir, p.name+".credential")
	fmt.Printf("==> %s, seed %d\n", p.name, r.seed)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := p.keep(ctx, credential); err != nil {
		fmt.Println(err)
		r.failed++
		return
	}
	// The own session is not ended: every later answer would be 401 and prove nothing.
	args := []string{"run", w.Gateway + "/openapi.json", "--url", w.Gateway, "--seed", strconv.FormatInt(r.seed, 10),
		"--max-time", strconv.Itoa(max(r.seconds/shares, 1)), "--exclude-operation-id", "deleteSession",
		"--exclude-checks", "positive_data_acceptance", // a rule may be more than a schema can say
		"--generation-with-security-parameters", "false", // hooks.py brings the only credential: two are refused
		"--continue-on-failure", "--no-color", "--no-shrink", "--generation-database", "none", "--report", "junit",
		"--report-junit-path", report}
	cmd := exec.CommandContext(ctx, r.tool, args...) // #nosec G204 -- our own flags
	cmd.Env = append(os.Environ(), "SCHEMATHESIS_HOOKS=hooks", "PYTHONPATH="+r.hooks, "PYTHONDONTWRITEBYTECODE=1",
		"SENDTIP_FUZZ_HEADER="+p.header, "SENDTIP_FUZZ_CREDENTIAL="+credential)
	cmd.Dir = dir // what it writes for its next run is of no use
	out, err := cmd.CombinedOutput()
	passed, failed, read := count(report)
	r.passed, r.failed = r.passed+passed, r.failed+failed
	if read != nil || err != nil && failed == 0 {
		r.failed++
	}
	if err != nil || read != nil {
		fmt.Printf("%s\n%v %v\n", out, err, read)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "generated") || strings.Contains(line, "Tested:") {
			fmt.Print(line)
		}
	}
	fmt.Printf("<== %s: %d operations passed, %d failed\n", p.name, passed, failed)
}

// keep writes the credential, and a new one before it ends.
func (p persona) keep(ctx context.Context, file string) error {
	write := func() error { return os.WriteFile(file, []byte(p.value()), 0o600) }
	if p.renew == nil {
		return write()
	}
	if err := p.renew(ctx); err != nil {
		return fmt.Errorf("a session of %s: %w", p.name, err)
	}
	go func() {
		for every := time.NewTicker(4 * time.Minute); ; {
			select {
			case <-ctx.Done():
				every.Stop()
				return
			case <-every.C:
				if p.renew(ctx) == nil {
					_ = write() // the answers tell if it could not be
				}
			}
		}
	}()
	return write()
}

// count reads how many operations a report is about.
func count(file string) (passed, failed int, err error) {
	text, err := os.ReadFile(file) // #nosec G304 -- our own folder
	if err != nil {
		return 0, 0, err
	}
	var report struct {
		Cases []struct {
			Failures []struct{} `xml:"failure"`
			Errors   []struct{} `xml:"error"`
			Skipped  []struct{} `xml:"skipped"`
		} `xml:"testsuite>testcase"`
	}
	if err := xml.Unmarshal(text, &report); err != nil {
		return 0, 0, err
	}
	for _, c := range report.Cases {
		switch {
		case len(c.Failures)+len(c.Errors) > 0:
			failed++
		case len(c.Skipped) == 0:
			passed++
		}
	}
	return passed, failed, nil
}
