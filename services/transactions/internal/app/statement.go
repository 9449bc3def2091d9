package app

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

const (
	defaultPage = 25
	maxPage     = 100
	maxScan     = 2_000  // rows that one call looks at; ListEntries has the same limit
	maxExport   = 10_000 // entries of an export
	exportPage  = 1_000
)

// StatementQuery asks for a page of a statement. Zero as limit means 25.
type StatementQuery struct {
	domain.Filter
	Limit  int32
	Cursor string
}

// StatementPage is a page, newest first, with the cursor of the next one ("" on the last). With a channel or a type it may be short although
// more follow.
type StatementPage struct {
	Entries []transactionsdb.ListEntriesRow
	Next    string
}

// ListStatement returns a page of the user's own account; somebody else's is fault.ErrNotFound. The cursor is a sequence number: the page
// holds entries below it.
func (a *App) ListStatement(ctx context.Context, accountID uuid.UUID, q StatementQuery) (StatementPage, error) {
	account, err := a.GetBalance(ctx, accountID)
	if err != nil {
		return StatementPage{}, err
	}
	return a.statement(ctx, account, q)
}

// ListAccountStatement returns a page of any account to a service, or fault.ErrNotFound.
func (a *App) ListAccountStatement(ctx context.Context, accountID uuid.UUID, q StatementQuery) (StatementPage, error) {
	account, err := a.GetAccount(ctx, accountID)
	if err != nil {
		return StatementPage{}, err
	}
	return a.statement(ctx, account, q)
}

func (a *App) statement(ctx context.Context, account domain.Account, q StatementQuery) (StatementPage, error) {
	var page StatementPage
	limit, err := pageSize(q.Limit)
	if err != nil {
		return page, err
	}
	filter, err := q.Validate()
	if err != nil {
		return page, err
	}
	cursor, err := sequenceCursor(q.Cursor)
	if err != nil {
		return page, err
	}
	first, before, err := a.window(ctx, account, filter)
	if err != nil {
		return page, err
	}
	if cursor > 0 {
		before = min(before, cursor)
	}
	width := int64(limit)
	if filter.Channel != "" || filter.Type != "" {
		width = maxScan
	}
	low := max(first, before-width)
	if low >= before {
		return page, nil
	}
	page.Entries, err = a.q.ListEntries(ctx, a.pool, transactionsdb.ListEntriesParams{AccountID: account.ID, First: low, Before: before,
		Channel: filter.Channel, Type: filter.Type, PageSize: limit})
	if err != nil {
		return page, fmt.Errorf("list entries: %w", err)
	}
	if n := len(page.Entries); n == int(limit) {
		low = page.Entries[n-1].Sequence
	}
	if low > first {
		page.Next = strconv.FormatInt(low, 10)
	}
	return page, nil
}

// window returns the account's entries of the filter's period: first <= sequence < before.
func (a *App) window(ctx context.Context, account domain.Account, filter domain.Filter) (first, before int64, err error) {
	first, before = 1, account.Sequence+1
	if !filter.To.IsZero() {
		n, err := a.sequenceAt(ctx, account, filter.To.Add(-time.Microsecond))
		if err != nil {
			return 0, 0, err
		}
		before = n + 1
	}
	if !filter.From.IsZero() {
		n, err := a.sequenceAt(ctx, account, filter.From.Add(-time.Microsecond))
		if err != nil {
			return 0, 0, err
		}
		first = n + 1
	}
	return first, before, nil
}

func pageSize(limit int32) (int32, error) {
	if limit == 0 {
		return defaultPage, nil
	}
	if limit < 1 || limit > maxPage {
		return 0, fault.ErrInvalid.WithField("limit", "limit_invalid", "The limit is not between 1 and 100.")
	}
	return limit, nil
}

var errCursor = fault.ErrInvalid.WithField("cursor", "cursor_invalid", "The cursor is not one of this list.")

// sequenceCursor returns 0 for no cursor.
func sequenceCursor(cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil || n < 1 {
		return 0, errCursor
	}
	return n, nil
}

// Export is a statement of one moment that is read in pages, oldest entry first.
type Export struct {
	Currency string

	app     *App
	account uuid.UUID
	filter  domain.Filter
	next    int64
	before  int64
	begun   bool // a page is out: who reads the file learns no more than that it broke off
}

// ExportStatement fixes which entries of the user's own account belong to a file; later ones do not. More than 10,000 in the period are
// domain.ErrStatementTooLong, whatever their channel and type.
func (a *App) ExportStatement(ctx context.Context, accountID uuid.UUID, filter domain.Filter) (*Export, error) {
	account, err := a.GetBalance(ctx, accountID)
	if err != nil {
		return nil, err
	}
	if filter, err = filter.Validate(); err != nil {
		return nil, err
	}
	first, before, err := a.window(ctx, account, filter)
	if err != nil {
		return nil, err
	}
	if before-first > maxExport {
		return nil, domain.ErrStatementTooLong
	}
	return &Export{Currency: account.Currency, app: a, account: account.ID, filter: filter, next: first, before: before}, nil
}

// Next returns the entries that follow, perhaps none, and false after the last of them.
func (e *Export) Next(ctx context.Context) (entries []transactionsdb.ListEntriesRow, more bool, err error) {
	if e.next >= e.before {
		return nil, false, nil
	}
	end := min(e.next+exportPage, e.before)
	entries, err = e.app.q.ListEntries(ctx, e.app.pool, transactionsdb.ListEntriesParams{AccountID: e.account, First: e.next, Before: end,
		Channel: e.filter.Channel, Type: e.filter.Type, PageSize: exportPage})
	if err != nil {
		if e.begun {
			e.app.log.WarnContext(ctx, "statement export broken off", "account", e.account, "err", err)
		}
		return nil, false, fmt.Errorf("list entries: %w", err)
	}
	slices.Reverse(entries)
	e.next, e.begun = end, true
	return entries, e.next < e.before, nil
}
