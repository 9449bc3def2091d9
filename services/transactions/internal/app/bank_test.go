package app_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// bank is customers' accounts of two currencies among which all money moves, while some of them close and others open.
type bank struct {
	*world
	ledgers []*app.App
	mu      sync.Mutex
	slots   []bankSlot
	done    sync.Map // what happened: *atomic.Int64 by action and outcome
}

type bankSlot struct {
	account  domain.Account
	currency string
}

const (
	bankFunds  = 2_000 // each
	leastReads = 10
)

// TestBank runs transfers, holds, captures, releases, reversals, atomic lists, and the closing and opening of accounts by 16 callers of two
// replicas, while readers take the totals: in every snapshot each currency sums to zero, customers have what was paid in, and nobody has
// less than nothing (L2, W1). The world proves the rest at the end.
func TestBank(t *testing.T) {
	t.Parallel()
	w := setup(t)
	b := &bank{world: w, ledgers: []*app.App{w.App, w.replica(t)}}
	funds := map[string]int64{}
	for i := range 20 {
		currency := []string{"KES", "KES", "UGX"}[i%3]
		a := w.customer(t, currency, 0)
		b.slots = append(b.slots, bankSlot{a, currency})
		w.posted(t, w.request(domain.ActionPost,
			domain.Posting{Source: domain.SystemAccountID("commission.payable." + currency), Destination: a.ID, Amount: bankFunds,
				Currency: currency}))
		funds[currency] += bankFunds
	}
	ctx, stop := context.WithCancel(context.Background())
	var readers, writers sync.WaitGroup
	var reads atomic.Int64
	for range 2 {
		readers.Go(func() {
			for tick := time.NewTicker(3 * time.Millisecond); ctx.Err() == nil; <-tick.C {
				if err := b.readTotals(funds); err != nil {
					t.Error(err)
					return
				}
				reads.Add(1)
			}
		})
	}
	for i := range 16 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			// Chance decides what happens, so until all has, and until readers have looked often enough, on whatever machine.
			for n := 0; n < 40 || n < 1000 && (len(b.missing()) > 0 || reads.Load() < leastReads); n++ {
				if err := b.act(rng, b.ledgers[i%2]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	if reads.Load() < leastReads {
		t.Errorf("%d totals were read", reads.Load())
	}
	if never := b.missing(); len(never) > 0 {
		t.Errorf("never happened: %v", never)
	}
}

// missing is what has not happened so far, of all that must.
func (b *bank) missing() (never []string) {
	for _, what := range []string{"post posted", "post insufficient_funds", "hold posted", "capture posted", "release posted",
		"reverse posted", "post batch_refused", "closed"} {
		if _, ok := b.done.Load(what); !ok {
			never = append(never, what)
		}
	}
	return never
}

func (b *bank) count(what string) {
	n, _ := b.done.LoadOrStore(what, &atomic.Int64{})
	n.(*atomic.Int64).Add(1)
}

// pair returns two accounts of one currency.
func (b *bank) pair(rng *rand.Rand) (from, to domain.Account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		i, j := rng.IntN(len(b.slots)), rng.IntN(len(b.slots))
		if i != j && b.slots[i].currency == b.slots[j].currency {
			return b.slots[i].account, b.slots[j].account
		}
	}
}

// post sends a list and counts what became of it.
func (b *bank) post(ledger *app.App, together bool, list ...domain.Request) ([]domain.Outcome, error) {
	out, err := ledger.PostTransactions(b.Ctx, list, together)
	if err != nil {
		return nil, err
	}
	for i, o := range out {
		b.count(fmt.Sprintf("%s %s", list[i].Action, map[bool]string{true: "posted", false: o.Code}[o.Status == domain.Posted]))
	}
	return out, nil
}

func (b *bank) act(rng *rand.Rand, ledger *app.App) error {
	from, to := b.pair(rng)
	posting := func(amount int64) domain.Posting {
		return domain.Posting{Source: from.ID, Destination: to.ID, Amount: amount, Currency: from.Currency}
	}
	part := func(action domain.Action, hold, original uuid.UUID, amount int64) domain.Request {
		r := b.request(action)
		r.HoldID, r.OriginalID, r.HasAmount, r.Amount, r.Currency = hold, original, true, amount, from.Currency
		return r
	}
	switch rng.IntN(8) {
	case 0:
		other, another := b.pair(rng) // maybe in the other currency
		_, err := b.post(ledger, true, b.request(domain.ActionPost, posting(1+rng.Int64N(900))),
			b.request(domain.ActionPost, domain.Posting{Source: other.ID, Destination: another.ID, Amount: 1 + rng.Int64N(2_000),
				Currency: other.Currency}))
		return err
	case 1, 2:
		out, err := b.post(ledger, false, b.request(domain.ActionHold, posting(100)))
		if err != nil || out[0].Status != domain.Posted {
			return err
		}
		if _, err = b.post(ledger, false, part(domain.ActionCapture, out[0].HoldID, uuid.Nil, 1+rng.Int64N(60)),
			part(domain.ActionRelease, out[0].HoldID, uuid.Nil, 10),
			part(domain.ActionCapture, out[0].HoldID, uuid.Nil, 90)); err != nil { // the last is too much by now
			return err
		}
		rest := b.request(domain.ActionRelease) // or soon no account could be closed any more
		rest.HoldID = out[0].HoldID
		_, err = b.post(ledger, false, rest)
		return err
	case 3:
		out, err := b.post(ledger, false, b.request(domain.ActionPost, posting(50+rng.Int64N(300))))
		if err != nil || out[0].Status != domain.Posted {
			return err
		}
		_, err = b.post(ledger, false, part(domain.ActionReverse, uuid.Nil, out[0].TransactionID, 30),
			part(domain.ActionReverse, uuid.Nil, out[0].TransactionID, 20))
		return err
	case 4:
		return b.closeOne(rng, ledger)
	}
	_, err := b.post(ledger, false, b.request(domain.ActionPost, posting(1+rng.Int64N(1_500))))
	return err
}

// closeOne empties an account and closes it, unless others are faster, and opens another one in its place.
func (b *bank) closeOne(rng *rand.Rand, ledger *app.App) error {
	account, to := b.pair(rng)
	now, err := ledger.GetAccount(b.Ctx, account.ID)
	if err != nil {
		return err
	}
	if free := now.Available(); free > 0 {
		if _, err := b.post(ledger, false,
			b.request(domain.ActionPost, domain.Posting{Source: account.ID, Destination: to.ID, Amount: free,
				Currency: account.Currency})); err != nil {
			return err
		}
	}
	account.Status = domain.Closed
	_, _, err = ledger.PutAccount(b.Ctx, account)
	if errors.Is(err, domain.ErrAccountNotEmpty) {
		return nil // money came, or is on hold
	}
	if err != nil {
		return err
	}
	b.count("closed")
	fresh, _, err := ledger.PutAccount(b.Ctx,
		domain.Account{ID: newID(), OwnerID: newID(), Kind: domain.KindCustomerWallet, Currency: account.Currency})
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.slots {
		if b.slots[i].account.ID == account.ID {
			b.slots[i].account = fresh
		}
	}
	return nil
}

// readTotals compares one snapshot with what must be true in each.
func (b *bank) readTotals(funds map[string]int64) error {
	return pgx.BeginTxFunc(context.Background(), b.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error {
			rows, err := tx.Query(context.Background(), `SELECT currency, sum(debits_minor - credits_minor)::bigint,
			coalesce(sum(credits_minor - debits_minor) FILTER (WHERE kind = 'customer_wallet'), 0)::bigint,
			count(*) FILTER (WHERE kind = 'customer_wallet' AND credits_minor - debits_minor - pending_debits_minor < 0),
			sum(pending_debits_minor)::bigint - coalesce((SELECT sum(h.amount_minor - h.captured_minor - h.released_minor) FROM holds h WHERE
			h.currency = accounts.currency), 0)::bigint
			FROM accounts GROUP BY currency`)
			if err != nil {
				return err
			}
			var currency string
			var total, customers, negative, unheld int64
			_, err = pgx.ForEachRow(rows, []any{&currency, &total, &customers, &negative, &unheld}, func() error {
				if total != 0 || customers != funds[currency] || negative != 0 || unheld != 0 {
					return fmt.Errorf("%s: total %d, customers have %d of %d, %d accounts below zero, %d counted as held but not by a hold",
						currency, total, customers, funds[currency], negative, unheld)
				}
				return nil
			})
			return err
		})
}
