// Package events maps what other services publish to the messages it causes.
package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// Topics are what this service listens to.
var Topics = []string{"sendtip.user.v1", "sendtip.wallet.v1", "sendtip.banking.v1"}

// reader tells which messages an event causes, in their order. Its error is a refusal.
type reader func(e event.Event) ([]app.Notice, error)

// readers returns one reader per event type. Types that are not listed cause no message.
func readers() map[string]reader {
	return map[string]reader{
		"user.otp_requested":         read(otpRequested),
		"user.kyc_verified":          read(kycVerified),
		"user.kyc_rejected":          read(kycRejected),
		"user.kyc_review_needed":     read(kycReviewNeeded),
		"user.number_change_started": read(numberChangeStarted),
		"user.number_change_ended":   read(numberChangeEnded),
		"user.number_changed":        read(numberChanged),
		"user.number_claimed":        read(numberClaimed),
		"user.number_claim_disputed": read(numberDisputed),
		"user.number_claim_closed":   read(numberClaimClosed),
		"user.recovery_started":      read(recoveryStarted),
		"user.recovery_ended":        read(recoveryEnded),
		"user.recovered":             read(recovered),
		"wallet.opened":              read(walletOpened),
		"wallet.topup_succeeded":     read(topupSucceeded),
		"wallet.topup_failed":        read(topupFailed),
		"wallet.deposit_received":    read(depositReceived),
		"wallet.transfer_completed":  read(transferCompleted),
		"wallet.transfer_failed":     read(transferFailed),

		"wallet.request_created":  read(requestCreated),
		"wallet.request_reminded": read(requestReminded),
		"wallet.request_declined": read(requestDeclined),
		"wallet.request_expired":  read(requestExpired),

		"banking.deposit_paid":         read(depositPaid),
		"banking.deposit_failed":       read(depositFailed),
		"banking.deposit_expired":      read(depositExpired),
		"banking.withdrawal_paid":      read(withdrawalPaid),
		"banking.withdrawal_failed":    read(withdrawalFailed),
		"banking.withdrawal_cancelled": read(withdrawalCancelled),
		"banking.withdrawal_delayed":   read(withdrawalDelayed),
		"banking.withdrawal_in_doubt":  read(withdrawalInDoubt),
		"banking.withdrawal_returned":  read(withdrawalReturned),
		"banking.withdrawal_reversed":  read(withdrawalReversed),
	}
}

// Handlers returns one handler per event type.
func Handlers(a *app.App) map[string]event.Handler {
	handlers := map[string]event.Handler{}
	for eventType, messages := range readers() {
		handlers[eventType] = func(ctx context.Context, tx pgx.Tx, e event.Event) error {
			notices, err := messages(e)
			if err != nil {
				return err
			}
			return a.QueueMessages(ctx, tx, notices)
		}
	}
	return handlers
}

// Together returns the handler for events that arrive at the same time.
func Together(a *app.App) event.BatchHandler {
	byType := readers()
	return func(ctx context.Context, tx pgx.Tx, events []event.Event) error {
		var all []app.Notice
		for _, e := range events {
			messages, known := byType[e.Type]
			if !known {
				continue
			}
			notices, err := messages(e)
			if err != nil {
				return err
			}
			all = append(all, notices...)
		}
		return a.QueueMessages(ctx, tx, all)
	}
}

// read decodes the payload. One that cannot be read or names nobody is refused for good.
func read[T any](messages func(T) ([]app.Notice, error)) reader {
	return func(e event.Event) ([]app.Notice, error) {
		var payload T
		if err := json.Unmarshal(e.Data, &payload); err != nil {
			return nil, event.Refuse(errors.New("payload does not fit its schema"))
		}
		notices, err := messages(payload)
		if err != nil {
			return nil, event.Refuse(err)
		}
		for i := range notices {
			if notices[i].RecipientID == uuid.Nil {
				return nil, event.Refuse(fmt.Errorf("%s names no recipient", e.Type))
			}
			notices[i].SourceEventID, notices[i].OccurredAt = e.ID, e.Time
		}
		return notices, nil
	}
}

func one(t domain.Template, to uuid.UUID, p domain.Params) ([]app.Notice, error) {
	return []app.Notice{{Template: t, RecipientID: to, Params: p}}, nil
}

// amount checks the currency, because a text must not show minor units.
func amount(m common.Money) (money.Money, error) { return money.New(m.Amount, m.Currency) }

func otpRequested(e events.UserOtpRequested) ([]app.Notice, error) {
	return one(domain.OTP, e.ChallengeID, domain.Params{Purpose: e.Purpose})
}

func kycVerified(e events.UserKycVerified) ([]app.Notice, error) {
	return one(domain.KycVerified, e.UserID, domain.Params{Tier: e.Tier})
}

