package api

import (
	"context"
	"fmt"
	"time"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// maxTransactions is the longest list of one request.
const maxTransactions = 100

// PostTransactions answers POST /v1/ledger/transactions.
func (s *Server) PostTransactions(ctx context.Context,
	r transactionsapi.PostTransactionsRequestObject) (transactionsapi.PostTransactionsResponseObject, error) {
	if n := len(r.Body.Transactions); n == 0 || n > maxTransactions {
		return nil, fault.ErrInvalid.WithField("/transactions", "transactions_invalid", "A request must have 1 to 100 transactions.")
	}
	requests := make([]domain.Request, len(r.Body.Transactions))
	for i := range r.Body.Transactions {
		t := &r.Body.Transactions[i]
		if t.OverMaximum != nil && !t.OverMaximum.Valid() {
			return nil, fault.ErrInvalid.WithField(fmt.Sprintf("/transactions/%d/over_maximum", i), "over_maximum_invalid",
				"There is no such choice.")
		}
		if isNil(t.HoldID) {
			return nil, fault.ErrInvalid.WithField(fmt.Sprintf("/transactions/%d/hold_id", i), "hold_id_invalid", "The nil UUID is not a hold.")
		}
		if isNil(t.TransactionID) {
			return nil, fault.ErrInvalid.WithField(fmt.Sprintf("/transactions/%d/transaction_id", i), "transaction_id_invalid",
				"The nil UUID is not a transaction.")
		}
		requests[i] = request(t)
	}
	post := s.app.PostTransactions
	if r.Body.DryRun != nil && *r.Body.DryRun {
		post = s.app.PreviewTransactions
	}
	list, err := post(ctx, requests, r.Body.Atomic != nil && *r.Body.Atomic)
	if err != nil {
		return nil, err
	}
	return outcomes(list), nil
}

// GetOutcome answers GET /v1/ledger/outcomes/{reference}.
func (s *Server) GetOutcome(ctx context.Context,
	r transactionsapi.GetOutcomeRequestObject) (transactionsapi.GetOutcomeResponseObject, error) {
	o, err := s.app.GetOutcome(ctx, r.Reference)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetOutcome200JSONResponse(outcome(o)), nil
}

// GetLedgerTransaction answers GET /v1/ledger/transactions/{transaction_id}.
func (s *Server) GetLedgerTransaction(ctx context.Context,
	r transactionsapi.GetLedgerTransactionRequestObject) (transactionsapi.GetLedgerTransactionResponseObject, error) {
	t, err := s.app.GetTransaction(ctx, r.TransactionID)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetLedgerTransaction200JSONResponse(ledgerTransaction(&t)), nil
}

func request(t *transactionsapi.LedgerRequest) domain.Request {
	b := domain.Body{Action: domain.Action(t.Action), Type: t.Type, Channel: string(t.Channel), HoldID: idOf(t.HoldID),
		OriginalID: idOf(t.TransactionID), OverMaximum: t.OverMaximum != nil, UpToMaximum: value(t.UpToMaximum), Metadata: t.Metadata}
	for _, p := range t.Postings {
		b.Postings = append(b.Postings, domain.Posting{Source: domain.ResolveAccount(p.Source), Destination: domain.ResolveAccount(p.Destination),
			Amount: p.Amount.Amount, Currency: p.Amount.Currency})
	}
	if t.Amount != nil {
		b.HasAmount, b.Amount, b.Currency = true, t.Amount.Amount, t.Amount.Currency
	}
	if t.ExpiresAt != nil {
		at := t.ExpiresAt.UTC().Truncate(time.Microsecond) // as the database keeps it
		b.ExpiresAt = &at
	}
	if t.EffectiveAt != nil {
		at := t.EffectiveAt.UTC().Truncate(time.Microsecond)
		b.EffectiveAt = &at
	}
	return domain.Request{Reference: t.Reference, Body: b}
}

func outcome(o domain.Outcome) transactionsapi.Outcome {
	out := transactionsapi.Outcome{Reference: o.Reference, Status: transactionsapi.OutcomeStatus(o.Status), Code: optional(o.Code),
		Detail: optional(o.Detail), TransactionID: optional(o.TransactionID), HoldID: optional(o.HoldID), RecordedAt: utc(o.RecordedAt)}
	if o.Released > 0 {
		out.Released = some(o.Released, o.Currency)
	}
	for _, b := range o.Balances {
		out.Balances = append(out.Balances, transactionsapi.OutcomeBalance{AccountID: b.AccountID, Balance: moneyOf(b.Balance, b.Currency),
			Available: moneyOf(b.Available, b.Currency), Sequence: b.Sequence})
	}
	return out
}
