package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// errCommitUnknown says that COMMIT was on its way when the connection broke: the batch may be committed or not. It is settled by
// repeating the batch, whose references then wait for the fate of the first attempt.
var errCommitUnknown = errors.New("the answer to COMMIT is lost")

// errUnstored ends a batch that claimed references of which nothing must be stored: claims are taken back with the transaction only.
var errUnstored = errors.New("a refusal is not to be stored")

// commit decides requests in one database transaction and returns their outcomes in the same order. Repeats of a reference, stored or
// in the same list, get the outcome of the first one, or reference_reused for another body.
func (a *App) commit(ctx context.Context, requests []domain.Request) ([]domain.Outcome, error) {
	return withoutUnstored(requests, func(rest []domain.Request) (*batch, error) { return a.commitOnce(ctx, rest) })
}

// withoutUnstored decides requests. Those that are refused without being stored are taken out, and the others are decided once more, as if
// they had come alone: a refusal changes nothing for those after it.
func withoutUnstored(requests []domain.Request, decide func([]domain.Request) (*batch, error)) ([]domain.Outcome, error) {
	b, err := decide(requests)
	if err == nil {
		return b.answer(), nil
	}
	outcomes, places := make([]domain.Outcome, len(requests)), make([]int, len(requests))
	for i := range places {
		places[i] = i
	}
	for errors.Is(err, errUnstored) {
		var rest []domain.Request
		var there []int
		for i := range requests {
			if s, ok := b.unstored[requests[i].Reference]; ok && s.same(&requests[i]) {
				outcomes[places[i]] = s.outcome
				continue
			}
			rest, there = append(rest, requests[i]), append(there, places[i])
		}
		if requests, places = rest, there; len(requests) == 0 {
			return outcomes, nil
		}
		b, err = decide(requests)
	}
	if err != nil {
		return nil, err
	}
	for i, o := range b.answer() {
		outcomes[places[i]] = o
	}
	return outcomes, nil
}

