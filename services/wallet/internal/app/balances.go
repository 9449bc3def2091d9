package app

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// balanceTries is how often a question without an answer is sent within the interval.
const balanceTries = 4

// BalanceLoop asks for the short code's balances until ctx ends. Any number of replicas may run it: one of them asks.
func (a *App) BalanceLoop(ctx context.Context) error {
	if !a.CanReverse || a.BalanceEvery <= 0 { // no initiator, or it is switched off
		<-ctx.Done()
		return nil
	}
	ticks := time.NewTicker(max(a.scaled(a.BalanceEvery)/(2*balanceTries), time.Millisecond))
	defer ticks.Stop()
	for {
		if err := a.AskBalance(ctx); err != nil && ctx.Err() == nil {
			a.Log.WarnContext(ctx, "the short code's balance could not be asked for", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// AskBalance asks for the short code's balances unless they were told within the interval; the answer comes as a result. A question that
// is lost is no harm: the next one is due in a quarter of the interval.
func (a *App) AskBalance(ctx context.Context) error {
	now, id := a.Now(), newID()
	every := a.scaled(a.BalanceEvery)
	made, err := a.q.BeginBalanceRequest(ctx, a.Pool, walletdb.BeginBalanceRequestParams{ID: id, Now: now,
		Recently: now.Add(-every / balanceTries), Since: now.Add(-every)})
	if err != nil || made == 0 {
		return err
	}
	ack, err := a.Mpesa.QueryBalance(ctx, daraja.BalanceRequest{Remarks: "Balance", ResultURL: a.resultURL(id),
		TimeoutURL: a.resultURL(id) + "/late"})
	if err != nil {
		a.Log.WarnContext(ctx, "balance question failed", "request", id, "err", err)
		return a.answered(ctx, id, domain.AnswerLost, ack)
	}
	return a.answered(ctx, id, domain.AnswerAccepted, ack)
}

// judgeBalance keeps what a message says about the short code's accounts. Only a message of Safaricom's with the question's conversation
// counts, and once.
func (a *App) judgeBalance(ctx context.Context, tx pgx.Tx, row walletdb.LockRailMessageRow, body []byte) (domain.Verdict, time.Duration,
	error) {
	request, err := a.q.LockRailRequest(ctx, tx, row.RequestID)
	if err != nil {
		return "", 0, fmt.Errorf("lock request: %w", err)
	}
	if request.Answer == "" && a.Now().Sub(row.ReceivedAt) < a.scaled(answerPatience) {
		return "", answerWait, nil
	}
	r, err := daraja.ParseResult(body)
	if err != nil {
		return domain.VerdictUnreadable, 0, nil //nolint:nilerr // the verdict says so
	}
	switch {
	case row.Source != auth.SourceKnown:
		return domain.VerdictStranger, 0, nil
	case request.ConversationID == nil || r.ConversationID != *request.ConversationID:
		return domain.VerdictOther, 0, nil
	case request.Outcome != "":
		return domain.VerdictDuplicate, 0, nil
	case row.Kind == kindTimeout:
		return domain.VerdictNothing, 0, nil
	}
	b, err := r.Balance()
	if err != nil {
		return domain.VerdictUnreadable, 0, nil //nolint:nilerr // the verdict says so
	}
	if !b.OK {
		return domain.VerdictNothing, 0, nil
	}
	at := b.At
	if at.IsZero() {
		at = row.ReceivedAt
	}
	for _, x := range b.Accounts {
		if err := a.q.InsertRailBalance(ctx, tx, walletdb.InsertRailBalanceParams{RequestID: request.ID, ShortCode: a.ShortCode, Account: x.Name,
			Currency: x.Currency, CurrentMinor: x.CurrentMinor, AvailableMinor: x.AvailableMinor, ReservedMinor: x.ReservedMinor,
			UnclearedMinor: x.UnclearedMinor, AsOf: at}); err != nil {
			return "", 0, fmt.Errorf("insert balance: %w", err)
		}
	}
	if err := a.q.CloseRailRequest(ctx, tx, walletdb.CloseRailRequestParams{ID: request.ID, Outcome: domain.OutcomeDone,
		At: a.Now()}); err != nil {
		return "", 0, fmt.Errorf("close request: %w", err)
	}
	return domain.VerdictApplied, 0, nil
}

// RailBalances are what the short code's accounts held when Safaricom was last asked, and what the ledger says that they hold together.
type RailBalances struct {
	Accounts      []walletdb.RailBalance
	LedgerAccount string
	LedgerMinor   int64
}

// ListRailBalances returns the latest balances of the short code. The reading is audited.
func (a *App) ListRailBalances(ctx context.Context) (RailBalances, error) {
	out := RailBalances{LedgerAccount: domain.AccountPaybill + domain.MpesaCurrency}
	err := railsOperator(ctx)
	if err != nil {
		return out, err
	}
	if out.Accounts, err = a.q.LatestRailBalances(ctx, a.Pool); err != nil {
		return out, fmt.Errorf("latest balances: %w", err)
	}
	if out.LedgerMinor, err = a.paybillAtLedger(ctx); err != nil {
		return out, err
	}
	return out, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "rail_balances.listed", ObjectType: "short_code", ObjectID: a.ShortCode})
	})
}

// paybillAtLedger is what the ledger says that the paybill holds. It is the service's own question, whoever wants to know.
func (a *App) paybillAtLedger(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(auth.WithoutDelegation(ctx), a.SettleTimeout)
	defer cancel()
	answer, err := a.Ledger.ListSystemAccountsWithResponse(ctx)
	if err != nil {
		return 0, fmt.Errorf("list system accounts: %w", err)
	}
	if answer.JSON200 == nil {
		return 0, peerFault("list system accounts", call.Problem(answer.StatusCode(), answer.Body), fault.ErrUnavailable)
	}
	for _, x := range answer.JSON200.Data {
		if x.Code != nil && *x.Code == domain.AccountPaybill+domain.MpesaCurrency {
			return x.Balance.Amount, nil
		}
	}
	return 0, fault.ErrUnavailable
}

// measureBalances refreshes the gauges of the short code's balances.
func (a *App) measureBalances(ctx context.Context) error {
	all, err := a.q.LatestRailBalances(ctx, a.Pool)
	if err != nil || len(all) == 0 {
		return err
	}
	for _, b := range all {
		a.metrics.railBalance.WithLabelValues(b.ShortCode, b.Account).Set(float64(b.CurrentMinor))
		a.metrics.railAge.WithLabelValues(b.ShortCode, b.Account).Set(a.Now().Sub(b.AsOf).Seconds())
	}
	minor, err := a.paybillAtLedger(ctx)
	if err != nil {
		return err
	}
	a.metrics.railLedger.Set(float64(minor))
	return nil
}
