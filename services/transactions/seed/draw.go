package seed

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/providers/safaricom"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

const (
	currency = safaricom.Currency // the seed's rail is M-Pesa

	minBatch, maxBatch = 64, 256 // transactions that a busy committer takes together

	medianMinor = 50_000 // KES 500
	leastMinor  = 1_000
	mostMinor   = 15_000_000
	spreadLog   = 1.1 // standard deviation of the amounts' logarithm

	zipfExponent = 1.1 // the busiest account has nearly 1% of what happens to 200,000
	zipfShift    = 20

	holdExpiry = 10 * time.Minute
	reversible = 2048 // recent transactions of which some will be reversed
)

// Shares of what customers do. What remains is pay-ins, and so is what an empty account cannot do: money comes in as it goes out.
const (
	shareTransfer   = 0.46
	shareWithdrawal = 0.10
	shareReversal   = 0.012
	shareRefused    = 0.008
	shareReceipt    = 0.4  // pay-ins with metadata
	shareBackdated  = 0.01 // pay-ins that counted earlier than they were recorded
	shareReleased   = 0.10 // holds
	shareExpiring   = 0.02
	sharePartly     = 0.04
	shareOverMax    = 0.05 // pay-ins above the maximum that are made all the same
)

var (
	rail   = domain.SystemAccountID("rail.mpesa.paybill." + currency)
	fees   = domain.SystemAccountID("fees.revenue." + currency)
	excise = domain.SystemAccountID("excise.payable." + currency)
)

// draw makes up what customers ask for. The same random numbers on the same book make the same requests.
type draw struct {
	random *rand.ChaCha8
	rnd    *rand.Rand
	zipf   *rand.Zipf
	book   *book
	people []int // accounts that take part, the busiest first

	now       time.Time
	batch     int
	receipts  uint64 // numbers of M-Pesa receipts
	due       map[int][]payout
	planned   map[int]int64
	recent    []domain.Original
	originals map[uuid.UUID]domain.Original // that this batch reverses
	requests  []domain.Request
}

// payout is a hold that is to be settled.
type payout struct {
	hold      uuid.UUID
	reference string
	rest      bool  // what a partial capture left is to be released
	rooms     int32 // releases of what there was room for, so far
}

func newDraw(b *book, people []int, seed, salt, receipts uint64) *draw {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[0:], seed)
	binary.LittleEndian.PutUint64(key[8:], salt)
	random := rand.NewChaCha8(key)
	rnd := rand.New(random) // #nosec G404 -- made-up data that must be reproducible
	return &draw{random: random, rnd: rnd, zipf: rand.NewZipf(rnd, zipfExponent, zipfShift, uint64(len(people)-1)), book: b, people: people,
		receipts: receipts, due: map[int][]payout{}, planned: map[int]int64{}, originals: map[uuid.UUID]domain.Original{}}
}

// next returns the requests of a batch of at most limit. They are valid until the next call.
func (d *draw) next(now time.Time, limit int) []domain.Request {
	d.now, d.batch = now, d.batch+1
	d.requests = d.requests[:0]
	clear(d.planned)
	clear(d.originals)
	n := min(limit, minBatch+d.rnd.IntN(maxBatch-minBatch+1))
	settle := d.due[d.batch]
	delete(d.due, d.batch)
	for i, p := range settle {
		if len(d.requests) == n {
			d.later(1, settle[i:]...)
			break
		}
		d.settle(p)
	}
	for len(d.requests) < n {
		d.one()
	}
	return d.requests
}

// one draws what one customer does.
func (d *draw) one() {
	p, from := d.rnd.Float64(), d.person()
	switch {
	case p < shareTransfer:
		d.transfer(from)
	case p < shareTransfer+shareWithdrawal:
		d.withdraw(from)
	case p < shareTransfer+shareWithdrawal+shareReversal:
		d.reverse(from)
	case p < shareTransfer+shareWithdrawal+shareReversal+shareRefused:
		d.doomed(from)
	default:
		d.payIn(from)
	}
}

func (d *draw) person() int { return d.people[d.zipf.Uint64()] }

// amount is log-normal, in whole shillings.
func (d *draw) amount() int64 {
	a := int64(medianMinor * math.Exp(spreadLog*d.rnd.NormFloat64()))
	return min(max(a/100*100, leastMinor), mostMinor)
}

