package app_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// paper is the ledger as one would keep it on paper: accounts, holds, and the outcome of each reference. It knows nothing of batches,
// counters, sequences or SQL.
type paper struct {
	accounts map[uuid.UUID]paperAccount
	holds    map[uuid.UUID]paperHold
	moved    map[uuid.UUID]paperMove
}

type paperAccount struct {
	balance, held, coming, overCap int64
	maximum                        int64 // 0: none
	status                         domain.Status
}

type paperHold struct {
	account, to uuid.UUID
	left        int64
	overCap     bool
}

type paperMove struct {
	from, to uuid.UUID
	left     int64
	reversal bool
}

func (p *paper) clone() *paper {
	return &paper{maps.Clone(p.accounts), maps.Clone(p.holds), maps.Clone(p.moved)}
}

// change returns the account for a change of the model; the rail, which is no account of a customer, is a throw-away.
func (p *paper) change(id uuid.UUID, do func(a *paperAccount)) {
	if a, ok := p.accounts[id]; ok {
		do(&a)
		p.accounts[id] = a
	}
}

// move books an amount, of which ownHold was reserved for it, and returns what is held above the maximum. spends says that a frozen account
// may not do it.
func (p *paper) move(from, to uuid.UUID, amount, ownHold int64, spends, mayHold bool) (code string, above int64) {
	source, isCustomer := p.accounts[from]
	destination, toCustomer := p.accounts[to]
	switch {
	case isCustomer && source.status == domain.Closed || toCustomer && destination.status == domain.Closed:
		return "account_closed", 0
	case isCustomer && spends && source.status == domain.Frozen:
		return "account_frozen", 0
	case isCustomer && source.balance-source.held+ownHold < amount:
		return "insufficient_funds", 0
	}
	if toCustomer && destination.maximum > 0 {
		if over := destination.balance - destination.overCap + amount - destination.maximum; over > 0 {
			if !mayHold {
				return "over_maximum", 0
			}
			above = min(over, amount)
		}
	}
	p.change(from, func(a *paperAccount) { a.balance -= amount })
	p.change(to, func(a *paperAccount) { a.balance += amount; a.held += above; a.overCap += above })
	return "", above
}

// decide says what a request is refused with; effect makes it happen under the id that the ledger gave it.
func (p *paper) decide(r domain.Request) (code string, effect func(id uuid.UUID)) {
	switch r.Action {
	case domain.ActionPost:
		return p.post(r.Postings[0].Source, r.Postings[0].Destination, r.Postings[0].Amount, r.OverMaximum, true, false)
	case domain.ActionHold:
		posting := r.Postings[0]
		source, destination := p.accounts[posting.Source], p.accounts[posting.Destination]
		switch _, isCustomer := p.accounts[posting.Source]; {
		case source.status == domain.Closed || destination.status == domain.Closed:
			return "account_closed", nil
		case r.ExpiresAt != nil && r.ExpiresAt.Before(time.Now()):
			return "expiry_passed", nil
		case source.status == domain.Frozen:
			return "account_frozen", nil
		case isCustomer && source.balance-source.held < posting.Amount:
			return "insufficient_funds", nil
		}
		p.change(posting.Source, func(a *paperAccount) { a.held += posting.Amount })
		p.change(posting.Destination, func(a *paperAccount) { a.coming += posting.Amount })
		return "", func(id uuid.UUID) {
			p.holds[id] = paperHold{account: posting.Source, to: posting.Destination, left: posting.Amount}
		}
	case domain.ActionReverse:
		original, ok := p.moved[r.OriginalID]
		switch {
		case !ok:
			return "transaction_not_found", nil
		case original.reversal:
			return "not_reversible", nil
		case r.Amount > original.left:
			return "reversal_above_original", nil
		}
		code, effect := p.post(original.to, original.from, r.Amount, r.OverMaximum, false, true)
		if code == "" {
			original.left -= r.Amount
			p.moved[r.OriginalID] = original
		}
		return code, effect
	}
	return p.decideHold(r)
}

