package proof_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// sealed is a transaction in a tree with a signed checkpoint.
type sealed struct {
	tx         proof.Transaction
	index      uint64
	proof      []proof.Hash
	checkpoint string
	known      note.Verifiers
}

func seal(t *rapid.T, tx proof.Transaction, key proof.Key, known note.Verifiers) sealed {
	s := sealed{tx: tx, known: known}
	size := rapid.IntRange(1, 40).Draw(t, "size")
	s.index = uint64(rapid.IntRange(0, size-1).Draw(t, "index"))
	f := &forest{}
	tree := proof.NewTree()
	for i := range size {
		leaf := leafNumber(i)
		if uint64(i) == s.index {
			leaf = proof.LeafHash(&tx)
		}
		f.leaves = append(f.leaves, leaf)
		tree.Append(leaf, nil)
	}
	var err error
	if s.proof, err = proof.Inclusion(context.Background(), f, s.index, uint64(size)); err != nil {
		t.Fatal(err)
	}
	signed, err := proof.Checkpoint{Origin: origin, Size: tree.Size(), Root: tree.Root()}.Sign(key.Signer)
	if err != nil {
		t.Fatal(err)
	}
	s.checkpoint = string(signed)
	return s
}

func TestFullReceipt(t *testing.T) {
	t.Parallel()
	key := newKey(t, origin)
	known := verifiers(t, key)
	rapid.Check(t, func(t *rapid.T) {
		tx := drawTransaction(t)
		facts, salt := map[string]string{"receipt": drawText(t)}, [16]byte{1, 2}
		if tx.MetadataHash != nil {
			hash := proof.MetadataHash(salt, facts)
			tx.MetadataHash = hash[:]
		}
		s := seal(t, tx, key, known)
		r := proof.FullReceipt(&tx, s.index, s.proof, s.checkpoint)
		if tx.MetadataHash != nil {
			r = r.WithMetadata(salt, facts)
		}
		v, err := proof.Verify(r.Marshal(), known)
		if err != nil {
			t.Fatal(err)
		}
		if v.Index != s.index || v.Hidden != 0 || v.LeafHash != proof.LeafHash(&tx) || !strings.HasPrefix(key.VerifierKey, v.Key+"+") ||
			v.Checkpoint.Origin != origin {
			t.Fatalf("%+v", v)
		}
		if tx.MetadataHash != nil && !reflect.DeepEqual(v.Metadata, facts) {
			t.Fatalf("%v", v.Metadata)
		}
		// What was proved makes the same transaction, but for its salt.
		again := proof.Transaction{Version: v.Version, ID: v.Header.ID, RecordedAt: v.Header.RecordedAt, EffectiveAt: v.Header.EffectiveAt,
			Reference: v.Header.Reference,
			Action:    v.Header.Action, Type: v.Header.Type, Channel: v.Header.Channel,
			ReversesID: v.Header.ReversesID, MetadataHash: v.Header.MetadataHash, Batch: v.Header.Batch, BatchPosition: v.Header.BatchPosition,
			Balances: proof.EncodeBalances(v.Balances), RequestHash: v.Outcome.RequestHash, HoldID: v.Outcome.HoldID, HoldDelta: v.Outcome.HoldDelta,
			Hold: v.Hold, Salt: tx.Salt}
		for i := 0; i < len(v.Entries); i += 2 {
			d, c := v.Entries[i], v.Entries[i+1]
			again.Postings = append(again.Postings,
				proof.Posting{Source: d.Account, Destination: c.Account, SourceBook: d.Book, DestinationBook: c.Book, Currency: d.Currency,
					Amount: d.Amount, SourceSequence: d.Sequence,
					SourceBalance: d.Balance, DestinationSequence: c.Sequence, DestinationBalance: c.Balance, ReversesPosition: d.ReversesPosition})
		}
		if v.Header.Postings != len(tx.Postings) || proof.LeafHash(&again) != v.LeafHash {
			t.Fatalf("the facts are not those of the transaction:\n%+v\n%+v", again, tx)
		}
	})
}

