package domain

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"
)

// model is the ledger as one would keep it on paper: signed balances, reserved sums, and what is left of holds and transactions. It knows
// nothing of counters, sides, lines or sequences.
type model struct {
	balance, reserved, overCap map[uuid.UUID]int64
	maximum                    map[uuid.UUID]int64
	holds                      map[uuid.UUID]*modelHold
	transactions               map[uuid.UUID]*modelTransaction
	freed                      map[uuid.UUID]int64 // by releases
	now                        time.Time
}

type modelHold struct {
	account, to uuid.UUID
	left        int64
	overCap     bool
}

type modelTransaction struct {
	from, to uuid.UUID
	left     int64
	reversal bool
}

func (m *model) free(id uuid.UUID) int64 { return m.balance[id] - m.reserved[id] }

// move says whether money may move, and moves it. Accounts without a maximum are the system's, which may go below zero.
func (m *model) move(from, to uuid.UUID, amount, fromHold int64, hold bool) (code string, held int64) {
	_, customer := m.maximum[from]
	if customer && m.free(from)+fromHold < amount {
		return "insufficient_funds", 0
	}
	if maximum, limited := m.maximum[to]; limited {
		if over := m.balance[to] - m.overCap[to] + amount - maximum; over > 0 {
			if !hold {
				return "over_maximum", 0
			}
			held = min(over, amount)
		}
	}
	m.balance[from] -= amount
	m.balance[to] += amount
	m.reserved[to] += held
	m.overCap[to] += held
	return "", held
}

// apply decides one request of the shapes that draw makes.
func (m *model) apply(r Request) string {
	switch r.Action {
	case ActionPost:
		p := r.Postings[0]
		code, held := m.move(p.Source, p.Destination, p.Amount, 0, r.OverMaximum)
		if code != "" {
			return code
		}
		m.transactions[r.TransactionID] = &modelTransaction{from: p.Source, to: p.Destination, left: p.Amount}
		if held > 0 {
			m.holds[r.TransactionID] = &modelHold{account: p.Destination, left: held, overCap: true}
		}
	case ActionHold:
		p := r.Postings[0]
		if r.ExpiresAt != nil && !r.ExpiresAt.After(m.now) {
			return "expiry_passed"
		}
		if _, customer := m.maximum[p.Source]; customer && m.free(p.Source) < p.Amount {
			return "insufficient_funds"
		}
		m.reserved[p.Source] += p.Amount
		m.holds[r.TransactionID] = &modelHold{account: p.Source, to: p.Destination, left: p.Amount}
	case ActionCapture, ActionRelease:
		return m.applyToHold(r)
	case ActionReverse:
		t, ok := m.transactions[r.OriginalID]
		switch {
		case !ok:
			return "transaction_not_found"
		case t.reversal:
			return "not_reversible"
		case r.Amount > t.left:
			return "reversal_above_original"
		}
		code, held := m.move(t.to, t.from, r.Amount, 0, r.OverMaximum)
		if code != "" {
			return code
		}
		t.left -= r.Amount
		m.transactions[r.TransactionID] = &modelTransaction{from: t.to, to: t.from, left: r.Amount, reversal: true}
		if held > 0 {
			m.holds[r.TransactionID] = &modelHold{account: t.from, left: held, overCap: true}
		}
	}
	return ""
}

func (m *model) applyToHold(r Request) string {
	h, ok := m.holds[r.HoldID]
	switch {
	case !ok:
		return "hold_not_found"
	case h.left == 0:
		return "hold_not_active"
	}
	if r.Action == ActionRelease {
		if r.UpToMaximum {
			if !h.overCap {
				return "hold_mismatch"
			}
			if r.Amount = min(h.left, m.maximum[h.account]-m.balance[h.account]+m.overCap[h.account]); r.Amount <= 0 {
				return "no_room"
			}
		}
		if r.Amount > h.left {
			return "release_above_hold"
		}
		if h.overCap && m.balance[h.account]-m.overCap[h.account]+r.Amount > m.maximum[h.account] {
			return "over_maximum"
		}
	} else {
		if h.overCap {
			return "hold_mismatch"
		}
		if r.Amount > h.left {
			return "capture_above_hold"
		}
		if code, _ := m.move(h.account, h.to, r.Amount, r.Amount, false); code != "" {
			return code
		}
		m.transactions[r.TransactionID] = &modelTransaction{from: h.account, to: h.to, left: r.Amount}
	}
	if r.Action == ActionRelease {
		m.freed[r.TransactionID] = r.Amount
	}
	h.left -= r.Amount
	m.reserved[h.account] -= r.Amount
	if h.overCap {
		m.overCap[h.account] -= r.Amount
	}
	return ""
}

