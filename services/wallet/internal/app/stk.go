package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// tokenPatience is how long a prompt waits for an access token; later the customer may try again.
const tokenPatience = time.Minute

func (a *App) stkCallbackURL(topupID uuid.UUID) string {
	return a.PublicURL + a.stk.Path(topupID.String()) + "/" + topupID.String()
}

// RequestStk sends the prompt of a stored top-up. There is no idempotency key at Safaricom: a second request is a second payment. So the
// state is committed as requested before the first byte leaves, and a run that finds it so never sends again.
func (a *App) RequestStk(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetTopup(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get topup: %w", err)
	}
	t, err := a.topup(row)
	if err != nil {
		return err
	}
	switch t.Status {
	case domain.TopupStored:
	case domain.TopupRequested: // an earlier run ended between the request and its answer
		return a.answerStk(ctx, id, domain.EventLost, "", daraja.STKAccepted{})
	default:
		return nil
	}
	phone, err := a.topupPhone(ctx, t, row.PhoneSealed)
	if errors.Is(err, errPhoneWithheld) {
		a.alarm(ctx, "contacts_withheld", "topup", id)
	}
	if errors.Is(err, errPhoneWithheld) || errors.Is(err, domain.ErrNoNumber) {
		return a.answerStk(ctx, id, domain.EventRefused, "phone_required", daraja.STKAccepted{})
	}
	if f, refused := fault.As(err); refused && (errors.Is(err, domain.ErrTopupPhone) || f.Kind == fault.NotFound) {
		return a.answerStk(ctx, id, domain.EventRefused, "phone_not_supported", daraja.STKAccepted{})
	}
	if err != nil {
		return err // nothing has been sent: the next attempt starts over
	}
	if err := a.Mpesa.Authorize(ctx); err != nil { // nothing has left: the next attempt starts over
		if a.Now().Sub(t.CreatedAt) < tokenPatience {
			return err
		}
		a.Log.WarnContext(ctx, "no access token for a prompt", "topup", id, "err", err)
		return a.answerStk(ctx, id, domain.EventRefused, "try_later", daraja.STKAccepted{})
	}
	sending := false
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		t, err := a.lockTopup(ctx, tx, id)
		if err != nil {
			return err
		}
		_, sending, err = a.moveTopup(ctx, tx, t, domain.EventSend, "")
		return err
	})
	if err != nil || !sending {
		return err
	}
	accepted, err := a.Mpesa.STKPush(ctx, daraja.STKPushRequest{Phone: phone, AmountMinor: t.Amount.Amount,
		AccountReference: t.AccountReference, Description: "Top-up", CallbackURL: a.stkCallbackURL(id)})
	switch {
	case err == nil:
		return a.answerStk(ctx, id, domain.EventAccepted, "", accepted)
	case daraja.Definite(err):
		a.Log.WarnContext(ctx, "prompt refused", "topup", id, "err", err)
		return a.answerStk(ctx, id, domain.EventRefused, refusalOf(err), accepted)
	}
	a.Log.WarnContext(ctx, "prompt's answer lost", "topup", id, "err", err)
	return a.answerStk(ctx, id, domain.EventLost, "", accepted)
}

func refusalOf(err error) string {
	var e *daraja.Error
	if errors.As(err, &e) && e.Busy() {
		return "try_later"
	}
	return "declined_by_mpesa"
}

func (a *App) topupPhone(ctx context.Context, t domain.Topup, sealed []byte) (string, error) {
	phone, err := a.openText(sealPhone, t.ID, sealed)
	if err != nil || phone != "" {
		return phone, err
	}
	if phone, err = a.phoneOf(ctx, t.UserID); err != nil {
		return "", err
	}
	if phone == "" {
		return "", domain.ErrNoNumber
	}
	return phone, domain.CheckTopupPhone(phone)
}

// answerStk stores what came of the request, and lets the query job watch over everything that can still be paid.
func (a *App) answerStk(ctx context.Context, id uuid.UUID, e domain.TopupEvent, failure string, accepted daraja.STKAccepted) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout) // the answer must not be lost to a shutdown
	defer cancel()
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		t, err := a.lockTopup(ctx, tx, id)
		if err != nil {
			return err
		}
		if t.CheckoutRequestID == "" {
			t.CheckoutRequestID, t.MerchantRequestID = accepted.CheckoutRequestID, accepted.MerchantRequestID
		}
		_, moved, err := a.moveTopup(ctx, tx, t, e, failure)
		if err != nil {
			return err
		}
		if !moved { // a callback or a confirmation was faster than the answer
			err = a.saveTopup(ctx, tx, t)
		}
		if err != nil || e == domain.EventRefused {
			return err
		}
		return a.watchStk(ctx, tx, id, a.scaled(domain.QueryFirst))
	})
}

