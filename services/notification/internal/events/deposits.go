package events

import (
	"errors"

	"github.com/sendtip/sendtip/generated/events"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func depositPaid(e events.BankingDepositPaid) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	fee, feeErr := amount(e.Fee)
	excise, exciseErr := amount(e.Excise)
	if err := errors.Join(err, feeErr, exciseErr); err != nil {
		return nil, err
	}
	p := domain.Params{Reference: e.DepositID.String(), Amount: m, Fee: fee, Excise: excise}
	if e.Receipt != nil {
		p.Receipt = *e.Receipt
	}
	return one(domain.DepositPaid, e.UserID, p)
}

func depositFailed(e events.BankingDepositFailed) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(domain.DepositFailed, e.UserID, domain.Params{Reference: e.DepositID.String(), Amount: m, ReasonCode: e.ReasonCode})
}

func depositExpired(e events.BankingDepositExpired) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(domain.DepositExpired, e.UserID, domain.Params{Reference: e.DepositID.String(), Amount: m})
}
