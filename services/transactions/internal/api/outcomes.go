package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// outcomes is transactionsapi.PostTransactions200JSONResponse, written without reflection: it is the answer to every posting.
type outcomes []domain.Outcome

var _ transactionsapi.PostTransactionsResponseObject = outcomes(nil)

// VisitPostTransactionsResponse writes the answer.
func (list outcomes) VisitPostTransactionsResponse(w http.ResponseWriter) error {
	b := append(make([]byte, 0, 640*len(list)+16), `{"outcomes":[`...)
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOutcome(b, &list[i])
	}
	b = append(b, "]}\n"...)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(b)
	return err
}

// appendOutcome writes one outcome. References, codes and currencies are of patterns that need no escapes, and details are our own
// sentences.
func appendOutcome(b []byte, o *domain.Outcome) []byte {
	b = append(b, '{')
	for i := range o.Balances {
		if i == 0 {
			b = append(b, `"balances":[`...)
		} else {
			b = append(b, ',')
		}
		b = appendBalance(b, &o.Balances[i])
	}
	if len(o.Balances) > 0 {
		b = append(b, "],"...)
	}
	if o.Code != "" {
		b = append(append(append(b, `"code":"`...), o.Code...), `",`...)
	}
	if o.Detail != "" {
		b = append(append(append(b, `"detail":"`...), o.Detail...), `",`...)
	}
	if o.HoldID != uuid.Nil {
		b = append(appendID(append(b, `"hold_id":"`...), o.HoldID), `",`...)
	}
	if !o.RecordedAt.IsZero() {
		b = append(o.RecordedAt.UTC().AppendFormat(append(b, `"recorded_at":"`...), time.RFC3339Nano), `",`...)
	}
	b = append(append(append(b, `"reference":"`...), o.Reference...), '"')
	if o.Released > 0 {
		b = appendMoney(append(b, `,"released":`...), o.Released, o.Currency)
	}
	b = append(b, `,"status":"`...)
	b = append(append(b, o.Status...), '"')
	if o.TransactionID != uuid.Nil {
		b = append(appendID(append(b, `,"transaction_id":"`...), o.TransactionID), '"')
	}
	return append(b, '}')
}

func appendBalance(b []byte, o *domain.OutcomeBalance) []byte {
	b = appendID(append(b, `{"account_id":"`...), o.AccountID)
	b = appendMoney(append(b, `","available":`...), o.Available, o.Currency)
	b = appendMoney(append(b, `,"balance":`...), o.Balance, o.Currency)
	return append(strconv.AppendInt(append(b, `,"sequence":`...), o.Sequence, 10), '}')
}

func appendMoney(b []byte, amount int64, currency string) []byte {
	b = strconv.AppendInt(append(b, `{"amount":`...), amount, 10)
	return append(append(append(b, `,"currency":"`...), currency...), `"}`...)
}

func appendID(b []byte, id uuid.UUID) []byte {
	text, _ := id.MarshalText() // has no error to return
	return append(b, text...)
}