func (a *App) watchStk(ctx context.Context, tx pgx.Tx, id uuid.UUID, after time.Duration) error {
	if _, err := a.Jobs.InsertTx(ctx, tx, QueryStkArgs{TopupID: id}, &river.InsertOpts{ScheduledAt: a.Now().Add(after)}); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// QueryStk asks Safaricom about a prompt and returns how long to wait before the next question; zero ends the job. A query knows no
// receipt: a top-up paid by it gets its receipt from the callback or the paybill confirmation, if they come.
func (a *App) QueryStk(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	row, err := a.q.GetTopup(ctx, a.Pool, id)
	if err != nil {
		return 0, fmt.Errorf("get topup: %w", err)
	}
	t, err := a.topup(row)
	if err != nil {
		return 0, err
	}
	if t.Status == domain.TopupPaid || t.Status == domain.TopupFailed {
		return 0, nil
	}
	event, failure, answered := a.askStk(ctx, t)
	age := a.Now().Sub(t.CreatedAt)
	if t.PromptedAt != nil {
		age = a.Now().Sub(*t.PromptedAt)
	}
	age = a.aged(age)
	if event == "" {
		event, failure = overdue(t.Status, age, answered), "no_answer"
	}
	if event != "" {
		if t, err = a.takeAnswer(ctx, t, event, failure); err != nil {
			return 0, err
		}
	}
	if t.Status == domain.TopupPaid || t.Status == domain.TopupFailed {
		return 0, nil
	}
	wait, more := domain.NextQuery(age)
	if !more {
		return 0, nil
	}
	return a.scaled(wait), nil
}

// takeAnswer applies what a query said.
func (a *App) takeAnswer(ctx context.Context, t domain.Topup, event domain.TopupEvent, failure string) (domain.Topup, error) {
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		locked, err := a.lockTopup(ctx, tx, t.ID)
		if err != nil || (event == domain.EventPaid && locked.Receipt != "") {
			return err // a receipt says more than a query: its payment is accounted for
		}
		t, _, err = a.moveTopup(ctx, tx, locked, event, failure)
		return err
	})
	return t, err
}

// AskStk asks once and out of turn, because a message that proves nothing says that there is a result. A prompt that failed or expired is
// asked about too: a late success is accepted.
func (a *App) AskStk(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetTopup(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get topup: %w", err)
	}
	t, err := a.topup(row)
	if err != nil || t.Status == domain.TopupPaid {
		return err
	}
	event, failure, _ := a.askStk(ctx, t)
	if event == "" {
		return nil // the watch over the prompt goes on
	}
	_, err = a.takeAnswer(ctx, t, event, failure)
	return err
}

// askStk returns the event that the answer means, if any, and whether Safaricom answered that it has no result yet.
func (a *App) askStk(ctx context.Context, t domain.Topup) (event domain.TopupEvent, failure string, answered bool) {
	if t.CheckoutRequestID == "" {
		return "", "", false // the request's answer was lost: there is nothing to ask by
	}
	status, err := a.Mpesa.STKQuery(ctx, t.CheckoutRequestID)
	if err != nil {
		a.Log.WarnContext(ctx, "query prompt", "topup", t.ID, "err", err)
		return "", "", false
	}
	switch status.Outcome {
	case daraja.Paid:
		return domain.EventPaid, "", true
	case daraja.Failed:
		return domain.EventDeclined, domain.FailureOf(status.ResultCode), true
	case daraja.Pending:
		return "", "", status.ResultCode == daraja.CodeProcessing
	}
	a.alarm(ctx, "stk_result_unknown", "topup", t.ID, "code", status.ResultCode)
	return "", "", false
}

// overdue says what the end of the time for a result means: Safaricom has none (expired), or nobody knows (unknown). What is still
// unknown a day later is expired too; a late payment is accepted all the same.
func overdue(status domain.TopupStatus, age time.Duration, answered bool) domain.TopupEvent {
	switch {
	case age < domain.QueryWindow:
		return ""
	case answered, age >= domain.QueryEnd:
		return domain.EventSilent
	case status == domain.TopupPrompted:
		return domain.EventLost
	}
	return ""
}

// RegisterC2b tells Safaricom where to confirm payments to the paybill, and opens its books to our questions. Production takes one
// registration per short code.
func (a *App) RegisterC2b(ctx context.Context) error {
	base := a.PublicURL + a.c2b.Path(a.ShortCode) + "/"
	err := a.Mpesa.RegisterC2B(ctx, base+"confirmation", base+"validation", daraja.ResponseCompleted)
	var e *daraja.Error
	switch {
	case errors.As(err, &e) && e.AlreadyRegistered():
		a.Log.InfoContext(ctx, "paybill addresses are registered already")
	case err != nil:
		return err
	}
	if !a.AskPull || a.PullNumber == "" {
		return nil
	}
	return a.Mpesa.RegisterPull(ctx, a.PullNumber, base+"confirmation")
}

// EnqueueRegisterC2b leaves the registration to a job; it runs at each start, as the public address may have changed.
func (a *App) EnqueueRegisterC2b(ctx context.Context) error {
	_, err := a.Jobs.Insert(ctx, RegisterC2bArgs{ShortCode: a.ShortCode}, nil)
	return err
}
