package proof_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

var update = flag.Bool("update", false, "write the files of examples in testdata anew")

// exampleFiles are the examples by the version of their leaves.
var exampleFiles = map[int]string{proof.LeafVersion1: "testdata/example.json", proof.LeafVersion2: "testdata/example-2.json"}

// exampleMarks begin the leaves' data.
var exampleMarks = map[int]string{proof.LeafVersion1: "sendtip-leaf/1\n", proof.LeafVersion2: "sendtip-leaf/2\n"}

// example is the worked example of docs/ledger.md, with every value on the way. Bytes are hexadecimal unless a format wants base64.
type example struct {
	Origin         string               `json:"origin"`
	PrivateKeySeed string               `json:"private_key_seed"` // of the example only
	VerifierKey    string               `json:"verifier_key"`
	Transactions   []exampleTransaction `json:"transactions"`
	Tree           struct {
		Levels   [][]string `json:"levels"` // leaf hashes, then each level above; the last node of a level goes up alone if it has no sibling
		Root     string     `json:"root"`
		Frontier string     `json:"frontier"`
	} `json:"tree"`
	Inclusion struct {
		Index  uint64   `json:"index"`
		Size   uint64   `json:"size"`
		Hashes []string `json:"hashes"`
	} `json:"inclusion_proof"`
	Consistency struct {
		First     uint64   `json:"first"`
		FirstRoot string   `json:"first_root"`
		Second    uint64   `json:"second"`
		Hashes    []string `json:"hashes"`
	} `json:"consistency_proof"`
	Checkpoint struct {
		Signed string `json:"signed_text"`
		Note   string `json:"note"`
	} `json:"checkpoint"`
	Receipts struct {
		Full      json.RawMessage `json:"full"`
		AccountID uuid.UUID       `json:"account_id"`
		Account   json.RawMessage `json:"account"`
	} `json:"receipts"`
}

type exampleTransaction struct {
	Title    string           `json:"title"`
	Salt     string           `json:"salt"`
	Metadata *exampleMetadata `json:"metadata,omitempty"`
	Balances []string         `json:"balances,omitempty"` // the 40 bytes of each account
	Parts    []examplePart    `json:"parts"`
	LeafData string           `json:"leaf_data"`
	LeafHash string           `json:"leaf_hash"`
}

type exampleMetadata struct {
	JSON string `json:"json"`
	Salt string `json:"salt"`
	Hash string `json:"hash"`
}

type examplePart struct {
	JSON string `json:"json"`
	Salt string `json:"salt"`
	Hash string `json:"hash"`
}

