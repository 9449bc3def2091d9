package sandbox

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// portalTime is how the organisation's portal writes times, in Nairobi.
const portalTime = "02-01-2006 15:04:05"

var nairobi = time.FixedZone("EAT", 3*60*60)

// portalAccounts are the accounts that the portal exports, one a file.
var portalAccounts = map[string]string{"utility": "Utility Account", "working": "Working Account", "charges": "Charges Paid Account"}

// portalRow is one line of an account: what changed it, and what it held then.
type portalRow struct {
	control.Movement
	details, reason string
}

// getStatementFile answers with the file that an organisation downloads from its portal: a preamble, then the lines, newest first.
func (s *Sandbox) getStatementFile(w http.ResponseWriter, r *http.Request, code string) {
	account := r.URL.Query().Get("account")
	if portalAccounts[account] == "" {
		refuse(w, http.StatusBadRequest, errors.New("account is utility, working or charges"))
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", code+"_"+account+".csv"))
	w.Header().Set("Cache-Control", "no-store")
	_ = writeStatement(w, code, account, portalRows(s.world.Movements(code, 0).Data, account), s.world.Now()) // the caller hung up
}

// portalRows are an account's lines, oldest first. Charges have no lines of their own in the books: they follow from the payments.
func portalRows(moves []control.Movement, account string) []portalRow {
	var rows []portalRow
	owed := int64(0)
	for _, m := range moves {
		row := portalRow{Movement: m}
		row.details, row.reason = portalWords(m)
		switch {
		case account == "charges" && m.ChargeMinor > 0:
			owed -= m.ChargeMinor
			row.AmountMinor, row.BalanceMinor = -m.ChargeMinor, owed
			row.details, row.reason = chargeReason, chargeReason
		case account != m.Account:
			continue
		}
		rows = append(rows, row)
	}
	return rows
}

const chargeReason = "Business Payment to Customer Withdrawal Charge Paid (via API)"

// portalWords are the details and the reason type of a movement. Those of payouts, reversals and float are ours: no export with them is
// public.
func portalWords(m control.Movement) (details, reason string) {
	party := portalParty(m.Party)
	switch m.Kind {
	case "stk":
		return "Pay Bill Online from " + party + " Acc. " + m.AccountReference, "Pay Bill Online"
	case "c2b":
		return "Pay Bill from " + party + " Acc. " + m.AccountReference, "Pay Utility"
	case "b2c":
		return "Business Payment to Customer via API to " + party, "Business Payment to Customer via API"
	case "reversed_b2c":
		return "Reversal of " + m.Original + " from " + party, "Business Payment to Customer Reversal"
	case "reversal":
		return "Reversal of " + m.Original + " to " + party, "Pay Utility Reversal"
	case "b2b":
		if m.AmountMinor > 0 {
			return "Business Pay Bill via API by " + party + " Acc. " + m.AccountReference, "Business Pay Bill via API"
		}
		return "Business Pay Bill to " + party + " Acc. " + m.AccountReference, "Business Pay Bill via API"
	case "float":
		return "Working Account to Utility Account", "Working Account to Utility Account"
	}
	return "Deposit of Funds at Bank", "Transfer From Bank"
}

// portalParty masks a customer's number; short codes are shown.
func portalParty(party string) string {
	number, isPhone := strings.CutPrefix(party, "+")
	if !isPhone || len(number) < 8 {
		if party == "" {
			return ""
		}
		return party + " - SENDTIP"
	}
	first, last := world.Name(party)
	return number[:5] + "****" + number[len(number)-3:] + " - " + first + " " + last
}

func writeStatement(w io.Writer, code, account string, rows []portalRow, now time.Time) error {
	var opening, closing, paidIn, withdrawn int64
	from := now
	for i, row := range rows {
		if i == 0 {
			opening, from = row.BalanceMinor-row.AmountMinor, row.At
		}
		closing = row.BalanceMinor
		if row.AmountMinor > 0 {
			paidIn += row.AmountMinor
		} else {
			withdrawn += row.AmountMinor
		}
	}
	at := func(t time.Time) string { return t.In(nairobi).Format(portalTime) }
	out := csv.NewWriter(w)
	lines := [][]string{
		{"Account Holder:", "SENDTIP"}, {"Short Code:", code}, {"Account:", portalAccounts[account]},
		{"Time Period:", "From " + at(from) + " To " + at(now)}, {"Operator:", "sandbox"}, {"Organization:", "SENDTIP"},
		{"Date of Report:", at(now)},
		{"Opening Balance:", shillings(opening)}, {"Closing Balance:", shillings(closing)}, {"Available Balance:", shillings(closing)},
		{"Total Paid In:", shillings(paidIn)}, {"Total Withdrawn:", shillings(withdrawn)},
		{"Receipt No.", "Completion Time", "Initiation Time", "Details", "Transaction Status", "Paid In", "Withdrawn", "Balance",
			"Balance Confirmed",
			"Reason Type", "Other Party Info", "Linked Transaction ID", "A/C No.", "Currency"},
	}
	for _, row := range slices.Backward(rows) {
		in, gone := shillings(row.AmountMinor), ""
		if row.AmountMinor < 0 {
			in, gone = "", in
		}
		lines = append(lines, []string{row.Receipt, at(row.At), at(row.At), row.details, "Completed", in, gone, shillings(row.BalanceMinor),
			"true",
			row.reason, portalParty(row.Party), row.Original, row.AccountReference, "KES"})
	}
	return out.WriteAll(lines)
}

// shillings writes an amount with two decimals.
func shillings(minor int64) string {
	sign := ""
	if minor < 0 {
		sign, minor = "-", -minor
	}
	return fmt.Sprintf("%s%d.%02d", sign, minor/100, minor%100)
}
