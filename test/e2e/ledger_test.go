package e2e_test

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// TestCustomerProvesATransfer: both sides of a transfer get their receipt, which proves it offline with the public key alone and shows
// nothing of the other side; statements, old balances and the log of hashes are there; and the whole ledger agrees with a checkpoint
// that was kept outside.
func TestCustomerProvesATransfer(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 2_000_00), w.customer(t, "Brian", 0)
	before := w.Now().UTC()
	sent, err := amina.Send(t.Context(), brian, 500_00)
	if err != nil {
		t.Fatal(err)
	}
	transaction := query[uuid.UUID](t, w, "transactions", "SELECT id FROM transactions WHERE reference = $1", sent.ID.String()+":post")

	keys, err := amina.Ledger.ListLedgerKeysWithResponse(t.Context())
	if err != nil || keys.JSON200 == nil || len(keys.JSON200.Data) == 0 {
		t.Fatalf("%v %v", keys, err)
	}
	known, err := proof.Verifiers(keys.JSON200.Data[0].VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	receipt := func(account uuid.UUID, c transactionsclient.ClientWithResponsesInterface) proof.Verified {
		var sealed *transactionsclient.Receipt
		eventually(t, "the receipt to be sealed", func() bool {
			r, err := c.GetReceiptWithResponse(t.Context(), account, transaction)
			if err != nil || r.JSON200 == nil {
				t.Fatalf("receipt: %v %v", r, err)
			}
			sealed = r.JSON200.Receipt
			return r.JSON200.Status == "sealed"
		})
		file, err := json.Marshal(sealed)
		if err != nil {
			t.Fatal(err)
		}
		v, err := proof.Verify(file, known)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := receipt(amina.WalletID, amina.Ledger); v.Header.Type != "transfer" || v.Entries[0].Side != proof.Debit ||
		v.Entries[0].Amount != 500_00 || v.Entries[0].Account != amina.WalletID {
		t.Errorf("%+v", v)
	}
	v := receipt(brian.WalletID, brian.Ledger)
	if len(v.Entries) != 1 || v.Entries[0].Amount != 500_00 || v.Entries[0].Balance != 500_00 || v.Outcome != nil {
		t.Errorf("the recipient's receipt shows too much or too little: %+v", v)
	}
	ask(t, brian, http.MethodGet, "/v1/accounts/"+amina.WalletID.String()+"/receipts/"+transaction.String(), "", nil, http.StatusNotFound,
		"not_found")

	then, err := amina.Ledger.GetBalanceAtWithResponse(t.Context(), amina.WalletID,
		&transactionsclient.GetBalanceAtParams{RecordedAt: &before})
	if err != nil || then.JSON200 == nil || then.JSON200.Balance.Amount != 2_000_00 {
		t.Errorf("the balance before: %v %v", then, err)
	}
	debits, err := amina.Ledger.ExportStatementWithResponse(t.Context(), amina.WalletID,
		&transactionsclient.ExportStatementParams{From: &before})
	if err != nil || debits.StatusCode() != http.StatusOK {
		t.Fatalf("export: %v %v", debits, err)
	}
	lines, err := csv.NewReader(strings.NewReader(string(debits.Body))).ReadAll()
	if err != nil || len(lines) != 1+3 { // header; amount, fee, excise duty
		t.Errorf("%v %v", lines, err)
	}

	note, err := amina.Ledger.GetCheckpointWithResponse(t.Context())
	if err != nil || note.StatusCode() != http.StatusOK {
		t.Fatalf("checkpoint: %v %v", note, err)
	}
	width := int32(1)
	tile, err := amina.Ledger.GetLogTileWithResponse(t.Context(), 0, int64(v.Index)/256, &transactionsclient.GetLogTileParams{Width: &width})
	if err != nil || len(tile.Body) != 32 {
		t.Errorf("tile: %v %v", tile, err)
	}
	pool, err := pg.Open(t.Context(), w.p.AdminURL("transactions"), pg.Options{MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	report, err := check.Replay(t.Context(), pool,
		check.Options{Workers: 2, Keys: []string{keys.JSON200.Data[0].VerifierKey}, Checkpoints: [][]byte{note.Body}})
	if err != nil || len(report.Violations) > 0 {
		t.Errorf("the ledger is not what it wrote: %+v %v", report.Violations, err)
	}
}
