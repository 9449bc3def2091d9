package app_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/page"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// TestCursorsOfLists: a cursor leads on in its own list, and in no other: of another operation, account, filter or caller. Those of earlier
// releases, which everybody could make, lead nowhere.
func TestCursorsOfLists(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice, bob := w.customer(t, "KES", 0), w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	for range 4 {
		w.posted(t, w.request(domain.ActionPost, kes(alice.ID, bob.ID, 1)))
	}
	me, peer := w.As("user:"+alice.OwnerID.String(), scopes.WalletRead), w.As("service:banking", scopes.LedgerRead)
	long := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	type list func(ctx context.Context, r page.Request) (*string, error)
	own := func(f domain.Filter) list {
		return func(ctx context.Context, r page.Request) (*string, error) {
			p, err := w.ListStatement(ctx, alice.ID, app.StatementQuery{Filter: f, Request: r})
			return p.Next, err
		}
	}
	statement := func(id uuid.UUID) list {
		return func(ctx context.Context, r page.Request) (*string, error) {
			p, err := w.ListAccountStatement(ctx, id, app.StatementQuery{Request: r})
			return p.Next, err
		}
	}
	transactions := func(q app.TransactionQuery) list {
		return func(ctx context.Context, r page.Request) (*string, error) {
			q.Request = r
			p, err := w.ListTransactions(ctx, q)
			return p.Next, err
		}
	}
	lists := map[string]struct {
		ctx  context.Context
		read list
	}{
		"my statement":          {me, own(domain.Filter{})},
		"from":                  {me, own(domain.Filter{From: long})},
		"to":                    {me, own(domain.Filter{To: long.AddDate(100, 0, 0)})},
		"channel":               {me, own(domain.Filter{Channel: "internal"})},
		"type":                  {me, own(domain.Filter{Type: "test"})},
		"statement":             {w.Ctx, statement(alice.ID)},
		"another's statement":   {w.Ctx, statement(bob.ID)},
		"asked by another":      {peer, statement(alice.ID)},
		"all":                   {w.Ctx, transactions(app.TransactionQuery{})},
		"all, from":             {w.Ctx, transactions(app.TransactionQuery{Filter: domain.Filter{From: long}})},
		"all, channel":          {w.Ctx, transactions(app.TransactionQuery{Filter: domain.Filter{Channel: "internal"}})},
		"all, type":             {w.Ctx, transactions(app.TransactionQuery{Filter: domain.Filter{Type: "test"}})},
		"all, asked by another": {peer, transactions(app.TransactionQuery{})},
		"of an account":         {w.Ctx, transactions(app.TransactionQuery{AccountID: alice.ID})},
		"of another account":    {w.Ctx, transactions(app.TransactionQuery{AccountID: bob.ID})},
	}
	for name, from := range lists {
		next, err := from.read(from.ctx, rows(1))
		if err != nil || next == nil {
			t.Errorf("%s: %v, %v", name, next, err)
			continue
		}
		for other, to := range lists {
			_, err := to.read(to.ctx, page.Request{Cursor: next})
			if (err == nil) != (name == other) || err != nil && !errors.Is(err, page.ErrCursor) {
				t.Errorf("a cursor of %q in %q: %v", name, other, err)
			}
		}
	}
	for name, to := range lists {
		for _, old := range []string{"", "3", "x", "-1", "0", "s3", "s0", "i12", "i" + uuid.Max.String(), strings.Repeat("9", 30)} {
			if _, err := to.read(to.ctx, page.Request{Cursor: &old}); !errors.Is(err, page.ErrCursor) {
				t.Errorf("%q in %q: %v", old, name, err)
			}
		}
	}
	filtered := map[string]app.TransactionQuery{"reference": {Reference: "r"}, "facts": {Facts: map[string]string{"a": "b"}}}
	next, err := transactions(app.TransactionQuery{})(w.Ctx, rows(1))
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range filtered { // too narrow for a cursor of their own here
		if _, err := transactions(q)(w.Ctx, page.Request{Cursor: next}); !errors.Is(err, page.ErrCursor) {
			t.Errorf("a cursor of all by %s: %v", name, err)
		}
	}
}
