package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// GetOutcome returns the stored outcome of a reference, or fault.ErrNotFound when nothing is committed under it so far.
func (a *App) GetOutcome(ctx context.Context, reference string) (domain.Outcome, error) {
	if err := auth.Require(ctx, scopes.LedgerRead); err != nil {
		return domain.Outcome{}, err
	}
	if !domain.IsReference(reference) {
		return domain.Outcome{}, fault.ErrNotFound // nothing can be committed under it, and PostgreSQL refuses some of them
	}
	found := map[string]settled{}
	if err := a.stored(ctx, a.pool, []string{reference}, found); err != nil {
		return domain.Outcome{}, err
	}
	s, ok := found[reference]
	if !ok {
		return domain.Outcome{}, fault.ErrNotFound
	}
	return s.outcome, nil
}

// stored reads what was decided under references. It is not on the path of new transactions.
func (a *App) stored(ctx context.Context, db transactionsdb.DBTX, references []string, known map[string]settled) error {
	rows, err := a.q.GetOutcomes(ctx, db, references)
	if err != nil {
		return fmt.Errorf("read outcomes: %w", err)
	}
	var accounts []uuid.UUID
	for _, row := range rows {
		s, err := settledRow(row)
		if err != nil {
			return err
		}
		for _, b := range s.outcome.Balances {
			accounts = append(accounts, b.AccountID)
		}
		known[row.Reference] = s
	}
	if len(accounts) == 0 {
		return nil
	}
	list, err := a.q.ListCurrencies(ctx, db, accounts) // an account's currency never changes
	if err != nil {
		return fmt.Errorf("read currencies: %w", err)
	}
	currencies := make(map[uuid.UUID]string, len(list))
	for _, row := range list {
		currencies[row.ID] = row.Currency
	}
	for _, row := range rows {
		balances := known[row.Reference].outcome.Balances
		for i := range balances {
			balances[i].Currency = currencies[balances[i].AccountID]
		}
	}
	return nil
}

func settledRow(row transactionsdb.GetOutcomesRow) (settled, error) {
	s := settled{hash: row.BodyHash, outcome: domain.Outcome{Reference: row.Reference, RecordedAt: row.DecidedAt.UTC()}}
	if row.Code != "" {
		s.outcome.Status, s.outcome.Code, s.outcome.Detail = domain.Refused, row.Code, row.Detail
		return s, nil
	}
	s.outcome.Status, s.outcome.TransactionID = domain.Posted, row.TransactionID
	s.outcome.Released, s.outcome.Currency = row.ReleasedMinor, row.ReleasedCurrency
	if row.HoldID != nil {
		s.outcome.HoldID = *row.HoldID
	}
	balances, err := proof.DecodeBalances(row.Balances)
	if err != nil {
		return s, fmt.Errorf("balances of transaction %s: %w", row.TransactionID, err)
	}
	for _, b := range balances {
		s.outcome.Balances = append(s.outcome.Balances,
			domain.OutcomeBalance{AccountID: b.Account, Balance: b.Balance, Available: b.Available, Sequence: b.Sequence})
	}
	s.stored = len(row.Metadata) > 0 || !row.HadMetadata
	if len(row.Metadata) > 0 {
		if err := json.Unmarshal(row.Metadata, &s.metadata); err != nil {
			return s, fmt.Errorf("metadata of transaction %s: %w", row.TransactionID, err)
		}
	}
	return s, nil
}
