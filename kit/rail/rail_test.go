package rail_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/rail"
	"github.com/sendtip/sendtip/kit/servicetest"
)

const payout = "mpesa.b2c"

type world struct {
	*servicetest.World
	t       *testing.T
	watch   *rail.Watch
	changes []string
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{World: servicetest.New(t, "probe", fstest.MapFS{"00001_init.sql": {Data: []byte("-- +goose Up\nSELECT 1;")}}, nil), t: t}
	w.watch = rail.New(rail.Config{Operations: []string{payout, "mpesa.stk"}, Now: w.Now, Log: slog.New(slog.DiscardHandler),
		Changed: func(_ context.Context, _ pgx.Tx, operation, state string) error {
			w.changes = append(w.changes, operation+" "+state)
			return nil
		}}, prometheus.NewRegistry())
	return w
}

func (w *world) in(do func(tx pgx.Tx) error) {
	w.t.Helper()
	if err := pg.InTx(w.t.Context(), w.Pool, do); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) record(good, bad int) {
	w.t.Helper()
	w.in(func(tx pgx.Tx) error {
		var errs []error
		for i := range good + bad {
			errs = append(errs, w.watch.Record(w.t.Context(), tx, payout, i < good, 3*time.Second))
		}
		return errors.Join(errs...)
	})
}

// state judges, and says what the operation is.
func (w *world) state() string {
	w.t.Helper()
	if err := w.watch.Judge(w.t.Context(), w.Pool); err != nil {
		w.t.Fatal(err)
	}
	return w.health().State
}

func (w *world) health() rail.Health {
	w.t.Helper()
	all, err := w.watch.List(w.t.Context(), w.Pool)
	if err != nil {
		w.t.Fatal(err)
	}
	return all[0]
}

// let says how many of n payments may begin, and after which time the last one should try again.
func (w *world) let(n int) (admitted int, wait time.Duration) {
	w.t.Helper()
	for range n {
		err := w.watch.Admit(w.t.Context(), w.Pool, payout)
		if f, ok := fault.As(err); ok && f.Code == "rail_unavailable" {
			wait = f.RetryAfter
		} else if err != nil {
			w.t.Fatal(err)
		} else {
			admitted++
		}
	}
	return admitted, wait
}

// TestRule: what closes an operation, and what does not.
func TestRule(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		good, bad int
		apart     time.Duration // between the good ones and the bad ones
		want      string
	}{
		"nothing happened":         {0, 0, 0, rail.Up},
		"too few":                  {0, 19, 0, rail.Up},
		"all of enough":            {0, 20, 0, rail.Down},
		"just half":                {10, 10, 0, rail.Up},
		"just below half":          {10, 11, 0, rail.Down},
		"good ones are old":        {50, 20, 5 * time.Minute, rail.Down},
		"good ones are still good": {50, 20, 5*time.Minute - time.Second, rail.Up},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.record(c.good, 0)
			w.Advance(c.apart)
			w.record(0, c.bad)
			if got := w.state(); got != c.want {
				t.Errorf("it is %s", got)
			}
			if n, _ := w.let(3); (n == 3) != (c.want == rail.Up) {
				t.Errorf("%d of 3 let through", n)
			}
		})
	}
}

// TestWayBack: closed for a minute, then one in twenty and one a minute at least; what those come to decides.
func TestWayBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.record(0, 20)
	if w.state() != rail.Down {
		t.Fatal("it is up")
	}
	w.Advance(20 * time.Second)
	if n, wait := w.let(100); n != 0 || wait != 40*time.Second {
		t.Errorf("%d let through while it rests, the others after %s", n, wait)
	}
	w.Advance(40 * time.Second)
	if w.state() != rail.Probing {
		t.Fatal("it does not probe")
	}
	if n, wait := w.let(100); n != 5 || wait != time.Minute {
		t.Errorf("%d of 100 let through, the others after %s", n, wait)
	}
	w.Advance(time.Minute)
	w.let(1) // the hundred-and-first is one in twenty
	w.Advance(time.Minute)
	if n, _ := w.let(1); n != 1 {
		t.Error("none in a minute")
	}
	w.record(2, 3)
	if w.state() != rail.Down {
		t.Error("most probes failed, and it is not down")
	}
	w.Advance(time.Minute)
	w.state()
	w.Advance(time.Second)
	w.record(2, 2)
	if w.state() != rail.Probing {
		t.Error("four probes decide nothing")
	}
	w.record(1, 0)
	if w.state() != rail.Up {
		t.Error("most probes succeeded, and it is not up")
	}
	if w.state() != rail.Up { // what closed it does not close it again
		t.Error("it is down again for what is over")
	}
	if want := []string{payout + " down", payout + " down", payout + " up"}; !slices.Equal(w.changes, want) {
		t.Errorf("told: %v", w.changes)
	}
}

