package proof_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// What follows is docs/ledger.md a second time, as plainly as it can be said, to hold the package against.

func canonical(v map[string]any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // sorts the keys
		panic(err)
	}
	// encoding/json escapes these two, which canonical JSON does not.
	return strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(b.String(), "\n"))
}

func moment(t time.Time) string {
	t = t.UTC().Truncate(time.Microsecond)
	return t.Format("2006-01-02T15:04:05") + "." + t.Format(".000000")[1:] + "Z"
}

func referenceParts(t *proof.Transaction) []string {
	header := map[string]any{"action": t.Action, "batch": t.Batch, "batch_position": t.BatchPosition, "channel": t.Channel,
		"id":       t.ID.String(),
		"postings": len(t.Postings), "recorded_at": moment(t.RecordedAt), "reference": t.Reference, "type": t.Type}
	if !t.EffectiveAt.IsZero() {
		header["effective_at"] = moment(t.EffectiveAt)
	}
	if t.ReversesID != uuid.Nil {
		header["reverses_id"] = t.ReversesID.String()
	}
	if t.MetadataHash != nil {
		header["metadata_hash"] = hex.EncodeToString(t.MetadataHash)
	}
	parts := []string{canonical(header)}
	for i, p := range t.Postings {
		debit := map[string]any{"account": p.Source.String(), "amount": p.Amount, "balance": p.SourceBalance, "currency": p.Currency,
			"position": i,
			"sequence": p.SourceSequence, "side": "debit"}
		credit := map[string]any{"account": p.Destination.String(), "amount": p.Amount, "balance": p.DestinationBalance, "currency": p.Currency,
			"position": i, "sequence": p.DestinationSequence, "side": "credit"}
		if p.ReversesPosition >= 0 {
			debit["reverses_position"], credit["reverses_position"] = p.ReversesPosition, p.ReversesPosition
		}
		if t.Version == 2 {
			debit["book"], credit["book"] = p.SourceBook, p.DestinationBook
		}
		parts = append(parts, canonical(debit), canonical(credit))
	}
	if h := t.Hold; h != nil {
		hold := map[string]any{"account": h.Account.String(), "amount": h.Amount, "currency": h.Currency, "reason": h.Reason}
		if !h.ExpiresAt.IsZero() {
			hold["expires_at"] = moment(h.ExpiresAt)
		}
		if t.Version == 2 {
			hold["book"] = h.Book
		}
		var lines []map[string]any
		for _, l := range h.Lines {
			lines = append(lines, map[string]any{"amount": l.Amount, "destination": l.Destination.String()})
		}
		if lines != nil {
			hold["lines"] = lines
		}
		parts = append(parts, canonical(hold))
	}
	outcome := map[string]any{"request_hash": hex.EncodeToString(t.RequestHash)}
	if len(t.Balances) > 0 {
		outcome["balances"] = hex.EncodeToString(t.Balances)
	}
	if t.HoldID != uuid.Nil {
		outcome["hold_id"], outcome["hold_delta"] = t.HoldID.String(), t.HoldDelta
	}
	return append(parts, canonical(outcome))
}

func referenceSalt(salt []byte, part int) []byte {
	return sha(3, salt, binary.BigEndian.AppendUint32(nil, uint32(part)))[:16]
}

func referenceLeafData(version int, salt []byte, parts []string) []byte {
	data := fmt.Appendf(nil, "sendtip-leaf/%d\n", version)
	for i, p := range parts {
		data = append(data, sha(2, referenceSalt(salt, i), []byte(p))...)
	}
	return data
}

func sha(prefix byte, pieces ...[]byte) []byte {
	sum := sha256.Sum256(append([]byte{prefix}, bytes.Join(pieces, nil)...))
	return sum[:]
}

// referenceRoot is the definition in RFC 6962 section 2.1.
func referenceRoot(leafHashes [][]byte) []byte {
	switch len(leafHashes) {
	case 0:
		sum := sha256.Sum256(nil)
		return sum[:]
	case 1:
		return leafHashes[0]
	}
	k := 1
	for 2*k < len(leafHashes) {
		k *= 2
	}
	return sha(1, referenceRoot(leafHashes[:k]), referenceRoot(leafHashes[k:]))
}

// referencePath is PATH(m, D[n]) of RFC 6962 section 2.1.1.
func referencePath(m int, leafHashes [][]byte) [][]byte {
	if len(leafHashes) <= 1 {
		return nil
	}
	k := 1
	for 2*k < len(leafHashes) {
		k *= 2
	}
	if m < k {
		return append(referencePath(m, leafHashes[:k]), referenceRoot(leafHashes[k:]))
	}
	return append(referencePath(m-k, leafHashes[k:]), referenceRoot(leafHashes[:k]))
}