// commitOnce decides requests, or returns errUnstored with what is not to be stored.
func (a *App) commitOnce(ctx context.Context, requests []domain.Request) (*batch, error) {
	before, err := a.targets(ctx, requests)
	if err != nil {
		return nil, err
	}
	var b *batch
	failpoint("before_begin")
	err = pg.InTx(ctx, committer{a.committers}, func(tx pgx.Tx) error {
		b = &batch{App: a, requests: requests}
		if err := b.claim(ctx, tx, before); err != nil {
			return err
		}
		failpoint("after_claim")
		if len(b.fresh) > 0 {
			if err := b.decide(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return b, err
	}
	failpoint("after_commit")
	a.metrics.batches.Inc()
	a.metrics.transactions.Add(float64(len(requests)))
	if len(b.posted) > 0 {
		a.recent.add(b.id, b.posted)
		wake(a.unsealed)
	}
	return b, nil
}

// batch is what one database transaction decides.
type batch struct {
	*App
	requests []domain.Request

	id    int64 // taken after the account locks
	state domain.State
	fresh []domain.Request
	known map[string]settled

	posted   []domain.Transaction
	unstored map[string]settled // refusals that leave nothing behind
}

// settled is the outcome of a reference with what a repeat must agree with.
type settled struct {
	hash     []byte
	stored   bool // metadata is what the transaction has; not so if it was refused, or its metadata erased
	metadata map[string]string
	outcome  domain.Outcome
}

// claim inserts the references, sorted, and locks the accounts ordered by id, in one round trip. The insert waits for the fate of another
// transaction that holds a reference; reads after it are final.
func (b *batch) claim(ctx context.Context, tx pgx.Tx, before domain.State) error {
	first := make(map[string]*domain.Request, len(b.requests))
	for i := range b.requests {
		if _, ok := first[b.requests[i].Reference]; !ok {
			first[b.requests[i].Reference] = &b.requests[i]
		}
	}
	references := slices.Sorted(maps.Keys(first))
	hashes, ids := make([][]byte, len(references)), make([]uuid.UUID, len(references))
	for i, ref := range references {
		hashes[i], ids[i] = first[ref].BodyHash, first[ref].TransactionID
	}
	p := pg.NewPipeline(tx)
	var inserted []string
	var accounts []domain.Account
	var next []int64
	var targets targetRows
	_, err := b.q.InsertReferences(ctx, p, transactionsdb.InsertReferencesParams{ReferencesList: references, BodyHashes: hashes,
		TransactionIds: ids, Now: b.clock()})
	pg.Collect(p, err, pgx.RowTo[string], &inserted)
	_, err = b.q.LockAccounts(ctx, p, domain.LockIDs(b.requests, before.Holds, before.Originals))
	pg.Collect(p, err, lockedAccount, &accounts)
	_, err = b.q.NextBatch(ctx, p)
	pg.Collect(p, err, pgx.RowTo[int64], &next)
	holdIDs, originalIDs := targetIDs(b.requests)
	targets.queue(ctx, b.q, p, holdIDs, originalIDs) // what is left of them: under the locks nobody else can change it
	if err := p.Send(ctx); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	b.id = next[0]
	b.state.Accounts = make(map[uuid.UUID]domain.Account, len(accounts))
	for i := range accounts {
		b.state.Accounts[accounts[i].ID] = accounts[i]
	}
	if err := targets.into(&b.state); err != nil {
		return err
	}
	b.state.Now = b.clock()
	return b.sort(ctx, tx, references, inserted)
}

// look is claim without claiming or locking anything, on the snapshot of a transaction that only reads.
func (b *batch) look(ctx context.Context, tx pgx.Tx, before domain.State) error {
	references := make([]string, len(b.requests))
	for i := range b.requests {
		references[i] = b.requests[i].Reference
	}
	b.known = make(map[string]settled, len(references))
	if err := b.stored(ctx, tx, references, b.known); err != nil {
		return err
	}
	rows, err := b.q.ListAccounts(ctx, tx, domain.LockIDs(b.requests, before.Holds, before.Originals))
	if err != nil {
		return fmt.Errorf("read accounts: %w", err)
	}
	b.state = before // read before the snapshot; a preview is of no exact moment anyway
	b.state.Accounts = make(map[uuid.UUID]domain.Account, len(rows))
	for i := range rows {
		b.state.Accounts[rows[i].ID] = account(rows[i])
	}
	b.state.Now = b.clock()
	isNew := make(map[string]bool, len(references))
	for _, ref := range references {
		if _, stored := b.known[ref]; !stored {
			isNew[ref] = true
		}
	}
	b.pick(isNew)
	return nil
}

// sort tells new requests from repeats, and reads what was decided about those.
func (b *batch) sort(ctx context.Context, tx pgx.Tx, references, inserted []string) error {
	isNew := make(map[string]bool, len(inserted))
	for _, ref := range inserted {
		isNew[ref] = true
	}
	b.known = make(map[string]settled, len(references))
	if len(inserted) < len(references) {
		old := slices.DeleteFunc(references, func(r string) bool { return isNew[r] })
		if err := b.stored(ctx, tx, old, b.known); err != nil {
			return err
		}
	}
	b.pick(isNew)
	return nil
}

// pick makes the list of new requests, each reference once.
func (b *batch) pick(isNew map[string]bool) {
	doomed := b.doomed(isNew)
	b.fresh = make([]domain.Request, 0, len(isNew))
	for _, r := range b.requests {
		if isNew[r.Reference] {
			r.Doomed = doomed[r.AtomicList]
			b.fresh = append(b.fresh, r)
			delete(isNew, r.Reference)
		}
	}
}

// doomed are the atomic lists that cannot be posted as a whole: one of their references is known already, or belongs to an earlier request
// of this batch.
func (b *batch) doomed(isNew map[string]bool) map[int64]bool {
	lists, owner := map[int64]bool{}, map[string]int64{}
	for i := range b.requests {
		r := &b.requests[i]
		first, taken := owner[r.Reference]
		if !taken {
			owner[r.Reference] = r.AtomicList
		}
		if r.AtomicList != 0 && (!isNew[r.Reference] || taken && first != r.AtomicList) {
			lists[r.AtomicList] = true
		}
	}
	return lists
}

// decide applies the new requests and writes their rows, COMMIT included.
func (b *batch) decide(ctx context.Context, tx pgx.Tx) error {
	decision := domain.Decide(b.state, b.fresh)
	failpoint("after_decide")
	if b.setAside(decision) {
		return errUnstored
	}
	if err := b.write(ctx, tx, decision); err != nil {
		return err
	}
	b.learn(decision)
	b.posted = decision.Transactions
	return nil
}

// setAside notes the refusals that are not to be stored, and says whether there is any.
func (b *batch) setAside(decision domain.Decision) bool {
	for i := range decision.Outcomes {
		if o := &decision.Outcomes[i]; o.Unstored() {
			if b.unstored == nil {
				b.unstored = map[string]settled{}
			}
			b.unstored[o.Reference] = settled{hash: b.fresh[i].BodyHash, outcome: *o}
		}
	}
	return b.unstored != nil
}

// learn adds what was decided about the new requests to what is known.
func (b *batch) learn(decision domain.Decision) {
	for i, o := range decision.Outcomes {
		r := &b.fresh[i]
		b.known[o.Reference] = settled{hash: r.BodyHash, stored: o.Status == domain.Posted, metadata: r.Metadata, outcome: o}
	}
}

func (b *batch) answer() []domain.Outcome {
	outcomes := make([]domain.Outcome, len(b.requests))
	for i := range b.requests {
		s := b.known[b.requests[i].Reference]
		outcomes[i] = s.outcome
		if !s.same(&b.requests[i]) {
			refusal := domain.RefusedReferenceReused
			outcomes[i] = domain.Outcome{Reference: s.outcome.Reference, Status: domain.Refused, Code: refusal.Code, Detail: refusal.Detail}
		}
	}
	return outcomes
}

// same says whether the request is the one that was settled. Rows of versions that had metadata in the hash are recognised too.
func (s settled) same(r *domain.Request) bool {
	if bytes.Equal(s.hash, r.BodyHash) {
		return !s.stored || maps.Equal(s.metadata, r.Metadata)
	}
	return len(r.Metadata) > 0 && bytes.Equal(s.hash, r.HashWithMetadata())
}

// write stores a decision in one round trip, COMMIT included.
func (b *batch) write(ctx context.Context, tx pgx.Tx, d domain.Decision) error {
	p := pg.NewPipeline(tx)
	if len(d.Transactions) > 0 {
		rows := b.transactionRows(d)
		if err := b.q.WriteTransactions(ctx, p, rows.WriteTransactionsParams); err != nil {
			return err
		}
		if len(rows.metadataIDs) > 0 {
			if err := b.q.InsertMetadata(ctx, p, rows.metadataIDs, rows.metadata, rows.metadataSalts); err != nil {
				return err
			}
		}
	}
	if refused := refusalRows(d); len(refused.Codes) > 0 {
		if err := b.q.InsertRefusals(ctx, p, refused); err != nil {
			return err
		}
	}
	if err := b.writeHolds(ctx, p, d); err != nil {
		return err
	}
	endWith(tx)
	if err := p.Send(ctx); err != nil {
		return fmt.Errorf("write: %w", unknownUnlessRefused(err))
	}
	return nil
}

func (b *batch) writeHolds(ctx context.Context, p *pg.Pipeline, d domain.Decision) error {
	if len(d.NewHolds) > 0 {
		rows, err := newHoldRows(d.NewHolds)
		if err != nil {
			return err
		}
		if err := b.q.InsertHolds(ctx, p, rows); err != nil {
			return err
		}
	}
	if len(d.Holds) > 0 {
		rows, err := holdRows(d.Holds)
		if err != nil {
			return err
		}
		return b.q.UpdateHolds(ctx, p, rows)
	}
	return nil
}
