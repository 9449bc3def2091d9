package log

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// window is how long the lines of one kind are counted together, shown how many of them are written, kinds how many are told apart.
	window = 10 * time.Second
	shown  = 5
	kinds  = 256
)

// Sampled returns a logger for lines that strangers cause: they must not fill the disk. Of each kind (a message, and its route, code and
// status if it names them) the first few in 10 s are written, the others counted, and the count follows in one line. Errors are always
// written. Lines of our own doing belong to the logger itself.
func Sampled(l *slog.Logger, now func() time.Time) *slog.Logger {
	return slog.New(&sampler{Handler: l.Handler(), state: &samples{now: now, of: map[string]*sample{}}})
}

type sampler struct {
	slog.Handler
	state *samples
}

type samples struct {
	mu  sync.Mutex
	now func() time.Time
	of  map[string]*sample
}

type sample struct {
	message string
	began   time.Time
	seen    int
}

// WithAttrs and WithGroup count together with the logger that they come from.
func (s *sampler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &sampler{Handler: s.Handler.WithAttrs(attrs), state: s.state}
}

// WithGroup is WithAttrs for groups.
func (s *sampler) WithGroup(name string) slog.Handler {
	return &sampler{Handler: s.Handler.WithGroup(name), state: s.state}
}

// Handle writes the line, or counts it.
func (s *sampler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		return s.Handler.Handle(ctx, r)
	}
	write, ended := s.state.count(kindOf(r), r.Message)
	for _, e := range ended {
		summary := slog.NewRecord(s.state.now(), r.Level, "lines like the ones before were only counted", 0)
		summary.AddAttrs(slog.String("message", e.message), slog.Int("not_written", e.seen-shown))
		if err := s.Handler.Handle(ctx, summary); err != nil {
			return err
		}
	}
	if !write {
		return nil
	}
	return s.Handler.Handle(ctx, r)
}

// count says whether a line is written, and which windows have ended with lines that were not.
func (s *samples) count(kind, message string) (write bool, ended []sample) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	k := s.of[kind]
	if k == nil && len(s.of) >= kinds {
		kind, message = "", "others"
		k = s.of[kind]
	}
	if k != nil && now.Sub(k.began) < window {
		k.seen++
		return k.seen <= shown, nil
	}
	for name, old := range s.of { // at most once per kind and window
		if now.Sub(old.began) >= window {
			delete(s.of, name)
			if old.seen > shown {
				ended = append(ended, *old)
			}
		}
	}
	s.of[kind] = &sample{message: message, began: now, seen: 1}
	return true, ended
}

func kindOf(r slog.Record) string {
	kind := r.Message
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "route", "code", "status", "method":
			kind += " " + a.Value.String()
		}
		return true
	})
	return kind
}
