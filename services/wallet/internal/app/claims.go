package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	claimOpen    = "open"
	claimRefuted = "refuted"
	claimCase    = "case"

	caseClaim = "claim"
	// indexAccount is the purpose of the blind index of accounts in claims.
	indexAccount = "claim.account"
	budgetPull   = "pull"
	// maxPullPages bounds one question; a page that was not read is read an hour later.
	maxPullPages = 20
	// verifyEvery is how often claims are looked for.
	verifyEvery = 2 * time.Second
)

// claim notes what a message says that only Safaricom's own books can confirm. Nothing moves, and the genuine message is not kept from its
// receipt.
func (a *App) claim(ctx context.Context, tx pgx.Tx, row walletdb.GetCallbackRow, p payment) (string, error) {
	taken, err := a.q.GetReceipt(ctx, tx, p.Receipt)
	switch {
	case err == nil && taken.AmountMinor == p.Amount.Amount:
		return verdictDuplicate, nil // it is accounted for: nothing is left to claim
	case err == nil:
		return verdictConflict, nil
	case !pg.IsNoRows(err):
		return "", fmt.Errorf("get receipt: %w", err)
	}
	now := a.Now()
	c := walletdb.InsertClaimParams{CallbackID: row.ID, ReceiptKey: p.Receipt, AmountMinor: p.Amount.Amount, CreatedAt: now,
		AccountIndex: a.Sealer.Index(indexAccount, p.Account), PaidAt: domain.ClaimTime(p.PaidAt, row.ReceivedAt), State: claimOpen, NextAskAt: &now}
	if !a.AskPull {
		c.State, c.NextAskAt = claimCase, nil
		if err := a.openCase(ctx, tx, caseClaim, row.ID); err != nil {
			return "", err
		}
	}
	if err := a.q.InsertClaim(ctx, tx, c); err != nil {
		return "", fmt.Errorf("insert claim: %w", err)
	}
	return verdictUnverified, nil
}

// closeClaims ends the claims to a receipt that is accounted for. Those that said something else were lies, or somebody's slip.
func (a *App) closeClaims(ctx context.Context, tx pgx.Tx, p payment) error {
	closed, err := a.q.CloseClaims(ctx, tx, p.Amount.Amount, a.Sealer.Indexes(indexAccount, p.Account), p.Receipt)
	if err != nil {
		return fmt.Errorf("close claims: %w", err)
	}
	for _, c := range closed {
		if c.State == claimRefuted {
			a.alarm(ctx, "claim_refuted", "callback", c.CallbackID)
		}
	}
	return nil
}

// openCase leaves a message to a person of finance.
func (a *App) openCase(ctx context.Context, tx pgx.Tx, kind string, callbackID uuid.UUID) error {
	if err := a.q.OpenCase(ctx, tx, kind, &callbackID, a.Now()); err != nil {
		return fmt.Errorf("open case: %w", err)
	}
	return nil
}

