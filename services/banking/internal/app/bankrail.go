package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/paystack"

	"github.com/sendtip/sendtip/services/banking/internal/domain"
)

// Why a withdrawal to a bank fails. They are in texts to customers.
const (
	reasonBankBusy    = "bank_busy"
	reasonBankRefused = "bank_refused"
	reasonBankChanged = "bank_account_changed"
	reasonReversed    = "reversed_by_rail"
	reasonNeverHad    = "rail_never_had_it"
)

// bankRail is a transfer from Paystack's balance to a bank: questions are answered at once, and messages only lead to them.
type bankRail struct{ *App }

// prepare has the account known to Paystack, and asks the bank whether it still has the owner that the customer was shown.
func (r bankRail) prepare(ctx context.Context, w domain.Withdrawal) (string, error) {
	account, err := r.accountOf(ctx, w)
	if err != nil {
		return "", err
	}
	if err := r.sameOwner(ctx, account); errors.Is(err, domain.ErrBankAccountChanged) {
		return reasonBankChanged, nil
	} else if err != nil {
		return "", err
	}
	if account.Recipient != "" {
		return "", nil
	}
	made, err := r.Paystack.CreateRecipient(ctx, paystack.RecipientRequest{Type: paystack.KEPSS, Name: account.Name,
		AccountNumber: account.Number, BankCode: account.BankCode, Currency: w.Amount.Currency})
	switch {
	case err != nil && paystack.Definite(err) && !paystack.Busy(err) && !paystack.Unauthorized(err):
		r.Log.WarnContext(ctx, "an account is refused", "account", account.ID, "err", err)
		return reasonBankRefused, nil
	case err != nil:
		return "", err
	case account.NameChecked && made.AccountName != "" && !domain.SameName(made.AccountName, account.Name):
		return reasonBankChanged, nil
	}
	if err := r.q.KeepRecipient(ctx, r.Pool, &made.Code, account.ID); err != nil {
		return "", fmt.Errorf("keep recipient: %w", err)
	}
	return "", nil
}

func (bankRail) busy() string { return reasonBankBusy }

func (r bankRail) accountOf(ctx context.Context, w domain.Withdrawal) (domain.BankAccount, error) {
	row, err := r.q.GetBankAccount(ctx, r.Pool, w.Account.ID)
	if err != nil {
		return domain.BankAccount{}, fmt.Errorf("get account: %w", err)
	}
	return r.bankAccount(row)
}

func (r bankRail) pay(ctx context.Context, w domain.Withdrawal, _ uuid.UUID) (sent, error) {
	account, err := r.accountOf(ctx, w)
	if err != nil {
		return sent{}, err
	}
	t, err := r.Paystack.Transfer(ctx, paystack.TransferRequest{Reference: w.ID.String(), Recipient: account.Recipient,
		AmountMinor: w.Amount.Amount, Currency: w.Amount.Currency, Reason: "Withdrawal"})
	switch {
	case err == nil:
		return sent{arrived: true, ended: t.Outcome != paystack.Pending}, nil
	case paystack.Duplicate(err):
		return sent{arrived: true, ended: true}, nil
	case paystack.InsufficientBalance(err):
		r.alarm(ctx, "no_float", "rail", w.Rail, "withdrawal", w.ID)
		return sent{refusal: reasonBankBusy}, err
	case paystack.Definite(err) && !paystack.Busy(err):
		return sent{refusal: reasonBankRefused}, err
	}
	return sent{}, err
}

func (r bankRail) ask(ctx context.Context, w domain.Withdrawal, request uuid.UUID) error {
	t, err := r.Paystack.VerifyTransfer(ctx, w.ID.String())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err != nil && !paystack.NotFound(err) {
		r.Log.WarnContext(ctx, "question failed", "withdrawal", w.ID, "err", err)
		answer := answerLost
		if paystack.Definite(err) {
			answer = answerRefused
		}
		return pg.InTx(ctx, r.Pool, func(tx pgx.Tx) error { return r.storeAnswer(ctx, tx, request, answer, "") })
	}
	var verdict domain.Verdict
	apply := func(receiptUsed bool) error {
		return pg.InTx(ctx, r.Pool, func(tx pgx.Tx) error {
			locked, err := r.lock(ctx, tx, w.ID)
			if err != nil {
				return err
			}
			if t.Reference == "" {
				verdict, err = r.notFound(ctx, tx, locked, request)
				return err
			}
			verdict, err = r.told(ctx, tx, locked, request, t, receiptUsed)
			return err
		})
	}
	if err = apply(false); errors.Is(err, domain.ErrReceiptUsed) {
		err = apply(true)
	}
	if err == nil {
		r.tellAnswer(ctx, w, verdict, t.Status)
	}
	return err
}

