package platform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// maxTries in a row, and a part is given up.
	maxTries = 3
	// firstPause is the wait before the first try to start a part again; it doubles.
	firstPause = time.Second
	// steady is how long a part must have run for its next end to count as the first.
	steady = time.Minute
	// releaseTimeout bounds the giving back of what a part that ended still holds.
	releaseTimeout = 10 * time.Second
)

// watch runs embedded parts and starts again what ends although nobody stopped it.
type watch struct {
	log    *slog.Logger
	begin  func(ctx context.Context, name string) (*part, error)
	life   context.Context //nolint:containedctx // of the goroutines below, which no call's context bounds
	end    context.CancelFunc
	failed chan error // the first part that was given up
	wg     sync.WaitGroup

	mu      sync.Mutex
	running map[string]*part
	wanted  map[string]bool   // by whoever called start or stop last
	tries   map[string]int    // to start a part again, in a row
	faults  map[string]string // what is wrong now, by part
}

func newWatch(l *slog.Logger, begin func(ctx context.Context, name string) (*part, error)) *watch {
	w := &watch{log: l, begin: begin, failed: make(chan error, 1), running: map[string]*part{}, wanted: map[string]bool{},
		tries: map[string]int{}, faults: map[string]string{}}
	w.life, w.end = context.WithCancel(context.Background())
	return w
}

// close ends the watching; what runs goes on. After it nothing is started again.
func (w *watch) close() {
	w.end()
	w.wg.Wait()
}

func (w *watch) start(ctx context.Context, name string) error {
	w.mu.Lock()
	w.wanted[name] = true
	w.mu.Unlock()
	return w.launch(ctx, name)
}

func (w *watch) launch(ctx context.Context, name string) error {
	p, err := w.begin(ctx, name)
	if err != nil {
		return err
	}
	w.mu.Lock()
	if !w.wanted[name] { // it was stopped meanwhile
		w.mu.Unlock()
		return p.stop(ctx)
	}
	w.running[name] = p
	delete(w.faults, name)
	w.mu.Unlock()
	w.wg.Go(func() { w.keep(name, p, time.Now()) })
	return nil
}

func (w *watch) stop(ctx context.Context, name string) error {
	w.mu.Lock()
	p := w.running[name]
	delete(w.running, name)
	delete(w.faults, name)
	w.wanted[name] = false
	w.mu.Unlock()
	if p == nil {
		return nil
	}
	return p.stop(ctx)
}

// keep waits for the end of a part and, unless somebody stopped it, starts it again.
func (w *watch) keep(name string, p *part, started time.Time) {
	select {
	case <-p.done:
	case <-w.life.Done():
		return
	}
	w.mu.Lock()
	if w.running[name] != p {
		w.mu.Unlock()
		return
	}
	delete(w.running, name)
	if time.Since(started) > steady {
		w.tries[name] = 0
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(w.life, releaseTimeout)
	defer cancel()
	why := errors.New(p.why())
	if err := p.stop(ctx); err != nil {
		w.log.Warn("the resources of an embedded part could not be released", "part", name, "err", err)
	}
	w.again(name, why)
}

// again tries to start a part until it runs, is stopped, or is given up.
func (w *watch) again(name string, why error) {
	for {
		w.mu.Lock()
		w.tries[name]++
		try, wanted := w.tries[name], w.wanted[name]
		if wanted {
			w.faults[name] = fmt.Sprintf("embedded %s stopped, attempt %d of %d to restart it", name, min(try, maxTries), maxTries)
		}
		w.mu.Unlock()
		if !wanted {
			return
		}
		if try > maxTries {
			w.giveUp(name, why)
			return
		}
		pause := firstPause << (try - 1)
		w.log.Error("embedded part stopped, restarting it", "part", name, "try", try, "of", maxTries, "pause_ms", pause.Milliseconds(), "err",
			why)
		select {
		case <-w.life.Done():
			return
		case <-time.After(pause):
		}
		if why = w.launch(w.life, name); why == nil {
			w.log.Info("embedded part is running again", "part", name)
			return
		}
	}
}

func (w *watch) giveUp(name string, why error) {
	err := fmt.Errorf("the embedded %s stopped again after %d attempts in a row to restart it: %w; its data is kept: fix the cause and "+
		"start again, "+
		"or give the address of a %[1]s of your own (docs/operations.md)", name, maxTries, why)
	w.mu.Lock()
	w.faults[name] = fmt.Sprintf("embedded %s stopped and was given up", name)
	w.mu.Unlock()
	w.log.Error("embedded part given up", "part", name, "err", why)
	select {
	case w.failed <- err:
	default: // one reason is enough to end
	}
}

// ready answers nil while every part that should run does.
func (w *watch) ready(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for _, f := range w.faults {
		all = append(all, f)
	}
	slices.Sort(all)
	var errs []error
	for _, f := range all {
		errs = append(errs, errors.New(f))
	}
	return errors.Join(errs...)
}
