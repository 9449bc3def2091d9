package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
)

// topic is a broker that keeps what it gets, or has none of it.
type topic struct {
	mu   sync.Mutex
	gone bool
	got  []event.Event
}

// PublishAll implements app.Publisher.
func (b *topic) PublishAll(_ context.Context, list []event.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return errors.New("the broker is gone")
	}
	b.got = append(b.got, list...)
	return nil
}

// TestAnotherReplicaPublishes: events are the same whether the replica that publishes has committed their transactions itself, or reads
// them, and none is lost when the broker is gone in between.
func TestAnotherReplicaPublishes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	w.fund(t, alice.ID, 1_000)
	several := w.posted(t, w.request(domain.ActionPost, kes(alice.ID, rail, 10), kes(alice.ID, fees, 2)))
	hold := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 50))) // moves nothing: no event
	w.posted(t, w.on(domain.ActionCapture, hold.HoldID, 20))
	w.refused(t, w.request(domain.ActionPost, kes(alice.ID, rail, 10_000)), "insufficient_funds")
	w.sealAll(t)
	own, others := &topic{gone: true}, &topic{}
	if n, err := w.Publish(w.Ctx, own); n != 0 || err == nil {
		t.Errorf("%d batches went to a broker that is gone, %v", n, err)
	}
	if n, err := w.replica(t).Publish(w.Ctx, others); n != 4 || err != nil {
		t.Fatalf("%d batches, %v", n, err)
	}
	own.gone = false
	if n, err := w.Publish(w.Ctx, own); n != 0 || err != nil {
		t.Errorf("%d batches twice, %v", n, err)
	}
	// As if the cursor had not been stored: everything comes again, now from what this replica remembers of its own.
	if _, err := w.Connect(w.DB.AdminURL).Exec(t.Context(), "DELETE FROM publications"); err != nil {
		t.Fatal(err)
	}
	again := w.replica(t)
	if n, err := again.Publish(w.Ctx, own); n != 4 || err != nil {
		t.Fatalf("%d batches, %v", n, err)
	}
	if len(others.got) != 3 || !reflect.DeepEqual(own.got, others.got) {
		t.Errorf("%+v\n%+v", own.got, others.got)
	}
	var said events.LedgerTransactionPosted
	e := others.got[1]
	if err := json.Unmarshal(e.Data, &said); err != nil {
		t.Fatal(err)
	}
	if want := domain.Distinct([]uuid.UUID{alice.ID, rail, fees}); e.ID != several.TransactionID || e.Type != app.TransactionPosted ||
		said.TransactionID != several.TransactionID || !reflect.DeepEqual(said.AccountIds, want) {
		t.Errorf("%+v %+v", e, said)
	}
	// What this replica commits from now on, it need not read.
	w.fund(t, alice.ID, 5)
	w.sealAll(t)
	before := len(own.got)
	if n, err := w.Publish(w.Ctx, own); n != 1 || err != nil || len(own.got) != before+1 {
		t.Errorf("%d batches, %d events more, %v", n, len(own.got)-before, err)
	}
}

