package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
)

// Verified is what a receipt proves: that the ledger had exactly this when it signed the checkpoint.
type Verified struct {
	Version    int // of the leaf
	Header     Header
	Entries    []Entry           // disclosed ones
	Hold       *Hold             // that it opened, if disclosed
	Balances   []Balance         // of all touched accounts, in a full receipt
	Outcome    *Outcome          // in a full receipt
	Metadata   map[string]string // if disclosed
	Index      uint64            // of the leaf
	LeafHash   Hash
	Checkpoint Checkpoint
	Key        string // that signed the checkpoint, as name+hash
	Hidden     int    // parts that are not disclosed
}

// Verify checks a receipt file with nothing but the ledger's public keys. Errors wrap ErrMalformed, ErrSignature, ErrInclusion, ErrPart or
// ErrMetadata. What it returns with an error proves nothing.
func Verify(data []byte, known note.Verifiers) (Verified, error) {
	r, err := ParseReceipt(data)
	if err != nil {
		return Verified{}, err
	}
	return r.Verify(known)
}

// Verify is the function Verify for a parsed receipt.
func (r Receipt) Verify(known note.Verifiers) (Verified, error) {
	v := Verified{Version: r.Version, Index: r.Index}
	var err error
	if v.Checkpoint, v.Key, err = OpenCheckpoint([]byte(r.Checkpoint), known); err != nil {
		return v, err
	}
	hashes := make([]Hash, len(r.Parts))
	for i, p := range r.Parts {
		if p.Disclosed != nil {
			hashes[i] = p.Disclosed.Hash()
		} else {
			hashes[i] = p.Hash
			v.Hidden++
		}
	}
	v.LeafHash = LeafFromParts(r.Version, hashes)
	if r.Index >= v.Checkpoint.Size {
		return v, fmt.Errorf("%w: its index is %d, the checkpoint covers %d", ErrInclusion, r.Index, v.Checkpoint.Size)
	}
	if err := VerifyInclusion(v.LeafHash, r.Index, v.Checkpoint.Size, r.Proof, v.Checkpoint.Root); err != nil {
		return v, err
	}
	if err := v.read(r.Parts); err != nil {
		return v, err
	}
	return v, v.readMetadata(r.Metadata)
}

// read decodes the disclosed parts. Their place says what they are.
func (v *Verified) read(parts []ReceiptPart) error {
	if len(parts) == 0 || parts[0].Disclosed == nil {
		return fmt.Errorf("%w: the header is hidden", ErrPart)
	}
	if err := decodePart(parts[0].Disclosed.JSON, &v.Header, v.Header.append); err != nil {
		return fmt.Errorf("%w: part 0, header: %w", ErrPart, err)
	}
	h := &v.Header
	if h.Postings < 0 || h.Postings > maxParts || len(parts) != partCount(h.Postings, false) && len(parts) != partCount(h.Postings, true) {
		return fmt.Errorf("%w: the header does not fit the number of parts, %d", ErrPart, len(parts))
	}
	for i, p := range parts[1:] {
		if p.Disclosed == nil {
			continue
		}
		if err := v.readPart(i+1, len(parts), p.Disclosed.JSON); err != nil {
			return fmt.Errorf("%w: part %d, %w", ErrPart, i+1, err)
		}
	}
	return nil
}

func (v *Verified) readPart(i, parts int, canonical []byte) error {
	switch {
	case i <= 2*v.Header.Postings:
		e := Entry{ReversesPosition: -1}
		if err := decodePart(canonical, &e, e.append); err != nil {
			return fmt.Errorf("entry: %w", err)
		}
		side := Debit
		if i%2 == 0 {
			side = Credit
		}
		if e.Position != (i-1)/2 || e.Side != side {
			return errors.New("entry: it is of another place")
		}
		if err := v.checkBook(e.Book); err != nil {
			return fmt.Errorf("entry: %w", err)
		}
		v.Entries = append(v.Entries, e)
	case i < parts-1:
		v.Hold = &Hold{}
		if err := decodePart(canonical, v.Hold, v.Hold.append); err != nil {
			return fmt.Errorf("hold: %w", err)
		}
		if err := v.checkBook(v.Hold.Book); err != nil {
			return fmt.Errorf("hold: %w", err)
		}
	default:
		var o Outcome
		err := decodePart(canonical, &o, o.append)
		if err == nil {
			v.Balances, err = DecodeBalances(o.Balances)
		}
		if err != nil {
			return fmt.Errorf("outcome: %w", err)
		}
		v.Outcome = &o
	}
	return nil
}

// checkBook: leaves have books from the second version on, and always.
func (v *Verified) checkBook(book string) error {
	if (book != "") != (v.Version != LeafVersion1) {
		return fmt.Errorf("a book does not belong to leaves of version %d, or is missing", v.Version)
	}
	return nil
}

func (v *Verified) readMetadata(m *ReceiptMetadata) error {
	if m == nil {
		return nil
	}
	if hash := metadataHash(m.Salt, m.JSON); !bytes.Equal(hash[:], v.Header.MetadataHash) {
		return ErrMetadata
	}
	var err error
	v.Metadata, err = parseMetadata(m.JSON)
	return err
}

// Outcome is the last part of a leaf. Customers' receipts hide it: hold and balances may be those of somebody else.
type Outcome struct {
	Balances    Hex       `json:"balances"` // EncodeBalances
	HoldDelta   int64     `json:"hold_delta"`
	HoldID      uuid.UUID `json:"hold_id"` // zero: absent
	RequestHash Hex       `json:"request_hash"`
}

// decodePart reads canonical JSON: whatever is not written back byte for byte, by encode, is not canonical.
func decodePart(canonical []byte, into any, encode func([]byte) []byte) error {
	if err := json.Unmarshal(canonical, into); err != nil {
		return errors.New("it is not of its kind")
	}
	if !bytes.Equal(encode(nil), canonical) {
		return errors.New("its JSON is not canonical")
	}
	return nil
}
