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

const startTimeout = 3 * time.Minute

// child is a running `sendtip up`.
type child struct {
	cmd  *exec.Cmd
	read chan struct{} // closed at the end of its output
}

func build(ctx context.Context, root, binary string) error {
	say("building sendtip")
	if err := os.MkdirAll(filepath.Dir(binary), 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/sendtip") // #nosec G204 -- our own folder
	cmd.Dir, cmd.Stderr = root, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build sendtip: %w", err)
	}
	return nil
}

func startChild(ctx context.Context, w *world) (*child, error) {
	say("starting sendtip up")
	args := []string{"up", "--dir", w.dir, "--port-base", strconv.Itoa(w.o.base), "--target", strings.Join(targets, ",")}
	cmd := exec.Command(w.binary, args...) //nolint:noctx // stopped by a signal
	cmd.Env = ownEnvironment()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run sendtip: %w", err)
	}
	c, up := &child{cmd: cmd, read: make(chan struct{})}, make(chan struct{}, 1)
	go func() {
		defer close(c.read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "SENDTIP is up") {
				up <- struct{}{}
			}
		}
		_, _ = io.Copy(io.Discard, out) // after a line too long to scan
	}()
	select {
	case <-up:
		return c, nil
	case <-c.read:
		err = errors.New("sendtip up ended before it was ready")
	case <-time.After(startTimeout):
		err = errors.New("sendtip up was not ready in time")
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, errors.Join(err, c.stop())
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