// TestAccountReceipt: it proves the account's entries, and has nothing of anybody else's.
func TestAccountReceipt(t *testing.T) {
	t.Parallel()
	key := newKey(t, origin)
	known := verifiers(t, key)
	rapid.Check(t, func(t *rapid.T) {
		tx := drawTransaction(t)
		var accounts []uuid.UUID
		for _, p := range tx.Postings {
			accounts = append(accounts, p.Source, p.Destination)
		}
		if len(accounts) == 0 {
			accounts = []uuid.UUID{drawID(t)}
		}
		account := rapid.SampledFrom(accounts).Draw(t, "account")
		s := seal(t, tx, key, known)
		data := proof.AccountReceipt(&tx, account, s.index, s.proof, s.checkpoint).Marshal()
		v, err := proof.Verify(data, known)
		if err != nil {
			t.Fatal(err)
		}
		if v.Header.ID != tx.ID || v.Balances != nil || v.Outcome != nil || v.Hold != nil && v.Hold.Account != account {
			t.Fatalf("%+v", v)
		}
		own := 0
		for i, p := range tx.Postings {
			foreign := []int64{p.SourceBalance, p.SourceSequence, p.DestinationBalance, p.DestinationSequence}
			switch account {
			case p.Source:
				own++
				foreign = foreign[2:]
				if !slices.ContainsFunc(v.Entries, func(e proof.Entry) bool {
					return e.Position == i && e.Side == proof.Debit && e.Balance == p.SourceBalance
				}) {
					t.Fatalf("the debit of posting %d is missing", i)
				}
			case p.Destination:
				own++
				foreign = foreign[:2]
			}
			for _, n := range foreign {
				if bytes.Contains(data, []byte(strconv.FormatInt(n, 10))) {
					t.Fatalf("%d of another account is in the receipt", n)
				}
			}
		}
		for _, e := range v.Entries {
			if e.Account != account {
				t.Fatalf("an entry of another account: %+v", e)
			}
		}
		parts := proof.Parts(&tx)
		for i, part := range parts {
			if salt := base64.StdEncoding.EncodeToString(part.Salt[:]); i > 0 && i == len(parts)-1 && bytes.Contains(data, []byte(salt)) {
				t.Fatalf("the salt of hidden part %d is in the receipt", i)
			}
		}
		if len(v.Entries) != own || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(tx.Salt[:]))) {
			t.Fatalf("%d entries, want %d; or the transaction's salt", len(v.Entries), own)
		}
	})
}