// charge is the fee of an amount and the excise duty on it, half up.
func charge(amount int64) (fee, duty int64) {
	fee = min(max(amount/100, 500), 10_500)
	return fee, (fee*15 + 50) / 100
}

// spare is what an account can still give in this batch.
func (d *draw) spare(i int) int64 {
	a := &d.book.accounts[i]
	s := a.Available() + min(d.planned[i], 0)
	if a.Minimum != nil {
		s -= *a.Minimum
	}
	return s
}

// room is what an account can still take.
func (d *draw) room(i int) int64 {
	a := &d.book.accounts[i]
	if a.Maximum == nil {
		return domain.MaxAmount
	}
	return *a.Maximum - (a.Balance() - a.OverCap) - max(d.planned[i], 0)
}

func (d *draw) payIn(to int) {
	amount := d.amount()
	if d.room(to) < amount && d.rnd.Float64() > shareOverMax {
		if to = d.people[d.rnd.IntN(len(d.people))]; d.room(to) < amount {
			return // a full account: its owner does nothing
		}
	}
	receipt := d.receipt()
	b := domain.Body{Action: domain.ActionPost, Type: "deposit", Channel: "mpesa", OverMaximum: true,
		Postings: []domain.Posting{d.posting(rail, d.id(to), amount)}}
	if d.rnd.Float64() < shareReceipt {
		b.Metadata = map[string]string{"receipt": receipt}
	}
	if d.rnd.Float64() < shareBackdated {
		at := d.now.Add(-time.Duration(d.rnd.Int64N(int64(72 * time.Hour)))).Truncate(time.Microsecond)
		b.EffectiveAt = &at
	}
	d.plan(to, amount)
	d.add("c2b:"+receipt, b)
}

func (d *draw) transfer(from int) {
	amount := d.amount()
	fee, duty := charge(amount)
	if d.spare(from) < amount+fee+duty {
		d.payIn(from)
		return
	}
	to := d.person()
	for range 3 {
		if to != from && d.room(to) >= amount {
			break
		}
		to = d.person()
	}
	if to == from {
		return
	}
	d.plan(from, -(amount + fee + duty))
	d.plan(to, amount)
	source := d.id(from)
	d.add(d.newID().String()+":post", domain.Body{Action: domain.ActionPost, Type: "transfer", Channel: "internal", Postings: []domain.Posting{
		d.posting(source, d.id(to), amount), d.posting(source, fees, fee), d.posting(source, excise, duty)}})
}

func (d *draw) withdraw(from int) {
	amount := d.amount()
	fee, duty := charge(amount)
	if d.spare(from) < amount+fee+duty {
		d.payIn(from)
		return
	}
	d.plan(from, -(amount + fee + duty))
	source := d.id(from)
	b := domain.Body{Action: domain.ActionHold, Type: "withdrawal", Channel: "mpesa", Postings: []domain.Posting{
		d.posting(source, rail, amount), d.posting(source, fees, fee), d.posting(source, excise, duty)}}
	if d.rnd.Float64() < shareExpiring {
		at := d.now.Add(holdExpiry)
		b.ExpiresAt = &at
	}
	d.add(d.newID().String()+":hold", b)
}

// settle ends a hold: captured, captured in part and later released, released, or expired.
func (d *draw) settle(p payout) {
	h, ok := d.book.holds[p.hold]
	if !ok {
		return
	}
	p0 := d.rnd.Float64()
	b := domain.Body{Action: domain.ActionCapture, Type: "withdrawal", Channel: "mpesa", HoldID: h.ID}
	switch {
	case h.Reason == domain.HoldOverCap:
		d.freeRoom(h, p)
		return
	case !h.ExpiresAt.IsZero():
		if d.now.Before(h.ExpiresAt) {
			d.later(5, p)
			return
		}
		r := domain.ExpiryRelease(h.ID)
		d.add(r.Reference, r.Body)
		return
	case p.rest || p0 < shareReleased:
		b.Action = domain.ActionRelease
	case p0 < shareReleased+sharePartly && len(h.Lines) > 1 && h.Lines[0].Amount > 1:
		for i, l := range h.Lines {
			if i == 0 {
				l.Amount /= 2
			}
			b.Postings = append(b.Postings, d.posting(h.AccountID, l.Destination, l.Amount))
		}
		d.later(3, payout{hold: p.hold, reference: p.reference, rest: true})
	}
	reference := p.reference + ":" + string(b.Action)
	d.add(reference, b)
}

