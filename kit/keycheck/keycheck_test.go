package keycheck_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/keycheck"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/seal"
)

type world struct{ db *pgtest.DB }

func setup(t *testing.T) world {
	t.Helper()
	return world{pgtest.Open(t, "kit",
		fstest.MapFS{"00001_init.sql": {Data: []byte("-- +goose Up\nCREATE TABLE people (id uuid PRIMARY KEY, name_sealed bytea);\n")}})}
}

// sealer has one key per letter, the current one first.
func sealer(t *testing.T, keys string) *seal.Sealer {
	t.Helper()
	var list [][]byte
	for _, k := range []byte(keys) {
		list = append(list, bytes.Repeat([]byte{k}, seal.KeySize))
	}
	s, err := seal.New(list[0], list[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start is what a service does before it works.
func (w world) start(t *testing.T, keys string) error {
	t.Helper()
	s := sealer(t, keys)
	return keycheck.Guard(w.db.Pool, time.Now, slog.New(slog.DiscardHandler),
		keycheck.KEK(s, keycheck.Column(s, "people", "name_sealed", "name:")))(t.Context())
}

func (w world) accepts(t *testing.T, keys string) {
	t.Helper()
	if err := w.start(t, keys); err != nil {
		t.Errorf("%s: %v", keys, err)
	}
}

func (w world) refuses(t *testing.T, keys string) {
	t.Helper()
	before := w.records(t)
	if err := w.start(t, keys); !errors.Is(err, keycheck.ErrRefused) || !strings.Contains(err.Error(), "SENDTIP_KEK") {
		t.Errorf("%s: %v, want a refusal that names the setting", keys, err)
	}
	if w.records(t) != before {
		t.Errorf("%s: the refused key was recorded", keys)
	}
}

func (w world) records(t *testing.T) (n int) {
	t.Helper()
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM key_checks").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// person adds a sealed row, as a release before the check values did.
func (w world) person(t *testing.T, key string) {
	t.Helper()
	id := uuid.Must(uuid.NewV7())
	sealed, err := sealer(t, key).Seal("name:"+id.String(), []byte("Amina"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Pool.Exec(t.Context(), "INSERT INTO people (id, name_sealed) VALUES ($1, $2)", id, sealed); err != nil {
		t.Fatal(err)
	}
}

// TestAnotherKeyIsRefused, also when no row was sealed yet: a token in a callback's address may be out already.
func TestAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accepts(t, "a")
	w.accepts(t, "a")
	w.refuses(t, "b")
	w.refuses(t, "bc")
	if n := w.records(t); n != 1 {
		t.Errorf("%d records of one key", n)
	}
}

// TestRotation: the recorded key as the previous one lets a new key in, also back again; without it nothing does.
func TestRotation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accepts(t, "a")
	w.accepts(t, "ba")
	w.accepts(t, "ba")
	w.accepts(t, "b")
	w.refuses(t, "a") // a replica that was not told of the rotation
	w.refuses(t, "ca")
	w.accepts(t, "ab") // taken back
	w.accepts(t, "cab")
	w.accepts(t, "c")
}

// TestPreviousKeyIsNeeded: the key before stays set as long as a row is sealed under it; nobody finds out by reading.
func TestPreviousKeyIsNeeded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.accepts(t, "a")
	w.person(t, "a")
	w.accepts(t, "ba")
	w.person(t, "b")
	w.refuses(t, "b")
	w.refuses(t, "cb")
	w.accepts(t, "ba")
	w.accepts(t, "ab")
	w.accepts(t, "ba")
	owner, err := pgx.Connect(t.Context(), w.db.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = owner.Close(t.Context()) }()
	if _, err := owner.Exec(t.Context(), "DELETE FROM people WHERE id = (SELECT id FROM people ORDER BY id LIMIT 1)"); err != nil {
		t.Fatal(err)
	}
	w.accepts(t, "b") // the last row under the old key is gone
}

// TestOlderDatabase has no record: a sealed row decides, wherever it is.
func TestOlderDatabase(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows            string
		accepts, refuse string
	}{
		"a row opens":                     {rows: "a", accepts: "a", refuse: "b"},
		"none opens":                      {rows: "a", refuse: "b"},
		"opens with the previous key":     {rows: "a", accepts: "ba"},
		"the newest opens":                {rows: "ab", accepts: "b"},
		"the oldest opens":                {rows: "ab", accepts: "a"},
		"no rows":                         {accepts: "b"},
		"an unfinished key is not sealed": {rows: "-", accepts: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			for _, key := range c.rows {
				if key == '-' {
					if _, err := w.db.Pool.Exec(t.Context(), "INSERT INTO people (id) VALUES ($1)", uuid.New()); err != nil {
						t.Fatal(err)
					}
					continue
				}
				w.person(t, string(key))
			}
			if c.refuse != "" {
				w.refuses(t, c.refuse)
			}
			if c.accepts != "" {
				w.accepts(t, c.accepts)
				w.accepts(t, c.accepts)
			}
		})
	}
}

// TestReplicasAtOnce: of two that start together under different keys one is refused, whichever comes second; equal ones all start.
func TestReplicasAtOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var wg sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		wg.Go(func() { errs[i] = w.start(t, string("ab"[i%2])) })
	}
	wg.Wait()
	refused := [2]int{}
	for i, err := range errs {
		if errors.Is(err, keycheck.ErrRefused) {
			refused[i%2]++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused != [2]int{6, 0} && refused != [2]int{0, 6} || w.records(t) != 1 {
		t.Errorf("%v were refused, %d records", refused, w.records(t))
	}
}

// TestOtherKinds: secrets and key pairs follow the same rule, each under its own name; what is fixed has no previous value.
func TestOtherKinds(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ask := func(keys ...keycheck.Key) error {
		return keycheck.Guard(w.db.Pool, time.Now, slog.New(slog.DiscardHandler), keys...)(t.Context())
	}
	secret := func(values ...string) keycheck.Key {
		var list [][]byte
		for _, v := range values {
			list = append(list, []byte(v))
		}
		return keycheck.Secret("identity", "SENDTIP_IDENTITY_KEY", list...)
	}
	public := func(values ...string) keycheck.Key {
		return keycheck.Public("signing", "SENDTIP_SIGNING_KEY", values...)
	}
	fixed := func(value string) keycheck.Key { return keycheck.Fixed("origin", "SENDTIP_LEDGER_ORIGIN", value) }
	for i, c := range []struct {
		key   keycheck.Key
		names string
	}{
		{secret("one"), ""}, {public("one"), ""}, {fixed("one"), ""},
		{secret("two"), "SENDTIP_IDENTITY_KEY"}, {public("two"), "SENDTIP_SIGNING_KEY"}, {fixed("two"), "SENDTIP_LEDGER_ORIGIN"},
		{secret("two", "one"), ""}, {public("two", "one"), ""}, {secret("two"), ""}, {public("two"), ""}, {fixed("one"), ""},
		{secret("one"), "SENDTIP_IDENTITY_KEY"}, {public("one"), "SENDTIP_SIGNING_KEY"},
	} {
		err := ask(c.key)
		if (err == nil) != (c.names == "") || err != nil && (!errors.Is(err, keycheck.ErrRefused) || !strings.Contains(err.Error(), c.names)) {
			t.Errorf("%d: %v, want %q", i, err, c.names)
		}
	}
}

// TestUnreachableIsNoRefusal: a database that is away or not migrated is asked again.
func TestUnreachableIsNoRefusal(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.db.Pool.Close()
	if err := w.start(t, "a"); err == nil || errors.Is(err, keycheck.ErrRefused) {
		t.Errorf("%v", err)
	}
}
