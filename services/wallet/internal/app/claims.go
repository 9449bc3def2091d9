package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	budgetPull = "pull"
	// maxPullPages bounds one question; a page that was not read is read an hour later.
	maxPullPages = 20
	// verifyEvery is how often claims are looked for.
	verifyEvery = 2 * time.Second
)

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
		c, err := a.q.TakeClaim(ctx, a.Pool, walletdb.TakeClaimParams{Now: now, Second: now.Add(domain.ClaimSecond),
			Third: now.Add(domain.ClaimThird), Later: now.Add(domain.ClaimLater)})
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
	for _, index := range a.Sealer.Indexes(indexAccount, domain.NormalizeAccount(r.BillRef)) {
		if string(index) == string(c.AccountIndex) {
			return true
		}
	}
	return false
}

// confirmClaim books what the books show, as a confirmation would be.
func (a *App) confirmClaim(ctx context.Context, c walletdb.TakeClaimRow, r daraja.PulledTransaction) error {
	p := domain.Payment{Receipt: r.Receipt, Amount: money.Money{Amount: r.AmountMinor, Currency: domain.MpesaCurrency},
		Account: domain.NormalizeAccount(r.BillRef), PaidAt: r.At, Source: domain.SourcePull}
	var j domain.Judgement
	err := a.onFacts(ctx, func(tx pgx.Tx) error {
		k, err := a.knownOfPayment(ctx, tx, p, c.CreatedAt)
		if err != nil {
			return err
		}
		if j = domain.JudgePayment(k, p); j.NotYet {
			return nil // asked again
		}
		return a.apply(ctx, tx, j, message{ID: c.CallbackID, ReceivedAt: c.CreatedAt})
	})
	if err != nil || j.NotYet {
		return err
	}
	a.metrics.callbacks.WithLabelValues(kindClaim, string(j.Verdict)).Inc()
	if !j.Verdict.Harmless() {
		a.alarm(ctx, "claim_"+string(j.Verdict), "callback", c.CallbackID)
	}
	return nil
}
