package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	// results are kept outside of the tree that is tested.
	results = ".cache/mutants.json"
	// patience is how many times as long as without a mutant the tests may take, and leastPatience what they may take at least: a mutant that
	// makes them wait for ever is killed by that.
	patience      = 4
	leastPatience = 90 * time.Second
	killed        = "killed"
)

// errBroken says that a mutant does not compile.
var errBroken = errors.New("it does not compile")

// runner builds and tests mutants, one at a time.
type runner struct {
	root      string
	tests     string                   // a pattern; empty: all of them
	baselines map[string]time.Duration // how long a package's tests take without a mutant
	said      map[string]string        // verdicts, by what was tested
}

func (r *runner) load(resume bool) error {
	if !resume {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(r.root, results))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &r.said)
}

func (r *runner) save() error {
	text, err := json.MarshalIndent(r.said, "", " ")
	if err != nil {
		return err
	}
	path := filepath.Join(r.root, results)
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, text, 0o600))
}

// judge says whether a mutant lives: whether the tests pass all the same.
func (r *runner) judge(ctx context.Context, m mutant, number int) (lives bool, err error) {
	source, err := os.ReadFile(filepath.Join(r.root, m.file))
	if err != nil {
		return false, err
	}
	mutated, err := m.apply(source)
	if err != nil {
		return false, err
	}
	sum := sha256.Sum256(append([]byte(m.name+"\n"), mutated...))
	key := hex.EncodeToString(sum[:8])
	if r.said[key] == killed {
		fmt.Printf("%3d killed before  %s\n", number, m.name)
		return false, nil
	}
	overlay, remove, err := writeOverlay(filepath.Join(r.root, m.file), mutated)
	if err != nil {
		return false, err
	}
	defer remove()
	began := time.Now()
	by, err := r.killer(ctx, m, overlay)
	if err != nil {
		return false, err
	}
	took := time.Since(began).Round(time.Second)
	if by == "" {
		fmt.Printf("%3d LIVES  %5s  %s\n", number, took, m.name)
		return true, nil
	}
	fmt.Printf("%3d killed %5s  %s  [%s]\n", number, took, m.name, by)
	r.said[key] = killed
	return false, r.save()
}

// killer runs the tests, the package's own before those of its users, and returns what failed, or "".
func (r *runner) killer(ctx context.Context, m mutant, overlay string) (string, error) {
	for _, pkg := range m.tests {
		usual, err := r.baseline(ctx, pkg)
		if err != nil {
			return "", err
		}
		tests := filepath.Join(filepath.Dir(overlay), "tests")
		if text, err := r.build(ctx, pkg, tests, "-overlay", overlay); err != nil {
			return "", errors.Join(ctx.Err(), fmt.Errorf("%w: %s", errBroken, text))
		}
		limit := max(patience*usual, leastPatience)
		text, err := r.testing(ctx, pkg, tests, limit)
		if name := failure(text); err != nil && strings.HasPrefix(name, "Test") {
			alone := "^" + strings.ReplaceAll(name, "/", "$/^") + "$"
			if _, again := r.testing(ctx, pkg, tests, limit, "-test.run", alone); again == nil { // it fails now and then: that kills nobody
				text, err = r.testing(ctx, pkg, tests, limit)
			}
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return failure(text), nil
		}
	}
	return "", nil
}

// baseline runs tests without a mutant: what fails then kills nobody.
func (r *runner) baseline(ctx context.Context, pkg string) (time.Duration, error) {
	if usual, known := r.baselines[pkg]; known {
		return usual, nil
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tests := filepath.Join(dir, "tests")
	if text, err := r.build(ctx, pkg, tests); err != nil {
		return 0, fmt.Errorf("the tests of %s do not build without a mutant: %w\n%s", pkg, err, text)
	}
	began := time.Now()
	text, err := r.testing(ctx, pkg, tests, 20*time.Minute)
	if err != nil {
		fmt.Printf("    %s failed without a mutant (%s), and is tried once more\n", pkg, failure(text))
		began = time.Now()
		text, err = r.testing(ctx, pkg, tests, 20*time.Minute)
	}
	if err != nil {
		return 0, fmt.Errorf("the tests of %s fail without a mutant: %w\n%s", pkg, err, text)
	}
	r.baselines[pkg] = time.Since(began)
	fmt.Printf("    %s takes %s without a mutant\n", pkg, r.baselines[pkg].Round(time.Second))
	return r.baselines[pkg], nil
}

// build makes the program of a package's tests.
func (r *runner) build(ctx context.Context, pkg, program string, flags ...string) (string, error) {
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-s -w", "-o", program}, flags...)
	return output(ctx, r.root, "go", append(args, "./"+pkg)...)
}

// noFailFile is the flag of tests that draw with rapid.
const noFailFile = "rapid.nofailfile"

// testing runs the program of a package's tests where go test would.
func (r *runner) testing(ctx context.Context, pkg, program string, limit time.Duration, flags ...string) (string, error) {
	args := []string{"-test.failfast", "-test.paniconexit0", "-test.timeout", limit.String(), "-test.run", r.tests}
	code, err := os.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("read the tests of %s: %w", pkg, err)
	}
	if bytes.Contains(code, []byte(noFailFile)) { // else rapid keeps what fails under a mutant, and every later run tries it again
		args = append(args, "-"+noFailFile)
	}
	return output(ctx, filepath.Join(r.root, pkg), program, append(args, flags...)...)
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)|^panic: (test timed out)|^panic: (.{0,60})`)

// failure names what failed in the output of tests.
func failure(text string) string {
	m := failed.FindStringSubmatch(text)
	if m == nil {
		return "failed"
	}
	return m[1] + m[2] + m[3]
}

func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// apply replaces the text.
func (m mutant) apply(source []byte) ([]byte, error) {
	if m.drawn {
		if !bytes.HasPrefix(source[m.at:], []byte(m.old)) {
			return nil, errors.New("the file has changed since the draw")
		}
		return bytes.Join([][]byte{source[:m.at], source[m.at+len(m.old):]}, []byte(m.new)), nil
	}
	if n := bytes.Count(source, []byte(m.old)); n != 1 {
		return nil, fmt.Errorf("its text occurs %d times in %s, not once: describe it anew", n, m.file)
	}
	return bytes.Replace(source, []byte(m.old), []byte(m.new), 1), nil
}

// writeOverlay makes the compiler read other contents of a file.
func writeOverlay(file string, contents []byte) (overlay string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	path, err := filepath.Abs(file)
	if err != nil {
		return "", remove, err
	}
	mutated := filepath.Join(dir, filepath.Base(file))
	text, err := json.Marshal(map[string]map[string]string{"Replace": {path: mutated}})
	if err != nil {
		return "", remove, err
	}
	overlay = filepath.Join(dir, "overlay.json")
	// #nosec G703 -- a temporary folder, and the name of a file of ours
	return overlay, remove, errors.Join(os.WriteFile(mutated, contents, 0o600), os.WriteFile(overlay, text, 0o600))
}
