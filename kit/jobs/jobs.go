// Package jobs owns how services run River: one set of settings, retries that suit money, and jobs that act as their
// service. Jobs are inserted in the business transaction (client.InsertTx) and live in the service's own database.
//
// Money jobs are never given up: an unknown outcome is a snooze (Unknown), a failure is retried at most 60 s later, and
// the limit of attempts is out of reach.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/clock"
)

const (
	// MoneyAttempts marks a job as a money job. It is the largest value of River's smallint column; shortly before it is
	// reached, failures turn into snoozes, which do not count.
	MoneyAttempts = 32767
	// MaxWait is the longest wait of a money job between two attempts.
	MaxWait = 60 * time.Second

	moneyAttemptsUsable = MoneyAttempts - 1000
	defaultWorkers      = 8
	jobTimeout          = 60 * time.Second
	softStop            = 20 * time.Second
	maxRestartWait      = 15 * time.Second
)

// Config says how a service runs its jobs.
type Config struct {
	Service string         // jobs act as `service:<Service>`
	Queues  map[string]int // jobs at a time by queue; nil means {"default": 8}
	Log     *slog.Logger
	Clock   *clock.Clock // when jobs are due; nil is the real time
}

// Client is River's client with this platform's settings.
type Client struct {
	*river.Client[pgx.Tx]

	log     *slog.Logger
	clock   *clock.Clock
	running atomic.Bool
}

// NewClient returns a client that inserts at once and works when its Loop runs. It does not connect. A job may run for
// 60 s; a worker that overrides Timeout must stay under two minutes, after which a job counts as lost and runs again.
func NewClient(pool *pgxpool.Pool, workers *river.Workers, cfg Config) (*Client, error) {
	if cfg.Service == "" {
		return nil, errors.New("jobs: the service's name is required")
	}
	if cfg.Queues == nil {
		cfg.Queues = map[string]int{river.QueueDefault: defaultWorkers}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	queues := make(map[string]river.QueueConfig, len(cfg.Queues))
	for name, workers := range cfg.Queues {
		queues[name] = river.QueueConfig{MaxWorkers: workers}
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:               queues,
		Workers:              workers,
		Logger:               slog.New(atLeast{cfg.Log.Handler(), slog.LevelWarn}),
		RetryPolicy:          retryPolicy{clock: cfg.Clock},
		Middleware:           []rivertype.Middleware{&actAsService{service: cfg.Service, log: cfg.Log}},
		FetchCooldown:        50 * time.Millisecond,
		FetchPollInterval:    time.Second, // LISTEN/NOTIFY brings jobs at once; this is for a lost notification
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: 2 * jobTimeout, // a killed process must not hold a money job for River's default hour
		SoftStopTimeout:      softStop,
		// Reindexing needs the owner of the tables, and a service is not: `sendtip migrate` does it.
		ReindexerSchedule: river.NeverSchedule(),
		Test:              river.TestConfig{Time: riverTime{cfg.Clock}},
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return &Client{Client: client, log: cfg.Log, clock: cfg.Clock}, nil
}

// Loop returns the service loop that works jobs until its context ends, lets running jobs finish (20 s) and returns nil.
// A database that is missing at the start is tried again.
func Loop(client *Client) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for attempt := 0; ctx.Err() == nil; attempt++ {
			if err := client.Start(ctx); err != nil {
				wait := min(250*time.Millisecond<<min(attempt, 10), maxRestartWait)
				client.log.WarnContext(ctx, "jobs cannot start, trying again", "retry_in_ms", wait.Milliseconds(), "err", err)
				select {
				case <-ctx.Done():
				case <-time.After(wait):
				}
				continue
			}
			client.running.Store(true)
			<-client.Stopped() // after ctx ended: River stops fetching, then waits for running jobs
			client.running.Store(false)
		}
		return nil
	}
}

