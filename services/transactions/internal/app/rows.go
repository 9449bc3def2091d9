package app

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unique"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// batchRows are the columns of a batch's transactions, and of the metadata of those that have any.
type batchRows struct {
	transactionsdb.WriteTransactionsParams
	postings      int
	metadataIDs   []uuid.UUID
	metadata      []string
	metadataSalts [][]byte
}

// transactionRows turns a decision into columns, and hashes each transaction's leaf.
func (b *batch) transactionRows(d domain.Decision) batchRows {
	rows := newBatchRows(d)
	p := &rows.WriteTransactionsParams
	p.BatchID, p.LeafVersion = b.id, proof.LeafVersion2
	holds := make(map[uuid.UUID]*domain.HoldState, len(d.NewHolds))
	for i := range d.NewHolds {
		holds[d.NewHolds[i].ID] = &d.NewHolds[i]
	}
	var encoder proof.Encoder
	var leaf proof.Transaction
	for i := range d.Transactions {
		t := &d.Transactions[i]
		leafOf(&leaf, t, holds[t.ID])
		leaf.Batch, leaf.BatchPosition = b.id, i
		if len(t.Request.Metadata) > 0 {
			hash := proof.MetadataHash(t.Request.MetadataSalt, t.Request.Metadata)
			leaf.MetadataHash = hash[:]
			rows.metadataIDs = append(rows.metadataIDs, t.ID)
			rows.metadata = append(rows.metadata, string(proof.MetadataJSON(t.Request.Metadata)))
			rows.metadataSalts = append(rows.metadataSalts, t.Request.MetadataSalt[:])
		}
		hash := encoder.LeafHash(&leaf)
		p.LeafHashes = append(p.LeafHashes, hash[:]...)
		transactionRow(p, i, t, &leaf)
		rows.postingRows(t)
	}
	p.RecordedFrom, p.RecordedTo = recordedRange(p.RecordedAt)
	for i := range d.Accounts {
		a := &d.Accounts[i]
		p.AccountIds[i], p.AccountSequences[i], p.AccountRecordedAt[i] = a.ID, a.Sequence, a.LastRecordedAt
		p.DebitsMinor[i], p.CreditsMinor[i] = a.Debits, a.Credits
		p.PendingDebitsMinor[i], p.PendingCreditsMinor[i], p.OverCapMinor[i] = a.PendingDebits, a.PendingCredits, a.OverCap
	}
	return rows
}

// newBatchRows makes the columns in their full length, but not those that few transactions have: an absent column is all null.
func newBatchRows(d domain.Decision) batchRows {
	n, m, k := len(d.Transactions), 0, len(d.Accounts)
	for i := range d.Transactions {
		m += len(d.Transactions[i].Postings)
	}
	return batchRows{postings: m, WriteTransactionsParams: transactionsdb.WriteTransactionsParams{
		LeafHashes: make([]byte, 0, proof.HashSize*n),
		Ids:        make([]uuid.UUID, n), RecordedAt: make([]time.Time, n), ReferencesList: make([]string, n), Actions: make([]string, n),
		Types:    make([]string, n),
		Channels: make([]string, n), HoldDeltasMinor: make([]int64, n), Salts: make([][]byte, n), BatchPositions: make([]int16, n),
		Balances:              make([][]byte, n),
		PostingTransactionIds: make([]uuid.UUID, 0, m), Positions: make([]int16, 0, m), PostingRecordedAt: make([]time.Time, 0, m),
		SourceIds:      make([]uuid.UUID, 0, m),
		DestinationIds: make([]uuid.UUID, 0, m), Currencies: make([]string, 0, m), AmountsMinor: make([]int64, 0, m),
		SourceSequences:     make([]int64, 0, m),
		SourceBalancesMinor: make([]int64, 0, m), DestinationSequences: make([]int64, 0, m), DestinationBalancesMinor: make([]int64, 0, m),
		AccountIds: make([]uuid.UUID, k), AccountSequences: make([]int64, k), AccountRecordedAt: make([]time.Time, k),
		DebitsMinor:  make([]int64, k),
		CreditsMinor: make([]int64, k), PendingDebitsMinor: make([]int64, k), PendingCreditsMinor: make([]int64, k),
		OverCapMinor: make([]int64, k),
	}}
}