func kycRejected(e events.UserKycRejected) ([]app.Notice, error) {
	return one(domain.KycRejected, e.UserID, domain.Params{Reference: e.KycID.String(), ReasonCode: e.ReasonCode})
}

func kycReviewNeeded(e events.UserKycReviewNeeded) ([]app.Notice, error) {
	return one(domain.KycReviewNeeded, e.UserID, domain.Params{Reference: e.KycID.String()})
}

func numberChangeStarted(e events.UserNumberChangeStarted) ([]app.Notice, error) {
	return one(domain.NumberChanging, e.UserID, domain.Params{Reference: e.NumberChangeID.String()})
}

func numberChangeEnded(e events.UserNumberChangeEnded) ([]app.Notice, error) {
	return one(domain.NumberKept, e.UserID, domain.Params{Reference: e.NumberChangeID.String(), ReasonCode: e.ReasonCode})
}

// numberChanged tells the new number, the e-mail address, and the number that was left.
func numberChanged(e events.UserNumberChanged) ([]app.Notice, error) {
	return moved(domain.NumberChanged, e.UserID, e.NumberChangeID, e.FormerNumberID), nil
}

func recoveryStarted(e events.UserRecoveryStarted) ([]app.Notice, error) {
	return one(domain.RecoveryStarted, e.UserID, domain.Params{Reference: e.RecoveryID.String()})
}

func recoveryEnded(e events.UserRecoveryEnded) ([]app.Notice, error) {
	return one(domain.RecoveryEnded, e.UserID, domain.Params{Reference: e.RecoveryID.String(), ReasonCode: e.ReasonCode})
}

// recovered tells the number that the account has now, the e-mail address, and the number that was left.
func recovered(e events.UserRecovered) ([]app.Notice, error) {
	return moved(domain.Recovered, e.UserID, e.RecoveryID, e.FormerNumberID), nil
}

func moved(t domain.Template, user, move uuid.UUID, former *uuid.UUID) []app.Notice {
	p := domain.Params{Reference: move.String()}
	out := []app.Notice{{Template: t, RecipientID: user, Params: p}}
	if former != nil {
		out = append(out, app.Notice{Template: domain.NumberLeft, RecipientID: *former, Params: p})
	}
	return out
}

func numberClaimed(e events.UserNumberClaimed) ([]app.Notice, error) {
	return one(domain.NumberClaimed, e.UserID, domain.Params{Reference: e.ClaimID.String(), Until: e.ReleaseAt.UTC()})
}

func numberDisputed(e events.UserNumberClaimDisputed) ([]app.Notice, error) {
	return one(domain.NumberDisputed, e.UserID, domain.Params{Reference: e.ClaimID.String()})
}

func numberClaimClosed(e events.UserNumberClaimClosed) ([]app.Notice, error) {
	p := domain.Params{Reference: e.ClaimID.String()}
	switch e.State {
	case "kept":
		return one(domain.NumberConfirmed, e.UserID, p)
	case "released":
		return one(domain.NumberReleased, e.UserID, p)
	}
	return nil, errors.New("a claim ends as kept or released")
}

func walletOpened(e events.WalletOpened) ([]app.Notice, error) {
	return one(domain.WalletOpened, e.UserID, domain.Params{Reference: e.WalletID.String(), Currency: e.Currency})
}

func topupSucceeded(e events.WalletTopupSucceeded) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	p := domain.Params{Reference: e.TopupID.String(), Amount: m}
	if e.Receipt != nil {
		p.Receipt = *e.Receipt
	}
	return one(domain.TopupSucceeded, e.UserID, p)
}

func topupFailed(e events.WalletTopupFailed) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(domain.TopupFailed, e.UserID, domain.Params{Reference: e.TopupID.String(), Amount: m, ReasonCode: e.ReasonCode})
}

func depositReceived(e events.WalletDepositReceived) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(domain.DepositReceived, e.UserID, domain.Params{Reference: e.DepositID.String(), Amount: m, Receipt: e.Receipt})
}

// transferCompleted tells both sides; only the sender sees fee and excise. The sender comes first, so that somebody who pays an own
// wallet gets that message.
func transferCompleted(e events.WalletTransferCompleted) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	fee, feeErr := amount(e.Fee)
	excise, exciseErr := amount(e.Excise)
	if err := errors.Join(err, feeErr, exciseErr); err != nil {
		return nil, err
	}
	id := e.TransferID.String()
	return []app.Notice{
		{Template: domain.TransferSent, RecipientID: e.SenderUserID, Params: domain.Params{Reference: id, Amount: m, Fee: fee, Excise: excise}},
		{Template: domain.TransferReceived, RecipientID: e.RecipientUserID, Params: domain.Params{Reference: id, Amount: m}},
	}, nil
}

func transferFailed(e events.WalletTransferFailed) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(domain.TransferFailed, e.SenderUserID, domain.Params{Reference: e.TransferID.String(), Amount: m, ReasonCode: e.ReasonCode})
}