// freeRoom releases what there is room for, as the ledger does by itself, and comes back for the rest.
func (d *draw) freeRoom(h domain.HoldState, p payout) {
	account := d.book.index[h.AccountID]
	room := min(d.room(account), h.Remaining())
	if room > 0 {
		d.plan(account, room)
		p.rooms++
		r := domain.RoomRelease(h.ID, p.rooms)
		d.add(r.Reference, r.Body)
	}
	if room < h.Remaining() {
		d.later(200, p)
	}
}

// reverse turns back a recent transaction, or the half of its first posting.
func (d *draw) reverse(otherwise int) {
	if len(d.recent) == 0 {
		d.payIn(otherwise)
		return
	}
	at := d.rnd.IntN(len(d.recent))
	o := d.recent[at]
	first := &o.Postings[0]
	taker := d.book.index[first.Destination]
	if d.spare(taker) < first.Amount {
		d.payIn(taker)
		return
	}
	d.recent[at] = d.recent[len(d.recent)-1]
	d.recent = d.recent[:len(d.recent)-1]
	d.plan(taker, -first.Amount)
	d.originals[o.ID] = o
	b := domain.Body{Action: domain.ActionReverse, Type: "reversal", Channel: "internal", OriginalID: o.ID}
	if half := first.Amount / 2; first.Reversed == 0 && half > 0 && d.rnd.IntN(2) == 0 {
		if len(o.Postings) == 1 {
			b.Amount, b.Currency, b.HasAmount = half, currency, true
		} else {
			b.Postings = []domain.Posting{d.posting(first.Destination, first.Source, half)}
		}
	}
	d.add(d.newID().String()+":reverse", b)
}

// doomed asks for more than there is, or names an account that does not exist.
func (d *draw) doomed(from int) {
	a := &d.book.accounts[from]
	to, amount := rail, max(a.Available(), 0)+d.amount()
	if d.rnd.IntN(4) == 0 {
		to, amount = d.newID(), d.amount()
	}
	d.add(d.newID().String()+":post",
		domain.Body{Action: domain.ActionPost, Type: "transfer", Channel: "internal", Postings: []domain.Posting{d.posting(a.ID, to, amount)}})
}

func (d *draw) posting(from, to uuid.UUID, amount int64) domain.Posting {
	return domain.Posting{Source: from, Destination: to, Amount: amount, Currency: currency}
}

func (d *draw) id(i int) uuid.UUID { return d.book.accounts[i].ID }

func (d *draw) plan(i int, change int64) { d.planned[i] += change }

func (d *draw) later(batches int, list ...payout) {
	d.due[d.batch+batches] = append(d.due[d.batch+batches], list...)
}

// add completes a request as the ledger does.
func (d *draw) add(reference string, b domain.Body) {
	r := domain.Request{Reference: reference, Body: b, TransactionID: d.newID()}
	r.BodyHash = r.Hash()
	_, _ = d.random.Read(r.Salt[:]) // never fails
	if len(b.Metadata) > 0 {
		_, _ = d.random.Read(r.MetadataSalt[:])
	}
	d.requests = append(d.requests, r)
}

// newID is a UUIDv7 of the drawn time.
func (d *draw) newID() uuid.UUID { return idAt(d.rnd, d.now) }

func idAt(rnd *rand.Rand, at time.Time) (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:], uint64(at.UnixMilli())<<16|rnd.Uint64()>>52) // #nosec G115 -- after 1970
	binary.BigEndian.PutUint64(id[8:], rnd.Uint64())
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id
}

// receipt looks like M-Pesa's: three characters of the day, seven that are never the same twice.
func (d *draw) receipt() string {
	const (
		alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		space    = 36 * 36 * 36 * 36 * 36 * 36 * 36
		step     = 1_618_033_999 // has no factor in common with space, and leaves room for 10^10 numbers in 64 bits
	)
	d.receipts++
	tail := strconv.FormatUint(d.receipts%space*step%space, 36)
	day := []byte{alphabet[10+d.now.Year()%26], alphabet[9+int(d.now.Month())], alphabet[d.now.Day()]}
	b := append(make([]byte, 0, 10), day...)
	for range 7 - len(tail) {
		b = append(b, '0')
	}
	for i := range len(tail) {
		c := tail[i]
		if c >= 'a' {
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}
