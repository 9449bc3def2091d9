package app_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func (w *world) refresh(token, device, key string) (app.Tokens, error) {
	return w.App.RefreshSession(w.anyone(), app.RefreshInput{Token: token, Device: device, IdempotencyKey: key})
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	token := c.tokens.Refresh
	for i := range 5 {
		w.Advance(9 * time.Minute)
		next, err := w.refresh(token, device, fmt.Sprint("key-", i))
		w.must(err)
		if next.Refresh == token || next.SessionID != c.tokens.SessionID || !next.RefreshExpires.Equal(c.tokens.RefreshExpires) {
			t.Fatalf("rotation %d: %+v", i, next)
		}
		if sid := w.parse(next.Access, "at+jwt")["sid"]; sid != c.tokens.SessionID.String() {
			t.Errorf("session %v", sid)
		}
		token = next.Refresh
	}
	if n := w.Count("SELECT count(*) FROM refresh_tokens WHERE encode(hash, 'escape') LIKE '%rt\\_%'"); n != 0 {
		t.Error("tokens are stored in plain")
	}
}

func TestRefreshRepeated(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	first, err := w.refresh(c.tokens.Refresh, device, "key-a")
	w.must(err)
	w.Advance(30 * time.Second)
	again, err := w.refresh(c.tokens.Refresh, device, "key-a")
	w.must(err)
	if again.Refresh != first.Refresh {
		t.Error("a repeated request yields another successor")
	}
	w.Advance(time.Microsecond)
	_, err = w.refresh(c.tokens.Refresh, device, "key-a")
	w.want(err, domain.ErrRefreshReused)
	_, err = w.refresh(first.Refresh, device, "key-b")
	w.want(err, domain.ErrRefreshInvalid) // the family is dead
}

func TestRefreshReuse(t *testing.T) {
	t.Parallel()
	for name, steal := range map[string]func(w *world, old, next string) error{
		"another key":    func(w *world, old, _ string) error { _, err := w.refresh(old, device, "key-x"); return err },
		"another device": func(w *world, old, _ string) error { _, err := w.refresh(old, "thief-0123456789", "key-a"); return err },
		"unspent but on other devices": func(w *world, _, next string) error {
			_, err := w.refresh(next, "thief-0123456789", "key-b")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			c := w.register(phone)
			next, err := w.refresh(c.tokens.Refresh, device, "key-a")
			w.must(err)
			w.want(steal(w, c.tokens.Refresh, next.Refresh), domain.ErrRefreshReused)
			_, err = w.refresh(next.Refresh, device, "key-c")
			w.want(err, domain.ErrRefreshInvalid)
			_, list, err := w.App.ListRevocations(w.service("users:revocations"), nil)
			w.must(err)
			if len(list) != 1 || list[0].ID != c.tokens.SessionID {
				t.Errorf("revocations %+v", list)
			}
		})
	}
}

func TestRefreshRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	_, err := w.refresh(c.tokens.Refresh, device, "")
	w.want(err, idem.ErrMissing)
	_, err = w.refresh("rt_nobody-has-this-token", device, "key-a")
	w.want(err, domain.ErrRefreshInvalid)
	w.Advance(domain.SessionLife - time.Minute)
	last, err := w.refresh(c.tokens.Refresh, device, "key-a")
	w.must(err)
	if !last.AccessExpires.Equal(c.tokens.RefreshExpires) {
		t.Errorf("access token ends %v, after its session %v", last.AccessExpires, c.tokens.RefreshExpires)
	}
	w.Advance(time.Minute)
	_, err = w.refresh(last.Refresh, device, "key-b")
	w.want(err, domain.ErrRefreshInvalid) // absolute
}

func TestRefreshParallelKeys(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	errs := servicetest.Together(100, func(i int) error {
		_, err := w.refresh(c.tokens.Refresh, device, fmt.Sprint("key-", i))
		return err
	})
	ok, _ := tally(errs, nil)
	_, reused := tally(errs, domain.ErrRefreshReused)
	_, dead := tally(errs, domain.ErrRefreshInvalid)
	if ok != 1 || reused != 1 || dead != 98 {
		t.Errorf("%d succeeded, %d closed the session, %d found it closed; want 1, 1, 98", ok, reused, dead)
	}
	if n := w.Count("SELECT count(*) FROM sessions WHERE revoked_at IS NULL"); n != 0 {
		t.Error("the family lives")
	}
}

func TestRefreshParallelSameKey(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	var mu sync.Mutex
	successors := map[string]bool{}
	errs := servicetest.Together(100, func(int) error {
		next, err := w.refresh(c.tokens.Refresh, device, "key-a")
		mu.Lock()
		defer mu.Unlock()
		successors[next.Refresh] = true
		return err
	})
	if ok, _ := tally(errs, nil); ok != 100 || len(successors) != 1 {
		t.Errorf("%d succeeded with %d successors, want 100 with 1", ok, len(successors))
	}
	if n := w.Count("SELECT count(*) FROM refresh_tokens"); n != 2 {
		t.Errorf("%d tokens stored, want 2", n)
	}
}
