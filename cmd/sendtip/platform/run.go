package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/sendtip/sendtip/kit/log"
	"github.com/sendtip/sendtip/kit/service"
)

// here is a service in this process.
type here struct {
	cancel context.CancelFunc
	ended  chan struct{}
	result error
}

// startHere runs a service; ready tells of the embedded parts of this process, which the service knows only by their addresses.
func (p *Platform) startHere(ctx context.Context,
	name string, environ map[string]string, ready func(context.Context) error) (*here, error) {
	l := log.New(p.o.Log, environ["SENDTIP_LOG_LEVEL"], name)
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s, err := deployables[name].build(run, environ, service.Host{Log: l, Clock: p.o.Clock})
	if err != nil {
		cancel()
		return nil, err
	}
	s.Checks = append(s.Checks, service.Check{Name: "parts", Run: ready})
	h := &here{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(h.ended)
		h.result = service.Run(run, s, l)
	}()
	return h, nil
}

func (h *here) stop(ctx context.Context) error {
	h.cancel()
	select {
	case <-h.ended:
		return h.result
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *here) kill() error {
	return errors.New("a service in this process cannot be killed on its own: run it as a separate process")
}
func (h *here) done() <-chan struct{} { return h.ended }
func (h *here) err() error            { return h.result }

// process is a service in a process of its own.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{}
	result error
}

func startProcess(name, path string, environ map[string]string, w io.Writer) (*process, error) {
	cmd := exec.Command(path) //nolint:noctx // it is stopped by signals
	for k, v := range environ {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out := &lines{w: w}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", path, err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		if err := cmd.Wait(); err != nil {
			p.result = fmt.Errorf("%s: %w: %s", name, err, out.last())
		}
	}()
	return p, nil
}

func (p *process) stop(ctx context.Context) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
		return p.result
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.kill())
	}
}

func (p *process) kill() error {
	_ = p.cmd.Process.Kill()
	<-p.ended
	return nil
}

func (p *process) done() <-chan struct{} { return p.ended }
func (p *process) err() error            { return p.result }

// lines passes output on and remembers the last line for an error message.
type lines struct {
	mu   sync.Mutex
	w    io.Writer
	tail string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := strings.TrimSpace(string(b)); s != "" {
		l.tail = s[max(0, len(s)-500):]
	}
	return l.w.Write(b)
}

func (l *lines) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail
}
