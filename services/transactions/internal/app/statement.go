package app

import (
	"context"
	"math"
	"strconv"

	"github.com/google/uuid"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/fault"
)

const (
	defaultPage = 25
	maxPage     = 100
)

// ListStatement returns a page of the user's own account, newest first, and the cursor of the next page ("" on the last). The cursor is
// the sequence number of the last entry shown. Zero as limit means 25.
func (a *App) ListStatement(ctx context.Context, accountID uuid.UUID, limit int32, cursor string) ([]transactionsdb.ListStatementRow, string, error) {
	if _, err := a.GetBalance(ctx, accountID); err != nil {
		return nil, "", err
	}
	before := int64(math.MaxInt64)
	if cursor != "" {
		n, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil || n < 1 {
			return nil, "", fault.ErrInvalid.WithField("cursor", "cursor_invalid", "The cursor is not one of this list.")
		}
		before = n
	}
	if limit == 0 {
		limit = defaultPage
	}
	if limit < 1 || limit > maxPage {
		return nil, "", fault.ErrInvalid.WithField("limit", "limit_invalid", "The limit is not between 1 and 100.")
	}
	rows, err := a.q.ListStatement(ctx, a.pool, limit+1, accountID, before) // one more, to know whether there is another page
	if err != nil || len(rows) <= int(limit) {
		return rows, "", err
	}
	rows = rows[:limit]
	return rows, strconv.FormatInt(rows[limit-1].Sequence, 10), nil
}