func (p *paper) post(from, to uuid.UUID, amount int64, mayHold, spends, reversal bool) (string, func(uuid.UUID)) {
	code, above := p.move(from, to, amount, 0, spends, mayHold)
	if code != "" {
		return code, nil
	}
	return "", func(id uuid.UUID) {
		p.moved[id] = paperMove{from, to, amount, reversal}
		if above > 0 {
			p.holds[id] = paperHold{account: to, left: above, overCap: true}
		}
	}
}

// decideHold decides captures and releases.
func (p *paper) decideHold(r domain.Request) (string, func(uuid.UUID)) {
	h, ok := p.holds[r.HoldID]
	capture := r.Action == domain.ActionCapture
	account := p.accounts[h.account]
	switch {
	case !ok:
		return "hold_not_found", nil
	case h.left == 0:
		return "hold_not_active", nil
	case r.UpToMaximum && !h.overCap:
		return "hold_mismatch", nil
	case r.UpToMaximum:
		if r.Amount = h.left; account.maximum > 0 {
			r.Amount = min(h.left, account.maximum-account.balance+account.overCap)
		}
		if r.Amount <= 0 {
			return "no_room", nil
		}
	case capture && h.overCap:
		return "hold_mismatch", nil
	case capture && r.Amount > h.left:
		return "capture_above_hold", nil
	case !capture && r.Amount > h.left:
		return "release_above_hold", nil
	case h.overCap && account.maximum > 0 && account.balance-account.overCap+r.Amount > account.maximum:
		return "over_maximum", nil
	}
	if capture {
		if code, _ := p.move(h.account, h.to, r.Amount, r.Amount, false, false); code != "" {
			return code, nil
		}
	}
	h.left -= r.Amount
	p.holds[r.HoldID] = h
	p.change(h.account, func(a *paperAccount) {
		a.held -= r.Amount
		if h.overCap {
			a.overCap -= r.Amount
		}
	})
	p.change(h.to, func(a *paperAccount) { a.coming -= r.Amount })
	return "", func(id uuid.UUID) {
		if capture {
			p.moved[id] = paperMove{h.account, h.to, r.Amount, false}
		}
	}
}

// machine runs a ledger beside its model.
type machine struct {
	*world
	ledgers  []*app.App
	accounts []domain.Account
	paper    *paper
	known    map[string]told
	holds    []uuid.UUID
	originals,
	references []string // in the order of arrival
}

type told struct {
	request domain.Request
	outcome domain.Outcome
}

func newMachine(t testing.TB, w *world, ledgers []*app.App, rt *rapid.T) *machine {
	m := &machine{world: w, ledgers: ledgers, known: map[string]told{}, holds: []uuid.UUID{newID()}, originals: []string{newID().String()},
		paper: &paper{map[uuid.UUID]paperAccount{}, map[uuid.UUID]paperHold{}, map[uuid.UUID]paperMove{}}}
	for range 3 {
		maximum := rapid.SampledFrom([]int64{0, 150, 250}).Draw(rt, "maximum")
		a := w.customer(t, "KES", maximum)
		m.accounts = append(m.accounts, a)
		m.paper.accounts[a.ID] = paperAccount{maximum: maximum, status: domain.Active}
	}
	return m
}