// TestCheckpointFile: what was signed comes to the file, also when a crash kept it out, once, and by whatever path it has to be made.
func TestCheckpointFile(t *testing.T) {
	t.Parallel()
	w := setup(t)
	alice := w.customer(t, "KES", 0)
	path := filepath.Join(t.TempDir(), "far", "away", "checkpoints")
	with := testworld.Signer(t)
	with.File = path
	signing := w.Ledger(with)
	sign := func() {
		t.Helper()
		w.fund(t, alice.ID, 1)
		if _, err := signing.Seal(w.Ctx); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second has nothing to sign
			if err := signing.SignCheckpoint(w.Ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	sign()
	sign()
	first, err := os.ReadFile(path) // #nosec G304 -- the test's own folder
	if err != nil || strings.Count(string(first), with.Origin+"\n") != 2 {
		t.Fatalf("%s %v", first, err)
	}
	// The newest was stored, and a crash came before the file.
	if err := os.WriteFile(path, first[:len(first)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	var newest string
	if err := w.Pool.QueryRow(w.Ctx, "SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").Scan(&newest); err != nil {
		t.Fatal(err)
	}
	for range 2 { // two starts: it is appended once, before what is signed next
		w.fund(t, alice.ID, 1)
		size := w.count(t, "SELECT count(*) FROM transactions")
		ctx, stop := context.WithCancel(w.Ctx)
		ended := make(chan error, 1)
		go func() { ended <- w.Ledger(with).SealLoop(ctx) }()
		deadline := time.Now().Add(10 * time.Second)
		for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
			if data, err := os.ReadFile(path); err == nil &&
				strings.Contains(string(data), fmt.Sprintf("%s\n%d\n", with.Origin, size)) { // #nosec G304
				tick.Stop()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the next checkpoint does not come")
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	data, err := os.ReadFile(path) // #nosec G304 -- the test's own folder
	if err != nil || !strings.Contains(string(data), newest) {
		t.Errorf("%v\n%s", err, data)
	}
	for size := range w.count(t, "SELECT count(*) FROM transactions") {
		if n := strings.Count(string(data), fmt.Sprintf("%s\n%d\n", with.Origin, size+1)); n > 1 {
			t.Errorf("the checkpoint of %d is there %d times", size+1, n)
		}
	}
	// A file that cannot be written is an error of signing, and a key that does not fit signs nothing.
	with.File = filepath.Join(path, "below a file")
	w.fund(t, alice.ID, 1)
	if _, err := w.Seal(w.Ctx); err != nil {
		t.Fatal(err)
	}
	if err := w.Ledger(with).SignCheckpoint(w.Ctx); err == nil {
		t.Error("a checkpoint that could not be written is no error")
	}
	w.fund(t, alice.ID, 1)
	if _, err := w.Seal(w.Ctx); err != nil {
		t.Fatal(err)
	}
	before := w.count(t, "SELECT count(*) FROM checkpoints")
	if err := w.Ledger(app.CheckpointSigner{Origin: "not\na name",
		Signers: []note.Signer{with.Signers[0]}}).SignCheckpoint(w.Ctx); err == nil ||
		w.count(t, "SELECT count(*) FROM checkpoints") != before {
		t.Errorf("signed under an impossible name: %v", err)
	}
}

// TestLostDatabaseIsNeverAnAnswer: without its database no use case answers as if there were nothing, and no loop takes it for done.
func TestLostDatabaseIsNeverAnAnswer(t *testing.T) {
	t.Parallel()
	w := open(t)
	alice := w.customer(t, "KES", 10)
	o := w.over(t, alice.ID, 20)
	h := w.posted(t, w.request(domain.ActionHold, kes(alice.ID, rail, 1)))
	w.sealAll(t)
	lost := w.replica(t)
	w.Pool.Close()
	me := w.As("user:"+alice.OwnerID.String(), scopes.WalletRead)
	do := func(_ any, err error) error { return err }
	admin := w.As("user:"+newID().String(), "admin:ledger", scopes.LedgerRead)
	for name, call := range map[string]func() error{
		"outcome":        func() error { return do(lost.GetOutcome(w.Ctx, "a")) },
		"transaction":    func() error { return do(lost.GetTransaction(w.Ctx, o.TransactionID)) },
		"account":        func() error { return do(lost.GetAccount(w.Ctx, alice.ID)) },
		"balance":        func() error { return do(lost.GetBalance(me, alice.ID)) },
		"balance of now": func() error { return do(lost.GetAccountBalance(w.Ctx, alice.ID, domain.AsOf{})) },
		"balance at":     func() error { return do(lost.GetBalanceAt(me, alice.ID, domain.AsOf{Recorded: time.Unix(1, 0)})) },
		"system":         func() error { _, _, err := lost.ListSystemAccounts(w.Ctx); return err },
		"list":           func() error { return do(lost.ListTransactions(w.Ctx, app.TransactionQuery{})) },
		"list of one":    func() error { return do(lost.ListTransactions(w.Ctx, app.TransactionQuery{Reference: "a"})) },
		"list of a fact": func() error {
			return do(lost.ListTransactions(w.Ctx, app.TransactionQuery{Facts: map[string]string{"a": "b"}}))
		},
		"statement": func() error { return do(lost.ListStatement(me, alice.ID, app.StatementQuery{})) },
		"preview": func() error {
			return do(lost.PreviewTransactions(w.Ctx, []domain.Request{w.on(domain.ActionRelease, h.HoldID, 0)}, false))
		},
		"erase":      func() error { return lost.EraseMetadata(admin, o.TransactionID) },
		"expiry":     func() error { return do(lost.ExpireHolds(w.Ctx)) },
		"room":       func() error { return do(lost.FreeRoom(w.Ctx)) },
		"seal":       func() error { return do(lost.Seal(w.Ctx)) },
		"sign":       func() error { return lost.SignCheckpoint(w.Ctx) },
		"publish":    func() error { return do(lost.Publish(w.Ctx, &topic{})) },
		"partitions": func() error { return do(lost.CreatePartitions(w.Ctx)) },
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