// told applies an answer under the withdrawal's lock.
func (r bankRail) told(ctx context.Context, tx pgx.Tx, w domain.Withdrawal, request uuid.UUID, t paystack.Transfer,
	receiptUsed bool) (domain.Verdict, error) {
	account, err := r.accountOf(ctx, w)
	if err != nil {
		return "", err
	}
	question, err := r.q.LockRailRequest(ctx, tx, request)
	if err != nil {
		return "", fmt.Errorf("lock question: %w", err)
	}
	overtaken := !w.Status.Open() && question.AskedSeq != nil && *question.AskedSeq != w.Seq
	verdict, to := w.Hear(domain.Told{Paid: t.Outcome == paystack.Paid, Failed: t.Outcome == paystack.Failed,
		Reversed: t.Outcome == paystack.Reversed, UnderWay: t.Outcome == paystack.Pending,
		OtherDomain: t.Domain != paystack.Domain(r.PaystackKeys[0]), OtherAccount: t.Recipient != "" && t.Recipient != account.Recipient,
		AmountMinor: t.AmountMinor, Currency: t.Currency, Overtaken: overtaken})
	if to == domain.Paid && receiptUsed {
		verdict, to = domain.VerdictReceipt, ""
	}
	if err := r.storeAnswer(ctx, tx, request, answerAccepted, ""); err != nil {
		return "", err
	}
	if overtaken {
		_, err := r.Jobs.InsertTx(ctx, tx, QuestionArgs{WithdrawalID: w.ID}, nil)
		return verdict, err
	}
	if to == "" {
		return verdict, nil
	}
	b := domain.Because{Evidence: domain.ByStatus, ID: &request}
	switch {
	case to == domain.Paid:
		b.Receipt = t.Code
	case t.Outcome == paystack.Reversed:
		b.Reason = reasonReversed
	case t.Outcome == paystack.Failed:
		b.Reason = reasonBankRefused
	}
	_, _, err = r.move(ctx, tx, w, to, b)
	return verdict, err
}

// notFoundEnough is how often Paystack must have said, after the last moment at which a payment could still have been sent, that it has
// none, until that is believed. Before that it says only that none has arrived yet.
const notFoundEnough = 2

func (r bankRail) notFound(ctx context.Context, tx pgx.Tx, w domain.Withdrawal, request uuid.UUID) (domain.Verdict, error) {
	if err := r.storeAnswer(ctx, tx, request, answerNotFound, ""); err != nil {
		return "", err
	}
	pay, err := r.q.GetPayRequest(ctx, tx, w.ID)
	if err != nil {
		return "", fmt.Errorf("get request: %w", err)
	}
	if pay.Answer == answerAccepted {
		return domain.VerdictConflict, nil // it was taken, and is not there: people must look
	}
	if w.Status != domain.InDoubt || w.FirstSentAt == nil {
		return domain.VerdictNothing, nil
	}
	n, err := r.q.CountNotFound(ctx, tx, w.ID, w.FirstSentAt.Add(r.Schedule.Scaled(domain.ResendUntil)))
	if err != nil {
		return "", fmt.Errorf("count answers: %w", err)
	}
	if n < notFoundEnough {
		return domain.VerdictNothing, nil
	}
	_, _, err = r.move(ctx, tx, w, domain.Returned, domain.Because{Evidence: domain.ByStatus, ID: &request, Reason: reasonNeverHad})
	return domain.VerdictFailed, err
}

// tellAnswer counts a verdict, and calls a person if it is not harmless, or if Paystack waits for a code that nobody here gives.
func (r bankRail) tellAnswer(ctx context.Context, w domain.Withdrawal, v domain.Verdict, status string) {
	r.metrics.messages.WithLabelValues(kindAnswer, string(v)).Inc()
	if !v.Harmless() {
		r.alarm(ctx, "message_"+string(v), "withdrawal", w.ID, "rail", w.Rail)
	}
	if status == "otp" {
		r.alarm(ctx, "transfer_otp", "withdrawal", w.ID)
	}
}

// hearTransfer takes what an event says of a payout as a hint to ask.
func (a *App) hearTransfer(ctx context.Context, tx pgx.Tx, t paystack.Transfer) (domain.Verdict, error) {
	id, err := uuid.Parse(t.Reference)
	if err != nil {
		return domain.VerdictNobody, nil
	}
	row, err := a.q.GetWithdrawal(ctx, tx, id)
	if pg.IsNoRows(err) || err == nil && (row.Rail != domain.RailPaystack || row.FirstSentAt == nil) {
		return domain.VerdictNobody, nil
	}
	if err != nil {
		return "", fmt.Errorf("get withdrawal: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, QuestionArgs{WithdrawalID: id}, nil); err != nil {
		return "", fmt.Errorf("enqueue: %w", err)
	}
	if t.AmountMinor != row.AmountMinor || t.Currency != row.Currency {
		return domain.VerdictAmount, nil
	}
	return domain.VerdictHint, nil
}