func (m *machine) draw(rt *rapid.T) domain.Request {
	r := m.request(rapid.SampledFrom([]domain.Action{domain.ActionPost, domain.ActionPost, domain.ActionHold, domain.ActionCapture,
		domain.ActionRelease, domain.ActionReverse}).Draw(rt, "action"))
	amount := rapid.Int64Range(1, 120).Draw(rt, "amount")
	switch r.Action {
	case domain.ActionPost, domain.ActionHold:
		ids := []uuid.UUID{rail, m.accounts[0].ID, m.accounts[1].ID, m.accounts[2].ID}
		from := rapid.IntRange(0, 3).Draw(rt, "from")
		r.Postings = []domain.Posting{kes(ids[from], ids[(from+rapid.IntRange(1, 3).Draw(rt, "to"))%4], amount)}
	case domain.ActionReverse:
		r.OriginalID = uuid.MustParse(rapid.SampledFrom(m.originals).Draw(rt, "original"))
	default:
		r.HoldID = rapid.SampledFrom(m.holds).Draw(rt, "hold")
	}
	r.UpToMaximum = r.Action == domain.ActionRelease && rapid.Bool().Draw(rt, "up_to_maximum")
	if r.Action == domain.ActionHold && rapid.Bool().Draw(rt, "expires") {
		r.ExpiresAt = new(rapid.SampledFrom([]time.Time{{}, time.Unix(0, 0).UTC(), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)}).Draw(rt, "expires_at"))
	}
	if len(r.Postings) == 0 && !r.UpToMaximum {
		r.HasAmount, r.Amount, r.Currency = true, amount, "KES"
	}
	if r.Action == domain.ActionPost || r.Action == domain.ActionReverse {
		r.OverMaximum = rapid.Bool().Draw(rt, "over_maximum")
	}
	if r.Action != domain.ActionHold && r.Action != domain.ActionRelease && rapid.Bool().Draw(rt, "backdated") {
		r.EffectiveAt = new(time.Unix(rapid.Int64Range(1, 1e9).Draw(rt, "effective_at"), 0).UTC())
	}
	if rapid.IntRange(0, 3).Draw(rt, "has facts") == 0 {
		r.Metadata = map[string]string{"fact": rapid.StringMatching(`[a-z]{0,8}`).Draw(rt, "fact")}
	}
	return r
}

// list draws requests that are sent together. Some are repeats, as they were or with another body.
func (m *machine) list(rt *rapid.T) (list []domain.Request, together bool) {
	together = rapid.Bool().Draw(rt, "atomic")
	used := map[string]bool{}
	for range rapid.IntRange(1, 4).Draw(rt, "size") {
		r := m.draw(rt)
		if kind := rapid.IntRange(0, 9).Draw(rt, "repeat"); kind < 2 && len(m.references) > 0 {
			old := rapid.SampledFrom(m.references).Draw(rt, "old")
			if kind == 0 {
				r = m.known[old].request
			}
			r.Reference = old
		}
		if !used[r.Reference] && (!together || !r.UpToMaximum) { // an atomic list must not have a reference twice, nor what might not be stored
			used[r.Reference] = true
			list = append(list, r)
		}
	}
	return list, together
}

// expect decides a list by the model, which it changes, and returns what each is to be told, without ids and times. After it, learn is to
// be called with what was told.
func (m *machine) expect(list []domain.Request, together bool) (codes []string, learn func(outcomes []domain.Outcome)) {
	codes = make([]string, len(list))
	effects := make([]func(uuid.UUID), len(list))
	doomed, culprit := false, -1
	before := m.paper.clone()
	for i, r := range list {
		old, isKnown := m.known[r.Reference]
		switch {
		case !isKnown:
			if culprit < 0 {
				if codes[i], effects[i] = m.paper.decide(r); codes[i] != "" && together {
					culprit = i
				}
			}
		case old.same(r):
			doomed, codes[i] = true, old.outcome.Code
		default:
			doomed, codes[i] = true, "reference_reused"
		}
	}
	if together && (doomed || culprit >= 0) {
		*m.paper = *before
		for i, r := range list {
			effects[i] = nil
			if _, isKnown := m.known[r.Reference]; !isKnown && (doomed || i != culprit) {
				codes[i] = "batch_refused"
			}
		}
	}
	return codes, func(outcomes []domain.Outcome) {
		for i, o := range outcomes {
			if _, isKnown := m.known[list[i].Reference]; isKnown || o.Code == "no_room" {
				continue
			}
			m.known[list[i].Reference] = told{list[i], o}
			m.references = append(m.references, list[i].Reference)
			if effects[i] == nil {
				continue
			}
			effects[i](o.TransactionID)
			m.originals = append(m.originals, o.TransactionID.String())
			if o.HoldID == o.TransactionID {
				m.holds = append(m.holds, o.HoldID)
			}
		}
	}
}

