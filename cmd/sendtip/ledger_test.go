package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/services/transactions/proof"
	transactionssql "github.com/sendtip/sendtip/sql/transactions"
)

// sendtip runs a command on a folder and returns what it prints.
func sendtip(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := root()
	cmd.SetOut(&out)
	cmd.SetErr(&bytes.Buffer{})
	cmd.SetArgs(append(args, "--dir", dir))
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := keys.Init(filepath.Join(dir, "keys")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func signer(t *testing.T, dir string) proof.Key {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(dir, "keys", keys.LedgerSigning))
	if err != nil {
		t.Fatal(err)
	}
	k, err := proof.ParseKey(origin(), pem)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// receiptFile is a receipt of one account in a tree of one leaf, as the ledger gives it out now.
func receiptFile(t *testing.T, dir string, change func([]byte) []byte) string {
	t.Helper()
	return receiptOf(t, dir, proof.LeafVersion2, change)
}

func receiptOf(t *testing.T, dir string, version int, change func([]byte) []byte) string {
	t.Helper()
	customer := uuid.MustParse("01932b6e-0000-7000-8000-000000000001")
	tx := &proof.Transaction{Version: version, ID: uuid.MustParse("01932b6e-0000-7000-8000-0000000000aa"),
		RecordedAt: time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC),
		Reference:  "topup:1", Action: "post", Type: "topup", Channel: "mpesa", Batch: 1, RequestHash: make([]byte, 32),
		Postings: []proof.Posting{{Source: uuid.New(), Destination: customer, Currency: "KES", Amount: 12550, SourceSequence: 1,
			SourceBook: "emoney", DestinationBook: "emoney", SourceBalance: 12550, DestinationSequence: 7, DestinationBalance: 100050,
			ReversesPosition: -1}}}
	tree := proof.NewTree()
	tree.Append(proof.LeafHash(tx), nil)
	signed, err := proof.Checkpoint{Origin: origin(), Size: 1, Root: tree.Root()}.Sign(signer(t, dir).Signer)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "receipt.json")
	if err := os.WriteFile(name, change(proof.AccountReceipt(tx, customer, 0, nil, string(signed)).Marshal()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func unchanged(b []byte) []byte { return b }

func TestVerifyReceipt(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	good := receiptFile(t, dir, unchanged)
	elsewhere := t.TempDir() // no keys: a customer
	public := filepath.Join(t.TempDir(), "public.txt")
	if err := os.WriteFile(public, []byte(signer(t, dir).VerifierKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		dir  string
		args []string
		says []string
		err  string // "" is none
	}{
		{"own platform", dir, []string{good},
			[]string{"genuine", "received     KES 125.50 to account 01932b6e-0000-7000-8000-000000000001 (book emoney), balance after: KES 1,000.50",
				"topup:1",
				"2026-11-23T09:30:00.123456Z", "leaf 0 of a tree of 1", origin() + "+"}, ""},
		{"of before the books", dir, []string{receiptOf(t, dir, proof.LeafVersion1, unchanged)},
			[]string{"genuine", "received     KES 125.50 to account 01932b6e-0000-7000-8000-000000000001, balance after: KES 1,000.50"}, ""},
		{"another book", dir, []string{receiptFile(t, dir,
			func(b []byte) []byte { return bytes.Replace(b, []byte("emoney"), []byte("saving"), 1) })}, []string{"NOTHING", "do not accept it"},
			errFailed.Error()},
		{"key", elsewhere, []string{good, "--key", signer(t, dir).VerifierKey}, []string{"genuine"}, ""},
		{"file of keys", elsewhere, []string{good, "--key", public}, []string{"genuine"}, ""},
		{"no key", elsewhere, []string{good}, nil, "--key"},
		{"no public key", elsewhere, []string{good, "--key", "hello"}, nil, "sendtip ledger key"},
		{"another ledger", folder(t), []string{good}, []string{"NOTHING", "--key"}, errFailed.Error()},
		{"another amount", dir, []string{receiptFile(t, dir,
			func(b []byte) []byte { return bytes.Replace(b, []byte("12550"), []byte("92550"), 1) })}, []string{"NOTHING", "do not accept it"},
			errFailed.Error()},
		{"half a file", dir, []string{receiptFile(t, dir, func(b []byte) []byte { return b[:len(b)/2] })},
			[]string{"NOTHING", "get the file again"}, errFailed.Error()},
		{"no file", dir, []string{"/nowhere/receipt.json"}, nil, "cannot be read"},
	} {
		out, err := sendtip(t, c.dir, append([]string{"ledger", "verify-receipt"}, c.args...)...)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, s := range c.says {
			if !strings.Contains(out, s) {
				t.Errorf("%s: %q is missing in\n%s", c.name, s, out)
			}
		}
	}
}

func TestLedgerKeyRotation(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	receipt := receiptFile(t, dir, unchanged)
	first := signer(t, dir).VerifierKey
	if out, err := sendtip(t, dir, "ledger", "key"); err != nil || out != first+"\n" {
		t.Fatalf("%q %v", out, err)
	}
	for n := range 3 {
		before := signer(t, dir).VerifierKey
		out, err := sendtip(t, dir, "ledger", "key", "--rotate")
		list := strings.Fields(out)
		if err != nil || len(list) != n+2 || list[0] != signer(t, dir).VerifierKey || list[0] == before || list[1] != before ||
			list[len(list)-1] != first && n > 0 && !strings.Contains(out, first) {
			t.Fatalf("%v %v", list, err)
		}
		if out, err := sendtip(t, dir, "ledger", "verify-receipt", receipt); err != nil {
			t.Fatalf("the receipt from before: %v %s", err, out)
		}
		if _, err := sendtip(t, dir, "ledger", "key", "--rotate"); err == nil ||
			!strings.Contains(err.Error(), "start the ledger with both keys") || signer(t, dir).VerifierKey != list[0] {
			t.Fatalf("rotated again before the ledger ran: %v", err)
		}
		if n < 2 {
			if err := os.Remove(filepath.Join(dir, "keys", keys.LedgerSigningPrevious)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, name := range []string{keys.LedgerSigning, keys.LedgerSigningPrevious, keys.LedgerPublic} {
		if info, err := os.Stat(filepath.Join(dir, "keys", name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := sendtip(t, t.TempDir(), "ledger", "key", "--rotate"); err == nil || !strings.Contains(err.Error(), "no signing key") {
		t.Errorf("a folder without keys: %v", err)
	}
}

func TestLedgerVerify(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	db := pgtest.Open(t, "transactions", transactionssql.Migrations())
	verify := func(args ...string) (string, error) {
		return sendtip(t, dir, append([]string{"ledger", "verify", "--database-url", db.AppURL}, args...)...)
	}
	if out, err := verify(); err != nil || !strings.HasPrefix(out, "ledger ok transactions=0 ") {
		t.Fatalf("an empty ledger: %q %v", out, err)
	}
	// A checkpoint that the ledger signed, of leaves that are gone.
	signed, err := proof.Checkpoint{Origin: origin(), Size: 9, Root: proof.Hash{1}}.Sign(signer(t, dir).Signer)
	if err != nil {
		t.Fatal(err)
	}
	notes := filepath.Join(t.TempDir(), "ledger.checkpoints")
	if err := os.WriteFile(notes, append(signed, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := verify("--checkpoint", notes); !errors.Is(err, errFailed) || !strings.Contains(out, "tail cut") ||
		!strings.Contains(out, "what to do") {
		t.Errorf("a cut tail: %q %v", out, err)
	}
	if out, err := verify("--checkpoint", notes, "--key", signer(t, folder(t)).VerifierKey); !errors.Is(err, errFailed) ||
		!strings.Contains(out, "signature") || !strings.Contains(out, "sendtip ledger key") {
		t.Errorf("another key: %q %v", out, err)
	}
	conn, err := pgx.Connect(t.Context(), db.AdminURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "INSERT INTO ledger_refusals VALUES ('made:up', 'code', 'detail', now())"); err != nil {
		t.Fatal(err)
	}
	if out, err := verify(); !errors.Is(err, errFailed) || !strings.Contains(out, "reference made:up") {
		t.Errorf("an inserted row: %q %v", out, err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--checkpoint", "/nowhere"}, "--checkpoint"}, {[]string{"--workers", "0"}, "--workers"},
		{[]string{"--key", "x"}, "sendtip ledger key"},
		{[]string{"--database-url", "postgres://nobody:x@127.0.0.1:1/transactions"}, "does not answer"},
		{[]string{"--database-url", "::"}, "not the address"},
	} {
		if _, err := verify(c.args...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v", c.args, err)
		}
	}
}
