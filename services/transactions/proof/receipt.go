package proof

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The formats of receipts, each for leaves of its version: the first value of a receipt.
const (
	receiptFormat1 = "sendtip-receipt/1"
	receiptFormat2 = "sendtip-receipt/2"
)

// Receipt is what somebody needs to check, offline, that a transaction is in the ledger: the parts of its leaf, some of them hidden, and
// the way from the leaf to a signed checkpoint.
type Receipt struct {
	Version    int // of the leaf
	Index      uint64
	Parts      []ReceiptPart
	Proof      []Hash
	Checkpoint string // a note
	Metadata   *ReceiptMetadata
}

// ReceiptPart is a disclosed part, or only the hash of a hidden one.
type ReceiptPart struct {
	Disclosed *Part
	Hash      Hash // of a hidden part
}

// ReceiptMetadata is the metadata of the transaction in canonical JSON, and its salt.
type ReceiptMetadata struct {
	JSON []byte
	Salt [SaltSize]byte
}

// Side says whether an account was debited (the source of a posting) or credited (the destination).
type Side string

// The sides.
const (
	Debit  Side = "debit"
	Credit Side = "credit"
)

// Header is part 0 of a leaf. Zero ids and times are absent.
type Header struct {
	ID            uuid.UUID `json:"id"`
	RecordedAt    time.Time `json:"recorded_at"`
	EffectiveAt   time.Time `json:"effective_at"`
	Reference     string    `json:"reference"`
	Action        string    `json:"action"`
	Type          string    `json:"type"`
	Channel       string    `json:"channel"`
	ReversesID    uuid.UUID `json:"reverses_id"`
	MetadataHash  Hex       `json:"metadata_hash"`
	Batch         int64     `json:"batch"`
	BatchPosition int       `json:"batch_position"`
	Postings      int       `json:"postings"` // how many the transaction has, disclosed or not
}

// Entry is one side of a posting, amounts in minor units.
type Entry struct {
	Account          uuid.UUID `json:"account"`
	Amount           int64     `json:"amount"`
	Balance          int64     `json:"balance"` // of the account, after the posting
	Book             string    `json:"book"`    // of the account; not in leaves of the first version
	Currency         string    `json:"currency"`
	Position         int       `json:"position"`          // of the posting
	ReversesPosition int       `json:"reverses_position"` // -1: none
	Sequence         int64     `json:"sequence"`          // of the account
	Side             Side      `json:"side"`
}

// FullReceipt shows all parts. Proof and checkpoint belong to the leaf at index.
func FullReceipt(t *Transaction, index uint64, proof []Hash, checkpoint string) Receipt {
	return receipt(t, index, proof, checkpoint, func(int) bool { return true })
}

// AccountReceipt shows the header, the account's own entries, and the hold that was opened on the account, but nothing else: of other
// accounts neither balances nor sequences.
func AccountReceipt(t *Transaction, account uuid.UUID, index uint64, proof []Hash, checkpoint string) Receipt {
	last := partCount(len(t.Postings), t.Hold != nil) - 1
	return receipt(t, index, proof, checkpoint, func(part int) bool {
		switch {
		case part == 0:
			return true
		case part <= 2*len(t.Postings):
			return entryOf(t, part).Account == account
		}
		return part < last && t.Hold.Account == account
	})
}

func receipt(t *Transaction, index uint64, proof []Hash, checkpoint string, shown func(part int) bool) Receipt {
	parts := Parts(t)
	r := Receipt{Version: t.Version, Index: index, Parts: make([]ReceiptPart, len(parts)), Proof: proof, Checkpoint: checkpoint}
	for i := range parts {
		if shown(i) {
			r.Parts[i].Disclosed = &parts[i]
		} else {
			r.Parts[i].Hash = parts[i].Hash()
		}
	}
	return r
}

// Format is the name of the receipt's format.
func (r Receipt) Format() string {
	if r.Version == LeafVersion1 {
		return receiptFormat1
	}
	return receiptFormat2
}

// WithMetadata adds the facts of the transaction and their salt.
func (r Receipt) WithMetadata(salt [SaltSize]byte, facts map[string]string) Receipt {
	r.Metadata = &ReceiptMetadata{JSON: MetadataJSON(facts), Salt: salt}
	return r
}

// The shape of a receipt file.
type (
	receiptJSON struct {
		Format     string        `json:"format"`
		Index      uint64        `json:"index"`
		Parts      []partJSON    `json:"parts"`
		Proof      []string      `json:"proof"`
		Checkpoint string        `json:"checkpoint"`
		Metadata   *metadataJSON `json:"metadata,omitempty"`
	}
	partJSON struct {
		JSON string `json:"json,omitempty"`
		Salt string `json:"salt,omitempty"`
		Hash string `json:"hash,omitempty"`
	}
	metadataJSON struct {
		JSON string `json:"json"`
		Salt string `json:"salt"`
	}
)

// Marshal returns the receipt as a file of one line.
func (r Receipt) Marshal() []byte {
	out := receiptJSON{Format: r.Format(), Index: r.Index, Parts: make([]partJSON, len(r.Parts)), Proof: make([]string, len(r.Proof)),
		Checkpoint: r.Checkpoint}
	encode := base64.StdEncoding.EncodeToString
	for i, p := range r.Parts {
		if p.Disclosed != nil {
			out.Parts[i] = partJSON{JSON: string(p.Disclosed.JSON), Salt: encode(p.Disclosed.Salt[:])}
		} else {
			out.Parts[i] = partJSON{Hash: encode(p.Hash[:])}
		}
	}
	for i, h := range r.Proof {
		out.Proof[i] = encode(h[:])
	}
	if r.Metadata != nil {
		out.Metadata = &metadataJSON{JSON: string(r.Metadata.JSON), Salt: encode(r.Metadata.Salt[:])}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		panic(fmt.Sprintf("a receipt cannot be encoded: %v", err)) // strings and integers only
	}
	return b.Bytes()
}
