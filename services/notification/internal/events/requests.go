package events

import (
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/events"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func requestCreated(e events.WalletRequestCreated) ([]app.Notice, error) {
	return requestNotice(domain.RequestReceived, e, e.PayerUserID, e.RequesterUserID)
}

func requestReminded(e events.WalletRequestReminded) ([]app.Notice, error) {
	return requestNotice(domain.RequestReminded, events.WalletRequestCreated(e), e.PayerUserID, e.RequesterUserID)
}

func requestDeclined(e events.WalletRequestDeclined) ([]app.Notice, error) {
	return requestNotice(domain.RequestDeclined, events.WalletRequestCreated(e), e.RequesterUserID, e.PayerUserID)
}

func requestExpired(e events.WalletRequestExpired) ([]app.Notice, error) {
	return requestNotice(domain.RequestExpired, events.WalletRequestCreated(e), e.RequesterUserID, e.PayerUserID)
}

func requestNotice(t domain.Template, e events.WalletRequestCreated, to, other uuid.UUID) ([]app.Notice, error) {
	m, err := amount(e.Amount)
	if err != nil {
		return nil, err
	}
	return one(t, to, domain.Params{Reference: e.PaymentRequestID.String(), Amount: m, Until: e.ExpiresAt, OtherID: other})
}
