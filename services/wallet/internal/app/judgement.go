package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	// requestedWait gives the answer to the request time to arrive: a callback can be faster.
	requestedWait = 2 * time.Second
	// requestedPatience is how long a callback waits for it; the request itself gives up earlier.
	requestedPatience = 60 * time.Second
	confirmWait       = 10 * time.Second
)

// JudgeCallback decides what a stored message means, once, and does what follows. It returns how long to wait when the time has not come.
func (a *App) JudgeCallback(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	row, err := a.q.GetCallback(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("get callback: %w", err)
	}
	if row.JudgedAt != nil {
		return 0, nil
	}
	body, err := a.stk.Open(id, row.BodySealed) // also what came by the other address: they seal alike
	if err != nil {
		return 0, err
	}
	wait, judge, err := a.readMessage(ctx, row, body)
	if err != nil || wait > 0 {
		return wait, err
	}
	wait, err = a.judge(ctx, row, judge)
	if pg.IsBadData(err) { // no row of ours can hold what it says, now or later
		return a.judge(ctx, row, unreadable)
	}
	return wait, err
}

// judging says what a message means, by what tx shows. It changes nothing.
type judging func(ctx context.Context, tx pgx.Tx) (domain.Judgement, error)

func unreadable(context.Context, pgx.Tx) (domain.Judgement, error) {
	return domain.Judgement{Verdict: domain.VerdictUnreadable}, nil
}

// readMessage says how a message is to be judged, or how long that has to wait.
func (a *App) readMessage(ctx context.Context, row walletdb.GetCallbackRow, body []byte) (time.Duration, judging, error) {
	if row.Kind == kindC2b {
		c, err := daraja.ParseC2B(body)
		if err != nil || !domain.ReadableReceipt(c.TransID) {
			return 0, unreadable, nil
		}
		return 0, a.c2bJudging(row, c), nil
	}
	c, err := daraja.ParseSTKCallback(body)
	if err != nil || row.TopupID == nil {
		return 0, unreadable, nil
	}
	confirmed := daraja.Unknown
	if row.Source == auth.SourceKnown {
		var wait time.Duration
		if wait, confirmed, err = a.confirmStk(ctx, row, c); err != nil || wait > 0 {
			return wait, nil, err
		}
	}
	return 0, a.stkJudging(row, c, confirmed), nil
}

// stkJudging judges the result of a prompt under the top-up's lock.
func (a *App) stkJudging(row walletdb.GetCallbackRow, c daraja.STKCallback, confirmed daraja.Outcome) judging {
	r := domain.StkResult{Paid: c.Outcome == daraja.Paid, Failed: c.Outcome == daraja.Failed, Failure: domain.FailureOf(c.ResultCode),
		CheckoutRequestID: c.CheckoutRequestID, MerchantRequestID: c.MerchantRequestID, Receipt: c.Receipt,
		Amount: money.Money{Amount: c.AmountMinor, Currency: domain.MpesaCurrency}, PaidAt: c.PaidAt, Confirmed: confirmed == daraja.Paid}
	return func(ctx context.Context, tx pgx.Tx) (domain.Judgement, error) {
		k, err := a.knownOfTopup(ctx, tx, *row.TopupID, r.Receipt, row.ReceivedAt)
		if err != nil {
			return domain.Judgement{}, err
		}
		if row.Source != auth.SourceKnown {
			return domain.JudgeStranger(k, r), nil
		}
		return domain.JudgeStk(k, r), nil
	}
}

// c2bJudging judges a payment that Safaricom confirms, and takes a stranger's word for a claim. A confirmation without a readable short
// code came to the address of ours.
func (a *App) c2bJudging(row walletdb.GetCallbackRow, c daraja.C2BConfirmation) judging {
	p := domain.Payment{Receipt: c.TransID, Amount: money.Money{Amount: c.AmountMinor, Currency: domain.MpesaCurrency},
		Account: domain.NormalizeAccount(c.BillRef), PaidAt: c.PaidAt, Source: domain.SourceC2b}
	return func(ctx context.Context, tx pgx.Tx) (domain.Judgement, error) {
		if c.ShortCode != "" && c.ShortCode != a.ShortCode {
			return domain.Judgement{Verdict: domain.VerdictOtherShortCode}, nil
		}
		if row.Source != auth.SourceKnown {
			k, err := a.knownOfReceipt(ctx, tx, p.Receipt, row.ReceivedAt)
			return domain.JudgeClaim(k, p), err
		}
		k, err := a.knownOfPayment(ctx, tx, p, row.ReceivedAt)
		return domain.JudgeConfirmation(k, p), err
	}
}

