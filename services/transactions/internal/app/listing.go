package app

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/generated/scopes"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// maxByFact is how many transactions are looked through by a fact of theirs; a more common one is met often on the way down the list.
const maxByFact = 10_000

// idSlack is how far a transaction's id and its recorded time may lie apart: ids are made on arrival, times under the locks, and no earlier
// than an account's last, which another replica's clock may have given. Replicas' clocks must agree within it.
const idSlack = 10 * time.Minute

// TransactionQuery asks for a page of transactions. Zero values filter nothing.
type TransactionQuery struct {
	domain.Filter
	AccountID uuid.UUID
	Reference string
	Facts     map[string]string // all of them, exactly
	page.Request
}

// TransactionPage is a page, newest first, with the cursor of the next one (nil on the last). It may be short although more follow.
type TransactionPage struct {
	Transactions []Transaction
	Next         *string
}

// head is as much of a transaction as its filters need.
type head = transactionsdb.ListTransactionHeadsRow

// listing is one call of ListTransactions.
type listing struct {
	*App
	TransactionQuery
	page   page.Page[place]
	facts  []byte // Facts as JSON, or nothing
	chosen []head
}

// place is where a page of transactions ends: at a sequence number of the account's entries, or at an id.
type place struct {
	Sequence int64     `json:"seq,omitempty"`
	ID       uuid.UUID `json:"id,omitzero"`
}

// ListTransactions returns transactions to a service. There are three ways down the list: along the entries of an account; and along ids,
// of all transactions or of those that a reference or fact names.
func (a *App) ListTransactions(ctx context.Context, q TransactionQuery) (TransactionPage, error) {
	if err := auth.Require(ctx, scopes.LedgerRead); err != nil {
		return TransactionPage{}, err
	}
	l := &listing{App: a, TransactionQuery: q}
	if err := l.check(ctx); err != nil {
		return TransactionPage{}, err
	}
	next, err := l.walk(ctx)
	if err != nil {
		return TransactionPage{}, fmt.Errorf("list transactions: %w", err)
	}
	transactions, err := a.load(ctx, l.chosen)
	return TransactionPage{Transactions: transactions, Next: next}, err
}

func (l *listing) check(ctx context.Context) (err error) {
	if l.Filter, err = l.Validate(); err != nil {
		return err
	}
	if l.Reference != "" && !domain.IsReference(l.Reference) {
		return fault.ErrInvalid.WithField("reference", "reference_invalid", "The reference is malformed.")
	}
	for k, v := range l.Facts {
		if k == "" || !plain(k) || !plain(v) {
			return fault.ErrInvalid.WithField("metadata_key", "metadata_invalid", "No transaction can have this metadata.")
		}
	}
	if len(l.Facts) > 0 {
		if l.facts, err = json.Marshal(l.Facts); err != nil {
			return err
		}
	}
	l.page, err = page.Read[place](ctx, l.pages, "listLedgerTransactions", l.Request,
		l.AccountID, l.Reference, l.facts, period(l.Filter), l.Channel, l.Type)
	return err
}

// plain says whether the text can be in the metadata at all: PostgreSQL's jsonb fails on NUL.
func plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// walk chooses the way, fills chosen and returns the cursor of the next page.
func (l *listing) walk(ctx context.Context) (next *string, err error) {
	var account domain.Account
	if l.AccountID != uuid.Nil {
		if account, err = l.GetAccount(ctx, l.AccountID); err != nil {
			return nil, err
		}
	}
	from := l.page.From(place{ID: uuid.Max})
	if from.Sequence > 0 {
		return l.byAccount(ctx, account, from.Sequence)
	}
	if l.Reference != "" || l.facts != nil {
		ids, known, err := l.named(ctx)
		if err != nil {
			return nil, err
		}
		if known {
			return l.byNames(ctx, ids, from.ID)
		}
	}
	if l.AccountID != uuid.Nil && l.page.First() {
		return l.byAccount(ctx, account, account.Sequence+1)
	}
	return l.byID(ctx, from.ID)
}

// named returns the ids that the reference or the facts point to, and false if there are too many.
func (l *listing) named(ctx context.Context) (ids []uuid.UUID, known bool, err error) {
	if l.Reference != "" {
		ids, err = l.q.FindByReference(ctx, l.pool, l.Reference)
		return ids, true, err
	}
	err = pgx.BeginTxFunc(ctx, l.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := l.q.PreferBitmaps(ctx, tx); err != nil {
			return err
		}
		ids, err = l.q.FindByFact(ctx, tx, l.facts)
		return err
	})
	return ids, len(ids) <= maxByFact, err
}

