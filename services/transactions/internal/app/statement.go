package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

const (
	maxScan    = 2_000  // rows that one call looks at; ListEntries has the same limit
	maxExport  = 10_000 // entries of an export
	exportPage = 1_000
)

// StatementQuery asks for a page of a statement.
type StatementQuery struct {
	domain.Filter
	page.Request
}

// Entry is one entry of an account's statement, as it is stored.
type Entry = transactionsdb.ListEntriesRow

// StatementPage is a page, newest first, with the cursor of the next one (nil on the last). With a channel or a type it may be short
// although more follow.
type StatementPage struct {
	Entries []Entry
	Next    *string
}

// ListStatement returns a page of the user's own account; somebody else's is fault.ErrNotFound.
func (a *App) ListStatement(ctx context.Context, accountID uuid.UUID, q StatementQuery) (StatementPage, error) {
	account, err := a.GetBalance(ctx, accountID)
	if err != nil {
		return StatementPage{}, err
	}
	return a.statement(ctx, "listStatement", account, q)
}

// ListAccountStatement returns a page of any account to a service, or fault.ErrNotFound.
func (a *App) ListAccountStatement(ctx context.Context, accountID uuid.UUID, q StatementQuery) (StatementPage, error) {
	account, err := a.GetAccount(ctx, accountID)
	if err != nil {
		return StatementPage{}, err
	}
	return a.statement(ctx, "listAccountStatement", account, q)
}

// statement goes down the account's entries. Positions are sequence numbers: a page holds entries below its own.
func (a *App) statement(ctx context.Context, operation string, account domain.Account, q StatementQuery) (StatementPage, error) {
	var out StatementPage
	filter, err := q.Validate()
	if err != nil {
		return out, err
	}
	p, err := page.Read[int64](ctx, a.pages, operation, q.Request, account.ID, period(filter), filter.Channel, filter.Type)
	if err != nil {
		return out, err
	}
	first, before, err := a.window(ctx, account, filter)
	if err != nil {
		return out, err
	}
	before = min(before, p.From(before))
	width := int64(p.Size)
	if filter.Channel != "" || filter.Type != "" {
		width = maxScan
	}
	low := max(first, before-width)
	if low >= before {
		return out, nil
	}
	out.Entries, err = a.q.ListEntries(ctx, a.pool, transactionsdb.ListEntriesParams{AccountID: account.ID, First: low, Before: before,
		Channel: filter.Channel, Type: filter.Type, PageSize: p.Size})
	if err != nil {
		return out, fmt.Errorf("list entries: %w", err)
	}
	if n := len(out.Entries); n == int(p.Size) {
		low = out.Entries[n-1].Sequence
	}
	if low > first {
		out.Next = p.Next(low)
	}
	return out, nil
}

// period is the filter's, for a cursor to be bound to: JSON knows no year after 9999, which a time of day can lead to.
func period(f domain.Filter) [2]int64 { return [2]int64{f.From.UnixMicro(), f.To.UnixMicro()} }

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
func (e *Export) Next(ctx context.Context) (entries []Entry, more bool, err error) {
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
