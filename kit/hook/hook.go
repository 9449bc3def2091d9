// Package hook receives what providers send on their own: results, payments, reports. All webhooks go one way. The token in the path is
// checked; the body is kept as it came, sealed, once; the provider gets its 200; and a job judges later what the message means. Providers
// send once, or ever less often, so no message is refused for what it says.
package hook

import (
	"context"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"
)

// Address is where a provider calls. Providers hold it and rows are sealed under it: never change one that was released.
type Address struct {
	Path   string // before the token: /v1/hooks/ and two letters, because some providers refuse telling words in addresses
	Token  string // what the path's token is made for
	Sealed string // what bodies are sealed for, before the row's id
}

// Secret is the path with its token, to tell the provider. parts say what the token is good for (a row's id, a short code); Check must be
// given the same.
func (a Address) Secret(s *seal.Sealer, parts ...string) string {
	return a.Path + s.Token(a.Token, parts...)
}

// Hook receives at one address. It is safe for concurrent use.
type Hook struct {
	at      Address
	sealer  *seal.Sealer
	pool    *pgxpool.Pool
	queue   *jobs.Client
	refused prometheus.Counter
}

// New returns what receives at an address. refused counts the messages whose token is wrong.
func New(a Address, s *seal.Sealer, pool *pgxpool.Pool, queue *jobs.Client, refused prometheus.Counter) *Hook {
	return &Hook{at: a, sealer: s, pool: pool, queue: queue, refused: refused}
}

// Read reads a message to its end. The chain of the service bounds it (service.Own.MaxBody): what is larger is 413.
func Read(body io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return nil, fmt.Errorf("read webhook: %w", err)
	}
	return raw, nil
}

// Path is the path with its token, to tell the provider.
func (h *Hook) Path(parts ...string) string { return h.at.Secret(h.sealer, parts...) }

// Check compares the token of a request's path, in constant time. A wrong one is 404, as for what is not there.
func (h *Hook) Check(token string, parts ...string) error {
	if h.sealer.TokenMatches(token, h.at.Token, parts...) {
		return nil
	}
	h.refused.Inc()
	return fault.ErrNotFound
}

// Message is a body as it is kept.
type Message struct {
	ID     uuid.UUID // of its row
	Sealed []byte
}

// Keep seals a body whose token was checked, and stores it with the job that judges it in one transaction. store inserts the row and
// returns that job, or nil when there is nothing to judge: the message is known already, or nobody could read it. The provider is answered
// the same.
func (h *Hook) Keep(ctx context.Context, body []byte, store func(tx pgx.Tx, m Message) (river.JobArgs, error)) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("new id: %w", err)
	}
	sealed, err := h.sealer.Seal(h.purpose(id), body)
	if err != nil {
		return fmt.Errorf("seal webhook: %w", err)
	}
	return pg.InTx(ctx, h.pool, func(tx pgx.Tx) error {
		judge, err := store(tx, Message{ID: id, Sealed: sealed})
		if err != nil {
			return fmt.Errorf("store webhook: %w", err)
		}
		if judge == nil {
			return nil
		}
		if _, err := h.queue.InsertTx(ctx, tx, judge, nil); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		return nil
	})
}

// Open returns the body of a row, as it came.
func (h *Hook) Open(id uuid.UUID, sealed []byte) ([]byte, error) {
	body, err := h.sealer.Open(h.purpose(id), sealed)
	if err != nil {
		return nil, fmt.Errorf("open webhook %s: %w", id, err)
	}
	return body, nil
}

func (h *Hook) purpose(id uuid.UUID) string { return h.at.Sealed + id.String() }