func readExample(t testing.TB, version int) example {
	t.Helper()
	data, err := os.ReadFile(exampleFiles[version])
	if err != nil {
		t.Fatal(err)
	}
	var e example
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func exampleID(s string) uuid.UUID {
	return uuid.MustParse("01937c5e-" + s + "-7c1b-9d7e-3f6b2a1c0d4e")
}

// exampleLedger is five transactions: a deposit, a transfer with fee and duty, a hold, its capture in part, a reversal of the transfer in
// part.
func exampleLedger(version int) (txs []proof.Transaction, titles []string, facts []map[string]string) {
	alice, bob := exampleID("1111"), exampleID("2222")
	rail, fees, duty := uuid.MustParse("5b0c6f0c-6f0e-5c43-9f4e-0f7b6f1a2b3c"), uuid.MustParse("8d1f3c52-0f43-5d0f-8f0a-2f4e5a6b7c8d"),
		uuid.MustParse("c4a1f0de-7b6a-5e2d-9c3b-1a2b3c4d5e6f")
	at := time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC)
	add := func(title string, tx proof.Transaction, metadata map[string]string, balances ...proof.Balance) {
		n := len(txs)
		tx.Batch, tx.BatchPosition, tx.RecordedAt = int64(40+n/2), n%2, at.Add(time.Duration(n)*1500*time.Millisecond)
		tx.Version = version
		tx.ID = exampleID([]string{"a001", "a002", "a003", "a004", "a005"}[n])
		tx.RequestHash = sha(byte(n), []byte("the hash of the request stands here"))
		tx.Salt = [16]byte(sha(byte(n), []byte("salt")))
		if tx.Action == "hold" || tx.Action == "capture" {
			tx.HoldID = exampleID("a003")
		}
		if metadata != nil {
			hash := proof.MetadataHash(exampleMetadataSalt(n), metadata)
			tx.MetadataHash = hash[:]
		}
		tx.Balances = proof.EncodeBalances(balances)
		txs, titles, facts = append(txs, tx), append(titles, title), append(facts, metadata)
	}
	post := func(s uuid.UUID, ss, sb int64, d uuid.UUID, ds, db, amount int64, reverses int) proof.Posting {
		return proof.Posting{Source: s, SourceSequence: ss, SourceBalance: sb, Destination: d, DestinationSequence: ds, DestinationBalance: db,
			SourceBook: "emoney", DestinationBook: "emoney", Amount: amount, Currency: "KES", ReversesPosition: reverses}
	}
	add("Alice deposits KES 5,000.00 by M-Pesa, which happened a day before it was recorded",
		proof.Transaction{Reference: "c2b:SKK4X7QZ1P", Action: "post", Type: "deposit", Channel: "mpesa",
			EffectiveAt: at.Add(-24 * time.Hour).Truncate(time.Hour),
			Postings:    []proof.Posting{post(rail, 8, 500000, alice, 1, 500000, 500000, -1)}},
		map[string]string{"receipt": "SKK4X7QZ1P", "note": `said "asante" \ paid`},
		proof.Balance{Account: rail, Balance: 500000, Available: 500000, Sequence: 8},
		proof.Balance{Account: alice, Balance: 500000, Available: 500000, Sequence: 1})
	add("Alice sends Bob KES 1,000.00, with a fee and the duty on it",
		proof.Transaction{Reference: "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e:post", Action: "post", Type: "transfer", Channel: "internal",
			Postings: []proof.Posting{post(alice, 2, 400000, bob, 1, 100000, 100000, -1), post(alice, 3, 399000, fees, 1, 1000, 1000, -1),
				post(alice, 4, 398850, duty, 1, 150, 150, -1)}}, nil,
		proof.Balance{Account: alice, Balance: 398850, Available: 398850, Sequence: 4},
		proof.Balance{Account: bob, Balance: 100000, Available: 100000, Sequence: 1},
		proof.Balance{Account: fees, Balance: 1000, Available: 1000, Sequence: 1},
		proof.Balance{Account: duty, Balance: 150, Available: 150, Sequence: 1})
	add("A withdrawal reserves KES 2,000.00 and its fee of Alice's",
		proof.Transaction{Reference: "01937c5e-8a50-7c1b-9d7e-3f6b2a1c0d4e:hold", Action: "hold", Type: "withdrawal", Channel: "mpesa",
			HoldDelta: 203000,
			Hold: &proof.Hold{Account: alice, Book: "emoney", Currency: "KES", Amount: 203000, Reason: "requested", ExpiresAt: at.Add(time.Hour),
				Lines: []proof.HoldLine{{Destination: rail, Amount: 200000}, {Destination: fees, Amount: 3000}}}}, nil,
		proof.Balance{Account: alice, Balance: 398850, Available: 195850, Sequence: 4})
	add("The withdrawal is captured, without its fee",
		proof.Transaction{Reference: "01937c5e-8a50-7c1b-9d7e-3f6b2a1c0d4e:capture", Action: "capture", Type: "withdrawal", Channel: "mpesa",
			HoldDelta: -200000,
			Postings:  []proof.Posting{post(alice, 5, 198850, rail, 9, 300000, 200000, -1)}}, nil,
		proof.Balance{Account: alice, Balance: 198850, Available: 195850, Sequence: 5},
		proof.Balance{Account: rail, Balance: 300000, Available: 300000, Sequence: 9})
	add("KES 400.00 of the transfer to Bob are turned back",
		proof.Transaction{Reference: "ops:2026-11-23:17", Action: "reverse", Type: "correction", Channel: "internal",
			ReversesID: exampleID("a002"),
			Postings:   []proof.Posting{post(bob, 2, 60000, alice, 6, 238850, 40000, 0)}}, nil,
		proof.Balance{Account: bob, Balance: 60000, Available: 60000, Sequence: 2},
		proof.Balance{Account: alice, Balance: 238850, Available: 235850, Sequence: 6})
	return txs, titles, facts
}

func exampleMetadataSalt(n int) [16]byte { return [16]byte(sha(byte(n), []byte("metadata salt"))) }

