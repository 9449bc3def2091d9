package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sendtip/sendtip/kit/auth"
)

const (
	// fundsMinor is what each account gets, enough for ten thousand transfers; hotFundsMinor enough for ten thousand million.
	fundsMinor    = 1_000_000
	hotFundsMinor = 1_000_000_000_000
	openers       = 16
	prepareLimit  = 5 * time.Minute
)

// account is one that takes part.
type account struct {
	id, owner uuid.UUID
	text      string
}

func newAccount(id, owner uuid.UUID) account { return account{id, owner, id.String()} }

// field is all accounts of the run.
type field struct {
	accounts []account
	hot      account // the one source of the hot rounds; it takes part in no other
}

// field takes the accounts of a seeded ledger, opens what is missing through the service, and funds them.
func (w *world) field(ctx context.Context) (*field, error) {
	f := &field{hot: newAccount(uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()))}
	var err error
	if f.accounts, err = w.existing(ctx); err != nil {
		return nil, err
	}
	say("opening and funding %d accounts, %d exist", w.o.accounts, len(f.accounts))
	open := []account{f.hot}
	for len(f.accounts) < w.o.accounts {
		a := newAccount(uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()))
		f.accounts, open = append(f.accounts, a), append(open, a)
	}
	if err := w.inParallel(ctx, open, 1, openAccounts); err != nil {
		return nil, err
	}
	if err := w.inParallel(ctx, []account{f.hot}, 1, fund(hotFundsMinor)); err != nil {
		return nil, err
	}
	if err := w.inParallel(ctx, f.accounts, 100, fund(fundsMinor)); err != nil {
		return nil, err
	}
	// What autovacuum would do within a minute: without it the first plans are made for an empty table.
	if _, err := w.admin.Exec(ctx, "VACUUM (ANALYZE)"); err != nil {
		return nil, fmt.Errorf("analyze: %w", err)
	}
	_, err = w.drained(ctx)
	return f, err
}

// existing are customers' accounts at random that a round will not lift above their maximum.
func (w *world) existing(ctx context.Context) (out []account, err error) {
	rows, err := w.admin.Query(ctx,
		`SELECT id, owner_id FROM accounts WHERE kind = 'customer_wallet' AND currency = 'KES' AND status = 'active'
		AND (maximum_minor IS NULL OR maximum_minor >= credits_minor - debits_minor + $1) ORDER BY random() LIMIT $2`, 10*fundsMinor,
		w.o.accounts)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, owner uuid.UUID
		if err := rows.Scan(&id, &owner); err != nil {
			return nil, fmt.Errorf("list accounts: %w", err)
		}
		out = append(out, newAccount(id, owner))
	}
	return out, rows.Err()
}

// inParallel calls do with lists of so many accounts on a few connections.
func (w *world) inParallel(ctx context.Context, all []account, size int, do func(c *wire, header string, list []account) error) error {
	group, ctx := errgroup.WithContext(ctx)
	lists := make(chan []account)
	group.Go(func() error {
		defer close(lists)
		for start := 0; start < len(all); start += size {
			select {
			case lists <- all[start:min(start+size, len(all))]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range openers {
		group.Go(func() error {
			c, err := dial(ctx, w.ports.Of("transactions"), prepareLimit)
			if err != nil {
				return err
			}
			defer c.close()
			for list := range lists {
				token, err := w.tokens.service()
				if err != nil {
					return err
				}
				if err := do(c, auth.IdentityHeader+": "+token, list); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func openAccounts(c *wire, header string, list []account) error {
	for _, a := range list {
		body := `{"owner_id":"` + a.owner.String() + `","kind":"customer_wallet","currency":"KES","minimum_minor":0}`
		status, err := c.send(http.MethodPut, "/v1/ledger/accounts/"+a.text, header, []byte(body))
		if err != nil {
			return fmt.Errorf("open an account: %w", err)
		}
		if status != http.StatusCreated {
			return fmt.Errorf("open an account: %d %s", status, c.answer)
		}
	}
	return nil
}

// fund posts money from the paybill account, as a deposit would.
func fund(minor int64) func(c *wire, header string, list []account) error {
	return func(c *wire, header string, list []account) error {
		b := []byte(`{"transactions":[`)
		for i, a := range list {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"reference":"`+uuid.NewString()+
				`:fund","action":"post","type":"deposit","channel":"mpesa","postings":[{"source":"rail.mpesa.paybill.KES","destination":"`...)
			b = append(b, a.text...)
			b = append(b, `","amount":{"amount":`+strconv.FormatInt(minor, 10)+`,"currency":"KES"}}]}`...)
		}
		status, err := c.send(http.MethodPost, postPath, header, append(b, `]}`...))
		if err != nil {
			return fmt.Errorf("fund: %w", err)
		}
		if n := countPosted(c.answer); status != http.StatusOK || n != len(list) {
			return fmt.Errorf("fund: %d, %d of %d posted: %.300s", status, n, len(list), c.answer)
		}
		return nil
	}
}
