package approve

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
)

// Purposes of keys. They are part of stored data: never change one.
const (
	payloadPurpose  = "approval.payload:"
	reasonPurpose   = "approval.reason:"
	decisionPurpose = "approval.decision:"
	digestPurpose   = "approval digest"
)

var errPayload = errors.New("payload does not fit its schema")

// digest is a keyed hash, because a payload may be a thing that can be guessed.
func digest(key []byte, a Approval) string {
	h := hmac.New(sha256.New, key)
	for _, part := range []string{a.ID.String(), a.Action, a.ObjectType, a.ObjectID, string(a.Payload)} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// genuine says whether the row is still what was proposed, under the current key or one before.
func (d *Desk) genuine(a Approval) bool {
	for _, key := range append([][]byte{d.Sealer.Derive(digestPurpose)}, d.Sealer.DerivePrevious(digestPurpose)...) {
		if hmac.Equal([]byte(digest(key, a)), []byte(a.Digest)) {
			return true
		}
	}
	return false
}

const columns = `id, action, object_type, object_id, payload_sealed, digest, reason_sealed, maker, made_at, expires_at, state, checker,
	decided_at`

// opener opens rows as they stand at a time: one that is open past its own is expired, marked or not.
func (d *Desk) opener(now time.Time) pgx.RowToFunc[Approval] {
	return func(row pgx.CollectableRow) (Approval, error) {
		a, err := d.scan(row)
		if a.State == Open && !now.Before(a.ExpiresAt) {
			a.State = Expired
		}
		return a, err
	}
}

func (d *Desk) scan(row pgx.CollectableRow) (Approval, error) {
	var a Approval
	var payload, reason []byte
	err := row.Scan(&a.ID, &a.Action, &a.ObjectType, &a.ObjectID, &payload, &a.Digest, &reason, &a.Maker, &a.MadeAt, &a.ExpiresAt, &a.State,
		&a.Checker, &a.DecidedAt)
	if err != nil {
		return a, err
	}
	if a.Payload, err = d.Sealer.Open(payloadPurpose+a.ID.String(), payload); err != nil {
		return a, fmt.Errorf("open approval %s: %w", a.ID, err)
	}
	words, err := d.Sealer.Open(reasonPurpose+a.ID.String(), reason)
	if err != nil {
		return a, fmt.Errorf("open approval %s: %w", a.ID, err)
	}
	a.Reason, a.MadeAt, a.ExpiresAt = string(words), a.MadeAt.UTC(), a.ExpiresAt.UTC()
	if a.DecidedAt != nil {
		*a.DecidedAt = a.DecidedAt.UTC()
	}
	return a, nil
}

func (d *Desk) lock(ctx context.Context, tx pgx.Tx, id uuid.UUID, now time.Time) (Approval, Action, error) {
	rows, err := tx.Query(ctx, "SELECT "+columns+" FROM approvals WHERE id = $1 FOR UPDATE", id)
	if err != nil {
		return Approval{}, Action{}, fmt.Errorf("lock approval: %w", err)
	}
	a, err := pgx.CollectExactlyOneRow(rows, d.opener(now))
	if errors.Is(err, pgx.ErrNoRows) {
		return a, Action{}, fault.ErrNotFound
	}
	if err != nil {
		return a, Action{}, fmt.Errorf("lock approval: %w", err)
	}
	action, known := d.actions[a.Action]
	if !known {
		return a, action, fmt.Errorf("approval %s is for %q, which this version does not know", a.ID, a.Action)
	}
	return a, action, nil
}

// List returns a page of the requests that the caller may propose or approve, the newest first, and the cursor of the next page. Who reads
// it is audited. operation is the contract's, for the cursor.
func (d *Desk) List(ctx context.Context, pool *pgxpool.Pool, operation, state string, in page.Request) ([]Approval, *string, error) {
	names, err := d.visible(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, d.pages, operation, in, state)
	if err != nil {
		return nil, nil, err
	}
	now := d.Now()
	var out []Approval
	err = pg.InTx(ctx, pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT "+columns+` FROM approvals
			WHERE action = ANY($1) AND id < $2
				AND ($3 = '' OR $3 = CASE WHEN state = 'open' AND expires_at <= $4 THEN 'expired' ELSE state END)
			ORDER BY id DESC LIMIT $5`, names, p.From(uuid.Max), state, now, p.Size+1)
		if err != nil {
			return fmt.Errorf("list approvals: %w", err)
		}
		if out, err = pgx.CollectRows(rows, d.opener(now)); err != nil {
			return fmt.Errorf("list approvals: %w", err)
		}
		return audit.Record(ctx, tx, now, audit.Entry{Action: "approvals.read", ObjectType: "approval", ObjectID: "list"})
	})
	if err != nil {
		return nil, nil, err
	}
	out, next := page.Cut(p, out, func(a Approval) uuid.UUID { return a.ID })
	return out, next, nil
}

// expire ends open requests whose time is over, of those that where selects ($1 is the time), and returns how many.
func (d *Desk) expire(ctx context.Context, tx pgx.Tx, now time.Time, where string, args ...any) (int, error) {
	return d.end(ctx, tx, `UPDATE approvals SET state = 'expired', decided_at = $1
		WHERE id IN (SELECT id FROM approvals WHERE state = 'open' AND expires_at <= $1 AND `+where+` ORDER BY expires_at LIMIT 100
			FOR UPDATE SKIP LOCKED)`, append([]any{now}, args...)...)
}

// Withdraw ends a maker's open requests, in the transaction that takes the right to propose. held are the scopes that the maker has now:
// requests that they may still make stay. With none, all end: whoever was suspended because somebody else acted for them leaves nothing
// behind that a colleague could approve.
func (d *Desk) Withdraw(ctx context.Context, tx pgx.Tx, maker uuid.UUID, held ...string) error {
	var kept []string
	for name, a := range d.actions {
		if slices.Contains(held, a.Propose) {
			kept = append(kept, name)
		}
	}
	_, err := d.end(ctx, tx, `UPDATE approvals SET state = 'withdrawn', decided_at = $1
		WHERE state = 'open' AND maker = $2 AND NOT action = ANY (coalesce($3, '{}'::text[]))`, d.Now(), maker, kept)
	return err
}

// HearUser is a handler of user.status_changed and user.role_changed, for services whose approvals staff propose: a suspended person's
// requests end, and those beyond the scopes of a new role. A late event of a role does not end what was proposed by right of it.
func (d *Desk) HearUser(ofRole func(role string) []string) event.Handler {
	return func(ctx context.Context, tx pgx.Tx, e event.Event) error {
		var p struct {
			UserID uuid.UUID `json:"user_id"`
			Status string    `json:"status"`
			Role   string    `json:"role"`
		}
		if json.Unmarshal(e.Data, &p) != nil || p.UserID == uuid.Nil || p.Status == "" && p.Role == "" {
			return event.Refuse(errPayload)
		}
		switch {
		case p.Status == "suspended":
			return d.Withdraw(ctx, tx, p.UserID)
		case p.Role != "":
			return d.Withdraw(ctx, tx, p.UserID, ofRole(p.Role)...)
		}
		return nil
	}
}

// end runs a statement that ends requests, and tells of each.
func (d *Desk) end(ctx context.Context, tx pgx.Tx, update string, args ...any) (int, error) {
	rows, err := tx.Query(ctx, update+" RETURNING id, action, object_type, object_id, state", args...)
	if err != nil {
		return 0, fmt.Errorf("end approvals: %w", err)
	}
	over, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (a Approval, err error) {
		return a, row.Scan(&a.ID, &a.Action, &a.ObjectType, &a.ObjectID, &a.State)
	})
	if err != nil {
		return 0, fmt.Errorf("end approvals: %w", err)
	}
	for _, a := range over {
		if err := d.tell(ctx, tx, a, a.State); err != nil {
			return 0, err
		}
	}
	return len(over), nil
}

// Expire marks the requests that nobody decided in time, and publishes their end. Whether it runs or not, they can no longer be approved.
func (d *Desk) Expire(ctx context.Context, db pg.Beginner) (n int, err error) {
	err = pg.InTx(ctx, db, func(tx pgx.Tx) error {
		n, err = d.expire(ctx, tx, d.Now(), "true")
		return err
	})
	return n, err
}

// ExpireLoop expires requests once a minute until ctx ends.
func (d *Desk) ExpireLoop(pool *pgxpool.Pool, log *slog.Logger) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		for {
			if _, err := d.Expire(ctx, pool); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "expire approvals", "err", err)
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Minute):
			}
		}
	}
}
