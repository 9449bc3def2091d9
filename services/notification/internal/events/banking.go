package events

import (
	"errors"

	"github.com/sendtip/sendtip/generated/events"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func withdrawalPaid(e events.BankingWithdrawalPaid) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	fee, feeErr := amount(e.Fee)
	excise, exciseErr := amount(e.Excise)
	if err := errors.Join(err, feeErr, exciseErr); err != nil {
		return nil, err
	}
	p := domain.Params{Reference: e.WithdrawalID.String(), Amount: m, Fee: fee, Excise: excise}
	if e.Receipt != nil {
		p.Receipt = *e.Receipt
	}
	return one(domain.WithdrawalPaid, e.UserID, p)
}

func withdrawalFailed(e events.BankingWithdrawalFailed) ([]app.Notice, error) {
	return withdrawalEnded(domain.WithdrawalFailed, e)
}

func withdrawalCancelled(e events.BankingWithdrawalCancelled) ([]app.Notice, error) {
	return withdrawalEnded(domain.WithdrawalFailed, events.BankingWithdrawalFailed(e))
}

func withdrawalReturned(e events.BankingWithdrawalReturned) ([]app.Notice, error) {
	return withdrawalEnded(domain.WithdrawalReturned, events.BankingWithdrawalFailed(e))
}

func withdrawalReversed(e events.BankingWithdrawalReversed) ([]app.Notice, error) {
	return withdrawalEnded(domain.WithdrawalReturned, events.BankingWithdrawalFailed(e))
}

func withdrawalEnded(t domain.Template, e events.BankingWithdrawalFailed) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(t, e.UserID, domain.Params{Reference: e.WithdrawalID.String(), Amount: m, ReasonCode: e.ReasonCode})
}

func withdrawalDelayed(e events.BankingWithdrawalDelayed) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(domain.WithdrawalDelayed, e.UserID, domain.Params{Reference: e.WithdrawalID.String(), Amount: m})
}

func withdrawalInDoubt(e events.BankingWithdrawalInDoubt) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	p := domain.Params{Reference: e.WithdrawalID.String(), Amount: m}
	if e.Rail != "mpesa" { // texts of before have none
		p.Rail = e.Rail
	}
	return one(domain.WithdrawalInDoubt, e.UserID, p)
}