// clone is a model that can be thrown away.
func (m *model) clone() *model {
	c := &model{balance: maps.Clone(m.balance), reserved: maps.Clone(m.reserved), overCap: maps.Clone(m.overCap), maximum: m.maximum,
		freed: m.freed, now: m.now,
		holds: map[uuid.UUID]*modelHold{}, transactions: map[uuid.UUID]*modelTransaction{}}
	for id, h := range m.holds {
		c.holds[id] = &modelHold{h.account, h.to, h.left, h.overCap}
	}
	for id, t := range m.transactions {
		c.transactions[id] = &modelTransaction{t.from, t.to, t.left, t.reversal}
	}
	return c
}

// applyList decides requests that come together: if they are atomic, all are posted or none is, and all but the culprit say so.
func (m *model) applyList(list []Request) []string {
	codes := make([]string, len(list))
	if list[0].AtomicList == 0 {
		for i, r := range list {
			codes[i] = m.apply(r)
		}
		return codes
	}
	trial, culprit := m.clone(), -1
	for i, r := range list {
		if codes[i] = trial.apply(r); codes[i] != "" && culprit < 0 {
			culprit = i
		}
	}
	doomed := list[0].Doomed
	if culprit < 0 && !doomed {
		*m = *trial
		return codes
	}
	for i := range codes {
		if i != culprit || doomed {
			codes[i] = "batch_refused"
		}
	}
	return codes
}

// drawList makes requests that come together: one, some, or an atomic list, which may be one of which a reference is known already.
func drawList(t *rapid.T, accounts, ids []uuid.UUID, n int) []Request {
	list := make([]Request, rapid.IntRange(1, 4).Draw(t, "size"))
	atomic := rapid.Bool().Draw(t, "atomic")
	doomed := atomic && rapid.IntRange(0, 5).Draw(t, "doomed") == 0
	for i := range list {
		list[i] = draw(t, accounts, ids, n+i)
		if atomic {
			list[i].AtomicList, list[i].Doomed = int64(n+1), doomed
			if list[i].UpToMaximum { // validation refuses it
				list[i].UpToMaximum, list[i].HasAmount, list[i].Amount, list[i].Currency = false, true, 1, "KES"
			}
		}
	}
	return list
}

func draw(t *rapid.T, accounts, ids []uuid.UUID, n int) Request {
	r := Request{TransactionID: uuid.NewSHA1(uuid.Nil, []byte(fmt.Sprint("tx", n))), Reference: fmt.Sprint("r", n), Body: Body{
		Action: rapid.SampledFrom([]Action{ActionPost, ActionPost, ActionHold, ActionCapture, ActionRelease, ActionReverse}).Draw(t, "action"),
		Type:   "test", Channel: "internal"}}
	amount := rapid.Int64Range(1, 120).Draw(t, "amount")
	target := rapid.SampledFrom(ids).Draw(t, "target")
	switch r.Action {
	case ActionPost, ActionHold:
		pair := rapid.Permutation(accounts).Draw(t, "accounts")
		r.Postings = []Posting{{Source: pair[0], Destination: pair[1], Amount: amount, Currency: "KES"}}
		r.OverMaximum = r.Action == ActionPost && rapid.Bool().Draw(t, "over_maximum")
		if r.Action == ActionHold && rapid.Bool().Draw(t, "expires") {
			r.ExpiresAt = new(rapid.SampledFrom([]time.Time{{}, time.Unix(0, 0).UTC(), time.Unix(1e9, 0).UTC(), time.Unix(1e9, 1000).UTC(),
				latest}).Draw(t, "expires_at"))
		}
	case ActionReverse:
		r.OriginalID, r.HasAmount, r.Amount, r.Currency = target, true, amount, "KES"
		r.OverMaximum = rapid.Bool().Draw(t, "over_maximum")
	case ActionRelease:
		if r.HoldID, r.UpToMaximum = target, rapid.Bool().Draw(t, "up_to_maximum"); !r.UpToMaximum {
			r.HasAmount, r.Amount, r.Currency = true, amount, "KES"
		}
	default:
		r.HoldID, r.HasAmount, r.Amount, r.Currency = target, true, amount, "KES"
	}
	if rapid.Bool().Draw(t, "backdated") { // it says when a transaction counts, and changes nothing of what is decided
		r.EffectiveAt = new(time.Unix(rapid.Int64Range(1, 1e9).Draw(t, "effective_at"), 0).UTC())
	}
	return r
}

