package api

import (
	"context"
	"encoding/csv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/transactions/internal/app"
)

var csvHeader = []string{"sequence", "recorded_at", "effective_at", "type", "channel", "direction", "currency",
	"amount_minor", "amount", "balance_after_minor", "balance_after", "reference", "transaction_id"}

// ExportStatement answers GET /v1/accounts/{account_id}/statement.csv.
func (s *Server) ExportStatement(ctx context.Context,
	r transactionsapi.ExportStatementRequestObject) (transactionsapi.ExportStatementResponseObject, error) {
	export, err := s.app.ExportStatement(ctx, r.AccountID, filter(r.Params.From, r.Params.To, r.Params.Channel, r.Params.Type))
	if err != nil {
		return nil, err
	}
	entries, more, err := export.Next(ctx) // what usually fails fails here, while it can still be a problem
	if err != nil {
		return nil, err
	}
	return csvAnswer{ctx: ctx, export: export, entries: entries, more: more}, nil
}

// csvAnswer is a statement with its first page, written as it is read.
type csvAnswer struct {
	ctx     context.Context //nolint:containedctx // the generated interface hands none to the answer
	export  *app.Export
	entries []app.Entry
	more    bool
}

// VisitExportStatementResponse writes the file. If it cannot be finished (the export logs why) the connection is broken, so
// that half a file does not look whole.
func (c csvAnswer) VisitExportStatementResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="statement.csv"`)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	if err := c.write(w); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (c csvAnswer) write(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write(csvHeader); err != nil {
		return err
	}
	for entries, more := c.entries, c.more; ; {
		for i := range entries {
			if err := out.Write(csvRow(&entries[i])); err != nil {
				return err
			}
		}
		if out.Flush(); out.Error() != nil || !more {
			return out.Error()
		}
		var err error
		if entries, more, err = c.export.Next(c.ctx); err != nil {
			return err
		}
	}
}

func csvRow(e *app.Entry) []string {
	effective := ""
	if e.EffectiveAt != nil {
		effective = csvTime(*e.EffectiveAt)
	}
	return []string{strconv.FormatInt(e.Sequence, 10), csvTime(e.RecordedAt), effective, csvText(e.Type), csvText(e.Channel), e.Direction,
		csvText(e.Currency),
		strconv.FormatInt(e.AmountMinor, 10), decimal(e.AmountMinor, e.Currency), strconv.FormatInt(e.BalanceMinor, 10),
		decimal(e.BalanceMinor, e.Currency),
		csvText(e.Reference), e.TransactionID.String()}
}

func csvTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// csvText keeps spreadsheets from taking a caller's text for a formula: one that begins like a formula gets an apostrophe, which they
// do not show. The pattern of references leaves only the minus sign of these.
func csvText(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}

// decimal writes minor units as a decimal number, or nothing for a currency whose decimals are not known.
func decimal(minor int64, currency string) string {
	decimals, err := money.Decimals(currency)
	if err != nil {
		return ""
	}
	digits, negative := strings.CutPrefix(strconv.FormatInt(minor, 10), "-")
	if pad := decimals + 1 - len(digits); pad > 0 {
		digits = strings.Repeat("0", pad) + digits
	}
	if point := len(digits) - decimals; decimals > 0 {
		digits = digits[:point] + "." + digits[point:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}