// TestTamperedReceipt: one changed bit anywhere in the file either fails, or changes nothing of what is proved (the case of a letter of an
// escape). One changed bit of what the file says always fails.
func TestTamperedReceipt(t *testing.T) {
	t.Parallel()
	key := newKey(t, origin)
	known := verifiers(t, key)
	rapid.Check(t, func(t *rapid.T) {
		tx := drawTransaction(t)
		facts, salt := map[string]string{"receipt": "SKK4X7QZ1P"}, [16]byte{1, 2}
		hash := proof.MetadataHash(salt, facts)
		tx.MetadataHash = hash[:]
		s := seal(t, tx, key, known)
		r := proof.FullReceipt(&tx, s.index, s.proof, s.checkpoint).WithMetadata(salt, facts)
		if rapid.Bool().Draw(t, "one account") {
			r = proof.AccountReceipt(&tx, uuid.UUID{1}, s.index, s.proof, s.checkpoint).WithMetadata(salt, facts)
		}
		data := r.Marshal()
		want, err := proof.Verify(data, known)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			flipped := bytes.Clone(data)
			flipped[rapid.IntRange(0, len(data)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if got, err := proof.Verify(flipped, known); err == nil && !reflect.DeepEqual(got, want) {
				t.Fatalf("a changed receipt proves something else:\n%s\n%+v", flipped, got)
			}
		}
		said := fields(&r)
		i := rapid.IntRange(0, len(said)-1).Draw(t, "field")
		if len(said[i]) > 0 {
			said[i][rapid.IntRange(0, len(said[i])-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			if _, err := r.Verify(known); err == nil {
				t.Fatalf("a receipt with another field %d passes", i)
			}
		}
	})
}

// fields returns everything that a receipt says, index and checkpoint apart, as bytes that can be changed in place.
func fields(r *proof.Receipt) [][]byte {
	list := [][]byte{r.Metadata.JSON, r.Metadata.Salt[:]}
	for i := range r.Parts {
		if p := r.Parts[i].Disclosed; p != nil {
			list = append(list, p.JSON, p.Salt[:])
		} else {
			list = append(list, r.Parts[i].Hash[:])
		}
	}
	for i := range r.Proof {
		list = append(list, r.Proof[i][:])
	}
	return list
}

// TestReceiptErrors: each kind of failure has its own name.
func TestReceiptErrors(t *testing.T) {
	t.Parallel()
	key := newKey(t, origin)
	known := verifiers(t, key)
	facts, salt := map[string]string{"receipt": "SKK4X7QZ1P"}, [16]byte{1, 2}
	build := func(change func(*proof.Transaction), parts func([]proof.ReceiptPart) []proof.ReceiptPart) proof.Receipt {
		tx := transfer()
		hash := proof.MetadataHash(salt, facts)
		tx.MetadataHash = hash[:]
		change(tx)
		r := proof.FullReceipt(tx, 0, nil, "").WithMetadata(salt, facts)
		r.Parts = parts(r.Parts)
		hashes := make([]proof.Hash, len(r.Parts))
		for i, p := range r.Parts {
			if hashes[i] = p.Hash; p.Disclosed != nil {
				hashes[i] = p.Disclosed.Hash()
			}
		}
		// The tree of this one leaf: signed, whatever it says.
		r.Checkpoint = sign(t, proof.Checkpoint{Origin: origin, Size: 1, Root: proof.LeafFromParts(r.Version, hashes)}, key)
		return r
	}
	none := func(*proof.Transaction) {}
	first := func(tx *proof.Transaction) { tx.Version = proof.LeafVersion1 }
	held := func(tx *proof.Transaction) {
		tx.HoldID, tx.HoldDelta = tx.ID, 5
		tx.Hold = &proof.Hold{Account: uuid.UUID{1}, Book: "emoney", Currency: "KES", Amount: 5, Reason: "requested"}
	}
	heldFirst := func(tx *proof.Transaction) { first(tx); held(tx) }
	same := func(parts []proof.ReceiptPart) []proof.ReceiptPart { return parts }
	replace := func(i int, old, with string) func([]proof.ReceiptPart) []proof.ReceiptPart {
		return func(parts []proof.ReceiptPart) []proof.ReceiptPart {
			changed := strings.Replace(string(parts[i].Disclosed.JSON), old, with, 1)
			if changed == string(parts[i].Disclosed.JSON) {
				t.Errorf("part %d has no %q", i, old)
			}
			parts[i].Disclosed.JSON = []byte(changed)
			return parts
		}
	}
	for _, change := range []func(*proof.Transaction){none, first, held, heldFirst} {
		if _, err := build(change, same).Verify(known); err != nil {
			t.Fatal(err)
		}
	}
	for what, c := range map[string]struct {
		receipt proof.Receipt
		known   note.Verifiers
		want    error
	}{
		"another key": {build(none, same), verifiers(t, newKey(t, origin)), proof.ErrSignature},
		"header hidden": {build(none, func(p []proof.ReceiptPart) []proof.ReceiptPart {
			p[0] = proof.ReceiptPart{Hash: p[0].Disclosed.Hash()}
			return p
		}), known, proof.ErrPart},
		"no parts":        {build(none, func([]proof.ReceiptPart) []proof.ReceiptPart { return nil }), known, proof.ErrPart},
		"a part too many": {build(none, func(p []proof.ReceiptPart) []proof.ReceiptPart { return append(p, p[1]) }), known, proof.ErrPart},
		"a part too few":  {build(none, func(p []proof.ReceiptPart) []proof.ReceiptPart { return p[:len(p)-1] }), known, proof.ErrPart},
		"sides swapped": {build(none, func(p []proof.ReceiptPart) []proof.ReceiptPart { p[1], p[2] = p[2], p[1]; return p }), known,
			proof.ErrPart},
		"no book":          {build(none, replace(1, `"book":"emoney",`, "")), known, proof.ErrPart},
		"an empty book":    {build(none, replace(2, `"book":"emoney"`, `"book":""`)), known, proof.ErrPart},
		"a hold's no book": {build(held, replace(7, `"book":"emoney",`, "")), known, proof.ErrPart},
		"a book too early": {build(first, replace(1, `"currency"`, `"book":"emoney","currency"`)), known, proof.ErrPart},
		"a hold's too early": {build(heldFirst, replace(7, `"currency"`, `"book":"emoney","currency"`)), known,
			proof.ErrPart},
		"white space":      {build(none, replace(1, ",", ", ")), known, proof.ErrPart},
		"unknown key":      {build(none, replace(0, `"batch":`, `"bitch":`)), known, proof.ErrPart},
		"key twice":        {build(none, replace(1, `"side":"debit"`, `"side":"debit","side":"debit"`)), known, proof.ErrPart},
		"fraction":         {build(none, replace(1, `"amount":100000`, `"amount":100000.0`)), known, proof.ErrPart},
		"leading zero":     {build(none, replace(1, `"amount":`, `"amount":0`)), known, proof.ErrPart},
		"upper case":       {build(none, replace(0, "01020300", "0102030A")), known, proof.ErrPart},
		"time zone":        {build(none, replace(0, "20.000000Z", "20.000000+00:00")), known, proof.ErrPart},
		"escape":           {build(none, replace(0, "post", `p\u006fst`)), known, proof.ErrPart},
		"outcome torn":     {build(func(tx *proof.Transaction) { tx.Balances = tx.Balances[:39] }, same), known, proof.ErrPart},
		"other metadata":   {build(func(tx *proof.Transaction) { tx.MetadataHash[0]++ }, same), known, proof.ErrMetadata},
		"metadata of none": {build(func(tx *proof.Transaction) { tx.MetadataHash = nil }, same), known, proof.ErrMetadata},
	} {
		if _, err := proof.Verify(c.receipt.Marshal(), c.known); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
	for what, change := range map[string]func(*proof.Receipt){
		"another book": func(r *proof.Receipt) {
			r.Parts[1].Disclosed.JSON = bytes.Replace(r.Parts[1].Disclosed.JSON, []byte("emoney"), []byte("lending"), 1)
		},
		"an earlier version": func(r *proof.Receipt) { r.Version = proof.LeafVersion1 },
	} {
		r := build(none, same)
		change(&r)
		if _, err := proof.Verify(r.Marshal(), known); !errors.Is(err, proof.ErrInclusion) {
			t.Errorf("%s: %v", what, err)
		}
	}
	beyond := build(none, same)
	beyond.Index = 1
	if _, err := beyond.Verify(known); !errors.Is(err, proof.ErrInclusion) {
		t.Errorf("beyond the tree: %v", err)
	}
	longer := build(none, same)
	longer.Proof = []proof.Hash{{1}}
	if _, err := longer.Verify(known); !errors.Is(err, proof.ErrInclusion) {
		t.Errorf("a longer proof: %v", err)
	}
}

// TestParseReceipt: fields are known, complete, single and of their shape.
func TestParseReceipt(t *testing.T) {
	t.Parallel()
	const hash = `"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`
	const salt = `"AAAAAAAAAAAAAAAAAAAAAA=="`
	good := `{"format":"sendtip-receipt/1","index":3,"parts":[{"json":"{}","salt":` + salt + `},{"hash":` + hash + `}],"proof":[` + hash +
		`],"checkpoint":"c","metadata":{"json":"{}","salt":` + salt + `}}`
	r, err := proof.ParseReceipt([]byte(good))
	if err != nil || r.Index != 3 || len(r.Parts) != 2 || r.Parts[0].Disclosed == nil || r.Parts[1].Disclosed != nil || len(r.Proof) != 1 ||
		r.Metadata == nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if string(r.Marshal()) != good+"\n" || r.Version != proof.LeafVersion1 {
		t.Errorf("version %d written as %s", r.Version, r.Marshal())
	}
	newer := strings.Replace(good, "receipt/1", "receipt/2", 1)
	if r, err := proof.ParseReceipt([]byte(newer)); err != nil || string(r.Marshal()) != newer+"\n" || r.Version != proof.LeafVersion2 {
		t.Errorf("version %d written as %s, %v", r.Version, r.Marshal(), err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(good), "", "  "); err != nil {
		t.Fatal(err)
	}
	if _, err := proof.ParseReceipt(indented.Bytes()); err != nil {
		t.Errorf("indented: %v", err)
	}
	swap := func(old, with string) string {
		s := strings.Replace(good, old, with, 1)
		if s == good {
			t.Fatalf("no %q", old)
		}
		return s
	}
	for what, bad := range map[string]string{
		"nothing": "", "null": "null", "list": "[]", "empty": "{}", "torn": good[:len(good)-1], "two": good + good, "trailing": good + "x",
		"not UTF-8": swap(`"c"`, "\"\xff\""),
		"format":    swap("receipt/1", "receipt/3"), "unknown": swap(`"index"`, `"indeks"`), "case": swap(`"index"`, `"Index"`),
		"twice":    swap(`"index":3`, `"index":3,"index":3`),
		"negative": swap(`:3`, `:-1`), "fraction": swap(`:3`, `:3.0`), "text": swap(`:3`, `:"3"`), "huge": swap(`:3`, `:9007199254740992`),
		"null index": swap(`:3`, `:null`),
		"no index":   swap(`"index":3,`, ``), "part of both": swap(`"hash":`+hash, `"hash":`+hash+`,"salt":`+salt),
		"part without salt": swap(`,"salt":`+salt+`},{"hash"`, `},{"hash"`),
		"part unknown":      swap(`"hash"`, `"hsah"`), "part null": swap(`{"hash":`+hash+`}`, `null`), "hash short": swap(hash, `"AAAA"`),
		"hash unpadded":  swap("AAA=", "AAA"),
		"hash with bits": swap("AAA=", "AAB="), "hash with line break": swap("AAAA=", `AA\nAA=`), "salt long": swap(salt, hash),
		"proof null":   swap(`[`+hash+`]`, `null`),
		"proof nested": swap(`[`+hash+`]`, `[[`+hash+`]]`), "checkpoint number": swap(`"c"`, `1`),
		"metadata null":    swap(`{"json":"{}","salt":`+salt+`}}`, `null}`),
		"metadata unknown": swap(`"metadata":{`, `"metadata":{"x":1,`), "metadata partial": swap(`"metadata":{"json":"{}",`, `"metadata":{`),
		"metadata long": swap(`"metadata":{"json":"{}"`, `"metadata":{"json":"`+strings.Repeat("x", 33<<10)+`"`),
		"proof long":    swap(`[`+hash+`]`, `[`+strings.Repeat(hash+",", 64)+hash+`]`),
		"parts long":    swap(`{"hash":`+hash+`}`, strings.Repeat(`{"hash":`+hash+`},`, 1100)+`{"hash":`+hash+`}`),
		"long":          swap(`"c"`, `"`+strings.Repeat("x", proof.MaxReceipt)+`"`), "deep": strings.Repeat("[", 100000),
	} {
		if _, err := proof.ParseReceipt([]byte(bad)); !errors.Is(err, proof.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// FuzzVerify: whatever is sent, there is no panic, and what verifies is written and verified again the same.
func FuzzVerify(f *testing.F) {
	example, second := readExample(f, proof.LeafVersion1), readExample(f, proof.LeafVersion2)
	known, err := proof.Verifiers(example.VerifierKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(example.Receipts.Full))
	f.Add([]byte(example.Receipts.Account))
	f.Add([]byte(second.Receipts.Full))
	f.Add([]byte(second.Receipts.Account))
	f.Add([]byte(`{"format":"sendtip-receipt/1","index":0,"parts":[],"proof":[],"checkpoint":""}`))
	f.Add([]byte(`{"format":"sendtip-receipt/1","index":9007199254740991,"parts":[{"json":"{\"hold_id\":1}",
		"salt":"AAAAAAAAAAAAAAAAAAAAAA=="}],"proof":[],"checkpoint":"a\n1\nA\n\n— a A\n"}`))
	f.Add([]byte(`[[[[{"format":null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := proof.Verify(data, known)
		r, parseErr := proof.ParseReceipt(data)
		if parseErr != nil {
			if err == nil || !errors.Is(parseErr, proof.ErrMalformed) {
				t.Fatalf("verified %v, parsed %v", err, parseErr)
			}
			return
		}
		again, againErr := proof.Verify(r.Marshal(), known)
		if (err == nil) != (againErr == nil) || err == nil && !reflect.DeepEqual(v, again) {
			t.Fatalf("%v, then %v", err, againErr)
		}
	})
}
