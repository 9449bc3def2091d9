package app

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sendtip/sendtip/generated/events"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// Topic and type of the ledger's event.
const (
	Topic             = "sendtip.transactions.v1"
	TransactionPosted = "ledger.transaction_posted"
)

// transactionRows turns a decision into the columns that WriteTransactions takes.
func transactionRows(d domain.Decision) (transactionsdb.WriteTransactionsParams, error) {
	var p transactionsdb.WriteTransactionsParams
	for _, o := range d.Outcomes {
		b, err := json.Marshal(o)
		if err != nil {
			return p, fmt.Errorf("encode outcome: %w", err)
		}
		p.OutcomeReferences = append(p.OutcomeReferences, o.Reference)
		p.OutcomeStatuses = append(p.OutcomeStatuses, string(o.Status))
		p.OutcomeTransactionIds = append(p.OutcomeTransactionIds, o.TransactionID)
		p.Outcomes = append(p.Outcomes, string(b))
	}
	for _, t := range d.Transactions {
		p.Ids = append(p.Ids, t.ID)
		p.RecordedAt = append(p.RecordedAt, t.RecordedAt)
		p.ReferencesList = append(p.ReferencesList, t.Reference)
		p.Actions = append(p.Actions, string(t.Action))
		p.Types = append(p.Types, t.Type)
		p.Channels = append(p.Channels, t.Channel)
		p.HoldIds = append(p.HoldIds, t.HoldID)
		p.HoldDeltasMinor = append(p.HoldDeltasMinor, t.HoldDelta)
		p.ReversesIds = append(p.ReversesIds, t.ReversesID)
		postingRows(&p, t)
		if len(t.Metadata) > 0 {
			b, err := json.Marshal(t.Metadata)
			if err != nil {
				return p, fmt.Errorf("encode metadata: %w", err)
			}
			p.MetadataIds = append(p.MetadataIds, t.ID)
			p.Metadata = append(p.Metadata, string(b))
		}
	}
	for _, a := range d.Accounts {
		p.AccountIds = append(p.AccountIds, a.ID)
		p.DebitsMinor = append(p.DebitsMinor, a.Debits)
		p.CreditsMinor = append(p.CreditsMinor, a.Credits)
		p.PendingDebitsMinor = append(p.PendingDebitsMinor, a.PendingDebits)
		p.PendingCreditsMinor = append(p.PendingCreditsMinor, a.PendingCredits)
		p.OverCapMinor = append(p.OverCapMinor, a.OverCap)
		p.AccountSequences = append(p.AccountSequences, a.Sequence)
		p.AccountRecordedAt = append(p.AccountRecordedAt, a.LastRecordedAt)
	}
	return p, nil
}

func postingRows(p *transactionsdb.WriteTransactionsParams, t domain.Transaction) {
	for i, posting := range t.Postings {
		p.PostingTransactionIds = append(p.PostingTransactionIds, t.ID)
		p.Positions = append(p.Positions, int16(i))
		p.PostingRecordedAt = append(p.PostingRecordedAt, t.RecordedAt)
		p.SourceIds = append(p.SourceIds, posting.Source)
		p.DestinationIds = append(p.DestinationIds, posting.Destination)
		p.Currencies = append(p.Currencies, posting.Currency)
		p.AmountsMinor = append(p.AmountsMinor, posting.Amount)
		p.SourceSequences = append(p.SourceSequences, posting.SourceSequence)
		p.SourceBalancesMinor = append(p.SourceBalancesMinor, posting.SourceBalance)
		p.DestinationSequences = append(p.DestinationSequences, posting.DestinationSequence)
		p.DestinationBalancesMinor = append(p.DestinationBalancesMinor, posting.DestinationBalance)
		p.ReversesPositions = append(p.ReversesPositions, int16(posting.ReversesPosition))
	}
}

func newHoldRows(holds []domain.HoldState) (transactionsdb.InsertHoldsParams, error) {
	var p transactionsdb.InsertHoldsParams
	for _, h := range holds {
		lines, err := holdLines(h)
		if err != nil {
			return p, err
		}
		expires := h.ExpiresAt
		if expires.IsZero() {
			expires = time.Unix(0, 0).UTC() // the query reads the epoch as "never"
		}
		p.Ids = append(p.Ids, h.ID)
		p.AccountIds = append(p.AccountIds, h.AccountID)
		p.Currencies = append(p.Currencies, h.Currency)
		p.AmountsMinor = append(p.AmountsMinor, h.Amount)
		p.Lines = append(p.Lines, lines)
		p.Reasons = append(p.Reasons, string(h.Reason))
		p.ExpiresAt = append(p.ExpiresAt, expires)
		p.CreatedAt = append(p.CreatedAt, h.CreatedAt)
	}
	return p, nil
}

func holdRows(holds []domain.HoldState) (transactionsdb.UpdateHoldsParams, error) {
	var p transactionsdb.UpdateHoldsParams
	for _, h := range holds {
		lines, err := holdLines(h)
		if err != nil {
			return p, err
		}
		p.Ids = append(p.Ids, h.ID)
		p.CapturedMinor = append(p.CapturedMinor, h.Captured)
		p.ReleasedMinor = append(p.ReleasedMinor, h.Released)
		p.Lines = append(p.Lines, lines)
		p.Statuses = append(p.Statuses, string(h.Status))
	}
	return p, nil
}

func holdLines(h domain.HoldState) (string, error) {
	if len(h.Lines) == 0 {
		return "[]", nil
	}
	b, err := json.Marshal(h.Lines)
	if err != nil {
		return "", fmt.Errorf("encode lines: %w", err)
	}
	return string(b), nil
}

// postedEvents returns one event per transaction that moved money. Its id is the transaction's, so that a repeat is dropped whichever
// way it is published.
func postedEvents(transactions []domain.Transaction) ([]event.Event, error) {
	var list []event.Event
	for _, t := range transactions {
		if len(t.Postings) == 0 {
			continue
		}
		e, err := event.New(Topic, TransactionPosted, t.ID.String(), events.LedgerTransactionPosted{
			TransactionID: t.ID, Reference: t.Reference, Type: t.Type, Channel: t.Channel, AccountIds: t.AccountIDs()})
		if err != nil {
			return nil, err
		}
		e.ID, e.Time = t.ID, t.RecordedAt
		list = append(list, e)
	}
	return list, nil
}