// TestProbesAreFew: of many at once, through several instances, one in twenty is let through.
func TestProbesAreFew(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.record(0, 20)
	w.state()
	w.Advance(time.Minute)
	w.state()
	var let atomic.Int32
	errs := servicetest.Together(200, func(int) error {
		err := w.watch.Admit(t.Context(), w.Pool, payout)
		if err == nil {
			let.Add(1)
		} else if f, ok := fault.As(err); ok && f.Code == "rail_unavailable" {
			return nil
		}
		return err
	})
	if err := errors.Join(errs...); err != nil || let.Load() != 10 {
		t.Errorf("%d of 200 let through: %v", let.Load(), err)
	}
}

// TestTrip: one answer can prove that nothing can be paid; while it is known, it is told once.
func TestTrip(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for range 2 {
		w.in(func(tx pgx.Tx) error { return w.watch.Trip(t.Context(), tx, payout, rail.NoFloat) })
	}
	if h := w.health(); h.State != rail.Down || h.Reason != rail.NoFloat || len(w.changes) != 1 {
		t.Errorf("%+v, told %v", h, w.changes)
	}
	if n, _ := w.let(1); n != 0 {
		t.Error("let through")
	}
	if err := w.watch.Admit(t.Context(), w.Pool, "mpesa.stk"); err != nil {
		t.Errorf("another operation: %v", err)
	}
}

// TestSwitch: what people close stays closed, whatever the payments come to, until people open it.
func TestSwitch(t *testing.T) {
	t.Parallel()
	w := setup(t)
	by := uuid.Must(uuid.NewV7())
	w.in(func(tx pgx.Tx) error { return w.watch.Switch(t.Context(), tx, payout, true, by) })
	w.record(30, 0)
	if w.state() != rail.Up || !w.health().SwitchedOff {
		t.Errorf("%+v", w.health())
	}
	if n, wait := w.let(40); n != 0 || wait != 15*time.Minute {
		t.Errorf("%d let through, the others after %s", n, wait)
	}
	w.in(func(tx pgx.Tx) error { return w.watch.Switch(t.Context(), tx, payout, false, by) })
	if n, _ := w.let(40); n != 40 {
		t.Errorf("%d of 40 let through", n)
	}
	err := pg.InTx(t.Context(), w.Pool, func(tx pgx.Tx) error { return w.watch.Switch(t.Context(), tx, "carrier.pigeon", true, by) })
	if !errors.Is(err, rail.ErrUnknown) {
		t.Errorf("no such rail: %v", err)
	}
}

// TestList: the figures are those of the window.
func TestList(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if h := w.health(); h.State != rail.Up || h.Ratio() != 1 || !h.Since.IsZero() {
		t.Errorf("%+v", h)
	}
	w.record(9, 0)
	w.Advance(rail.Window)
	w.in(func(tx pgx.Tx) error {
		for i := range 4 {
			if err := w.watch.Record(t.Context(), tx, payout, i > 0, time.Duration(i)*time.Second); err != nil {
				return err
			}
		}
		return nil
	})
	if h := w.health(); h.Good != 3 || h.Bad != 1 || h.MedianMs != 2000 || h.P95Ms != 3000 || h.Ratio() != 0.75 {
		t.Errorf("%+v", h)
	}
}