// same says whether the ledger takes a request for a repeat. It compares facts with stored ones only: refused transactions have none.
func (k told) same(r domain.Request) bool {
	facts, was, is := k.request.Metadata, k.request.Body, r.Body
	was.Metadata, is.Metadata = nil, nil
	return reflect.DeepEqual(was, is) && (k.outcome.Status == domain.Refused || maps.Equal(facts, r.Metadata))
}

// post sends a list, at times after a dry run, which changes nothing and says what the real one is then told.
func (m *machine) post(rt *rapid.T) {
	list, together := m.list(rt)
	if len(list) == 0 {
		return
	}
	ledger := m.ledgers[rapid.IntRange(0, 1).Draw(rt, "replica")]
	var preview []domain.Outcome
	if rapid.Bool().Draw(rt, "dry run first") {
		before := m.fingerprint(rt)
		var err error
		if preview, err = ledger.PreviewTransactions(m.Ctx, slices.Clone(list), together); err != nil {
			rt.Fatal(err)
		}
		if after := m.fingerprint(rt); after != before {
			rt.Fatalf("a dry run changed %s to %s", before, after)
		}
	}
	codes, learn := m.expect(list, together)
	out, err := ledger.PostTransactions(m.Ctx, slices.Clone(list), together)
	if err != nil {
		rt.Fatal(err)
	}
	for i, o := range out {
		if o.Reference != list[i].Reference || o.Code != codes[i] || (o.Status == domain.Posted) != (codes[i] == "") {
			rt.Fatalf("%+v (atomic %v): told %+v, the model says %q", list[i], together, o, codes[i])
		}
		old, isKnown := m.known[o.Reference]
		if isKnown && o.Code != "reference_reused" && !reflect.DeepEqual(o, old.outcome) {
			rt.Fatalf("told %+v first, and %+v later", old.outcome, o)
		}
		if preview != nil && !reflect.DeepEqual(foreseeable(preview[i]), foreseeable(o)) {
			rt.Fatalf("%+v (atomic %v): the dry run said %+v, then it was %+v", list[i], together, preview[i], o)
		}
	}
	learn(out)
	m.compare(rt)
}

// foreseeable is an outcome without what nobody can know before: ids and times.
func foreseeable(o domain.Outcome) domain.Outcome {
	hasHold := o.HoldID != uuid.Nil
	o.TransactionID, o.HoldID, o.RecordedAt = uuid.Nil, uuid.Nil, time.Time{}
	o.Detail = fmt.Sprint(o.Detail, hasHold)
	o.Balances = slices.Clone(o.Balances)
	for i := range o.Balances { // the order is that of first touch, in both
		if o.Balances[i].AccountID == rail { // others use it at the same time
			o.Balances[i] = domain.OutcomeBalance{AccountID: rail}
		}
	}
	return o
}

// fingerprint changes with every row of the ledger.
func (m *machine) fingerprint(rt *rapid.T) (f string) {
	if err := m.Pool.QueryRow(context.Background(),
		`SELECT (SELECT count(*) FROM ledger_references) || '/' || (SELECT count(*) FROM ledger_refusals) || '/' ||
		(SELECT count(*) FROM transactions) || '/' || (SELECT count(*) FROM postings) || '/' || (SELECT count(*) FROM transaction_metadata) ||
		'/' ||
		(SELECT count(*) FROM seal_queue) || '/' || (SELECT md5(string_agg(a::text, ',' ORDER BY id)) FROM accounts a) || '/' ||
		coalesce((SELECT md5(string_agg(h::text, ',' ORDER BY id)) FROM holds h), '')`).Scan(&f); err != nil {
		rt.Fatal(err)
	}
	return f
}

