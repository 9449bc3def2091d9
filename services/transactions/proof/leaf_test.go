package proof_test

import (
	"bytes"
	"crypto/sha256"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// TestLeaf: parts, hashes and leaf are what the documented format says, and the encoder, used again and again, says the same.
func TestLeaf(t *testing.T) {
	t.Parallel()
	var encoder proof.Encoder
	rapid.Check(t, func(t *rapid.T) {
		tx := drawTransaction(t)
		want := referenceParts(&tx)
		parts := proof.Parts(&tx)
		if len(parts) != len(want) {
			t.Fatalf("%d parts, want %d", len(parts), len(want))
		}
		hashes := make([]proof.Hash, len(parts))
		for i, p := range parts {
			if string(p.JSON) != want[i] {
				t.Fatalf("part %d is\n%s, want\n%s", i, p.JSON, want[i])
			}
			if salt := referenceSalt(tx.Salt[:], i); !bytes.Equal(p.Salt[:], salt) {
				t.Fatalf("salt %d is %x, want %x", i, p.Salt, salt)
			}
			hashes[i] = p.Hash()
			if hash := sha(2, p.Salt[:], p.JSON); !bytes.Equal(hashes[i][:], hash) {
				t.Fatalf("hash %d is %x, want %x", i, hashes[i], hash)
			}
		}
		leaf := proof.Hash(sha(0, referenceLeafData(tx.Version, tx.Salt[:], want)))
		if encoder.LeafHash(&tx) != leaf || proof.LeafHash(&tx) != leaf || proof.LeafFromParts(tx.Version, hashes) != leaf {
			t.Fatal("the ways to the leaf differ")
		}
	})
}

// TestLeafCoversEverything: no field can change without changing the leaf.
func TestLeafCoversEverything(t *testing.T) {
	t.Parallel()
	base := func() *proof.Transaction {
		return &proof.Transaction{Version: proof.LeafVersion2, ID: uuid.UUID{1}, RecordedAt: time.Unix(1, 0), EffectiveAt: time.Unix(2, 0),
			Reference: "r", Action: "a",
			Type: "t", Channel: "c",
			HoldID: uuid.UUID{2}, HoldDelta: 3, ReversesID: uuid.UUID{4}, MetadataHash: []byte{5}, Batch: 6, BatchPosition: 7, Balances: []byte{8},
			RequestHash: []byte{9},
			Postings: []proof.Posting{{Source: uuid.UUID{10}, Destination: uuid.UUID{11}, Currency: "KES", Amount: 12, SourceSequence: 13,
				SourceBalance: 14, SourceBook: "s", DestinationBook: "d",
				DestinationSequence: 15, DestinationBalance: 16, ReversesPosition: 17}},
			Hold: &proof.Hold{Account: uuid.UUID{18}, Book: "b", Currency: "KES", Amount: 19, Reason: "x", ExpiresAt: time.Unix(20, 0),
				Lines: []proof.HoldLine{{Destination: uuid.UUID{21}, Amount: 22}}}}
	}
	leaf := proof.LeafHash(base())
	changed := func(name string, tx *proof.Transaction) {
		if proof.LeafHash(tx) == leaf {
			t.Errorf("the leaf does not cover %s", name)
		}
	}
	each(reflect.ValueOf(base()).Elem(), "", func(name string, i []int) {
		tx := base()
		alter(reflect.ValueOf(tx).Elem().FieldByIndex(i))
		changed("Transaction."+name, tx)
	})
	each(reflect.ValueOf(&base().Postings[0]).Elem(), "", func(name string, i []int) {
		tx := base()
		alter(reflect.ValueOf(&tx.Postings[0]).Elem().FieldByIndex(i))
		changed("Posting."+name, tx)
	})
	each(reflect.ValueOf(base().Hold).Elem(), "", func(name string, i []int) {
		tx := base()
		alter(reflect.ValueOf(tx.Hold).Elem().FieldByIndex(i))
		changed("Hold."+name, tx)
	})
	each(reflect.ValueOf(&base().Hold.Lines[0]).Elem(), "", func(name string, i []int) {
		tx := base()
		alter(reflect.ValueOf(&tx.Hold.Lines[0]).Elem().FieldByIndex(i))
		changed("HoldLine."+name, tx)
	})
}

func each(v reflect.Value, _ string, f func(name string, index []int)) {
	for i := range v.NumField() {
		f(v.Type().Field(i).Name, []int{i})
	}
}

// alter makes the smallest change that the type allows.
func alter(v reflect.Value) {
	switch at := v.Addr().Interface().(type) {
	case *time.Time:
		*at = at.Add(time.Microsecond)
	case *string:
		*at += "x"
	case *int:
		*at++
	case *int64:
		*at++
	case *uuid.UUID:
		at[15]++
	case *[16]byte:
		at[15]++
	case *[]byte:
		(*at)[len(*at)-1]++
	case *[]proof.Posting:
		*at = append(*at, (*at)[0])
	case *[]proof.HoldLine:
		*at = nil
	case **proof.Hold:
		*at = nil
	default:
		panic("a field of a type that this test does not know: " + v.Type().String())
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		facts := map[string]string{}
		for range rapid.IntRange(0, 10).Draw(t, "facts") {
			facts[drawText(t)] = drawText(t)
		}
		reference := map[string]any{}
		for k, v := range facts {
			reference[k] = v
		}
		if got, want := string(proof.MetadataJSON(facts)), canonical(reference); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		salt := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))
		if got, want := proof.MetadataHash(salt, facts), sha(4, salt[:], []byte(canonical(reference))); !bytes.Equal(got[:], want) {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}

func TestBalances(t *testing.T) {
	t.Parallel()
	want := []proof.Balance{{Account: uuid.UUID{1}, Balance: -1, Available: 1<<53 - 1, Sequence: 7},
		{Account: uuid.UUID{2}, Balance: 5, Available: -3, Sequence: 1}}
	column := proof.EncodeBalances(want)
	if len(column) != 80 || !bytes.Equal(column[16:40],
		[]byte{255, 255, 255, 255, 255, 255, 255, 255, 0, 31, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 7}) {
		t.Errorf("%x", column)
	}
	if got, err := proof.DecodeBalances(column); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := proof.DecodeBalances(column[:79]); err == nil {
		t.Error("a torn column decodes")
	}
	if got, err := proof.DecodeBalances(nil); err != nil || len(got) != 0 || proof.EncodeBalances(nil) != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func transfer() *proof.Transaction {
	tx := &proof.Transaction{Version: proof.LeafVersion2, ID: uuid.UUID{1, 2, 3}, RecordedAt: time.Unix(1.7e9, 0),
		Reference: "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e:post",
		Action:    "post",
		Type:      "transfer", Channel: "internal", Batch: 1 << 30, BatchPosition: 17, RequestHash: make([]byte, sha256.Size)}
	for i := range 3 {
		tx.Postings = append(tx.Postings,
			proof.Posting{Source: uuid.UUID{1}, Destination: uuid.UUID{byte(2 + i)}, Currency: "KES", Amount: 100000, SourceSequence: 1000,
				SourceBook: "emoney", DestinationBook: "emoney", SourceBalance: 12345678, DestinationSequence: 200, DestinationBalance: 87654321,
				ReversesPosition: -1})
		tx.Balances = proof.AppendBalance(tx.Balances, proof.Balance{Account: uuid.UUID{byte(i)}, Balance: 12345678, Available: 1, Sequence: 9})
	}
	return tx
}

// TestEncoderAllocatesNothing is not parallel: others' allocations would count.
func TestEncoderAllocatesNothing(t *testing.T) { //nolint:paralleltest // see above
	var encoder proof.Encoder
	tx := transfer()
	encoder.LeafHash(tx)
	if n := testing.AllocsPerRun(200, func() { encoder.LeafHash(tx) }); n != 0 {
		t.Errorf("%v allocations per leaf", n)
	}
}

// BenchmarkLeafHash hashes a transfer with fee and duty: three postings.
func BenchmarkLeafHash(b *testing.B) {
	var encoder proof.Encoder
	tx := transfer()
	b.ReportAllocs()
	for b.Loop() {
		encoder.LeafHash(tx)
	}
}

// BenchmarkAppend seals leaves.
func BenchmarkAppend(b *testing.B) {
	tree := proof.NewTree()
	leaf := proof.LeafHash(transfer())
	b.ReportAllocs()
	for b.Loop() {
		tree.Append(leaf, func(uint, uint64, proof.Hash) {})
	}
}