// TestDecideAgainstModel runs random lists, atomic ones too, in random batches through Decide and list by list through the model.
func TestDecideAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := State{Accounts: map[uuid.UUID]Account{}, Holds: map[uuid.UUID]HoldState{}, Originals: map[uuid.UUID]Original{},
			Now: time.Unix(1e9, 0).UTC()}
		m := &model{balance: map[uuid.UUID]int64{}, reserved: map[uuid.UUID]int64{}, overCap: map[uuid.UUID]int64{},
			maximum: map[uuid.UUID]int64{},
			holds:   map[uuid.UUID]*modelHold{}, transactions: map[uuid.UUID]*modelTransaction{}, freed: map[uuid.UUID]int64{}, now: s.Now}
		var accounts []uuid.UUID
		for i := range 5 {
			a := Account{ID: uuid.NewSHA1(uuid.Nil, []byte{byte(i)}), Currency: "KES", NormalSide: Credit, Status: Active}
			if i < 3 {
				maximum := rapid.Int64Range(0, 200).Draw(t, "maximum")
				a.Minimum, a.Maximum = new(int64), &maximum
				m.maximum[a.ID] = maximum
			}
			s.Accounts[a.ID] = a
			accounts = append(accounts, a.ID)
		}
		ids := []uuid.UUID{uuid.NewSHA1(uuid.Nil, []byte("nothing"))}
		for batch, n := 0, 0; batch < 8; batch++ {
			var requests []Request
			var lists [][]Request
			for range rapid.IntRange(1, 4).Draw(t, "lists") {
				list := drawList(t, accounts, ids, n)
				n += len(list)
				lists, requests = append(lists, list), append(requests, list...)
			}
			before := State{Accounts: maps.Clone(s.Accounts), Holds: maps.Clone(s.Holds), Originals: maps.Clone(s.Originals), Now: s.Now}
			d := Decide(s, requests)
			if !reflect.DeepEqual(s, before) {
				t.Fatal("Decide changed its input")
			}
			outcomes, transactions := d.Outcomes, d.Transactions
			for _, list := range lists {
				for i, code := range m.applyList(list) {
					o := outcomes[0]
					outcomes = outcomes[1:]
					if code != o.Code || (code == "") != (o.Status == Posted) || o.Reference != list[i].Reference {
						t.Fatalf("%+v: outcome %+v, the model says %q", list[i], o, code)
					}
					if o.Status != Posted {
						continue
					}
					if freed := m.freed[o.TransactionID]; o.Released != freed || o.Currency != map[bool]string{true: "KES"}[freed > 0] {
						t.Fatalf("%+v: released %d %s, the model says %d", list[i], o.Released, o.Currency, freed)
					}
					if tx := transactions[0]; tx.Reference != o.Reference || tx.ID != o.TransactionID || tx.Request.EffectiveAt != list[i].EffectiveAt {
						t.Fatalf("%+v was posted as %+v", list[i], tx)
					}
					transactions = transactions[1:]
				}
			}
			if len(outcomes) > 0 || len(transactions) > 0 {
				t.Fatalf("%d outcomes and %d transactions too many", len(outcomes), len(transactions))
			}
			apply(&s, d)
			for _, tx := range d.Transactions {
				ids = append(ids, tx.ID)
			}
			compare(t, s, m)
		}
	})
}

