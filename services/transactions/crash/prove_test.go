package crash_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// prove compares what clients were told with everything that the ledger keeps and has said since. lostNotes is how many checkpoints may
// be missing in the files: one for each process that died between the signature and the file.
func (w *world) prove(lostNotes int) {
	w.t.Helper()
	w.askAgain()
	w.settled()
	p := w.paper()
	w.proveOutcomes(p)
	w.proveBalances(p)
	violations, err := check.Check(w.t.Context(), w.pool)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range violations {
		w.t.Errorf("broken invariant: %s", v)
	}
	w.proveSealed(lostNotes)
	w.proveEvents(p)
	if w.t.Failed() {
		for _, r := range w.replicas {
			w.t.Logf("%s:\n%s", r.name, r.output)
		}
	}
	w.t.Log(w.history)
}

// settled waits until all is sealed, signed and published.
func (w *world) settled() {
	w.t.Helper()
	w.eventually("all is sealed, signed and published", func() bool {
		return w.number(`SELECT count(*) FROM ledger_tree t WHERE NOT EXISTS (SELECT FROM seal_queue)
			AND t.size = (SELECT count(*) FROM transactions) AND t.size = (SELECT max(size) FROM checkpoints)
			AND t.size = (SELECT next_index FROM publications) AND NOT EXISTS (SELECT FROM outbox WHERE published_at IS NULL)`) == 1
	})
}

// proveOutcomes: each acknowledged transaction is there once, each refused one is not, and nothing else is.
func (w *world) proveOutcomes(p *paper) {
	w.t.Helper()
	rows, err := w.pool.Query(w.t.Context(), `SELECT r.reference, coalesce(f.code, ''), coalesce(t.id::text, '') FROM ledger_references r
		LEFT JOIN ledger_refusals f ON f.reference = r.reference LEFT JOIN transactions t ON t.reference = r.reference`)
	if err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]bool{}
	var reference, code, id string
	if _, err := pgx.ForEachRow(rows, []any{&reference, &code, &id}, func() error {
		if seen[reference] {
			w.t.Errorf("%s has two transactions", reference)
		}
		seen[reference] = true
		if p.transactions[reference] != id || p.refusals[reference] != code || (id == "") == (code == "") {
			w.t.Errorf("%s is transaction %q, refused %q; its client was told %q, %q", reference, id, code, p.transactions[reference],
				p.refusals[reference])
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	if told := len(p.transactions) + len(p.refusals); len(seen) != told {
		w.t.Errorf("%d references are decided, clients know of %d", len(seen), told)
	}
	if n := w.number("SELECT count(*) FROM transactions"); n != int64(len(p.transactions)) {
		w.t.Errorf("%d transactions, clients know of %d", n, len(p.transactions))
	}
	if len(p.refusals) == 0 {
		w.t.Error("nothing was refused: refusals are not tested")
	}
}

func (w *world) proveBalances(p *paper) {
	w.t.Helper()
	for account, want := range p.balance {
		balance := w.number("SELECT credits_minor - debits_minor FROM accounts WHERE id = $1", domain.ResolveAccount(account))
		held := w.number("SELECT pending_debits_minor FROM accounts WHERE id = $1", domain.ResolveAccount(account))
		if balance != want || held != p.held[account] {
			w.t.Errorf("%s has %d and %d on hold; by what its clients know it has %d and %d", account, balance, held, want, p.held[account])
		}
	}
}

// proveSealed: the tree has every transaction once, without a gap, and the checkpoints of database and files are of this tree.
func (w *world) proveSealed(lostNotes int) {
	w.t.Helper()
	for what, query := range map[string]string{
		"gaps": `SELECT count(*) FROM (SELECT first_index, lag(first_index + size, 1, 0::bigint) OVER (ORDER BY first_index) AS due FROM
			sealed_batches) s WHERE first_index <> due`,
		"transactions that are sealed twice, or not at all": `SELECT count(*) FROM (SELECT id, count(s.leaf) AS n FROM transactions t
			LEFT JOIN (SELECT unnest(transaction_ids) AS leaf FROM sealed_batches) s ON s.leaf = t.id GROUP BY id) c WHERE n <> 1`,
	} {
		if n := w.number(query); n != 0 {
			w.t.Errorf("%d %s", n, what)
		}
	}
	outside := w.notes()
	report, err := check.Replay(w.t.Context(), w.pool, check.Options{Workers: 1, Keys: []string{w.public}, Checkpoints: outside})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range report.Violations {
		w.t.Errorf("replay: %s", v)
	}
	if missing := int(report.Checkpoints) - len(outside); missing < 0 || missing > lostNotes {
		w.t.Errorf("%d checkpoints are stored, %d are in the files", report.Checkpoints, len(outside))
	}
}

// notes are the checkpoints of all replicas' files, each once: a replica that starts adds the newest one to its own file.
func (w *world) notes() (list [][]byte) {
	w.t.Helper()
	seen := map[string]bool{}
	for _, r := range w.replicas {
		data, err := os.ReadFile(r.checkpoints)
		if errors.Is(err, os.ErrNotExist) {
			continue // the others were faster each time
		}
		if err != nil {
			w.t.Fatal(err)
		}
		notes, err := check.Notes(data)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, n := range notes {
			if !seen[string(n)] {
				seen[string(n)] = true
				list = append(list, n)
			}
		}
	}
	return list
}

// proveEvents: whatever moved money was said at least once, under the transaction's id, and nothing else; so was every checkpoint.
func (w *world) proveEvents(p *paper) {
	w.t.Helper()
	references := map[string]string{}
	for reference, id := range p.transactions {
		if _, moves := p.moved[id]; moves {
			references[id] = reference
		}
	}
	said := map[string]bool{}
	checkpoints := 0
	for _, e := range w.events() {
		if e.Type == app.CheckpointSigned {
			checkpoints++
			continue
		}
		var data struct {
			TransactionID string `json:"transaction_id"`
			Reference     string `json:"reference"`
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			w.t.Fatal(err)
		}
		id := e.ID.String()
		if e.Type != app.TransactionPosted || data.TransactionID != id || references[id] == "" || references[id] != data.Reference {
			w.t.Errorf("an event of nothing that clients know: %s %s of %s", e.Type, id, data.Reference)
		}
		said[id] = true
	}
	if len(said) != len(references) {
		w.t.Errorf("%d transactions moved money, the topic has events of %d", len(references), len(said))
	}
	if stored := w.number("SELECT count(*) FROM checkpoints"); int64(checkpoints) < stored {
		w.t.Errorf("%d checkpoints are stored, the topic has %d", stored, checkpoints)
	}
}

// events reads the topic from its beginning to where its end was at first.
func (w *world) events() (list []event.Event) {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.broker.Brokers()...), kgo.ConsumeTopics(app.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for end := int64(1); int64(len(list)) < end; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			w.t.Fatalf("read %d of %d events: %v", len(list), end, err)
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) { end = max(end, p.HighWatermark) })
		fetches.EachRecord(func(r *kgo.Record) {
			e, err := event.Decode(app.Topic, r.Value)
			if err != nil {
				w.t.Fatal(err)
			}
			list = append(list, e)
		})
	}
	return list
}

// waitAnswered waits until clients have n answers more.
func (w *world) waitAnswered(n int64) time.Duration {
	w.t.Helper()
	began, due := time.Now(), w.answered.Load()+n
	w.eventually("more answers", func() bool { return w.answered.Load() >= due })
	return time.Since(began)
}