func transactionRow(p *transactionsdb.WriteTransactionsParams, i int, t *domain.Transaction, leaf *proof.Transaction) {
	p.Ids[i], p.RecordedAt[i], p.ReferencesList[i] = t.ID, t.RecordedAt, t.Reference
	p.Actions[i], p.Types[i], p.Channels[i] = string(t.Action), t.Type, t.Channel
	p.HoldDeltasMinor[i], p.Salts[i], p.BatchPositions[i], p.Balances[i] = t.HoldDelta, t.Request.Salt[:], int16(i), leaf.Balances
	if t.HoldID != uuid.Nil {
		column(&p.HoldIds, len(p.Ids))[i] = t.HoldID
	}
	if t.ReversesID != uuid.Nil {
		column(&p.ReversesIds, len(p.Ids))[i] = t.ReversesID
	}
	if at := t.Request.EffectiveAt; at != nil {
		column(&p.EffectiveAt, len(p.Ids))[i] = *at
	}
	if leaf.MetadataHash != nil {
		column(&p.MetadataHashes, len(p.Ids))[i] = leaf.MetadataHash
	}
}

func (rows *batchRows) postingRows(t *domain.Transaction) {
	p := &rows.WriteTransactionsParams
	for i := range t.Postings {
		posting := &t.Postings[i]
		at := len(p.Positions)
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
		if posting.ReversesPosition >= 0 {
			column(&p.ReversesOrdinals, rows.postings)[at] = int16(posting.ReversesPosition + 1)
		}
		if effective := t.Request.EffectiveAt; effective != nil {
			column(&p.PostingEffectiveAt, rows.postings)[at] = *effective
		}
	}
}

// column makes a column when it gets its first value.
func column[T any](c *[]T, n int) []T {
	if *c == nil {
		*c = make([]T, n)
	}
	return *c
}

// leafOf says what the leaf of a new transaction covers.
func leafOf(leaf *proof.Transaction, t *domain.Transaction, opened *domain.HoldState) {
	*leaf = proof.Transaction{Version: proof.LeafVersion2, ID: t.ID, RecordedAt: t.RecordedAt,
		EffectiveAt: value(t.Request.EffectiveAt), Reference: t.Reference, Action: string(t.Action), Type: t.Type, Channel: t.Channel,
		HoldID: t.HoldID, HoldDelta: t.HoldDelta, ReversesID: t.ReversesID, Salt: t.Request.Salt,
		RequestHash: t.Request.BodyHash, Postings: leaf.Postings[:0], Balances: make([]byte, 0, proof.BalanceSize*len(t.Balances))}
	for i := range t.Postings {
		p := &t.Postings[i]
		leaf.Postings = append(leaf.Postings, proof.Posting{Source: p.Source, Destination: p.Destination, Currency: p.Currency, Amount: p.Amount,
			SourceBook: string(p.Book), SourceSequence: p.SourceSequence, SourceBalance: p.SourceBalance,
			DestinationBook: string(p.Book), DestinationSequence: p.DestinationSequence, DestinationBalance: p.DestinationBalance,
			ReversesPosition: p.ReversesPosition})
	}
	for _, b := range t.Balances {
		leaf.Balances = proof.AppendBalance(leaf.Balances,
			proof.Balance{Account: b.AccountID, Balance: b.Balance, Available: b.Available, Sequence: b.Sequence})
	}
	if opened != nil {
		leaf.Hold = &proof.Hold{Account: opened.AccountID, Book: string(opened.Book), Currency: opened.Currency, Amount: opened.Amount,
			Reason: string(opened.Reason), ExpiresAt: opened.ExpiresAt}
		for _, l := range opened.Lines {
			leaf.Hold.Lines = append(leaf.Hold.Lines, proof.HoldLine{Destination: l.Destination, Amount: l.Amount})
		}
	}
}

