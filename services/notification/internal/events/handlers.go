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
var Topics = []string{"sendtip.user.v1", "sendtip.wallet.v1"}

// Handlers returns one handler per event type. Types that are not listed cause no message.
func Handlers(a *app.App) map[string]event.Handler {
	return map[string]event.Handler{
		"user.otp_requested":        handle(a, otpRequested),
		"user.kyc_verified":         handle(a, kycVerified),
		"user.kyc_rejected":         handle(a, kycRejected),
		"user.kyc_review_needed":    handle(a, kycReviewNeeded),
		"wallet.opened":             handle(a, walletOpened),
		"wallet.topup_succeeded":    handle(a, topupSucceeded),
		"wallet.topup_failed":       handle(a, topupFailed),
		"wallet.deposit_received":   handle(a, depositReceived),
		"wallet.transfer_completed": handle(a, transferCompleted),
		"wallet.transfer_failed":    handle(a, transferFailed),
	}
}

// handle decodes the payload and queues its messages in order. A payload that cannot be read or names nobody is refused for good.
func handle[T any](a *app.App, messages func(T) ([]app.Notice, error)) event.Handler {
	return func(ctx context.Context, tx pgx.Tx, e event.Event) error {
		var payload T
		if err := json.Unmarshal(e.Data, &payload); err != nil {
			return event.Refuse(errors.New("payload does not fit its schema"))
		}
		notices, err := messages(payload)
		if err != nil {
			return event.Refuse(err)
		}
		for _, n := range notices {
			if n.RecipientID == uuid.Nil {
				return event.Refuse(fmt.Errorf("%s names no recipient", e.Type))
			}
			n.SourceEventID, n.OccurredAt = e.ID, e.Time
			if err := a.QueueMessage(ctx, tx, n); err != nil {
				return err
			}
		}
		return nil
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