// put changes the rules or the status of an account.
func (m *machine) put(rt *rapid.T) {
	i := rapid.IntRange(0, len(m.accounts)-1).Draw(rt, "account")
	want := m.accounts[i]
	was := m.paper.accounts[want.ID]
	want.Status = rapid.SampledFrom([]domain.Status{"", domain.Active, domain.Frozen, domain.Closed}).Draw(rt, "status")
	maximum := rapid.SampledFrom([]int64{0, 100, 200}).Draw(rt, "maximum")
	if want.Maximum = nil; maximum > 0 {
		want.Maximum = &maximum
	}
	now := was
	if now.maximum = maximum; want.Status != "" {
		now.status = want.Status
	}
	var fault error
	switch {
	case now == was:
	case was.status == domain.Closed:
		fault = domain.ErrAccountClosed
	case now.status == domain.Closed && (was.balance != 0 || was.held != 0 || was.coming != 0):
		fault = domain.ErrAccountNotEmpty
	}
	got, created, err := m.ledgers[rapid.IntRange(0, 1).Draw(rt, "replica")].PutAccount(m.Ctx, want)
	if !errors.Is(err, fault) || created {
		rt.Fatalf("%+v to %+v: %v, the model says %v", was, now, err, fault)
	}
	if fault == nil {
		m.paper.accounts[want.ID] = now
		if got.Status != now.status {
			rt.Fatalf("the status is %s, the model says %s", got.Status, now.status)
		}
	}
	m.compare(rt)
}

// compare looks at all accounts and holds.
func (m *machine) compare(rt *rapid.T) {
	var a paperAccount
	var id uuid.UUID
	rows, err := m.Pool.Query(context.Background(),
		`SELECT id, credits_minor - debits_minor, pending_debits_minor, pending_credits_minor, over_cap_minor, coalesce(maximum_minor, 0), status
		FROM accounts WHERE id = ANY($1)`, slices.Collect(maps.Keys(m.paper.accounts)))
	if err != nil {
		rt.Fatal(err)
	}
	if tag, err := pgx.ForEachRow(rows, []any{&id, &a.balance, &a.held, &a.coming, &a.overCap, &a.maximum, &a.status}, func() error {
		if a != m.paper.accounts[id] {
			rt.Fatalf("an account is %+v, the model says %+v", a, m.paper.accounts[id])
		}
		return nil
	}); err != nil || tag.RowsAffected() != int64(len(m.accounts)) {
		rt.Fatal(tag, err)
	}
	if len(m.paper.holds) == 0 {
		return
	}
	var left int64
	rows, err = m.Pool.Query(context.Background(), "SELECT id, amount_minor - captured_minor - released_minor FROM holds WHERE id = ANY($1)",
		slices.Collect(maps.Keys(m.paper.holds)))
	if err != nil {
		rt.Fatal(err)
	}
	if tag, err := pgx.ForEachRow(rows, []any{&id, &left}, func() error {
		if left != m.paper.holds[id].left {
			rt.Fatalf("a hold has %d left, the model says %d", left, m.paper.holds[id].left)
		}
		return nil
	}); err != nil || tag.RowsAffected() != int64(len(m.paper.holds)) {
		rt.Fatal(tag, err)
	}
}

// lookUp asks for the outcome of a reference, as a client does that lost its answer.
func (m *machine) lookUp(rt *rapid.T) {
	if len(m.references) == 0 {
		return
	}
	reference := rapid.SampledFrom(m.references).Draw(rt, "reference")
	o, err := m.GetOutcome(m.Ctx, reference)
	if err != nil || !reflect.DeepEqual(o, m.known[reference].outcome) {
		rt.Fatalf("%+v (%v), told %+v", o, err, m.known[reference].outcome)
	}
}

// TestLedgerAgainstModel runs random lists of every action, atomic ones, dry runs, repeats, changes of accounts, and look-ups on two
// replicas of a real ledger beside a model of one page.
func TestLedgerAgainstModel(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ledgers := []*app.App{w.App, w.replica(t)}
	rapid.Check(t, func(rt *rapid.T) {
		m := newMachine(t, w, ledgers, rt)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 7).Draw(rt, "step") {
			case 0:
				m.put(rt)
			case 1:
				m.lookUp(rt)
			default:
				m.post(rt)
			}
		}
	})
}