// Ready returns nil while the client works jobs.
func (c *Client) Ready() error {
	if !c.running.Load() {
		return errors.New("jobs: not started")
	}
	return nil
}

// MoneyOpts are the insert options of a money job, for InsertOpts of its arguments.
func MoneyOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: MoneyAttempts} }

// Unknown says that the outcome of an outside call is not known: the job asks again after a wait that grows from 1 s to
// 60 s, for as long as it takes, and the attempt does not count.
func Unknown(err error) error {
	if err == nil {
		err = errors.New("no answer")
	}
	return &unknown{cause: err}
}

// IsUnknown reports whether err was made by Unknown.
func IsUnknown(err error) bool {
	var u *unknown
	return errors.As(err, &u)
}

type unknown struct{ cause error }

func (u *unknown) Error() string { return "outcome unknown: " + u.cause.Error() }

// Unwrap also shows a snooze, so that a client without this package's middleware treats the job alike.
func (u *unknown) Unwrap() []error {
	return []error{u.cause, &rivertype.JobSnoozeError{Duration: 15 * time.Second}}
}

// retryPolicy makes money jobs wait 1 s after the first failure, then twice as long each time, and never longer than 60 s. Others have
// River's, whose waits grow to days.
type retryPolicy struct {
	clock *clock.Clock
	other river.DefaultClientRetryPolicy
}

// NextRetry implements river.ClientRetryPolicy.
func (p retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	if isMoney(job) {
		return p.clock.Now().Add(wait(max(job.Attempt, 1)))
	}
	return p.other.NextRetry(job).Add(p.clock.Offset()) // River's reads the real time
}

// riverTime is the clock as River wants it. Now keeps the monotonic reading, since River measures with it. As long as nobody has moved
// the clock, River is told nothing, and asks the database: that is one time for all replicas, which decides who leads.
type riverTime struct{ clock *clock.Clock }

// Now implements rivertype.TimeGenerator.
func (t riverTime) Now() time.Time { return time.Now().Add(t.clock.Offset()) }

// NowOrNil implements rivertype.TimeGenerator.
func (t riverTime) NowOrNil() *time.Time {
	if t.clock.Offset() == 0 {
		return nil
	}
	now := t.clock.Now()
	return &now
}

func isMoney(job *rivertype.JobRow) bool { return job.MaxAttempts == MoneyAttempts }

// wait takes up to a fifth off, so that jobs that failed together do not come back together.
func wait(count int) time.Duration {
	d := min(time.Second<<min(count-1, 10), MaxWait)
	return d - time.Duration(rand.Int64N(int64(d)/5))
}

// actAsService gives each job a context of its own as the service's principal, reports failures, and turns unknown
// outcomes into snoozes.
type actAsService struct {
	river.MiddlewareDefaults

	service string
	log     *slog.Logger
}

// Work implements rivertype.WorkerMiddleware.
func (m *actAsService) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) error {
	ctx = auth.With(auth.WithoutDelegation(ctx), auth.Principal{Subject: "service:" + m.service, Operation: job.Kind})
	err := inner(ctx)
	var snoozed *rivertype.JobSnoozeError
	var cancelled *rivertype.JobCancelError
	switch {
	case err == nil:
		return nil
	case IsUnknown(err):
		after := wait(Snoozes(job) + 1)
		m.log.WarnContext(ctx, "outcome unknown, asking again", "job", job.ID, "kind", job.Kind,
			"retry_in_ms", after.Milliseconds(), "err", err)
		return river.JobSnooze(after)
	case errors.As(err, &snoozed), errors.As(err, &cancelled):
		return err
	}
	m.log.ErrorContext(ctx, "job failed", "job", job.ID, "kind", job.Kind, "attempt", job.Attempt, "err", err)
	if isMoney(job) && job.Attempt >= moneyAttemptsUsable {
		return river.JobSnooze(MaxWait) // never discarded
	}
	return err
}

// atLeast drops records below a level: River reports every start, stop and election.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
