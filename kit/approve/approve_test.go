package approve_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
)

const schema = `-- +goose Up
CREATE TABLE prices (name text PRIMARY KEY, price integer NOT NULL, approval uuid NOT NULL UNIQUE);
GRANT UPDATE ON prices TO kit_app;
`

type price struct {
	Price int `json:"price"`
}

type world struct {
	t    *testing.T
	db   *pgtest.DB
	desk *approve.Desk

	mu      sync.Mutex
	now     time.Time
	failing error // of Apply
}

func setup(t *testing.T) *world {
	t.Helper()
	sealer, err := seal.New(bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: pgtest.Open(t, "kit", fstest.MapFS{"00001_prices.sql": {Data: []byte(schema)}}),
		now: time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)}
	w.desk = w.deskWith(sealer)
	return w
}

func (w *world) deskWith(sealer *seal.Sealer) *approve.Desk {
	return approve.New(approve.Config{Service: "kit", Sealer: sealer, Now: w.clock, Actions: []approve.Action{
		{Name: "price.change", Propose: "prices", Approve: "prices:approve", Apply: w.apply},
		{Name: "other.change", Propose: "others", Approve: "others:approve", Apply: w.apply},
	}})
}

func (w *world) apply(ctx context.Context, tx pgx.Tx, a approve.Approval) error {
	var p price
	if err := a.Decode(&p); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO prices (name, price, approval) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET price = EXCLUDED.price, approval = EXCLUDED.approval`, a.ObjectID, p.Price, a.ID)
	w.mu.Lock()
	defer w.mu.Unlock()
	return errors.Join(err, w.failing)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(d time.Duration, failing error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.failing = w.now.Add(d), failing
}

func (w *world) as(id uuid.UUID, scopes ...string) context.Context {
	return auth.With(w.t.Context(), auth.Principal{Subject: "user:" + id.String(), Scopes: scopes, Operation: "test"})
}

// maker and checker have both scopes, as colleagues do.
func (w *world) colleague() (uuid.UUID, context.Context) {
	id := uuid.Must(uuid.NewV7())
	return id, w.as(id, "prices", "prices:approve")
}

func (w *world) propose(ctx context.Context, name string, to int) (approve.Approval, error) {
	var a approve.Approval
	err := pg.InTx(ctx, w.db.Pool, func(tx pgx.Tx) (err error) {
		a, err = w.desk.Propose(ctx, tx, approve.Proposal{Action: "price.change", ObjectType: "price", ObjectID: name, Payload: price{to},
			Reason: "Amina said so"})
		return err
	})
	return a, err
}

func (w *world) mustPropose(ctx context.Context, name string, to int) approve.Approval {
	w.t.Helper()
	a, err := w.propose(ctx, name, to)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) text(query string, args ...any) string {
	w.t.Helper()
	var out string
	if err := w.db.Pool.QueryRow(w.t.Context(), query, args...).Scan(&out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// unchanged says that nothing was applied and the request is as open as before.
func (w *world) unchanged(a approve.Approval) {
	w.t.Helper()
	if n := w.text("SELECT count(*)::text FROM prices"); n != "0" {
		w.t.Errorf("%s prices changed", n)
	}
	if s := w.text("SELECT state FROM approvals WHERE id = $1", a.ID); s != approve.Open {
		w.t.Errorf("request is %s", s)
	}
}

func TestApprove(t *testing.T) {
	t.Parallel()
	w := setup(t)
	maker, ctx := w.colleague()
	a := w.mustPropose(ctx, "tea", 7)
	w.unchanged(a)
	checker, ctx2 := w.colleague()
	for range 2 { // the answer to the first try may be lost
		got, err := w.desk.Approve(ctx2, w.db.Pool, a.ID, a.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != approve.Approved || *got.Checker != checker || got.Maker != maker || !got.DecidedAt.Equal(w.clock()) {
			t.Errorf("%+v", got)
		}
	}
	if n := w.text("SELECT price || ' ' || approval FROM prices WHERE name = 'tea'"); n != "7 "+a.ID.String() {
		t.Errorf("price %s", n)
	}
	if n := w.text("SELECT string_agg(action, ' ' ORDER BY id) FROM audit_log"); n != "approval.requested approval.approved" {
		t.Errorf("audit: %s", n)
	}
	events := w.text(`SELECT string_agg(convert_from(payload, 'UTF8')::jsonb->>'type' || ' ' || (convert_from(payload,
		'UTF8')::jsonb->'data'->>'state'),
		', ' ORDER BY id) FROM outbox`)
	if events != "kit.approval_requested open, kit.approval_decided approved" {
		t.Errorf("events: %s", events)
	}
}

func TestApproveRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	maker, ctx := w.colleague()
	a := w.mustPropose(ctx, "tea", 7)
	stranger := uuid.Must(uuid.NewV7())
	behalf := auth.With(t.Context(),
		auth.Principal{Subject: "user:" + stranger.String(), Act: "service:wallet", Scopes: []string{"prices:approve"}})
	service := auth.With(t.Context(), auth.Principal{Subject: "service:wallet", Scopes: []string{"prices:approve"}})
	_, colleague := w.colleague()
	for name, c := range map[string]struct {
		ctx    context.Context
		id     uuid.UUID
		digest string
		want   error
	}{
		"the maker":             {w.as(maker, "prices", "prices:approve"), a.ID, a.Digest, approve.ErrSamePerson},
		"without the scope":     {w.as(stranger, "prices", "others:approve"), a.ID, a.Digest, fault.ErrForbidden},
		"on somebody's behalf":  {behalf, a.ID, a.Digest, fault.ErrForbidden},
		"a service":             {service, a.ID, a.Digest, fault.ErrForbidden},
		"another payload shown": {colleague, a.ID, "other", approve.ErrChanged},
		"no digest":             {colleague, a.ID, "", approve.ErrChanged},
		"no such request":       {colleague, uuid.Must(uuid.NewV7()), a.Digest, fault.ErrNotFound},
	} {
		if _, err := w.desk.Approve(c.ctx, w.db.Pool, c.id, c.digest); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	w.unchanged(a)
}

// A row that somebody changed in the database is no longer what was shown, even with its digest.
func TestChangedRow(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, ctx := w.colleague()
	a, b := w.mustPropose(ctx, "tea", 7), w.mustPropose(ctx, "milk", 9)
	owner, err := pgx.Connect(t.Context(), w.db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = owner.Close(context.WithoutCancel(t.Context())) }()
	if _, err := owner.Exec(t.Context(), "ALTER TABLE approvals DISABLE TRIGGER approvals_decided_once"); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), "UPDATE approvals SET object_id = 'beer' WHERE id = $1", a.ID); err != nil {
		t.Fatal(err)
	}
	_, checker := w.colleague()
	if _, err := w.desk.Approve(checker, w.db.Pool, a.ID, a.Digest); !errors.Is(err, approve.ErrChanged) {
		t.Errorf("another object: %v", err)
	}
	// The payload of one request does not open as another's.
	if _, err := owner.Exec(t.Context(), `UPDATE approvals SET payload_sealed = (SELECT payload_sealed FROM approvals WHERE id = $2)
		WHERE id = $1`, b.ID, a.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.desk.Approve(checker, w.db.Pool, b.ID, b.Digest); err == nil {
		t.Error("a foreign payload was applied")
	}
	w.unchanged(a)
}

func TestReject(t *testing.T) {
	t.Parallel()
	w := setup(t)
	maker, ctx := w.colleague()
	checker, ctx2 := w.colleague()
	a, b := w.mustPropose(ctx, "tea", 7), w.mustPropose(ctx, "milk", 9)
	for range 2 {
		got, err := w.desk.Reject(ctx2, w.db.Pool, a.ID, "too dear")
		if err != nil || got.State != approve.Rejected || *got.Checker != checker {
			t.Errorf("%+v %v", got, err)
		}
		got, err = w.desk.Reject(w.as(maker, "prices"), w.db.Pool, b.ID, "a typing error")
		if err != nil || got.State != approve.Withdrawn || got.Checker != nil {
			t.Errorf("%+v %v", got, err)
		}
	}
	for _, id := range []uuid.UUID{a.ID, b.ID} {
		if _, err := w.desk.Approve(ctx2, w.db.Pool, id, a.Digest); !errors.Is(err, approve.ErrDecided) {
			t.Errorf("approved after its end: %v", err)
		}
	}
	if _, err := w.desk.Reject(ctx, w.db.Pool, a.ID, "too late"); !errors.Is(err, approve.ErrDecided) {
		t.Errorf("withdrawn after its end: %v", err)
	}
	if n := w.text("SELECT count(*)::text FROM prices"); n != "0" {
		t.Errorf("%s prices changed", n)
	}
}

func TestExpired(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, ctx := w.colleague()
	_, ctx2 := w.colleague()
	a := w.mustPropose(ctx, "tea", 7)
	if _, err := w.propose(ctx2, "tea", 8); !errors.Is(err, approve.ErrWaiting) {
		t.Errorf("a second request for the same: %v", err)
	}
	w.set(approve.Life-time.Microsecond, nil)
	if n, err := w.desk.Expire(ctx, w.db.Pool); n != 0 || err != nil {
		t.Errorf("expired early: %d %v", n, err)
	}
	w.set(time.Microsecond, nil)
	if _, err := w.desk.Approve(ctx2, w.db.Pool, a.ID, a.Digest); !errors.Is(err, approve.ErrExpired) {
		t.Errorf("approved too late: %v", err)
	}
	if _, err := w.desk.Reject(ctx2, w.db.Pool, a.ID, "late"); !errors.Is(err, approve.ErrExpired) {
		t.Errorf("rejected too late: %v", err)
	}
	w.unchanged(a)
	shown, _, err := w.desk.List(ctx2, w.db.Pool, "listKitApprovals", approve.Expired, page.Request{})
	if err != nil || len(shown) != 1 || shown[0].State != approve.Expired {
		t.Errorf("%+v %v", shown, err)
	}
	b := w.mustPropose(ctx, "tea", 9) // marks the old one
	w.set(approve.Life, nil)
	if n, err := w.desk.Expire(ctx, w.db.Pool); n != 1 || err != nil {
		t.Errorf("expired: %d %v", n, err)
	}
	for _, id := range []uuid.UUID{a.ID, b.ID} {
		if s := w.text("SELECT state FROM approvals WHERE id = $1", id); s != approve.Expired {
			t.Errorf("state %s", s)
		}
	}
	if n := w.text("SELECT count(*)::text FROM outbox WHERE convert_from(payload, 'UTF8')::jsonb->'data'->>'state' = 'expired'"); n != "2" {
		t.Errorf("%s events", n)
	}
}

// Two checkers at once: one decides, the change is made once.
func TestTwoCheckersAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, ctx := w.colleague()
	for i := range 10 {
		a := w.mustPropose(ctx, "tea", i+1)
		var wg sync.WaitGroup
		results := make([]error, 8)
		for n := range results {
			_, checker := w.colleague()
			wg.Go(func() {
				if n%2 == 0 {
					_, results[n] = w.desk.Approve(checker, w.db.Pool, a.ID, a.Digest)
				} else {
					_, results[n] = w.desk.Reject(checker, w.db.Pool, a.ID, "not now")
				}
			})
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else if !errors.Is(err, approve.ErrDecided) {
				t.Errorf("loser: %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d decided", won)
		}
		if got := w.text("SELECT (state = 'approved')::text FROM approvals WHERE id = $1", a.ID); got !=
			w.text("SELECT EXISTS (SELECT 1 FROM prices WHERE approval = $1)::text", a.ID) {
			t.Errorf("state and price disagree (approved: %s)", got)
		}
	}
}

// A crash between the decision and the change, or a refusal of it, leaves neither.
func TestCrashBetween(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, ctx := w.colleague()
	_, checker := w.colleague()
	a := w.mustPropose(ctx, "tea", 7)
	refusal := fault.New(fault.Conflict, "sold_out", "There is no tea.")
	w.set(0, refusal)
	if _, err := w.desk.Approve(checker, w.db.Pool, a.ID, a.Digest); !errors.Is(err, refusal) {
		t.Errorf("refusal: %v", err)
	}
	w.unchanged(a)
	dying, kill := context.WithCancel(checker)
	kill()
	if _, err := w.desk.Approve(dying, w.db.Pool, a.ID, a.Digest); err == nil {
		t.Error("approved by a dead connection")
	}
	w.unchanged(a)
	w.set(0, nil)
	if _, err := w.desk.Approve(checker, w.db.Pool, a.ID, a.Digest); err != nil {
		t.Errorf("after the crash: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, ctx := w.colleague()
	a, b, c := w.mustPropose(ctx, "tea", 7), w.mustPropose(ctx, "milk", 9), w.mustPropose(ctx, "beer", 11)
	_, reader := w.colleague()
	if _, err := w.desk.Reject(ctx, w.db.Pool, b.ID, "not now"); err != nil {
		t.Fatal(err)
	}
	two := int32(2)
	first, next, err := w.desk.List(reader, w.db.Pool, "listKitApprovals", "", page.Request{Limit: &two})
	if err != nil || len(first) != 2 || first[0].ID != c.ID || first[1].ID != b.ID || next == nil {
		t.Fatalf("%+v %v", first, err)
	}
	if string(first[0].Payload) != `{"price":11}` || first[0].Reason != "Amina said so" || first[0].Digest != c.Digest {
		t.Errorf("%+v", first[0])
	}
	rest, next, err := w.desk.List(reader, w.db.Pool, "listKitApprovals", "", page.Request{Limit: &two, Cursor: next})
	if err != nil || len(rest) != 1 || rest[0].ID != a.ID || next != nil {
		t.Errorf("%+v %v", rest, err)
	}
	open, _, err := w.desk.List(reader, w.db.Pool, "listKitApprovals", approve.Open, page.Request{})
	if err != nil || len(open) != 2 {
		t.Errorf("%+v %v", open, err)
	}
	others, _, err := w.desk.List(w.as(uuid.Must(uuid.NewV7()), "others"), w.db.Pool, "listKitApprovals", "", page.Request{})
	if err != nil || len(others) != 0 {
		t.Errorf("another field of work sees %+v %v", others, err)
	}
	if _, _, err := w.desk.List(w.as(uuid.Must(uuid.NewV7()), "profile"), w.db.Pool, "listKitApprovals", "", page.Request{}); !errors.Is(err,
		fault.ErrForbidden) {
		t.Errorf("a customer lists: %v", err)
	}
	if n := w.text("SELECT count(*)::text FROM audit_log WHERE action = 'approvals.read'"); n != "4" {
		t.Errorf("%s readings audited", n)
	}
}

// What is proposed, and why, is nowhere in clear text.
func TestSealed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, ctx := w.colleague()
	a := w.mustPropose(ctx, "tea", 471_147_114)
	row := w.text("SELECT encode(payload_sealed, 'escape') || encode(reason_sealed, 'escape') || approvals::text FROM approvals WHERE id = $1",
		a.ID)
	for _, secret := range []string{"471147114", "Amina"} {
		if bytes.Contains([]byte(row), []byte(secret)) {
			t.Errorf("%s stands in the row", secret)
		}
	}
	// A decision survives the rotation of the key, because requests wait for days.
	rotated, err := seal.New(bytes.Repeat([]byte{8}, seal.KeySize), bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	_, checker := w.colleague()
	if _, err := w.deskWith(rotated).Approve(checker, w.db.Pool, a.ID, a.Digest); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
}

// Whatever a service does, the database keeps the two people apart and a decision as it is.
func TestTableRefuses(t *testing.T) {
	t.Parallel()
	w := setup(t)
	maker, ctx := w.colleague()
	a := w.mustPropose(ctx, "tea", 7)
	refused := func(why, statement string, args ...any) {
		t.Helper()
		if _, err := w.db.Pool.Exec(t.Context(), statement, args...); err == nil {
			t.Errorf("%s was stored", why)
		}
	}
	refused("a maker's own approval", "UPDATE approvals SET state = 'approved', checker = $2, decided_at = $3 WHERE id = $1", a.ID, maker,
		w.clock())
	refused("another payload", "UPDATE approvals SET payload_sealed = 'x' WHERE id = $1", a.ID)
	refused("a late approval", "UPDATE approvals SET state = 'approved', checker = $2, decided_at = $3 WHERE id = $1", a.ID,
		uuid.Must(uuid.NewV7()), a.ExpiresAt)
	refused("a deletion", "DELETE FROM approvals WHERE id = $1", a.ID)
	if _, err := w.desk.Reject(ctx, w.db.Pool, a.ID, "once"); err != nil {
		t.Fatal(err)
	}
	refused("a decision that is undone", "UPDATE approvals SET state = 'open', decided_at = NULL WHERE id = $1", a.ID)
	refused("a second decision", "UPDATE approvals SET state = 'approved', checker = $2, decided_at = $3 WHERE id = $1", a.ID,
		uuid.Must(uuid.NewV7()), w.clock())
}
