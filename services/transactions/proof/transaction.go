// Package proof is the provable form of the ledger: the leaf of a transaction, the Merkle tree over all leaves (RFC 6962), signed
// checkpoints of the tree (C2SP tlog-checkpoint), and receipts that are checked with nothing but the ledger's public key. It has no SQL,
// HTTP or clock; docs/ledger.md describes the formats with a worked example, which is testdata/example-2.json.
package proof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

const (
	// HashSize is the length of every hash, in bytes: SHA-256.
	HashSize = 32
	// SaltSize is the length of every salt, in bytes.
	SaltSize = 16
)

// Hash is a leaf hash, the root of a subtree, or the hash of a part.
type Hash = [HashSize]byte

// The versions of a leaf, and of the receipts that show it. The second one has the books of entries and holds; leaves of the first one stay
// as they are for ever.
const (
	LeafVersion1 = 1
	LeafVersion2 = 2
)

// Transaction is everything of a posted transaction that its leaf covers. Zero ids, times and nil slices mean absent.
type Transaction struct {
	Version       int // LeafVersion1 or LeafVersion2
	ID            uuid.UUID
	RecordedAt    time.Time // to the microsecond; finer digits are dropped
	EffectiveAt   time.Time // zero: when it was recorded
	Reference     string
	Action        string
	Type          string
	Channel       string
	HoldID        uuid.UUID // equal to ID if the transaction opened the hold
	HoldDelta     int64     // minor units; negative for captures and releases
	ReversesID    uuid.UUID
	MetadataHash  []byte // MetadataHash of the facts; nil: none
	Salt          [SaltSize]byte
	Batch         int64
	BatchPosition int
	Balances      []byte // AppendBalance of each touched account
	RequestHash   []byte
	Postings      []Posting
	Hold          *Hold // what it opened
}

// Accounts returns the accounts of the transaction's entries and of the hold that it opened, some of them several times.
func (t *Transaction) Accounts() []uuid.UUID {
	ids := make([]uuid.UUID, 0, 2*len(t.Postings)+1)
	for i := range t.Postings {
		ids = append(ids, t.Postings[i].Source, t.Postings[i].Destination)
	}
	if t.Hold != nil {
		ids = append(ids, t.Hold.Account)
	}
	return ids
}

// SetBooks says the books of all entries and of the hold, by their accounts.
func (t *Transaction) SetBooks(books map[uuid.UUID]string) {
	for i := range t.Postings {
		p := &t.Postings[i]
		p.SourceBook, p.DestinationBook = books[p.Source], books[p.Destination]
	}
	if t.Hold != nil {
		t.Hold.Book = books[t.Hold.Account]
	}
}

// Posting is an amount from a source account (debited) to a destination account (credited), in minor units, with the running numbers of
// both accounts after it. Its position is its place in Transaction.Postings.
type Posting struct {
	Source              uuid.UUID
	Destination         uuid.UUID
	Currency            string
	Amount              int64
	SourceBook          string // not in leaves of the first version
	SourceSequence      int64
	SourceBalance       int64
	DestinationBook     string // not in leaves of the first version
	DestinationSequence int64
	DestinationBalance  int64
	ReversesPosition    int // which posting of the original it turns back; -1: none
}

// Hold is what never changes of a hold. Amount is in minor units.
type Hold struct {
	Account   uuid.UUID  `json:"account"`
	Book      string     `json:"book"` // of the account; not in leaves of the first version
	Currency  string     `json:"currency"`
	Amount    int64      `json:"amount"`
	Reason    string     `json:"reason"`
	ExpiresAt time.Time  `json:"expires_at"` // zero: never
	Lines     []HoldLine `json:"lines"`
}

// HoldLine is an intended destination of a hold.
type HoldLine struct {
	Destination uuid.UUID `json:"destination"`
	Amount      int64     `json:"amount"`
}

// Balance is an account right after a transaction, in minor units on its normal side.
type Balance struct {
	Account   uuid.UUID
	Balance   int64
	Available int64
	Sequence  int64
}

// BalanceSize is what AppendBalance adds, in bytes.
const BalanceSize = 16 + 3*8

// AppendBalance appends the 40 bytes of one account: id, then balance, available and sequence as big-endian 64-bit integers.
func AppendBalance(to []byte, b Balance) []byte {
	to = append(to, b.Account[:]...)
	to = binary.BigEndian.AppendUint64(to, uint64(b.Balance))
	to = binary.BigEndian.AppendUint64(to, uint64(b.Available))
	return binary.BigEndian.AppendUint64(to, uint64(b.Sequence))
}

// EncodeBalances returns the balances column of a transaction; nil for none.
func EncodeBalances(balances []Balance) []byte {
	var to []byte
	for _, b := range balances {
		to = AppendBalance(to, b)
	}
	return to
}

// DecodeBalances reads the balances column of a transaction.
func DecodeBalances(from []byte) ([]Balance, error) {
	if len(from)%BalanceSize != 0 {
		return nil, fmt.Errorf("%d bytes are no list of balances", len(from))
	}
	balances := make([]Balance, 0, len(from)/BalanceSize)
	for ; len(from) > 0; from = from[BalanceSize:] {
		balances = append(balances, Balance{
			Account:   uuid.UUID(from[:16]),
			Balance:   int64(binary.BigEndian.Uint64(from[16:])),
			Available: int64(binary.BigEndian.Uint64(from[24:])),
			Sequence:  int64(binary.BigEndian.Uint64(from[32:])),
		})
	}
	return balances, nil
}

// What can be wrong with a receipt, a checkpoint or a proof. Errors of this package wrap one of them and say where.
var (
	ErrMalformed   = errors.New("malformed")
	ErrSignature   = errors.New("the signature does not hold")
	ErrInclusion   = errors.New("the tree that was signed does not include the transaction")
	ErrConsistency = errors.New("the later tree does not contain the earlier one")
	ErrPart        = errors.New("a disclosed part is not what stands at its place in a leaf")
	ErrMetadata    = errors.New("the metadata is not what the transaction's leaf covers")
)