// byNames goes down the ids of a list.
func (l *listing) byNames(ctx context.Context, ids []uuid.UUID, before uuid.UUID) (*string, error) {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(b[:], a[:]) })
	ids = slices.DeleteFunc(ids, func(id uuid.UUID) bool { return bytes.Compare(id[:], before[:]) >= 0 })
	for scanned := 0; len(ids) > 0; {
		if scanned >= maxScan {
			return l.page.Next(place{ID: before}), nil
		}
		n := min(len(ids), 2*page.MaxSize)
		rows, err := l.q.ListHeadsOf(ctx, l.pool, ids[:n])
		if err != nil {
			return nil, err
		}
		heads := make([]head, len(rows))
		for i, row := range rows {
			heads[i] = head(row)
		}
		before, ids, scanned = ids[n-1], ids[n:], scanned+n
		if cut, err := l.choose(ctx, heads); err != nil || cut != nil {
			return l.after(cut, len(ids) > 0 || !isLast(cut, heads)), err
		}
	}
	return nil, nil
}

// byID goes down all transactions. Partitions outside the period are left out, and so are ids that are too young or too old for it.
func (l *listing) byID(ctx context.Context, before uuid.UUID) (*string, error) {
	p := transactionsdb.ListTransactionHeadsParams{Before: before, RecordedFrom: l.From,
		RecordedTo: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), PageSize: l.chunk()}
	if !l.From.IsZero() {
		p.First = idAt(l.From.Add(-idSlack))
	}
	if !l.To.IsZero() {
		p.RecordedTo = l.To
		if top := idAt(l.To.Add(idSlack)); bytes.Compare(top[:], before[:]) < 0 {
			p.Before = top
		}
	}
	for scanned := 0; scanned < maxScan; {
		rows, err := l.q.ListTransactionHeads(ctx, planned{l.pool}, p)
		if err != nil {
			return nil, err
		}
		last := len(rows) < int(p.PageSize)
		if cut, err := l.choose(ctx, rows); err != nil || cut != nil {
			return l.after(cut, !last || !isLast(cut, rows)), err
		}
		if last {
			return nil, nil
		}
		p.Before, scanned = rows[len(rows)-1].ID, scanned+len(rows)
	}
	return l.page.Next(place{ID: p.Before}), nil
}

// byAccount goes down the entries of an account. A transaction may have several, one after the other: it is met at the last of them, so
// that it stands on one page only.
func (l *listing) byAccount(ctx context.Context, account domain.Account, before int64) (*string, error) {
	first, end, err := l.window(ctx, account, l.Filter)
	if err != nil {
		return nil, err
	}
	before = min(before, end)
	var above uuid.UUID
	for scanned := int64(0); before > first && scanned < maxScan; {
		low := max(first, before-int64(l.chunk()))
		entries, err := l.q.ListEntries(ctx, l.pool,
			transactionsdb.ListEntriesParams{AccountID: account.ID, First: low, Before: before + 1, PageSize: maxScan})
		if err != nil {
			return nil, err
		}
		var heads []head
		lowest := map[uuid.UUID]int64{}
		for _, e := range entries {
			if e.TransactionID != above && e.Sequence < before {
				heads = append(heads, head{ID: e.TransactionID, RecordedAt: e.RecordedAt, Type: e.Type, Channel: e.Channel})
			}
			above = e.TransactionID
			lowest[above] = e.Sequence
		}
		if cut, err := l.choose(ctx, heads); err != nil || cut != nil {
			if err != nil || lowest[cut.ID] <= first {
				return nil, err
			}
			return l.page.Next(place{Sequence: lowest[cut.ID]}), nil
		}
		before, scanned = low, scanned+before-low
	}
	if before <= first {
		return nil, nil
	}
	return l.page.Next(place{Sequence: before}), nil
}

// chunk is how many rows to read at once: many if few of them may fit.
func (l *listing) chunk() int32 {
	if l.Channel == "" && l.Type == "" && l.facts == nil {
		return 2 * l.page.Size
	}
	return maxScan / 4
}

// choose adds those that pass all filters, and returns the last one chosen once the page is full.
func (l *listing) choose(ctx context.Context, heads []head) (*head, error) {
	fits := func(h head) bool {
		return (l.Channel == "" || h.Channel == l.Channel) && (l.Type == "" || h.Type == l.Type) &&
			!h.RecordedAt.Before(l.From) && (l.To.IsZero() || h.RecordedAt.Before(l.To))
	}
	var rest []head
	for _, h := range heads {
		if fits(h) {
			rest = append(rest, h)
		}
	}
	rest, err := l.related(ctx, rest)
	if err != nil {
		return nil, err
	}
	for i := range rest {
		l.chosen = append(l.chosen, rest[i])
		if len(l.chosen) == int(l.page.Size) {
			return &rest[i], nil
		}
	}
	return nil, nil
}

