package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	bankingdb "github.com/sendtip/sendtip/generated/banking/db"
	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// OpenDeposit reserves a stored deposit's limit and asks Paystack for the page or the prompt. A run that finds it requested sends the same
// request again under the same reference, which Paystack takes once.
func (a *App) OpenDeposit(ctx context.Context, id uuid.UUID) error {
	_, _, err := a.openDeposit(ctx, id)
	return err
}

func (a *App) openDeposit(ctx context.Context, id uuid.UUID) (d domain.Deposit, refusal *fault.Error, err error) {
	if d, err = a.readDeposit(ctx, id); err != nil {
		return d, nil, err
	}
	first := false
	if d.Status == domain.Stored {
		if refusal, err = a.reserve(ctx, d.ID, d.UserID, domain.KindDeposit, d.Amount); err != nil {
			return d, nil, jobs.Unknown(err)
		}
		if refusal != nil {
			d, _, err = a.decideDeposit(ctx, id, depositMove{to: domain.Failed, refusal: refusal,
				because: domain.Because{Evidence: domain.ByLimit, Reason: refusal.Code}})
			return d, refusal, err
		}
		if d, first, err = a.decideDeposit(ctx, id, depositMove{to: domain.Requested, because: domain.Because{Evidence: domain.BySend},
			also: func(tx pgx.Tx, d domain.Deposit) error { return a.watchDeposit(ctx, tx, d) }}); err != nil {
			return d, nil, err
		}
	}
	if d.Status != domain.Requested {
		return d, nil, nil
	}
	return a.sendDeposit(ctx, d, first)
}