func buildExample(t testing.TB, version int) example {
	t.Helper()
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	key, err := proof.NewKey("example.sendtip.test/ledger", ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	e := example{Origin: key.Signer.Name(), PrivateKeySeed: hex.EncodeToString(seed), VerifierKey: key.VerifierKey}
	txs, titles, facts := exampleLedger(version)
	f := &forest{}
	tree := proof.NewTree()
	var roots []proof.Hash
	for i := range txs {
		e.Transactions = append(e.Transactions, exampleOf(titles[i], &txs[i], facts[i], exampleMetadataSalt(i)))
		f.leaves = append(f.leaves, proof.LeafHash(&txs[i]))
		tree.Append(f.leaves[i], nil)
		roots = append(roots, tree.Root())
	}
	e.Tree.Levels, e.Tree.Root, e.Tree.Frontier = levels(f.leaves), hexOf(roots[4]), hex.EncodeToString(tree.Frontier())
	inclusion, err := proof.Inclusion(t.Context(), f, 1, 5)
	if err != nil {
		t.Fatal(err)
	}
	e.Inclusion.Index, e.Inclusion.Size, e.Inclusion.Hashes = 1, 5, hexes(inclusion)
	consistency, err := proof.Consistency(t.Context(), f, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	e.Consistency.First, e.Consistency.FirstRoot, e.Consistency.Second, e.Consistency.Hashes = 3, hexOf(roots[2]), 5, hexes(consistency)
	checkpoint := proof.Checkpoint{Origin: e.Origin, Size: 5, Root: roots[4]}
	e.Checkpoint.Signed, e.Checkpoint.Note = string(checkpoint.Marshal()), sign(t, checkpoint, key)
	deposit, err := proof.Inclusion(t.Context(), f, 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	e.Receipts.Full = proof.FullReceipt(&txs[0], 0, deposit, e.Checkpoint.Note).WithMetadata(exampleMetadataSalt(0), facts[0]).Marshal()
	e.Receipts.AccountID = exampleID("2222")
	e.Receipts.Account = proof.AccountReceipt(&txs[1], e.Receipts.AccountID, 1, inclusion, e.Checkpoint.Note).Marshal()
	return e
}

func exampleOf(title string, tx *proof.Transaction, facts map[string]string, salt [16]byte) exampleTransaction {
	x := exampleTransaction{Title: title, Salt: hex.EncodeToString(tx.Salt[:]), LeafHash: hexOf(proof.LeafHash(tx))}
	if facts != nil {
		x.Metadata = &exampleMetadata{JSON: string(proof.MetadataJSON(facts)), Salt: hex.EncodeToString(salt[:]),
			Hash: hex.EncodeToString(tx.MetadataHash)}
	}
	for b := tx.Balances; len(b) > 0; b = b[40:] {
		x.Balances = append(x.Balances, hex.EncodeToString(b[:40]))
	}
	data := []byte(exampleMarks[tx.Version])
	for _, p := range proof.Parts(tx) {
		hash := p.Hash()
		x.Parts = append(x.Parts, examplePart{JSON: string(p.JSON), Salt: hex.EncodeToString(p.Salt[:]), Hash: hexOf(hash)})
		data = append(data, hash[:]...)
	}
	x.LeafData = hex.EncodeToString(data)
	return x
}

func hexOf(h proof.Hash) string { return hex.EncodeToString(h[:]) }

func hexes(hashes []proof.Hash) []string {
	list := make([]string, len(hashes))
	for i, h := range hashes {
		list[i] = hexOf(h)
	}
	return list
}

func levels(hashes []proof.Hash) [][]string {
	list := [][]string{hexes(hashes)}
	for len(hashes) > 1 {
		var above []proof.Hash
		for i := 0; i < len(hashes); i += 2 {
			if i+1 == len(hashes) {
				above = append(above, hashes[i])
				continue
			}
			above = append(above, proof.Hash(sha(1, hashes[i][:], hashes[i+1][:])))
		}
		hashes = above
		list = append(list, hexes(hashes))
	}
	return list
}

// TestExample: the files are what the package makes today. `go test ./proof -run TestExample -update` writes them; a change of one means
// that old receipts are no longer understood.
func TestExample(t *testing.T) {
	t.Parallel()
	for version, file := range exampleFiles {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(buildExample(t, version)); err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		stored, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(stored, b.Bytes()) {
			t.Errorf("%s differs from what the package makes", file)
		}
	}
}

// TestFirstVersionIsFixed: the example of the first version, the receipts in it included, has the bytes that it had before there was a
// second one.
func TestFirstVersionIsFixed(t *testing.T) {
	t.Parallel()
	stored, err := os.ReadFile(exampleFiles[proof.LeafVersion1])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(stored)
	if got := hex.EncodeToString(sum[:]); got != "5cc6783812b188a796601ce6fc33da13118e5bb1b67d5829889921b85051d142" {
		t.Errorf("the file has the hash %s", got)
	}
}

// TestExampleByHand follows the file from the parts to the signature with nothing but SHA-256, Ed25519 and base64, as somebody would who
// implements the format in another language.
func TestExampleByHand(t *testing.T) {
	t.Parallel()
	for version := range exampleFiles {
		exampleByHand(t, version)
	}
}

func exampleByHand(t *testing.T, version int) {
	t.Helper()
	e := readExample(t, version)
	var leaves [][]byte
	for _, tx := range e.Transactions {
		data := []byte(exampleMarks[version])
		for i, p := range tx.Parts {
			salt := referenceSalt(unhex(t, tx.Salt), i)
			hash := sha(2, salt, []byte(p.JSON))
			if hex.EncodeToString(salt) != p.Salt || hex.EncodeToString(hash) != p.Hash {
				t.Errorf("%s: part %d", tx.Title, i)
			}
			data = append(data, hash...)
		}
		leaf := sha(0, data)
		if hex.EncodeToString(data) != tx.LeafData || hex.EncodeToString(leaf) != tx.LeafHash {
			t.Errorf("%s: leaf", tx.Title)
		}
		if m := tx.Metadata; m != nil {
			if hash := hex.EncodeToString(sha(4, unhex(t, m.Salt), []byte(m.JSON))); hash != m.Hash ||
				!strings.Contains(tx.Parts[0].JSON, `"metadata_hash":"`+hash+`"`) {
				t.Errorf("%s: metadata", tx.Title)
			}
		}
		if last := tx.Parts[len(tx.Parts)-1].JSON; !strings.HasPrefix(last, `{"balances":"`+strings.Join(tx.Balances, "")+`"`) {
			t.Errorf("%s: balances", tx.Title)
		}
		leaves = append(leaves, leaf)
	}
	root := referenceRoot(leaves)
	if hex.EncodeToString(root) != e.Tree.Root || e.Tree.Levels[len(e.Tree.Levels)-1][0] != e.Tree.Root {
		t.Error("root")
	}
	var path []string
	for _, h := range referencePath(1, leaves) {
		path = append(path, hex.EncodeToString(h))
	}
	if !reflect.DeepEqual(path, e.Inclusion.Hashes) {
		t.Error("inclusion proof")
	}
	if e.Consistency.FirstRoot != hex.EncodeToString(referenceRoot(leaves[:3])) {
		t.Error("first root")
	}
	checkExampleNote(t, e, root)
	checkExampleReceipts(t, e, version)
}

func checkExampleNote(t *testing.T, e example, root []byte) {
	t.Helper()
	text := e.Origin + "\n5\n" + base64.StdEncoding.EncodeToString(root) + "\n"
	if e.Checkpoint.Signed != text {
		t.Errorf("signed text %q", e.Checkpoint.Signed)
	}
	line := strings.TrimPrefix(e.Checkpoint.Note, text+"\n— "+e.Origin+" ")
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(line, "\n"))
	if err != nil || len(signature) != 4+64 {
		t.Fatalf("signature line: %d bytes, %v", len(signature), err)
	}
	public, err := base64.StdEncoding.DecodeString(e.VerifierKey[strings.LastIndex(e.VerifierKey, "+")+1:])
	if err != nil || len(public) != 33 || public[0] != 1 {
		t.Fatalf("public key: %v, %v", public, err)
	}
	if !bytes.Equal(signature[:4], sha(e.Origin[0], []byte(e.Origin[1:]+"\n"), public)[:4]) { // SHA-256(name ‖ LF ‖ key)
		t.Error("key hash")
	}
	if !ed25519.Verify(public[1:], []byte(text), signature[4:]) {
		t.Error("signature")
	}
}

func checkExampleReceipts(t *testing.T, e example, version int) {
	t.Helper()
	book := map[int]string{proof.LeafVersion2: "emoney"}[version]
	known, err := proof.Verifiers(e.VerifierKey)
	if err != nil {
		t.Fatal(err)
	}
	full, err := proof.Verify(e.Receipts.Full, known)
	if err != nil || full.Metadata["receipt"] != "SKK4X7QZ1P" || len(full.Entries) != 2 || len(full.Balances) != 2 ||
		full.Entries[0].Book != book || full.Entries[1].Book != book || full.Version != version {
		t.Errorf("%+v, %v", full, err)
	}
	own, err := proof.Verify(e.Receipts.Account, known)
	if err != nil || len(own.Entries) != 1 || own.Entries[0].Account != e.Receipts.AccountID || own.Entries[0].Balance != 100000 ||
		own.Header.Postings != 3 || own.Hidden != 6 || own.Entries[0].Book != book || own.Version != version {
		t.Errorf("%+v, %v", own, err)
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
