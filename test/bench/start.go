package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = 2 * time.Minute
	// settle is how long the platform is left alone before its memory is read.
	settle = 5 * time.Second
	// rest is how long its use of CPU is watched then.
	rest = 5 * time.Second
)

// measureStart runs `sendtip up` twice as a process of its own: on an empty folder, and again on what the first left. Times run from the
// start of the process to the line that says that every service is ready. Memory is the process alone; PostgreSQL is not part of it.
func measureStart(ctx context.Context, root, dir string, base int, r *report) error {
	say("building sendtip")
	binary := filepath.Join(dir, "sendtip")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/sendtip") // #nosec G204 -- our own folder
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build sendtip: %w", err)
	}
	for _, first := range []bool{true, false} {
		say("starting it, first time: %v", first)
		c, took, err := startChild(ctx, binary, filepath.Join(dir, "data"), base)
		if err != nil {
			return err
		}
		if first {
			r.firstStart = took
		} else {
			r.warmStart = took
			wait(ctx, settle)
			before := processSpent(c.cmd.Process.Pid)
			wait(ctx, rest)
			r.idlePerMille = int64((processSpent(c.cmd.Process.Pid) - before) * 1000 / rest)
			r.idleBytes, err = residentBytes(c.cmd.Process.Pid)
		}
		if err := errors.Join(err, c.stop()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// child is a running `sendtip up`.
type child struct {
	cmd  *exec.Cmd
	read chan struct{} // closed at the end of its output
}

func startChild(ctx context.Context, binary, dir string, base int) (*child, time.Duration, error) {
	cmd := exec.Command(binary, "up", "--dir", dir, "--port-base", strconv.Itoa(base)) //nolint:noctx // stopped by a signal
	cmd.Env = ownEnvironment()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	cmd.Stderr = os.Stderr
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, 0, fmt.Errorf("run sendtip: %w", err)
	}
	c, up := &child{cmd: cmd, read: make(chan struct{})}, make(chan time.Duration, 1)
	go func() {
		defer close(c.read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "SENDTIP is up") {
				up <- time.Since(started)
			}
		}
		_, _ = io.Copy(io.Discard, out) // after a line too long to scan
	}()
	select {
	case took := <-up:
		return c, took, nil
	case <-c.read:
		err = errors.New("sendtip up ended before it was ready")
	case <-time.After(startTimeout):
		err = errors.New("sendtip up was not ready in time")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, 0, errors.Join(err, c.stop())
}

// stop ends the child and waits for it.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-c.read
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("sendtip up: %w", err)
	}
	return nil
}

// ownEnvironment leaves out SENDTIP_ settings: the bench measures the defaults.
func ownEnvironment() []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "SENDTIP_") {
			out = append(out, e)
		}
	}
	return out
}

func residentBytes(pid int) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("read memory: no VmRSS")
}

// wait lets the platform be for a while: a figure of a service at rest needs rest.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