// related keeps those that have the facts and touch the account, which other tables know.
func (l *listing) related(ctx context.Context, heads []head) ([]head, error) {
	keep := func(ids []uuid.UUID, err error) error {
		known := make(map[uuid.UUID]bool, len(ids))
		for _, id := range ids {
			known[id] = true
		}
		heads = slices.DeleteFunc(heads, func(h head) bool { return !known[h.ID] })
		return err
	}
	if len(heads) > 0 && l.facts != nil {
		if err := keep(l.q.ListOfFact(ctx, l.pool, idsOf(heads), l.facts)); err != nil {
			return nil, err
		}
	}
	if len(heads) > 0 && l.AccountID != uuid.Nil {
		from, to := span(heads)
		if err := keep(l.q.ListOfAccount(ctx, planned{l.pool},
			transactionsdb.ListOfAccountParams{Ids: idsOf(heads), RecordedFrom: from, RecordedTo: to, AccountID: l.AccountID})); err != nil {
			return nil, err
		}
	}
	return heads, nil
}

func (l *listing) after(cut *head, more bool) *string {
	if cut == nil || !more {
		return nil
	}
	return l.page.Next(place{ID: cut.ID})
}

func isLast(cut *head, heads []head) bool { return cut != nil && cut.ID == heads[len(heads)-1].ID }

func idsOf(heads []head) []uuid.UUID {
	ids := make([]uuid.UUID, len(heads))
	for i, h := range heads {
		ids[i] = h.ID
	}
	return ids
}

// span returns the first and the last recorded time: what the database needs to leave out partitions.
func span(heads []head) (from, to time.Time) {
	for i, h := range heads {
		if i == 0 || h.RecordedAt.Before(from) {
			from = h.RecordedAt
		}
		if h.RecordedAt.After(to) {
			to = h.RecordedAt
		}
	}
	return from, to
}

// idAt returns the lowest UUIDv7 of a moment.
func idAt(t time.Time) uuid.UUID {
	var id uuid.UUID
	ms := min(max(t.UnixMilli(), 0), 1<<48-1)
	binary.BigEndian.PutUint64(id[:8], uint64(ms)<<16) // #nosec G115 -- not negative
	return id
}

// load reads whole transactions, in the order of the heads.
func (a *App) load(ctx context.Context, heads []head) ([]Transaction, error) {
	if len(heads) == 0 {
		return nil, nil
	}
	ids := idsOf(heads)
	from, to := span(heads)
	rows, err := a.q.ListTransactions(ctx, a.pool, ids, from, to)
	if err != nil {
		return nil, fmt.Errorf("read transactions: %w", err)
	}
	postings, err := a.q.ListPostingsOf(ctx, a.pool, ids, from, to)
	if err != nil {
		return nil, fmt.Errorf("read postings: %w", err)
	}
	place := make(map[uuid.UUID]int, len(heads))
	for i, h := range heads {
		place[h.ID] = i
	}
	out := make([]Transaction, len(heads))
	for _, row := range rows {
		t := &out[place[row.ID]]
		t.GetTransactionRow = transactionsdb.GetTransactionRow(row)
		if err := json.Unmarshal(t.Metadata, &t.Facts); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	for _, p := range postings {
		t := &out[place[p.TransactionID]]
		t.Postings = append(t.Postings, transactionsdb.ListPostingsRow{Position: p.Position, SourceID: p.SourceID, DestinationID: p.DestinationID,
			Currency: p.Currency, AmountMinor: p.AmountMinor, SourceSequence: p.SourceSequence, SourceBalanceMinor: p.SourceBalanceMinor,
			DestinationSequence: p.DestinationSequence, DestinationBalanceMinor: p.DestinationBalanceMinor})
	}
	return out, nil
}

// planned makes PostgreSQL plan each query for its own values. A plan for any values would sort a whole partition, or read all of a hot
// account, for it cannot know that a page wants one end of an index only.
type planned struct{ *pgxpool.Pool }

// Query runs the query as an unnamed statement.
func (p planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.Pool.Query(ctx, sql, slices.Insert(args, 0, any(pgx.QueryExecModeCacheDescribe))...)
}
