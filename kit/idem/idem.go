// Package idem keeps one effect per idempotency key (draft-ietf-httpapi-idempotency-key-header-07): the first request with a key does the
// work, a repeated one gets the stored result, another body under the same key is refused, and a twin of a running request is told to wait.
package idem

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/web"
)

// ReplayedHeader marks an answer that was stored earlier.
const ReplayedHeader = "Idempotency-Replayed"

// Keep is how long a key is remembered after its result is known.
const Keep = 7 * 24 * time.Hour

// Refusals of a key.
var (
	ErrKeyReused  = fault.New(fault.Unprocessable, "idempotency_key_reused", "This Idempotency-Key was already used for a different request.")
	ErrInProgress = fault.New(fault.Conflict, "request_in_progress",
		"The first request with this key is still running.").WithRetryAfter(time.Second)
	ErrMissing = fault.New(fault.Invalid, "idempotency_key_missing", "An Idempotency-Key header is required.")
)

// Mode says how a key lives.
type Mode struct{ location string }

// Once is for work that is one local transaction: twins wait on the row, at most for the pool's lock timeout, then get 409.
var Once = Mode{}

// Phased is for work with calls in between: the row is committed as running, and location is where a twin can read the outcome.
func Phased(location string) Mode { return Mode{location: location} }

// Key is one idempotency key of one principal and operation, with what was asked under it.
type Key struct {
	id                        uuid.UUID
	principal, operation, key string
	asked                     []byte
	err                       error
}

// NewKey reads the principal from ctx. parts are the path parameters and the body; their JSON is what a repeated request must equal.
func NewKey(ctx context.Context, operation, header string, parts ...any) Key {
	k := Key{id: uuid.Must(uuid.NewV7()), principal: auth.From(ctx).Key(), operation: operation, key: header}
	if header == "" || k.principal == "" {
		k.err = ErrMissing
		return k
	}
	k.asked, k.err = json.Marshal(parts)
	return k
}

// ID is the row's id once Begin has returned nil; a job finishes the key by it.
func (k Key) ID() uuid.UUID { return k.id }

// Stored is the result of the first request.
type Stored struct {
	Status int
	result []byte
}

// Decode fills v with the stored result.
func (s *Stored) Decode(v any) error { return json.Unmarshal(s.result, v) }

// Err returns the stored refusal, or nil if the first request succeeded.
func (s *Stored) Err() error {
	if s.Status < 400 {
		return nil
	}
	var f fault.Error
	if err := json.Unmarshal(s.result, &f); err != nil {
		return fmt.Errorf("read stored refusal: %w", err)
	}
	return &f
}

// Store keeps keys in the table idempotency_keys of the service's database.
type Store struct {
	macs   [][]byte // the current one first
	sealer *seal.Sealer
	now    func() time.Time
}

// macPurpose names the key of fingerprints. It is part of stored data: never change it.
const macPurpose = "idempotency"

// New makes a store. Fingerprints are made under a key of the sealer: a plain hash of a PIN or a phone number could be guessed. The
// sealer's previous keys know those that were made before a rotation.
func New(sealer *seal.Sealer, now func() time.Time) *Store {
	macs := append([][]byte{sealer.Derive(macPurpose)}, sealer.DerivePrevious(macPurpose)...)
	return &Store{macs: macs, sealer: sealer, now: now}
}

// sameRequest says whether a stored fingerprint, made under any of the keys, is that of k.
func (s *Store) sameRequest(stored []byte, k Key) bool {
	for _, mac := range s.macs {
		if hmac.Equal(stored, fingerprint(mac, k)) {
			return true
		}
	}
	return false
}

func fingerprint(mac []byte, k Key) []byte {
	h := hmac.New(sha256.New, mac)
	_, _ = fmt.Fprintf(h, "%d:%s", len(k.operation), k.operation)
	_, _ = h.Write(k.asked)
	return h.Sum(nil)
}

// Begin claims the key inside tx. nil means that the caller does the work and calls Finish; a Stored is the result of the first
// request, to be answered again. It answers ErrKeyReused, or ErrInProgress with the place of the running request.
func (s *Store) Begin(ctx context.Context, tx pgx.Tx, k Key, m Mode) (*Stored, error) {
	tag, err := s.Claim(ctx, tx, k, m)
	return s.Claimed(ctx, tx, k, tag, err)
}

// Find is Begin without a claim, for work that must ask a peer first: the result of the first request, or nil when there is none yet, which
// Begin then has to decide. It answers ErrKeyReused or ErrInProgress like Begin.
func (s *Store) Find(ctx context.Context, db Queryer, k Key) (*Stored, error) {
	if k.err != nil {
		return nil, k.err
	}
	stored, err := s.stored(ctx, db, k)
	if errors.Is(err, errNoKey) {
		return nil, nil
	}
	return stored, err
}