// watchDeposit enqueues the questions about a deposit that is about to leave.
func (a *App) watchDeposit(ctx context.Context, tx pgx.Tx, d domain.Deposit) error {
	wait, _ := a.Schedule.NextDeposit(d, d.UpdatedAt)
	if _, err := a.Jobs.InsertTx(ctx, tx, AskDepositArgs{DepositID: d.ID},
		&river.InsertOpts{ScheduledAt: d.UpdatedAt.Add(wait)}); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// sendDeposit asks Paystack for the page or the prompt. Only the first try can be refused for good: a refusal of a repeat says nothing
// about the one before. That the reference is known proves that an earlier try arrived: a prompt is then on the phone; the address of a
// page is lost for ever, so nobody can pay there, and the customer starts again.
func (a *App) sendDeposit(ctx context.Context, d domain.Deposit, first bool) (domain.Deposit, *fault.Error, error) {
	m := depositMove{to: domain.Waiting, because: domain.Because{Evidence: domain.ByAnswer}}
	shown, err := a.requestPayment(ctx, d)
	switch {
	case err == nil:
		m.change = func(d *domain.Deposit) { d.CheckoutURL, d.DisplayText = shown.CheckoutURL, shown.DisplayText }
	case paystack.Duplicate(err) && d.Channel == domain.ChannelPage:
		m.to, m.because.Reason, m.refusal = domain.Failed, domain.ErrPageLost.Code, domain.ErrPageLost
	case paystack.Duplicate(err):
		m.also = func(tx pgx.Tx, d domain.Deposit) error { return a.verifySoon(ctx, tx, d.ID) }
	case first && paystack.Definite(err) && !paystack.Busy(err):
		a.Log.WarnContext(ctx, "deposit refused", "deposit", d.ID, "err", err)
		if paystack.Unauthorized(err) {
			a.alarm(ctx, "paystack_key_refused", "deposit", d.ID)
		}
		m.to, m.because.Reason, m.refusal = domain.Failed, domain.ErrRailRefused.Code, domain.ErrRailRefused
	default:
		return d, nil, jobs.Unknown(err)
	}
	d, moved, err := a.decideDeposit(ctx, d.ID, m)
	if !moved {
		m.refusal = nil // it was decided meanwhile
	}
	return d, m.refusal, err
}

// requestPayment sends what depends on the stored row only, so that every try is the same.
func (a *App) requestPayment(ctx context.Context, d domain.Deposit) (shown domain.Deposit, err error) {
	reference := d.ID.String()
	email := reference + "@" + a.EmailDomain // never the customer's own
	if d.Channel == domain.ChannelMpesa {
		c, err := a.Paystack.ChargeMobileMoney(ctx, paystack.ChargeRequest{Email: email, AmountMinor: d.Amount.Amount,
			Currency: d.Amount.Currency, Reference: reference, Phone: d.Phone, Provider: paystack.Mpesa})
		shown.DisplayText = c.DisplayText
		return shown, err
	}
	c, err := a.Paystack.Initialize(ctx, paystack.InitializeRequest{Email: email, AmountMinor: d.Amount.Amount, Currency: d.Amount.Currency,
		Reference: reference, Channels: []string{paystack.Card, paystack.MobileMoney, paystack.BankTransfer}})
	shown.CheckoutURL = c.URL
	return shown, err
}

func (a *App) verifySoon(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	if _, err := a.Jobs.InsertTx(ctx, tx, VerifyDepositArgs{DepositID: id}, nil); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// hearPayment has Paystack asked about the payment that an event tells of: the event itself decides nothing.
func (a *App) hearPayment(ctx context.Context, tx pgx.Tx, reference string) (domain.Verdict, error) {
	id, err := uuid.Parse(reference)
	if err != nil {
		return domain.VerdictNobody, nil
	}
	row, err := a.q.GetDeposit(ctx, tx, id)
	switch {
	case pg.IsNoRows(err):
		return domain.VerdictNobody, nil
	case err != nil:
		return "", fmt.Errorf("get deposit: %w", err)
	case domain.Status(row.Status) == domain.Paid, domain.Status(row.Status) == domain.Broken:
		return domain.VerdictAgain, nil
	}
	return domain.VerdictHint, a.verifySoon(ctx, tx, id)
}

// VerifyDeposit asks Paystack about a deposit, and does what follows from the answer.
func (a *App) VerifyDeposit(ctx context.Context, id uuid.UUID) error {
	d, err := a.readDeposit(ctx, id)
	if err != nil || !d.MayCome() {
		return err
	}
	return a.verify(ctx, id)
}

// verify decides by Paystack's answer alone. That it knows no such payment is an answer too: none has arrived yet.
func (a *App) verify(ctx context.Context, id uuid.UUID) error {
	t, err := a.Paystack.Verify(ctx, id.String())
	if paystack.NotFound(err) {
		return nil
	}
	if err != nil {
		return jobs.Unknown(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	broken := ""
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		broken = ""
		d, err := a.lockDeposit(ctx, tx, id)
		if err != nil || !d.MayCome() {
			return err
		}
		f := domain.Find(d, paystack.Domain(a.PaystackKeys[0]), t)
		if f.Break != "" {
			n, err := a.q.InsertDepositBreak(ctx, tx, bankingdb.InsertDepositBreakParams{DepositID: id, Kind: f.Break,
				AmountMinor: t.AmountMinor, Currency: t.Currency, At: a.Now()})
			if err != nil {
				return fmt.Errorf("insert break: %w", err)
			}
			if n == 1 {
				broken = f.Break
			}
		}
		if f.To == "" {
			return nil
		}
		_, _, err = a.moveDeposit(ctx, tx, d, depositMove{to: f.To, because: f.Because, came: f.Came})
		return err
	})
	if err == nil && broken != "" {
		a.alarm(ctx, "deposit_"+broken, "deposit", id)
	}
	return err
}

// AskDeposit asks about a deposit when its schedule says so, and ends the wait for a customer who has not paid in time. It returns how long
// to wait for the next question; 0 when there is none.
func (a *App) AskDeposit(ctx context.Context, id uuid.UUID) (wait time.Duration, err error) {
	asks := false
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		d, err := a.lockDeposit(ctx, tx, id)
		if err != nil {
			return err
		}
		now := a.Now()
		if wait, asks = a.Schedule.NextDeposit(d, now); !asks || wait > 0 {
			return nil
		}
		d.Asked = a.Schedule.AskedDeposit(d, now) // committed before it leaves: a crash costs one question, not the count
		return a.saveDeposit(ctx, tx, d)
	})
	if err != nil || !asks || wait > 0 {
		return wait, err
	}
	if err := a.verify(ctx, id); err != nil {
		a.Log.WarnContext(ctx, "question failed", "deposit", id, "err", err)
		return time.Millisecond, nil // the next one is due by the schedule
	}
	return time.Millisecond, pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		d, err := a.lockDeposit(ctx, tx, id)
		if err != nil || !a.Schedule.Over(d, a.Now()) {
			return err
		}
		_, _, err = a.moveDeposit(ctx, tx, d, depositMove{to: domain.Expired, because: domain.Because{Evidence: domain.BySilence,
			Reason: "not_paid"}})
		return err
	})
}

