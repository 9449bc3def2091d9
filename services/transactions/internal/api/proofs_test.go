package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"
	"github.com/sendtip/sendtip/services/transactions/internal/testworld"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

const logPath = "/v1/ledger-log"

// provable is a world whose ledger seals and signs when the test says so.
type provable struct {
	*world
	known note.Verifiers
	// The callers: a service, a stranger whom the gateway let through, and an operator.
	service, anybody, operator string
	operatorID                 string
}

func setupProvable(t testing.TB) *provable {
	t.Helper()
	w := setup(t)
	known, err := proof.Verifiers(w.Signing.VerifierKeys...)
	if err != nil {
		t.Fatal(err)
	}
	operator := newID()
	return &provable{world: w, known: known, service: w.token("service:wallet", allScopes),
		anybody: w.token("anonymous", ""), operator: w.token("user:"+operator, "profile admin:ledger"), operatorID: operator}
}

// seal takes everything into the tree, and signs that.
func (p *provable) seal(t testing.TB) {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = p.Seal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.sign(t)
}

func (p *provable) sign(t testing.TB) {
	t.Helper()
	if err := p.SignCheckpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// open opens a wallet account and returns its id and its owner's token.
func (p *provable) open(t testing.TB) (account, owner string) {
	t.Helper()
	account, user := newID(), newID()
	body := object{"owner_id": user, "kind": "customer_wallet", "currency": "KES", "minimum_minor": 0}
	if res := p.call(t, "PUT", "/v1/ledger/accounts/"+account, p.service, body, nil); res.Code != http.StatusCreated {
		t.Fatalf("open: %d", res.Code)
	}
	return account, p.token("user:"+user, "wallet:read")
}

// post posts and returns the transaction's id.
func (p *provable) post(t testing.TB, body object) string {
	t.Helper()
	var out transactionsapi.PostTransactionsResult
	p.call(t, "POST", "/v1/ledger/transactions", p.service, body, &out)
	if len(out.Outcomes) != 1 || out.Outcomes[0].Status != "posted" {
		t.Fatalf("%+v", out)
	}
	return out.Outcomes[0].TransactionID.String()
}

// raw reads an answer that is not JSON, after it was compared with the contract.
func (p *provable) raw(t testing.TB, path string) (status int, cached string, body []byte) {
	t.Helper()
	rec := p.call(t, "GET", path, p.anybody, nil, nil)
	return rec.Code, rec.Header().Get("Cache-Control"), rec.Body.Bytes()
}

func (p *provable) checkpoint(t testing.TB) proof.Checkpoint {
	t.Helper()
	status, cached, body := p.raw(t, logPath+"/checkpoint")
	c, key, err := proof.OpenCheckpoint(body, p.known)
	if err != nil || status != http.StatusOK || cached != "no-cache" || c.Origin != testworld.Origin || key == "" {
		t.Fatalf("%d %q %v %s", status, cached, err, body)
	}
	return c
}

// receipt reads a receipt; nil while it is pending.
func (p *provable) receipt(t testing.TB, path, token string) []byte {
	t.Helper()
	var answer struct {
		Status  string          `json:"status"`
		Receipt json.RawMessage `json:"receipt"`
	}
	p.call(t, "GET", path, token, nil, &answer)
	if (answer.Status == "sealed") != (answer.Receipt != nil) || answer.Status != "sealed" && answer.Status != "pending" {
		t.Fatalf("%s: %+v", path, answer)
	}
	return answer.Receipt
}

func (p *provable) verified(t testing.TB, path, token string) proof.Verified {
	t.Helper()
	v, err := proof.Verify(p.receipt(t, path, token), p.known)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return v
}

// TestReceipts follows a transfer from the posting to receipts that are checked with nothing but the public key.
func TestReceipts(t *testing.T) {
	t.Parallel()
	p := setupProvable(t)
	alice, aliceToken := p.open(t)
	bob, bobToken := p.open(t)
	deposit := post("c2b:ABC", "rail.mpesa.paybill.KES", alice, 5000)
	deposit["transactions"].([]object)[0]["metadata"] = object{"receipt": "ABC", "note": `"a\b" <é>`}
	depositID := p.post(t, deposit)
	transfer := post("t:1", alice, bob, 700)
	transfer["transactions"].([]object)[0]["postings"] = append(transfer["transactions"].([]object)[0]["postings"].([]object),
		object{"source": alice, "destination": "fees.revenue.KES", "amount": kes(13)})
	transferID := p.post(t, transfer)
	path := func(account, id string) string { return "/v1/accounts/" + account + "/receipts/" + id }

	if r := p.receipt(t, path(bob, transferID), bobToken); r != nil {
		t.Fatal("a receipt before the seal")
	}
	if _, err := p.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := p.receipt(t, path(bob, transferID), bobToken); r != nil {
		t.Fatal("a receipt before the checkpoint")
	}
	if r := p.receipt(t, "/v1/ledger/transactions/"+transferID+"/receipt", p.service); r != nil {
		t.Fatal("a full receipt before the checkpoint")
	}
	p.sign(t)

	v := p.verified(t, path(bob, transferID), bobToken)
	if v.Header.ID.String() != transferID || v.Header.Reference != "t:1" || v.Header.Postings != 2 || len(v.Entries) != 1 ||
		v.Checkpoint.Size != 2 || v.Index != 1 {
		t.Errorf("%+v", v)
	}
	if e := v.Entries[0]; e.Account.String() != bob || e.Amount != 700 || e.Balance != 700 || e.Sequence != 1 || e.Side != proof.Credit {
		t.Errorf("%+v", e)
	}
	if data := p.receipt(t, path(bob, transferID), bobToken); bytes.Contains(data, []byte(alice)) || bytes.Contains(data, []byte("4300")) ||
		bytes.Contains(data, []byte("4287")) {
		t.Errorf("the receipt says something of the sender's account: %s", data)
	}
	if v := p.verified(t, path(alice, transferID), aliceToken); len(v.Entries) != 2 || v.Entries[1].Balance != 4287 {
		t.Errorf("%+v", v.Entries)
	}
	if v := p.verified(t, path(alice, depositID), aliceToken); v.Metadata != nil || len(v.Entries) != 1 {
		t.Errorf("%+v", v)
	}
	full := p.verified(t, "/v1/ledger/transactions/"+depositID+"/receipt", p.service)
	if len(full.Entries) != 2 || len(full.Balances) != 2 || full.Metadata["note"] != `"a\b" <é>` || full.Index != 0 {
		t.Errorf("%+v", full)
	}
	p.problem(t, "GET", path(bob, depositID), bobToken, nil, 404, "not_found")   // does not touch the account
	p.problem(t, "GET", path(alice, depositID), bobToken, nil, 404, "not_found") // somebody else's account
	p.problem(t, "GET", path(alice, newID()), aliceToken, nil, 404, "not_found")
	p.problem(t, "GET", path(newID(), depositID), aliceToken, nil, 404, "not_found")
	p.problem(t, "GET", "/v1/ledger/transactions/"+newID()+"/receipt", p.service, nil, 404, "not_found")
}

// TestHoldReceipts: whose money was reserved has receipts of the hold, its capture and its release; who was to get it only of the capture.
func TestHoldReceipts(t *testing.T) {
	t.Parallel()
	p := setupProvable(t)
	alice, aliceToken := p.open(t)
	bob, bobToken := p.open(t)
	p.post(t, post("c2b:ABC", "rail.mpesa.paybill.KES", alice, 5000))
	hold := post("h", alice, bob, 1000)
	hold["transactions"].([]object)[0]["action"] = "hold"
	holdID := p.post(t, hold)
	step := func(reference, action string, amount int64) string {
		return p.post(t, object{"transactions": []object{{"reference": reference, "action": action, "type": "x", "channel": "internal",
			"hold_id": holdID, "amount": kes(amount)}}})
	}
	captureID, releaseID := step("c", "capture", 600), step("r", "release", 400)
	p.seal(t)
	path := func(account, id string) string { return "/v1/accounts/" + account + "/receipts/" + id }
	if v := p.verified(t, path(alice, holdID), aliceToken); v.Hold == nil || v.Hold.Amount != 1000 || v.Hold.Account.String() != alice ||
		len(v.Entries) != 0 {
		t.Errorf("%+v", v)
	}
	if v := p.verified(t, path(alice, releaseID), aliceToken); v.Header.Action != "release" || v.Outcome != nil {
		t.Errorf("%+v", v)
	}
	if v := p.verified(t, path(alice, captureID), aliceToken); len(v.Entries) != 1 || v.Entries[0].Side != proof.Debit {
		t.Errorf("%+v", v)
	}
	if v := p.verified(t, path(bob, captureID), bobToken); len(v.Entries) != 1 || v.Entries[0].Amount != 600 {
		t.Errorf("%+v", v)
	}
	for _, id := range []string{holdID, releaseID} {
		p.problem(t, "GET", path(bob, id), bobToken, nil, 404, "not_found")
	}
}

// TestLog reads the tree as an auditor does: tiles make the root of the checkpoint, and proofs lead to it, across the boundary of a tile.
func TestLog(t *testing.T) {
	t.Parallel()
	p := setupProvable(t)
	for _, path := range []string{"/checkpoint", "/tiles/0/0", "/inclusion-proofs?index=0", "/consistency-proofs?first=0"} {
		p.problem(t, "GET", logPath+path, p.anybody, nil, 404, "not_found")
	}
	var keys transactionsapi.LedgerKeyList
	if p.call(t, "GET", logPath+"/keys", p.anybody, nil, &keys); len(keys.Data) != 0 {
		t.Errorf("%+v", keys)
	}
	alice, _ := p.open(t)
	many := func(from, n int) {
		for n > 0 {
			var list []object
			for range min(n, 100) {
				list = append(list, post(fmt.Sprint("p:", from), "rail.mpesa.paybill.KES", alice, 1)["transactions"].([]object)[0])
				from, n = from+1, n-1
			}
			if res := p.call(t, "POST", "/v1/ledger/transactions", p.service, object{"transactions": list}, nil); res.Code != http.StatusOK {
				t.Fatal(res.Code)
			}
		}
	}
	many(0, 3)
	p.seal(t)
	first := p.checkpoint(t)
	if status, cached, body := p.raw(t, logPath+"/tiles/0/0"); status != 200 || cached != "no-cache" || len(body) != 96 {
		t.Errorf("%d %q %d bytes", status, cached, len(body))
	}
	many(3, 300)
	p.seal(t)
	last := p.checkpoint(t)
	if first.Size != 3 || last.Size != 303 {
		t.Fatalf("%d, %d", first.Size, last.Size)
	}

	leaves := p.leaves(t)
	tree := proof.NewTree()
	for _, leaf := range leaves {
		tree.Append(leaf, nil)
	}
	if tree.Root() != last.Root {
		t.Error("the tiles do not make the root of the checkpoint")
	}
	if _, _, body := p.raw(t, logPath+"/tiles/1/0"); len(body) != 32 {
		t.Errorf("level 1 has %d bytes", len(body))
	}
	for _, c := range []struct{ index, size uint64 }{{0, 303}, {255, 303}, {256, 303}, {302, 303}, {2, 3}, {100, 256}, {5, 260}} {
		var got transactionsapi.InclusionProof
		p.call(t, "GET", fmt.Sprintf("%s/inclusion-proofs?index=%d&size=%d", logPath, c.index, c.size), p.anybody, nil, &got)
		root := rootOf(leaves[:c.size])
		if err := proof.VerifyInclusion(leaves[c.index], c.index, c.size, decoded(t, got.Hashes), root); err != nil ||
			decoded(t, []string{got.LeafHash})[0] != leaves[c.index] {
			t.Errorf("%+v: %v", c, err)
		}
	}
	var consistency transactionsapi.ConsistencyProof
	p.call(t, "GET", logPath+"/consistency-proofs?first=3", p.anybody, nil, &consistency)
	if err := proof.VerifyConsistency(3, 303, first.Root, last.Root, decoded(t, consistency.Hashes)); err != nil || consistency.Second != 303 {
		t.Errorf("%+v: %v", consistency, err)
	}
	p.call(t, "GET", logPath+"/keys", p.anybody, nil, &keys)
	if len(keys.Data) != 1 || keys.Data[0].FirstSize != 3 {
		t.Errorf("%+v", keys)
	}
}

// leaves reads level 0 tile by tile.
func (p *provable) leaves(t testing.TB) []proof.Hash {
	t.Helper()
	var hashes []proof.Hash
	for tile, want := range []string{"public, max-age=31536000, immutable", "no-cache"} {
		status, cached, body := p.raw(t, fmt.Sprint(logPath, "/tiles/0/", tile))
		if status != http.StatusOK || cached != want {
			t.Fatalf("tile %d: %d, %q", tile, status, cached)
		}
		for ; len(body) > 0; body = body[32:] {
			hashes = append(hashes, proof.Hash(body[:32]))
		}
	}
	_, cached, part := p.raw(t, logPath+"/tiles/0/1?width=7")
	if cached != "public, max-age=31536000, immutable" || len(part) != 7*32 || !bytes.Equal(part[:32], hashes[256][:]) {
		t.Errorf("a part of a tile: %q, %d bytes", cached, len(part))
	}
	return hashes
}

func rootOf(leaves []proof.Hash) proof.Hash {
	tree := proof.NewTree()
	for _, l := range leaves {
		tree.Append(l, nil)
	}
	return tree.Root()
}

func decoded(t testing.TB, list []string) []proof.Hash {
	t.Helper()
	hashes := make([]proof.Hash, len(list))
	for i, s := range list {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(b) != proof.HashSize {
			t.Fatalf("%q: %v", s, err)
		}
		hashes[i] = proof.Hash(b)
	}
	return hashes
}

func TestImpossibleProofs(t *testing.T) {
	t.Parallel()
	p := setupProvable(t)
	alice, _ := p.open(t)
	p.post(t, post("a", "rail.mpesa.paybill.KES", alice, 1))
	p.post(t, post("b", "rail.mpesa.paybill.KES", alice, 1))
	p.seal(t)
	p.post(t, post("c", "rail.mpesa.paybill.KES", alice, 1))
	if _, err := p.Seal(t.Context()); err != nil { // the third leaf is in the tree, but in no checkpoint
		t.Fatal(err)
	}
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/inclusion-proofs?index=2": {422, "index_beyond_size"}, "/inclusion-proofs?index=1&size=1": {422, "index_beyond_size"},
		"/inclusion-proofs?index=-1":       {422, "index_beyond_size"},
		"/inclusion-proofs?index=0&size=3": {422, "size_beyond_checkpoint"}, "/inclusion-proofs?index=0&size=-1": {400, "invalid_request"},
		"/inclusion-proofs":         {400, "invalid_request"},
		"/inclusion-proofs?index=x": {400, "invalid_request"}, "/consistency-proofs?first=2&second=1": {422, "sizes_reversed"},
		"/consistency-proofs?first=3":          {422, "sizes_reversed"},
		"/consistency-proofs?first=1&second=3": {422, "size_beyond_checkpoint"}, "/consistency-proofs?first=-1": {400, "invalid_request"},
		"/tiles/0/0?width=3": {404, "not_found"},
		"/tiles/0/0?width=0": {400, "invalid_request"}, "/tiles/0/0?width=257": {400, "invalid_request"},
		"/tiles/0/0?width=-1": {400, "invalid_request"}, "/tiles/0/1": {404, "not_found"},
		"/tiles/1/0": {404, "not_found"}, "/tiles/9/0": {404, "not_found"}, "/tiles/-1/0": {404, "not_found"}, "/tiles/0/-1": {404, "not_found"},
		"/tiles/0/9223372036854775807": {404, "not_found"}, "/tiles/x/0": {400, "invalid_request"},
	} {
		p.problem(t, "GET", logPath+path, p.anybody, nil, want.status, want.code)
	}
	if _, _, body := p.raw(t, logPath+"/tiles/0/0"); len(body) != 64 {
		t.Errorf("a leaf of no checkpoint is shown: %d bytes", len(body))
	}
}

