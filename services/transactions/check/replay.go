package check

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// Kind says what was done to a row.
type Kind string

// The kinds.
const (
	Altered   Kind = "altered"
	Deleted   Kind = "deleted"
	Inserted  Kind = "inserted"
	Reordered Kind = "reordered"
	TailCut   Kind = "tail cut"  // a checkpoint from outside covers more leaves than there are
	Rewritten Kind = "rewritten" // the tree is not the one that was signed, though its rows agree with it
	Signature Kind = "signature" // a checkpoint is not signed by a known key
	Broken    Kind = "broken"    // an invariant of the balances does not hold
)

// Finding is one row that is not what the ledger wrote.
type Finding struct {
	Kind   Kind
	Table  string // "" for an invariant, and for checkpoints from outside
	Key    string // of the row: "transaction <id>", "posting <id>/<position>", "reference <r>", "batch <id>", …
	Index  int64  // of the leaf; -1 where there is none
	Detail string // a sentence
}

// String returns the finding in one line.
func (f Finding) String() string {
	s := string(f.Kind) + ": " + strings.TrimSpace(f.Table+" "+f.Key)
	if f.Index >= 0 {
		s += fmt.Sprintf(" (index %d)", f.Index)
	}
	return s + ": " + f.Detail
}

// Options of a replay.
type Options struct {
	Workers int // connections, at most the pool's less one; 0: one per core
	// public keys that are known to be the ledger's, as proof.Key.VerifierKey; none: those of the table signing_keys
	Keys        []string
	Checkpoints [][]byte                // notes that were kept outside the database
	Progress    func(done, total int64) // called from any goroutine, often; in transactions, of which each rule counts as some
}

// Report is what a replay found. Violations is empty if the ledger is what it was when it was written.
type Report struct {
	Transactions int64 // sealed and queued
	Postings     int64
	Sealed       int64 // leaves in the tree
	Queued       int64 // transactions that wait to be sealed
	Erased       int64 // transactions whose metadata was erased, with an audit row each
	Checkpoints  int64 // stored ones
	Outside      int   // checkpoints from outside
	StoredKeys   int64 // checkpoints that only a key of the table signing_keys vouches for
	Root         proof.Hash
	Newest       string // note of the newest stored checkpoint
	Took         time.Duration
	Violations   []Finding // in the order of the tree, then of tables and rules; at most 1,000
	Omitted      int64     // further ones
}

// workMem lets the rules sort and hash in memory where they can; each may take it a few times over.
const workMem = "192MB"

// Replay recomputes the whole ledger from its rows in one snapshot that all workers share, and names what does not fit.
func Replay(ctx context.Context, pool *pgxpool.Pool, o Options) (Report, error) {
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.NumCPU()
	}
	workers = max(1, min(workers, int(pool.Config().MaxConns)-1))
	var report Report
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := pgx.BeginTxFunc(ctx, pool, snapshot, func(leader pgx.Tx) error {
		dbs := []Querier{leader}
		var name string
		if err := leader.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&name); err != nil {
			return fmt.Errorf("export the snapshot: %w", err)
		}
		for len(dbs) < workers {
			tx, err := pool.BeginTx(ctx, snapshot)
			if err != nil {
				return fmt.Errorf("start a worker: %w", err)
			}
			defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it only reads
			if _, err := tx.Exec(ctx, "SET TRANSACTION SNAPSHOT '"+name+"'"); err != nil {
				return fmt.Errorf("share the snapshot: %w", err)
			}
			dbs = append(dbs, tx)
		}
		var err error
		report, err = replay(ctx, dbs, o)
		return err
	})
	return report, err
}

// ReplayIn is Replay within the caller's transaction, whose snapshot must be REPEATABLE READ if others write at the same time. Planner
// settings that it changes are local to the transaction.
func ReplayIn(ctx context.Context, db Querier, o Options) (Report, error) {
	return replay(ctx, []Querier{db}, o)
}

// session is one worker's connection.
type session struct {
	db      Querier
	encoder proof.Encoder
	probes  bool // planner settings are those for look-ups by key
}

// run is the state of one replay, shared by its workers.
type run struct {
	Options
	keys     keyring
	spans    []span             // sealed batches by first index
	batches  map[int64]struct{} // ids of sealed batches
	sealed   int64              // sum of the sizes
	started  time.Time
	total    int64
	done     atomic.Int64
	counts   counts
	notes    []checkpoint // from outside
	diagnose atomic.Int64 // how many suspects may still be looked at closely

	mu       sync.Mutex
	suspects []suspect
	doubted  map[string]doubts // by the row that may have been changed
	findings []Finding
	named    map[string]bool // keys of findings
	omitted  int64
}

// counts are rows that were found where they belong.
type counts struct{ transactions, postings, holds, metadata, erased, queued atomic.Int64 }

type task func(ctx context.Context, s *session) error