// apply stores a decision as the database would, and proves the running numbers of its postings.
func apply(s *State, d Decision) {
	for _, tx := range d.Transactions {
		if len(tx.Postings) > 0 {
			o := Original{ID: tx.ID, Action: tx.Action}
			for i, p := range tx.Postings {
				o.Postings = append(o.Postings, OriginalPosting{Posting: p.Posting, Position: i})
			}
			s.Originals[tx.ID] = o
		}
		for _, p := range tx.Postings {
			if p.ReversesPosition >= 0 {
				o := s.Originals[tx.ReversesID]
				o.Postings = slices.Clone(o.Postings)
				o.Postings[p.ReversesPosition].Reversed += p.Amount
				s.Originals[o.ID] = o
			}
		}
	}
	for _, a := range d.Accounts {
		s.Accounts[a.ID] = a
	}
	for _, h := range slices.Concat(d.Holds, d.NewHolds) {
		s.Holds[h.ID] = h
	}
}

func compare(t *rapid.T, s State, m *model) {
	var debits, credits int64
	for id, a := range s.Accounts {
		debits += a.Debits
		credits += a.Credits
		if a.Balance() != m.balance[id] || a.Held() != m.reserved[id] || a.OverCap != m.overCap[id] {
			t.Fatalf("account has %d, %d held, %d over; the model %d, %d, %d", a.Balance(), a.Held(), a.OverCap, m.balance[id], m.reserved[id],
				m.overCap[id])
		}
		if a.Minimum != nil && a.Available() < 0 {
			t.Fatalf("available is %d", a.Available())
		}
	}
	if debits != credits {
		t.Fatalf("debits %d, credits %d", debits, credits)
	}
	for id, h := range s.Holds {
		if h.Remaining() != m.holds[id].left || h.Remaining() < 0 || (h.Status == HoldActive) != (h.Remaining() > 0) {
			t.Fatalf("hold %+v, the model has %d left", h, m.holds[id].left)
		}
	}
}

// TestBatchingChangesNothing: a list decided at once has the outcomes and leaves the accounts of the same list decided one by one, so
// the committer may group callers as it likes.
func TestBatchingChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		start := State{Accounts: map[uuid.UUID]Account{}, Holds: map[uuid.UUID]HoldState{}, Originals: map[uuid.UUID]Original{},
			Now: time.Unix(1e9, 0).UTC()}
		var accounts []uuid.UUID
		for i := range 4 {
			side := []Side{Credit, Debit}[i%2]
			a := Account{ID: uuid.NewSHA1(uuid.Nil, []byte{byte(i)}), Currency: "KES", NormalSide: side, Status: Active, Debits: 100, Credits: 100}
			if i < 2 {
				a.Minimum = new(int64)
			}
			start.Accounts[a.ID] = a
			accounts = append(accounts, a.ID)
		}
		ids := []uuid.UUID{uuid.NewSHA1(uuid.Nil, []byte("tx0")), uuid.NewSHA1(uuid.Nil, []byte("tx1"))}
		var requests []Request
		for n := range rapid.IntRange(1, 20).Draw(t, "size") {
			requests = append(requests, draw(t, accounts, ids, n+2))
		}
		at := Posting{Source: accounts[2], Destination: accounts[0], Amount: 50, Currency: "KES"}
		apply(&start, Decide(start, []Request{
			{TransactionID: ids[0], Reference: "a", Body: Body{Action: ActionPost, Postings: []Posting{at}}},
			{TransactionID: ids[1], Reference: "b", Body: Body{Action: ActionHold, Postings: []Posting{at}}}}))
		atOnce := Decide(start, requests)
		single := State{Accounts: maps.Clone(start.Accounts), Holds: maps.Clone(start.Holds), Originals: maps.Clone(start.Originals),
			Now: start.Now}
		for i, r := range requests {
			d := Decide(single, []Request{r})
			if !reflect.DeepEqual(d.Outcomes[0], atOnce.Outcomes[i]) {
				t.Fatalf("alone %+v, in the batch %+v", d.Outcomes[0], atOnce.Outcomes[i])
			}
			apply(&single, d)
		}
		apply(&start, atOnce)
		if !reflect.DeepEqual(single.Accounts, start.Accounts) || !reflect.DeepEqual(single.Holds, start.Holds) {
			t.Fatal("the accounts or holds differ")
		}
	})
}
