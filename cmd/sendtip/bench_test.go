package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/pgtest"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

// TestBenchSeed seeds a ledger, which then verifies.
func TestBenchSeed(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, "transactions", transactionssql.Migrations())
	db.Pool.Close() // else the service seems to run
	dir := folder(t)
	out, err := sendtip(t, dir, "bench", "seed", "--transactions", "500", "--accounts", "20", "--days", "3", "--database-url", db.OwnerURL)
	if err != nil || !strings.HasPrefix(out, "seeded transactions=500 ") || !strings.Contains(out, " accounts_opened=20 ") ||
		!strings.Contains(out, " tree_size=500 ") {
		t.Fatalf("%q, %v", out, err)
	}
	if out, err = sendtip(t, dir, "ledger", "verify", "--database-url", db.OwnerURL); err != nil ||
		!strings.HasPrefix(out, "ledger ok transactions=500 ") {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := sendtip(t, dir, "bench", "seed", "--transactions", "0", "--database-url", db.OwnerURL); err == nil {
		t.Error("seeded no transactions")
	}
}

func TestNotInProduction(t *testing.T) {
	t.Parallel()
	if notInProduction(map[string]string{"SENDTIP_ENV": "production"}) == nil {
		t.Error("made-up transactions in production")
	}
	if err := notInProduction(map[string]string{"SENDTIP_ENV": "development"}); err != nil {
		t.Error(err)
	}
}

// TestPace counts from the first call, and leaves out what is reported too soon or late.
func TestPace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := newPace(&out)
	p.show(10, 100)
	p.started, p.last = p.started.Add(-10*time.Second), p.last.Add(-10*time.Second)
	p.show(60, 100)
	p.show(50, 100)
	p.show(70, 100)
	p.end()
	if got := out.String(); got != " 60%  60 of 100 transactions  5/s  8 s left\n" {
		t.Errorf("%q", got)
	}
}