// Claim is the first half of Begin, for a pipeline that sends the claim together with what comes after it: its answer goes to Claimed.
// The statements after it must be harmless when the key turns out to be taken.
func (s *Store) Claim(ctx context.Context, tx Execer, k Key, m Mode) (pgconn.CommandTag, error) {
	if k.err != nil {
		return pgconn.CommandTag{}, k.err
	}
	return tx.Exec(ctx, `INSERT INTO idempotency_keys (id, principal, operation, key, fingerprint, location, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT ON CONSTRAINT idempotency_keys_once DO NOTHING`,
		k.id, k.principal, k.operation, k.key, fingerprint(s.macs[0], k), m.location, s.now())
}

// Claimed is the second half of Begin; tag and err are the answer of Claim's statement.
func (s *Store) Claimed(ctx context.Context, tx pgx.Tx, k Key, tag pgconn.CommandTag, err error) (*Stored, error) {
	if k.err != nil {
		return nil, k.err
	}
	if pg.IsLockTimeout(err) {
		return nil, ErrInProgress
	}
	if err != nil {
		return nil, fmt.Errorf("claim idempotency key: %w", err)
	}
	if tag.RowsAffected() == 1 {
		return nil, nil
	}
	stored, err := s.stored(ctx, tx, k)
	if errors.Is(err, errNoKey) {
		return nil, ErrInProgress // the first one rolled back between the two statements: the caller's next try claims the key
	}
	return stored, err
}

// Queryer is a pool or a transaction.
type Queryer interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

var errNoKey = errors.New("no such idempotency key")

func (s *Store) stored(ctx context.Context, db Queryer, k Key) (*Stored, error) {
	var (
		id       uuid.UUID
		first    []byte
		location string
		status   *int
		sealed   []byte
	)
	err := db.QueryRow(ctx, `SELECT id, fingerprint, location, status, result FROM idempotency_keys WHERE principal = $1 AND operation = $2
		AND key = $3`,
		k.principal, k.operation, k.key).Scan(&id, &first, &location, &status, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, errNoKey
	}
	if err != nil {
		return nil, fmt.Errorf("read idempotency key: %w", err)
	}
	if !s.sameRequest(first, k) {
		return nil, ErrKeyReused
	}
	if status == nil {
		return nil, ErrInProgress.WithLocation(location)
	}
	result, err := s.sealer.Open(purpose(id), sealed)
	if err != nil {
		return nil, fmt.Errorf("open stored result: %w", err)
	}
	web.ResponseHeader(ctx).Set(ReplayedHeader, "true")
	return &Stored{Status: *status, result: result}, nil
}

// Finish stores the result and its HTTP status in the transaction that ends the operation.
func (s *Store) Finish(ctx context.Context, tx pgx.Tx, k Key, status int, result any) error {
	return s.FinishByID(ctx, tx, k.id, status, result)
}

// FinishByID is Finish for a job that finishes somebody else's key. A key that is finished already stays as it is.
func (s *Store) FinishByID(ctx context.Context, tx pgx.Tx, id uuid.UUID, status int, result any) error {
	sealed, err := s.sealed(id, result)
	if err != nil {
		return err
	}
	if _, err = tx.Exec(ctx, `UPDATE idempotency_keys SET status = $2, result = $3, finished_at = $4
		WHERE id = $1 AND status IS NULL`, id, status, sealed, s.now()); err != nil {
		return fmt.Errorf("finish idempotency key: %w", err)
	}
	return nil
}

func purpose(id uuid.UUID) string { return "idem:" + id.String() }

// Sweep deletes keys that were finished longer than Keep ago, at most 1,000 at a time, and returns how many.
func Sweep(ctx context.Context, pool *pgxpool.Pool, now time.Time) (int64, error) {
	tag, err := pool.Exec(
		ctx, `DELETE FROM idempotency_keys WHERE id IN (SELECT id FROM idempotency_keys WHERE created_at < $1 AND finished_at < $1 LIMIT 1000)`,
		now.Add(-Keep))
	if err != nil {
		return 0, fmt.Errorf("sweep idempotency keys: %w", err)
	}
	return tag.RowsAffected(), nil
}

// SweepLoop sweeps once an hour until ctx ends; every service that takes keys runs it.
func SweepLoop(pool *pgxpool.Pool, now func() time.Time, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for {
			if n, err := Sweep(ctx, pool, now()); err != nil {
				log.WarnContext(ctx, "sweep idempotency keys", "err", err)
			} else if n == 1000 {
				continue
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Hour):
			}
		}
	}
}