// TestErasure: metadata and salt go, an audit row comes, and the proof of the transaction stays.
func TestErasure(t *testing.T) {
	t.Parallel()
	p := setupProvable(t)
	alice, _ := p.open(t)
	body := post("a", "rail.mpesa.paybill.KES", alice, 1)
	body["transactions"].([]object)[0]["metadata"] = object{"receipt": "ABC"}
	id, plain := p.post(t, body), p.post(t, post("b", "rail.mpesa.paybill.KES", alice, 1))
	p.seal(t)
	receipt, erase := "/v1/ledger/transactions/"+id+"/receipt", "/v1/admin/ledger/transactions/"+id+"/metadata"
	before := p.verified(t, receipt, p.service)
	if before.Metadata["receipt"] != "ABC" {
		t.Fatalf("%+v", before)
	}
	for _, path := range []string{erase, erase, "/v1/admin/ledger/transactions/" + plain + "/metadata"} {
		if res := p.call(t, "DELETE", path, p.operator, nil, nil); res.Code != http.StatusNoContent {
			t.Fatalf("%s: %d", path, res.Code)
		}
	}
	p.problem(t, "DELETE", "/v1/admin/ledger/transactions/"+newID()+"/metadata", p.operator, nil, 404, "not_found")
	after := p.verified(t, receipt, p.service)
	if after.Metadata != nil || after.LeafHash != before.LeafHash || !slices.Equal(after.Header.MetadataHash, before.Header.MetadataHash) {
		t.Errorf("%+v", after)
	}
	var rows, named int
	err := p.DB.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM transaction_metadata), (SELECT count(*) FROM audit_log
		WHERE action = 'ledger_transaction.metadata_erased' AND object_id = $1 AND actor = $2 AND request_id <> '')`, id, "user:"+
		p.operatorID).Scan(&rows, &named)
	if err != nil || rows != 0 || named != 1 {
		t.Errorf("%d rows of metadata, %d of the audit log, %v", rows, named, err)
	}
}

// TestChangedRow: of a transaction whose row was changed behind the ledger's back there is no receipt, but a fault of ours.
func TestChangedRow(t *testing.T) {
	t.Parallel()
	p := setupProvable(t)
	alice, aliceToken := p.open(t)
	id := p.post(t, post("a", "rail.mpesa.paybill.KES", alice, 1))
	p.seal(t)
	owner := p.Connect(p.DB.OwnerURL)
	for _, sql := range []string{"ALTER TABLE transactions DISABLE TRIGGER USER", "UPDATE transactions SET type = 'gift'",
		"ALTER TABLE transactions ENABLE TRIGGER USER"} {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	p.problem(t, "GET", "/v1/accounts/"+alice+"/receipts/"+id, aliceToken, nil, 500, "internal")
	p.problem(t, "GET", "/v1/ledger/transactions/"+id+"/receipt", p.service, nil, 500, "internal")
}

// TestProofAuthorization: the log is open to everybody whom the gateway lets through; receipts and erasure are not.
func TestProofAuthorization(t *testing.T) {
	t.Parallel()
	p := setupProvable(t)
	id := newID()
	for _, path := range []string{"/checkpoint", "/tiles/0/0", "/inclusion-proofs?index=0", "/consistency-proofs?first=0", "/keys"} {
		p.problem(t, "GET", logPath+path, "", nil, 401, "unauthenticated") // did not come through the gateway
		p.problem(t, "GET", logPath+path, "not.a.token", nil, 401, "unauthenticated")
		if res := p.call(t, "GET", logPath+path, p.anybody, nil, nil); res.Code != 404 && path != "/keys" || res.Code != 200 &&
			path == "/keys" {
			t.Errorf("%s: %d", path, res.Code)
		}
	}
	receipt, full, erase := "/v1/accounts/"+id+"/receipts/"+id, "/v1/ledger/transactions/"+id+"/receipt", "/v1/admin/ledger/transactions/"+id+
		"/metadata"
	for _, c := range []struct{ method, path string }{{"GET", receipt}, {"GET", full}, {"DELETE", erase}} {
		p.problem(t, c.method, c.path, "", nil, 401, "unauthenticated")
		p.problem(t, c.method, c.path, "not.a.token", nil, 401, "unauthenticated")
		p.problem(t, c.method, c.path, p.anybody, nil, 403, "forbidden")
		p.problem(t, c.method, c.path, p.token("user:"+id, "profile wallet:write admin:users"), nil, 403, "forbidden")
		p.problem(t, c.method, c.path, p.token("service:notification", "users:contacts"), nil, 403, "forbidden")
	}
	p.problem(t, "GET", receipt, p.token("service:wallet", allScopes+" wallet:read"), nil, 403, "forbidden")
	p.problem(t, "GET", full, p.token("user:"+id, "wallet:read admin:ledger"), nil, 403, "forbidden")
	p.problem(t, "DELETE", erase, p.token("service:wallet", allScopes+" admin:ledger"), nil, 403, "forbidden") // a service is no operator
	p.problem(t, "DELETE", erase, p.token("user:"+id, "wallet:read"), nil, 403, "forbidden")
}