// VerifyLoop asks about claims until ctx ends. Any number of replicas may run it.
func (a *App) VerifyLoop(ctx context.Context) error {
	ticks := time.NewTicker(verifyEvery)
	defer ticks.Stop()
	for {
		if err := a.VerifyClaims(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "claims could not be verified", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// VerifyClaims asks Safaricom's books about every claim that is due, within this minute's budget.
func (a *App) VerifyClaims(ctx context.Context) error {
	for {
		now := a.Now()
		if due, err := a.q.ClaimsDue(ctx, a.Pool, &now); err != nil || !due {
			return err
		}
		if ok, err := a.mayAsk(ctx); err != nil || !ok {
			return err
		}
		c, err := a.q.TakeClaim(ctx, a.Pool, walletdb.TakeClaimParams{Now: now, Second: now.Add(domain.ClaimSecond), Third: now.Add(domain.ClaimThird),
			Later: now.Add(domain.ClaimLater)})
		if pg.IsNoRows(err) {
			return nil // another replica asks
		}
		if err != nil {
			return fmt.Errorf("take claim: %w", err)
		}
		if err := a.verifyClaim(ctx, c); err != nil {
			return err
		}
	}
}

// mayAsk spends one question of this minute.
func (a *App) mayAsk(ctx context.Context) (bool, error) {
	_, err := a.q.SpendQuestion(ctx, a.Pool, a.Now().Truncate(time.Minute), budgetPull, domain.ClaimsPerMinute)
	if pg.IsNoRows(err) {
		return false, nil
	}
	return err == nil, err
}

func (a *App) verifyClaim(ctx context.Context, c walletdb.TakeClaimRow) error {
	found, err := a.pull(ctx, c)
	over := a.Now().Sub(c.CreatedAt) >= domain.ClaimEnd
	switch {
	case err != nil && !over:
		return fmt.Errorf("pull transactions: %w", err) // no answer: it is asked again
	case err != nil:
		a.Log.WarnContext(ctx, "claim got no answer", "callback", c.CallbackID, "err", err) // and the books no longer reach back
	case found != nil && a.sameAsClaimed(c, *found):
		return a.confirmClaim(ctx, c, *found)
	case found != nil && c.Asked == 1:
		a.alarm(ctx, "claim_differs", "callback", c.CallbackID)
	}
	if !over {
		return nil
	}
	a.alarm(ctx, "claim_unconfirmed", "callback", c.CallbackID)
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if err := a.q.GiveUpClaim(ctx, tx, c.CallbackID); err != nil {
			return fmt.Errorf("give claim up: %w", err)
		}
		return a.openCase(ctx, tx, caseClaim, c.CallbackID)
	})
}

// pull reads the books around the time of a claim and returns the payment of its receipt, or nil. The first page is paid for.
func (a *App) pull(ctx context.Context, c walletdb.TakeClaimRow) (*daraja.PulledTransaction, error) {
	offset := 0
	for page := range maxPullPages {
		if page > 0 {
			if ok, err := a.mayAsk(ctx); err != nil || !ok {
				return nil, err
			}
		}
		rows, err := a.Mpesa.PullTransactions(ctx, c.PaidAt.Add(-domain.ClaimWindow), c.PaidAt.Add(domain.ClaimWindow), offset)
		if err != nil || len(rows) == 0 {
			return nil, err
		}
		for _, r := range rows {
			if r.Receipt == c.ReceiptKey {
				return &r, nil
			}
		}
		offset += len(rows)
	}
	return nil, nil //nolint:nilnil // the payment is not in the books
}

func (a *App) sameAsClaimed(c walletdb.TakeClaimRow, r daraja.PulledTransaction) bool {
	if r.AmountMinor != c.AmountMinor {
		return false
	}
	for _, index := range a.Sealer.Indexes(indexAccount, domain.NormalAccount(r.BillRef)) {
		if string(index) == string(c.AccountIndex) {
			return true
		}
	}
	return false
}

// confirmClaim books what the books show, as a confirmation would be.
func (a *App) confirmClaim(ctx context.Context, c walletdb.TakeClaimRow, r daraja.PulledTransaction) error {
	p := payment{Receipt: r.Receipt, Amount: money.Money{Amount: r.AmountMinor, Currency: domain.MpesaCurrency}, Account: domain.NormalAccount(r.BillRef),
		PaidAt: r.At, Source: sourcePull}
	var verdict string
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		verdict, err = a.book(ctx, tx, p, c.CreatedAt)
		return err
	})
	if errors.Is(err, errNotYet) {
		return nil // asked again
	}
	if err != nil {
		return err
	}
	a.metrics.callbacks.WithLabelValues(kindClaim, verdict).Inc()
	if !harmless(verdict) {
		a.alarm(ctx, "claim_"+verdict, "callback", c.CallbackID)
	}
	return nil
}