func replay(ctx context.Context, dbs []Querier, o Options) (Report, error) {
	r := &run{Options: o, started: clock.Monotonic(), named: map[string]bool{}, doubted: map[string]doubts{}, batches: map[int64]struct{}{}}
	r.diagnose.Store(200)
	sessions := make([]*session, len(dbs))
	for i, db := range dbs {
		sessions[i] = &session{db: db}
		if err := exec(ctx, db, "SELECT set_config('work_mem', $1, true), set_config('jit', 'off', true), set_config('statement_timeout', '0', "+
			"true), set_config('idle_in_transaction_session_timeout', '0', true)", workMem); err != nil {
			return Report{}, err
		}
	}
	leader := sessions[0]
	if err := r.prepare(ctx, leader); err != nil {
		return Report{}, err
	}
	built := &building{}
	tasks := []task{func(ctx context.Context, s *session) (err error) {
		*built, err = r.build(ctx, s, byIndex, nil)
		return err
	}}
	broken := make([][]Violation, len(rules))
	for i := range rules { // the slow ones early, beside the chunks
		tasks = append(tasks, func(ctx context.Context, s *session) (err error) {
			if err = s.scan(ctx); err == nil {
				broken[i], err = violations(ctx, s.db, rules[i])
			}
			r.step(r.ruleWeight())
			return err
		})
	}
	for _, c := range chunks(r.spans) {
		tasks = append(tasks, func(ctx context.Context, s *session) error { return r.chunk(ctx, s, c) })
	}
	tasks = append(tasks, r.queue)
	if err := work(ctx, sessions, tasks); err != nil {
		return Report{}, err
	}
	return r.conclude(ctx, leader, built, broken)
}

// work lets every session take tasks until none is left or one fails.
func work(ctx context.Context, sessions []*session, tasks []task) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, s := range sessions {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(tasks) {
					return
				}
				if err := tasks[n](ctx, s); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// conclude compares what the workers found with what stands for the whole: tree, checkpoints, numbers of rows, rules.
func (r *run) conclude(ctx context.Context, s *session, b *building, broken [][]Violation) (Report, error) {
	if err := s.probe(ctx); err != nil {
		return Report{}, err
	}
	state, err := r.treeRow(ctx, s)
	if err != nil {
		return Report{}, err
	}
	for _, step := range []func(context.Context, *session, *building, *treeState) error{r.order, r.settle, r.tree, r.nodes, r.checkpoints,
		r.strangers} {
		if err := step(ctx, s, b, &state); err != nil {
			return Report{}, err
		}
	}
	r.fromOutside(b)
	r.sort()
	for _, list := range broken {
		for _, v := range list {
			r.add(v.finding())
		}
	}
	if n := len(r.findings) - maxFindings; n > 0 {
		r.findings, r.omitted = r.findings[:maxFindings], r.omitted+int64(n)
	}
	if r.Progress != nil {
		r.Progress(r.total, r.total)
	}
	return Report{Transactions: r.counts.transactions.Load(), Postings: r.counts.postings.Load(), Sealed: r.sealed,
		Queued: r.counts.queued.Load(),
		Erased: r.counts.erased.Load(), Checkpoints: state.checkpoints, Outside: len(r.Checkpoints), StoredKeys: r.keys.stored, Root: b.root,
		Newest: state.newest, Took: clock.Monotonic().Sub(r.started), Violations: r.findings, Omitted: r.omitted}, nil
}

// sort puts findings in the order of the tree; those without a leaf come last, as they were found.
func (r *run) sort() {
	place := func(f Finding) uint64 { return uint64(f.Index) } // #nosec G115 -- -1 becomes the largest
	slices.SortStableFunc(r.findings, func(a, b Finding) int { return cmp.Compare(place(a), place(b)) })
}

// maxFindings bounds what is kept of them.
const maxFindings = 1000

func (r *run) add(f Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	same := string(f.Kind) + f.Table + " " + f.Key
	if f.Kind != Broken && r.named[same] {
		return // the row is named already
	}
	r.named[same], r.named[f.Key] = true, true
	if len(r.findings) >= 4*maxFindings { // workers are not in order: the first ones must not be lost
		r.sort()
		r.omitted += int64(len(r.findings) - maxFindings)
		r.findings = r.findings[:maxFindings]
	}
	r.findings = append(r.findings, f)
}

func (r *run) isNamed(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.named[key]
}

// ruleWeight is how many transactions one rule counts as in the progress.
func (r *run) ruleWeight() int64 { return r.sealed/int64(len(rules)) + 1 }

func (r *run) step(n int64) {
	done := r.done.Add(n)
	if r.Progress != nil {
		r.Progress(min(done, r.total), r.total)
	}
}

// probe sets the planner to look-ups by key: without fresh statistics it would read whole tables for each chunk.
func (s *session) probe(ctx context.Context) error { return s.plan(ctx, true) }

// scan sets the planner back.
func (s *session) scan(ctx context.Context) error { return s.plan(ctx, false) }

func (s *session) plan(ctx context.Context, probes bool) error {
	if s.probes == probes {
		return nil
	}
	s.probes = probes
	value := "on"
	if probes {
		value = "off"
	}
	return exec(ctx, s.db, "SELECT set_config('enable_seqscan', $1, true), set_config('enable_hashjoin', $1, true), "+
		"set_config('enable_mergejoin', $1, true)", value)
}

func exec(ctx context.Context, db Querier, sql string, args ...any) error {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

// query reads all rows into one slice.
func query[T any](ctx context.Context, db Querier, scan func(row pgx.CollectableRow, to *T) error, sql string, args ...any) ([]T, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (v T, err error) {
		return v, scan(row, &v)
	})
}

func transactionKey(id uuid.UUID) string { return "transaction " + id.String() }

func postingKey(id uuid.UUID, position int) string { return fmt.Sprintf("posting %s/%d", id, position) }
