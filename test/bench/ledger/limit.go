package main

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/sendtip/sendtip/kit/pg"
)

const (
	bulkSchema      = "bench_bulk"
	bulkRows        = 10_000 // ledger transactions per database transaction
	bulkConnections = 2
	bulkSamples     = 1_000
)

// bulkTables get one row per ledger transaction each.
var bulkTables = []string{"transactions", "postings", "ledger_references"}

// sample is real rows of a table, as the ledger has just written them.
type sample struct {
	table   string
	columns []string
	rows    [][]any
}

// bulkLimit is how many ledger transactions per second PostgreSQL takes when the same rows, with the same indexes and constraints, come by
// COPY in large transactions: nobody decides anything, no account is locked or updated, and nobody waits for an answer.
func (w *world) bulkLimit(ctx context.Context, f *field) (b baseline, err error) {
	seconds := choose(w.o.quick, 4, 10)
	say("bulk load, %d s", seconds)
	samples, err := w.samples(ctx)
	if err != nil {
		return b, err
	}
	drop := func() error {
		_, err := w.admin.Exec(context.WithoutCancel(ctx), "DROP SCHEMA IF EXISTS "+bulkSchema+" CASCADE")
		return err
	}
	if err := drop(); err != nil { // of a run that was killed
		return b, fmt.Errorf("make the bulk tables: %w", err)
	}
	defer func() { err = errors.Join(err, drop()) }()
	if _, err := w.admin.Exec(ctx, "CREATE SCHEMA "+bulkSchema); err != nil {
		return b, fmt.Errorf("make the bulk tables: %w", err)
	}
	for _, t := range bulkTables {
		if _, err := w.admin.Exec(ctx, fmt.Sprintf("CREATE TABLE %s.%s (LIKE public.%s INCLUDING ALL)", bulkSchema, t, t)); err != nil {
			return b, fmt.Errorf("make the bulk tables: %w", err)
		}
	}
	if err := w.checkpoint(ctx); err != nil {
		return b, err
	}
	var loaded int64
	b.took, b.others, err = w.watchOthers(ctx, func() error {
		var err error
		loaded, err = w.bulkLoad(ctx, samples, f, time.Duration(seconds)*time.Second)
		return err
	})
	b.perSecond = float64(loaded) / max(1, b.took.Seconds())
	return b, err
}

// bulkLoad fills the tables for so long and returns how many ledger transactions it committed.
func (w *world) bulkLoad(ctx context.Context, samples []sample, f *field, length time.Duration) (int64, error) {
	var loaded atomic.Int64
	started := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for n := range bulkConnections {
		group.Go(func() error {
			s := newSource(samples, f, n)
			for time.Since(started) < length {
				if err := s.load(ctx, w); err != nil {
					return err
				}
				loaded.Add(bulkRows)
			}
			return nil
		})
	}
	err := group.Wait()
	return loaded.Load(), err
}

// samples reads rows of the ledger, so that the limit keeps meaning the same when its tables change.
func (w *world) samples(ctx context.Context) (out []sample, err error) {
	for _, t := range bulkTables {
		s := sample{table: t}
		rows, err := w.admin.Query(ctx, fmt.Sprintf("SELECT * FROM %s ORDER BY recorded_at DESC LIMIT %d", t, bulkSamples))
		if err != nil {
			return nil, fmt.Errorf("read sample rows: %w", err)
		}
		for _, d := range rows.FieldDescriptions() {
			s.columns = append(s.columns, d.Name)
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				return nil, fmt.Errorf("read sample rows: %w", err)
			}
			s.rows = append(s.rows, values)
		}
		if err := rows.Err(); err != nil {
			return nil, fmt.Errorf("read sample rows: %w", err)
		}
		if len(s.rows) == 0 {
			return nil, fmt.Errorf("read sample rows: %s is empty", t)
		}
		out = append(out, s)
	}
	return out, nil
}

// source makes new rows of the samples' shape for one connection.
type source struct {
	samples   []sample
	f         *field
	sequences map[int]int64
	ids       [][16]byte // of one database transaction
	refs      []string
}

func newSource(samples []sample, f *field, connection int) *source {
	s := &source{f: f, sequences: map[int]int64{}, ids: make([][16]byte, bulkRows), refs: make([]string, bulkRows)}
	for _, x := range samples {
		own := sample{table: x.table, columns: x.columns}
		for _, row := range x.rows { // a copy: rows are filled in in place
			row = slices.Clone(row)
			for i, v := range row {
				if b, ok := v.([]byte); ok {
					row[i] = bytes.Clone(b)
				}
			}
			own.rows = append(own.rows, row)
		}
		s.samples = append(s.samples, own)
	}
	for i := range f.accounts {
		s.sequences[i] = int64(connection) << 40 // two connections never take the same number
	}
	return s
}

func (s *source) load(ctx context.Context, w *world) error {
	for i := range s.ids {
		id := uuid.Must(uuid.NewV7())
		s.ids[i], s.refs[i] = id, string(appendUUID(nil, uuid.Must(uuid.NewV7())))+":post"
	}
	return pg.InTx(ctx, w.admin, func(tx pgx.Tx) error {
		for _, t := range s.samples {
			n := 0
			_, err := tx.CopyFrom(ctx, pgx.Identifier{bulkSchema, t.table}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
				if n == bulkRows {
					return nil, nil
				}
				row := t.rows[n%len(t.rows)]
				s.fill(t.columns, row, n)
				n++
				return row, nil
			}))
			if err != nil {
				return fmt.Errorf("copy into %s: %w", t.table, err)
			}
		}
		return nil
	})
}

// fill gives a sample row its own ids, accounts and hashes; all else stays as it was.
func (s *source) fill(columns []string, row []any, n int) {
	a, b := rand.IntN(len(s.f.accounts)), rand.IntN(len(s.f.accounts)-1) // #nosec G404 -- a load, no secret
	if b >= a {
		b++
	}
	for i, name := range columns {
		switch name {
		case "id", "transaction_id":
			row[i] = s.ids[n]
		case "reference":
			row[i] = s.refs[n]
		case "source_id":
			row[i] = [16]byte(s.f.accounts[a].id)
		case "destination_id":
			row[i] = [16]byte(s.f.accounts[b].id)
		case "source_sequence":
			s.sequences[a]++
			row[i] = s.sequences[a]
		case "destination_sequence":
			s.sequences[b]++
			row[i] = s.sequences[b]
		case "body_hash", "salt":
			random, _ := row[i].([]byte)
			_, _ = crand.Read(random) // it never fails
		}
	}
}
