package sandbox

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/providers/daraja"
	"github.com/sendtip/sendtip/sandbox/control"
)

// statementFile returns the preamble and the lines, newest first.
func (b *bench) statementFile(t *testing.T, account string) (map[string]string, [][]string) {
	t.Helper()
	raw, err := b.control.StatementFile(limit(t), DefaultB2CShortCode, account)
	if err != nil {
		t.Fatal(err)
	}
	reader := csv.NewReader(bytes.NewReader(raw))
	reader.FieldsPerRecord = -1
	lines, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	head := map[string]string{}
	for i, line := range lines {
		if line[0] == "Receipt No." {
			return head, lines[i+1:]
		}
		head[line[0]] = line[1]
	}
	t.Fatalf("no header: %s", raw)
	return nil, nil
}

func TestStatementFile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 22, 30, 0, 0, time.UTC) // already the 21st in Nairobi
	b, m := payments(t, func(c *Config) {
		c.Now, c.TokenLife, c.FloatMinor = func() time.Time { return now }, time.Hour, 10_000_00
	})
	if _, err := m.PayB2C(limit(t), b.payout("w-1", 1500)); err != nil {
		t.Fatal(err)
	}
	paid := b.paidOut(t)
	entry, err := b.control.C2B(limit(t),
		control.C2BPayment{Msisdn: phone, ShortCode: DefaultB2CShortCode, Account: "A, \"x\"", AmountMinor: 700_00})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Reverse(limit(t), daraja.ReversalRequest{Receipt: entry.Receipt, AmountMinor: 700_00, Remarks: "return",
		ResultURL: b.hooks + resultPath, TimeoutURL: b.hooks + timeoutPath}); err != nil {
		t.Fatal(err)
	}
	back, err := b.nextResult(t).Reversal()
	if err != nil {
		t.Fatal(err)
	}
	head, lines := b.statementFile(t, "utility")
	for label, want := range map[string]string{"Short Code:": DefaultB2CShortCode, "Account:": "Utility Account", "Opening Balance:": "0.00",
		"Closing Balance:": "8500.00", "Total Paid In:": "10700.00", "Total Withdrawn:": "-2200.00", "Date of Report:": "21-11-2026 01:30:00"} {
		if head[label] != want {
			t.Errorf("%s %s", label, head[label])
		}
	}
	const who = "25471****678 - CAROLINE ACHIENG"
	const at = "21-11-2026 01:30:00"
	want := [][]string{
		{back.Receipt, at, at, "Reversal of " + entry.Receipt + " to " + who, "Completed", "", "-700.00", "8500.00", "true",
			"Pay Utility Reversal",
			who, entry.Receipt, "", "KES"},
		{entry.Receipt, at, at, "Pay Bill from " + who + " Acc. A, \"x\"", "Completed", "700.00", "", "9200.00", "true", "Pay Utility", who, "",
			"A, \"x\"", "KES"},
		{paid.Receipt, at, at, "Business Payment to Customer via API to " + who, "Completed", "", "-1500.00", "8500.00", "true",
			"Business Payment to Customer via API", who, "", "", "KES"},
		{"", at, at, "Deposit of Funds at Bank", "Completed", "10000.00", "", "10000.00", "true", "Transfer From Bank", "", "", "", "KES"},
	}
	if !slices.EqualFunc(lines, want, slices.Equal) {
		t.Errorf("%q", lines)
	}
	head, lines = b.statementFile(t, "charges")
	if len(lines) != 1 || lines[0][0] != paid.Receipt || lines[0][6] != "-5.00" || lines[0][7] != "-5.00" ||
		head["Closing Balance:"] != "-5.00" {
		t.Errorf("charges: %v, %q", head, lines)
	}
	if head, lines = b.statementFile(t, "working"); len(lines) != 1 || head["Closing Balance:"] != "10000.00" {
		t.Errorf("working: %v, %q", head, lines)
	}
	if _, err := b.control.StatementFile(limit(t), DefaultB2CShortCode, "other"); err == nil || !strings.Contains(err.Error(), "utility") {
		t.Errorf("%v", err)
	}
}
