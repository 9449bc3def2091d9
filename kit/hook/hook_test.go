package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/servicetest"
)

var address = hook.Address{Path: "/v1/hooks/pr/", Token: "probe", Sealed: "probe.message:"}

// judge is the job of a message.
type judge struct {
	ID uuid.UUID `json:"id"`
}

func (judge) Kind() string { return "probe.judge" }

// world is a service with a table of messages, and what receives them.
type world struct {
	*servicetest.World
	hook *hook.Hook
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{World: servicetest.New(t, "probe", fstest.MapFS{"00001_init.sql": {Data: []byte(`-- +goose Up
CREATE TABLE messages (id uuid PRIMARY KEY, body bytea NOT NULL, said text UNIQUE,
	late int UNIQUE DEFERRABLE INITIALLY DEFERRED);`)}}, nil)}
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "probe_refused_total", Help: "Wrong tokens."})
	w.Registry.MustRegister(refused)
	w.hook = hook.New(address, w.Sealer, w.Pool, w.Jobs, refused)
	river.AddWorker(w.Workers, river.WorkFunc(func(context.Context, *river.Job[judge]) error { return nil }))
	return w
}

// receive keeps a message, once by what it says.
func (w *world) receive(ctx context.Context, body string) error {
	return w.hook.Keep(ctx, []byte(body), func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
		tag, err := tx.Exec(ctx, "INSERT INTO messages (id, body, said) VALUES ($1, $2, $3) ON CONFLICT (said) DO NOTHING", m.ID, m.Sealed, body)
		if err != nil || tag.RowsAffected() == 0 {
			return nil, err
		}
		return judge{m.ID}, nil
	})
}

// TestAddress: the token is the same in every release, good for its parts alone, whatever the case of its letters, and for a previous key.
func TestAddress(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const want = "/v1/hooks/pr/uwkfzi95oa0mk7lzpo4aop0dm9w6uayh"
	path := w.hook.Path("row")
	if path != want || address.Secret(w.Sealer, "row") != want {
		t.Errorf("the address is %s", path)
	}
	token := strings.TrimPrefix(path, address.Path)
	for _, good := range []string{token, strings.ToUpper(token)} {
		if err := w.hook.Check(good, "row"); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	wrong := [][]string{{token}, {token, "another"}, {token, "row", "2"}, {token[1:], "row"}, {"", "row"},
		{w.Sealer.Token("other", "row"), "row"}}
	for i, c := range wrong {
		if err := w.hook.Check(c[0], c[1:]...); !errors.Is(err, fault.ErrNotFound) || w.Counted("probe_refused_total") != i+1 {
			t.Errorf("%q: %v, %d counted", c, err, w.Counted("probe_refused_total"))
		}
	}
	rotated, err := seal.New(bytes.Repeat([]byte{8}, seal.KeySize), bytes.Repeat([]byte{7}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	after := hook.New(address, rotated, w.Pool, w.Jobs, prometheus.NewCounter(prometheus.CounterOpts{}))
	if err := after.Check(token, "row"); err != nil || after.Path("row") == path {
		t.Errorf("%v; the address of a new key is %s", err, after.Path("row"))
	}
}

// TestKeep: a message rests sealed for its own row and is judged by one job, however often it comes.
func TestKeep(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const said = "\xef\xbb\xbfwhatever \xff they send"
	errs := servicetest.Together(5, func(int) error { return w.receive(t.Context(), "paid") })
	if err := errors.Join(append(errs, w.receive(t.Context(), "paid"))...); err != nil {
		t.Fatal(err)
	}
	if messages, jobs := w.Count("SELECT count(*) FROM messages"), w.Count("SELECT count(*) FROM river_job"); messages != 1 || jobs != 1 {
		t.Errorf("%d messages, %d jobs", messages, jobs)
	}
	var row struct {
		ID   uuid.UUID
		Body []byte
	}
	err := w.hook.Keep(t.Context(), []byte(said), func(_ pgx.Tx, m hook.Message) (river.JobArgs, error) {
		row.ID, row.Body = m.ID, m.Sealed
		return judge{m.ID}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var args judge
	last := w.Text("SELECT args::text FROM river_job ORDER BY id DESC LIMIT 1")
	if err := json.Unmarshal([]byte(last), &args); err != nil || args.ID != row.ID {
		t.Errorf("the job is of %s, the row is %s: %v", args.ID, row.ID, err)
	}
	if plain, err := w.Sealer.Open("probe.message:"+row.ID.String(), row.Body); err != nil || string(plain) != said {
		t.Errorf("sealed for another purpose: %q, %v", plain, err)
	}
	if plain, err := w.hook.Open(row.ID, row.Body); err != nil || string(plain) != said {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := w.hook.Open(uuid.New(), row.Body); !errors.Is(err, seal.ErrOpen) {
		t.Errorf("as another row's: %v", err)
	}
}

// TestKeepAllOrNothing: a message without its job would never be judged, so neither is there alone, and the provider is not told that it
// was kept.
func TestKeepAllOrNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	keep := func(judge river.JobArgs, failure error) error {
		return w.hook.Keep(t.Context(), []byte("{}"), func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
			_, err := tx.Exec(t.Context(), "INSERT INTO messages (id, body) VALUES ($1, $2)", m.ID, m.Sealed)
			return judge, errors.Join(err, failure)
		})
	}
	lost := errors.New("lost")
	if err := keep(judge{}, lost); !errors.Is(err, lost) {
		t.Error(err)
	}
	if err := keep(unknown{}, nil); err == nil {
		t.Error("a message was kept whose job cannot be")
	}
	if n := w.Count("SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM river_job)"); n != 0 {
		t.Errorf("%d rows", n)
	}
	for _, ends := range []bool{true, false} { // the second has what the first has, which its commit finds out
		err := w.hook.Keep(t.Context(), []byte("{}"), func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
			_, err := tx.Exec(t.Context(), "INSERT INTO messages (id, body, late) VALUES ($1, $2, 1)", m.ID, m.Sealed)
			return judge{m.ID}, err
		})
		if (err == nil) != ends || w.Count("SELECT count(*) FROM messages") != 1 || w.Count("SELECT count(*) FROM river_job") != 1 {
			t.Errorf("a commit that ends well, %t: %v", ends, err)
		}
	}
	if err := keep(nil, nil); err != nil || w.Count("SELECT count(*) FROM messages") != 2 || w.Count("SELECT count(*) FROM river_job") != 1 {
		t.Errorf("nothing to judge: %v", err)
	}
}

// unknown is a job that no worker works.
type unknown struct{}

func (unknown) Kind() string { return "probe.unknown" }

// TestRead: the limit of the chain reaches whoever answers, as what it is.
func TestRead(t *testing.T) {
	t.Parallel()
	if raw, err := hook.Read(strings.NewReader("all of it")); err != nil || string(raw) != "all of it" {
		t.Errorf("%q, %v", raw, err)
	}
	var tooLarge *http.MaxBytesError
	body := http.MaxBytesReader(httptest.NewRecorder(), http.NoBody, 0)
	if raw, err := hook.Read(body); err != nil || len(raw) != 0 {
		t.Errorf("an empty body: %q, %v", raw, err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("too long"))
	if _, err := hook.Read(http.MaxBytesReader(httptest.NewRecorder(), r.Body, 3)); !errors.As(err, &tooLarge) {
		t.Errorf("%v", err)
	}
}