// value returns the zero time for none.
func value(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func recordedRange(times []time.Time) (from, to time.Time) {
	from, to = times[0], times[0]
	for _, t := range times {
		if t.Before(from) {
			from = t
		}
		if t.After(to) {
			to = t
		}
	}
	return from, to
}

func refusalRows(d domain.Decision) transactionsdb.InsertRefusalsParams {
	var p transactionsdb.InsertRefusalsParams
	for _, o := range d.Outcomes {
		if o.Status == domain.Refused {
			p.ReferencesList = append(p.ReferencesList, o.Reference)
			p.Codes = append(p.Codes, o.Code)
			p.Details = append(p.Details, o.Detail)
			p.RecordedAt = append(p.RecordedAt, o.RecordedAt)
		}
	}
	return p
}

func newHoldRows(holds []domain.HoldState) (transactionsdb.InsertHoldsParams, error) {
	var p transactionsdb.InsertHoldsParams
	for _, h := range holds {
		lines, err := holdLines(h)
		if err != nil {
			return p, err
		}
		expires := "" // never: a list of times could not say it but by a time that somebody may mean
		if !h.ExpiresAt.IsZero() {
			expires = h.ExpiresAt.UTC().Format(time.RFC3339Nano)
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

func account(row transactionsdb.Account) domain.Account {
	a := domain.Account{
		ID: row.ID, Kind: domain.Kind(row.Kind), Currency: row.Currency, Book: domain.Book(row.Book), NormalSide: domain.Side(row.NormalSide),
		Status: domain.Status(row.Status),
		Debits: row.DebitsMinor, Credits: row.CreditsMinor, PendingDebits: row.PendingDebitsMinor, PendingCredits: row.PendingCreditsMinor,
		OverCap: row.OverCapMinor, Minimum: row.MinimumMinor, Maximum: row.MaximumMinor, Sequence: row.Sequence,
		LastRecordedAt: row.LastRecordedAt,
	}
	if row.Code != nil {
		a.Code = *row.Code
	}
	if row.OwnerID != nil {
		a.OwnerID = *row.OwnerID
	}
	return a
}

func hold(row transactionsdb.Hold) (domain.HoldState, error) {
	h := domain.HoldState{ID: row.ID, AccountID: row.AccountID, Currency: row.Currency, Amount: row.AmountMinor, Captured: row.CapturedMinor,
		Released: row.ReleasedMinor, Reason: domain.HoldReason(row.Reason), Status: domain.HoldStatus(row.Status), CreatedAt: row.CreatedAt}
	if row.ExpiresAt != nil {
		h.ExpiresAt = *row.ExpiresAt
	}
	if err := json.Unmarshal(row.Lines, &h.Lines); err != nil {
		return h, fmt.Errorf("lines of a hold: %w", err)
	}
	return h, nil
}

// lockedAccount reads a row of LockAccounts. Every batch reads hundreds: the columns are taken as they come, without reflection.
func lockedAccount(row pgx.CollectableRow) (domain.Account, error) {
	var a domain.Account
	c := columns{values: row.RawValues()}
	copy(a.ID[:], c.next())
	a.Currency, a.NormalSide, a.Status = c.text(), domain.Side(c.text()), domain.Status(c.text())
	a.Debits, a.Credits, a.PendingDebits, a.PendingCredits, a.OverCap = c.int64(), c.int64(), c.int64(), c.int64(), c.int64()
	a.Minimum, a.Maximum = c.optional(), c.optional()
	a.Sequence = c.int64()
	a.LastRecordedAt = time.UnixMicro(c.int64() + pg.Epoch).UTC()
	a.Book = domain.Book(c.text())
	if c.at != len(c.values) || len(row.FieldDescriptions()) != lockedColumns || row.FieldDescriptions()[0].Format != pgx.BinaryFormatCode {
		return a, errors.New("the columns of LockAccounts are not those of lockedAccount")
	}
	return a, nil
}

const lockedColumns = 14

// columns reads a row of PostgreSQL's binary format.
type columns struct {
	values [][]byte
	at     int
}

func (c *columns) next() []byte {
	if c.at == len(c.values) {
		return nil
	}
	c.at++
	return c.values[c.at-1]
}

// text returns one of a few values, each of which is in memory once.
func (c *columns) text() string { return unique.Make(string(c.next())).Value() }

func (c *columns) int64() int64 {
	b := c.next()
	if len(b) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func (c *columns) optional() *int64 {
	if c.at < len(c.values) && c.values[c.at] == nil {
		c.at++
		return nil
	}
	n := c.int64()
	return &n
}
