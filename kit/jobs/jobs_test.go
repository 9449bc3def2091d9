package jobs_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
)

const patience = 30 * time.Second

type payArgs struct {
	ID string `json:"id"`
}

func (payArgs) Kind() string                 { return "wallet.post_transfer" }
func (payArgs) InsertOpts() river.InsertOpts { return jobs.MoneyOpts() }

// attempt is what a worker saw of one run.
type attempt struct {
	principal auth.Principal
	row       rivertype.JobRow
	at        time.Time
}

// world is a client whose worker answers by script: the n-th run returns the n-th result, later ones nil.
type world struct {
	pool     *pgxpool.Pool
	client   *jobs.Client
	attempts chan attempt
}

func setup(t testing.TB, pool *pgxpool.Pool, script ...error) world {
	t.Helper()
	return setupAt(t, nil, pool, script...)
}

func setupAt(t testing.TB, c *clock.Clock, pool *pgxpool.Pool, script ...error) world {
	t.Helper()
	w := world{pool: pool, attempts: make(chan attempt, 100)}
	var mu sync.Mutex
	workers := river.NewWorkers()
	jobs.Add(workers, func(ctx context.Context, job *river.Job[payArgs]) (time.Duration, error) {
		mu.Lock()
		defer mu.Unlock()
		w.attempts <- attempt{principal: auth.From(ctx), row: *job.JobRow, at: time.Now()}
		if len(script) == 0 {
			return 0, nil
		}
		result := script[0]
		script = script[1:]
		return 0, result
	})
	client, err := jobs.NewClient(pool, workers, jobs.Config{Service: "wallet", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	w.client = client
	return w
}

// run works jobs until the test ends.
func (w world) run(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- jobs.Loop(w.client)(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("loop: %v", err)
			}
		case <-time.After(patience):
			t.Error("the loop did not end")
		}
	})
}

func (w world) insert(t testing.TB) int64 {
	t.Helper()
	var id int64
	err := pg.InTx(t.Context(), w.pool, func(tx pgx.Tx) error {
		result, err := w.client.InsertTx(t.Context(), tx, payArgs{ID: "1"}, nil)
		if err != nil {
			return err
		}
		id = result.Job.ID
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (w world) next(t testing.TB) attempt {
	t.Helper()
	select {
	case a := <-w.attempts:
		return a
	case <-time.After(patience):
		t.Fatal("the job did not run")
		return attempt{}
	}
}

func (w world) waitState(t testing.TB, id int64, want rivertype.JobState) *rivertype.JobRow {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		row, err := w.client.JobGet(t.Context(), id)
		if err == nil && row.State == want {
			return row
		}
		if time.Now().After(deadline) {
			t.Fatalf("job is %+v (%v), want %s", row, err, want)
		}
		<-time.After(20 * time.Millisecond) // between polls
	}
}

func TestJobActsAsItsService(t *testing.T) {
	t.Parallel()
	w := setup(t, pgtest.Open(t, "wallet", fstest.MapFS{}).Pool)
	w.run(t)
	id := w.insert(t)
	a := w.next(t)
	if a.principal.Subject != "service:wallet" || a.principal.Operation != "wallet.post_transfer" || a.row.MaxAttempts != jobs.MoneyAttempts {
		t.Fatalf("%+v", a)
	}
	w.waitState(t, id, rivertype.JobStateCompleted)
	if err := w.client.Ready(); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownOutcomeAsksAgainAndDoesNotCount(t *testing.T) {
	t.Parallel()
	lost := jobs.Unknown(errors.New("time-out"))
	w := setup(t, pgtest.Open(t, "wallet", fstest.MapFS{}).Pool, lost, lost)
	w.run(t)
	id := w.insert(t)
	first, second, third := w.next(t), w.next(t), w.next(t)
	if d := second.at.Sub(first.at); d < 700*time.Millisecond {
		t.Errorf("asked again after %s, want about 1 s", d)
	}
	if d := third.at.Sub(second.at); d < 1500*time.Millisecond {
		t.Errorf("asked a third time after %s, want about 2 s", d)
	}
	row := w.waitState(t, id, rivertype.JobStateCompleted)
	if row.Attempt != 1 || len(row.Errors) != 0 {
		t.Fatalf("attempt %d, errors %v", row.Attempt, row.Errors)
	}
}

func TestFailureIsRetriedSoon(t *testing.T) {
	t.Parallel()
	w := setup(t, pgtest.Open(t, "wallet", fstest.MapFS{}).Pool, errors.New("broken"))
	w.run(t)
	id := w.insert(t)
	if first, second := w.next(t), w.next(t); second.at.Sub(first.at) > 8*time.Second {
		t.Errorf("retried after %s", second.at.Sub(first.at))
	}
	if row := w.waitState(t, id, rivertype.JobStateCompleted); row.Attempt != 2 || len(row.Errors) != 1 {
		t.Fatalf("attempt %d, errors %v", row.Attempt, row.Errors)
	}
}

func TestMoneyJobIsNeverDiscarded(t *testing.T) {
	t.Parallel()
	w := setup(t, pgtest.Open(t, "wallet", fstest.MapFS{}).Pool, errors.New("broken"))
	id := w.insert(t)
	if _, err := w.pool.Exec(t.Context(), `UPDATE river_job SET attempt = max_attempts - 1 WHERE id = $1`, id); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	w.next(t)
	row := w.waitState(t, id, rivertype.JobStateScheduled)
	if row.Attempt >= row.MaxAttempts || time.Until(row.ScheduledAt) > jobs.MaxWait {
		t.Fatalf("attempt %d of %d, scheduled in %s", row.Attempt, row.MaxAttempts, time.Until(row.ScheduledAt))
	}
}

func TestRolledBackJobNeverRuns(t *testing.T) {
	t.Parallel()
	w := setup(t, pgtest.Open(t, "wallet", fstest.MapFS{}).Pool)
	refused := errors.New("refused")
	err := pg.InTx(t.Context(), w.pool, func(tx pgx.Tx) error {
		if _, err := w.client.InsertTx(t.Context(), tx, payArgs{ID: "ghost"}, nil); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	w.run(t)
	id := w.insert(t)
	if a := w.next(t); a.row.ID != id {
		t.Fatalf("job %d ran, want %d", a.row.ID, id)
	}
	w.waitState(t, id, rivertype.JobStateCompleted)
}

// TestLoopWaitsForTheDatabase starts the loop while nothing listens at the database's address.
func TestLoopWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "wallet", fstest.MapFS{})
	real, err := url.Parse(db.AppURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	detour := *real
	detour.Host = address
	pool, err := pg.Open(t.Context(), detour.String(), pg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)

	w := setup(t, pool)
	w.run(t)
	if err := w.client.Ready(); err == nil {
		t.Fatal("ready without a database")
	}
	forward(t, address, real.Host)
	inserter := setup(t, db.Pool)
	inserter.insert(t)
	w.next(t)
}

// forward makes target reachable at address until the test ends.
func forward(t testing.TB, address, target string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
			go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
		}
	}()
}