// SettleDeposit books what a deposit's transitions lead to, in their order, and tells of each when it is booked.
func (a *App) SettleDeposit(ctx context.Context, id uuid.UUID) error {
	d, err := a.readDeposit(ctx, id)
	if err != nil {
		return err
	}
	transitions, err := a.q.ListDepositTransitions(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("list transitions: %w", err)
	}
	for _, t := range transitions {
		if t.DoneAt == nil {
			if err := a.settleDepositTransition(ctx, d, t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *App) settleDepositTransition(ctx context.Context, d domain.Deposit, t bankingdb.ListDepositTransitionsRow) error {
	booked, transaction, err := a.bookDeposit(ctx, d, t.LedgerStep)
	if err != nil {
		return err
	}
	if err := a.settleLimit(ctx, d.ID, t.LimitStep); err != nil {
		return jobs.Unknown(err)
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		now := a.Now()
		n, err := a.q.FinishDepositTransition(ctx, tx, bankingdb.FinishDepositTransitionParams{DepositID: d.ID, Seq: t.Seq,
			Booked: string(booked), LedgerTransactionID: transaction, Now: &now})
		if err != nil {
			return fmt.Errorf("finish transition: %w", err)
		}
		if n == 0 {
			return nil // another run was first
		}
		return a.tellDeposit(ctx, tx, d, t, booked)
	})
}

// bookDeposit posts a step of the ledger. Money that the wallet cannot take goes to suspense.
func (a *App) bookDeposit(ctx context.Context, d domain.Deposit, step string) (domain.Booked, *uuid.UUID, error) {
	if step == domain.StepNone {
		return "", nil, nil
	}
	booked, answer := domain.BookedWallet, a.post(ctx, d.Step(step))
	if step == domain.StepSuspense {
		booked = domain.BookedSuspense
	} else if answer.IsRefused() {
		a.alarm(ctx, "booked_to_suspense", "deposit", d.ID, "step", step, "code", answer.Code())
		booked, answer = domain.BookedSuspense, a.post(ctx, d.Step(domain.StepSuspense))
	}
	if answer.IsRefused() {
		a.alarm(ctx, "step_refused", "deposit", d.ID, "step", step, "code", answer.Code())
		return "", nil, jobs.Unknown(fmt.Errorf("%s refused: %s", step, answer.Code()))
	}
	if answer.IsUnknown() {
		return "", nil, jobs.Unknown(answer.Err())
	}
	transaction := answer.TransactionID()
	return booked, &transaction, nil
}

// tellDeposit publishes what a transition means to the customer, now that it is booked. What is not in the wallet is nothing to tell of.
func (a *App) tellDeposit(ctx context.Context, tx pgx.Tx, d domain.Deposit, t bankingdb.ListDepositTransitionsRow, b domain.Booked) error {
	switch to := domain.Status(t.ToStatus); {
	case to == domain.Paid && b == domain.BookedWallet:
		return a.publish(ctx, tx, "banking.deposit_paid", d.WalletID, events.BankingDepositPaid{DepositID: d.ID, WalletID: d.WalletID,
			UserID: d.UserID, Channel: d.Channel, Amount: wireMoney(d.Amount), Fee: wireMoney(d.Fee), Excise: wireMoney(d.Excise),
			Receipt: optional(d.Receipt)})
	case to == domain.Failed:
		return a.publish(ctx, tx, "banking.deposit_failed", d.WalletID, events.BankingDepositFailed{DepositID: d.ID, WalletID: d.WalletID,
			UserID: d.UserID, Channel: d.Channel, Amount: wireMoney(d.Amount), ReasonCode: t.Reason})
	case to == domain.Expired:
		return a.publish(ctx, tx, "banking.deposit_expired", d.WalletID, events.BankingDepositExpired{DepositID: d.ID, WalletID: d.WalletID,
			UserID: d.UserID, Channel: d.Channel, Amount: wireMoney(d.Amount)})
	}
	return nil
}