// confirmStk does what must not happen inside a transaction. A success for a prompt whose request got no answer is confirmed by a query,
// as there is no CheckoutRequestID of our own to compare; confirmed holds the outcome.
func (a *App) confirmStk(
	ctx context.Context, row walletdb.GetCallbackRow, c daraja.STKCallback,
) (wait time.Duration, confirmed daraja.Outcome, err error) {
	stored, err := a.q.GetTopup(ctx, a.Pool, *row.TopupID)
	if pg.IsNoRows(err) {
		return 0, daraja.Unknown, nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("get topup: %w", err)
	}
	t, err := a.topup(stored)
	if err != nil {
		return 0, "", err
	}
	if t.Status == domain.TopupRequested && a.Now().Sub(row.ReceivedAt) < requestedPatience {
		return requestedWait, "", nil
	}
	switch {
	case t.CheckoutRequestID != "", c.Outcome != daraja.Paid:
		return 0, c.Outcome, nil
	case t.Status == domain.TopupStored:
		return 0, daraja.Unknown, nil // nobody was asked to pay yet; it must not count if the prompt leaves before the judgement
	}
	if a.Now().Sub(row.ReceivedAt) > domain.QueryEnd {
		return 0, daraja.Unknown, nil // Safaricom has confirmed nothing for a day: a person must look
	}
	status, err := a.Mpesa.STKQuery(ctx, c.CheckoutRequestID)
	if err != nil {
		a.Log.WarnContext(ctx, "confirm callback", "topup", t.ID, "err", err)
		return confirmWait, "", nil
	}
	if status.Outcome == daraja.Pending || status.Outcome == daraja.Unknown {
		return confirmWait, "", nil
	}
	return 0, status.Outcome, nil
}

// judge judges a message under its lock, does what the judgement says, and stores the verdict, all in one transaction, so that a message
// has its effect once. It returns how long to wait if the judgement depends on something that is still open.
func (a *App) judge(ctx context.Context, row walletdb.GetCallbackRow, judge judging) (time.Duration, error) {
	var j domain.Judgement
	err := a.onFacts(ctx, func(tx pgx.Tx) error {
		j = domain.Judgement{}
		locked, err := a.q.LockCallback(ctx, tx, row.ID)
		if err != nil {
			return fmt.Errorf("lock callback: %w", err)
		}
		if locked.JudgedAt != nil {
			return nil
		}
		if j, err = judge(ctx, tx); err != nil || j.NotYet {
			return err
		}
		if err := a.apply(ctx, tx, j, message{ID: row.ID, ReceivedAt: row.ReceivedAt}); err != nil {
			return err
		}
		return a.q.JudgeCallback(ctx, tx, a.Now(), string(j.Verdict), row.ID)
	})
	switch {
	case err != nil:
		return 0, err
	case j.NotYet:
		return confirmWait, nil
	case j.Verdict == "":
		return 0, nil // it was judged before
	case j.PromptedAt != nil:
		a.metrics.callbackSeconds.Observe(a.Now().Sub(*j.PromptedAt).Seconds())
	}
	a.tellVerdict(ctx, row, j.Verdict)
	return 0, nil
}

// tellVerdict counts a verdict, and calls a person if it is not harmless.
func (a *App) tellVerdict(ctx context.Context, row walletdb.GetCallbackRow, v domain.Verdict) {
	a.metrics.callbacks.WithLabelValues(row.Kind, string(v)).Inc()
	switch what := "callback_" + string(v); {
	case v.Harmless():
	case row.Source == auth.SourceKnown:
		a.alarm(ctx, what, "callback", row.ID)
	default: // who has seen the path can send as many as the gateway lets through
		a.metrics.alarms.WithLabelValues(what).Inc()
		a.sampled.WarnContext(ctx, "alarm: "+what, "callback", row.ID)
	}
}
