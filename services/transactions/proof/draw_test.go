package proof_test

import (
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

func drawID(t *rapid.T) uuid.UUID {
	id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	id[6] |= 0x40 // never the zero id, which means absent
	return id
}

func drawTime(t *rapid.T) time.Time {
	zone := time.FixedZone("EAT", 3*3600)
	return time.Unix(rapid.Int64Range(1, 4e9).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanoseconds")).In(zone)
}

// drawText has what JSON escapes, and characters that must not be escaped.
func drawText(t *rapid.T) string {
	return rapid.StringOfN(rapid.SampledFrom([]rune("az09:._-\"\\/<>&é漢😀\u2028")), 0, 12, -1).Draw(t, "text")
}

func drawBook(t *rapid.T) string {
	return rapid.SampledFrom([]string{"emoney", "lending", "savings", "a book of tomorrow"}).Draw(t, "book")
}

// drawTransaction makes any shape that a leaf may have. Balances and sequences are so large that they stand out.
func drawTransaction(t *rapid.T) proof.Transaction {
	drawn := int64(0)
	number := rapid.Custom(func(t *rapid.T) int64 {
		drawn++ // no two are equal
		return rapid.Int64Range(1e11, 1<<43).Draw(t, "number")*1000 + drawn%1000
	})
	tx := proof.Transaction{Version: rapid.IntRange(1, 2).Draw(t, "version"), ID: drawID(t), RecordedAt: drawTime(t), Reference: drawText(t),
		Action: drawText(t), Type: drawText(t),
		Channel: drawText(t),
		Batch:   rapid.Int64Range(1, 1<<40).Draw(t, "batch"), BatchPosition: rapid.IntRange(0, 255).Draw(t, "place"),
		RequestHash: rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "request"),
		Salt:        [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))}
	if rapid.Bool().Draw(t, "effective") {
		tx.EffectiveAt = drawTime(t)
	}
	if rapid.Bool().Draw(t, "metadata") {
		tx.MetadataHash = rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "metadata hash")
	}
	if rapid.Bool().Draw(t, "reverses") {
		tx.ReversesID = drawID(t)
	}
	accounts := rapid.SliceOfNDistinct(rapid.Custom(drawID), 3, 3, rapid.ID[uuid.UUID]).Draw(t, "accounts")
	for range rapid.IntRange(0, 6).Draw(t, "postings") {
		pair := rapid.Permutation(accounts).Draw(t, "pair")
		tx.Postings = append(tx.Postings,
			proof.Posting{Source: pair[0], Destination: pair[1], SourceBook: drawBook(t), DestinationBook: drawBook(t), Currency: drawText(t),
				Amount:         rapid.Int64Range(1, 1e6).Draw(t, "amount"),
				SourceSequence: number.Draw(t, "s"), SourceBalance: -number.Draw(t, "b"), DestinationSequence: number.Draw(t, "s"),
				DestinationBalance: number.Draw(t, "b"),
				ReversesPosition:   rapid.IntRange(-1, 3).Draw(t, "reverses position")})
	}
	switch rapid.IntRange(0, 2).Draw(t, "hold") {
	case 0:
		tx.HoldID, tx.HoldDelta = tx.ID, 5
		tx.Hold = &proof.Hold{Account: accounts[0], Book: drawBook(t), Currency: drawText(t), Amount: 5, Reason: drawText(t)}
		if rapid.Bool().Draw(t, "expires") {
			tx.Hold.ExpiresAt = drawTime(t)
		}
		for range rapid.IntRange(0, 3).Draw(t, "lines") {
			tx.Hold.Lines = append(tx.Hold.Lines, proof.HoldLine{Destination: drawID(t), Amount: number.Draw(t, "line")})
		}
	case 1:
		tx.HoldID, tx.HoldDelta = uuid.NewSHA1(tx.ID, nil), -7
	}
	for range rapid.IntRange(0, 3).Draw(t, "balances") {
		tx.Balances = proof.AppendBalance(tx.Balances,
			proof.Balance{Account: drawID(t), Balance: -number.Draw(t, "b"), Available: 2, Sequence: 3})
	}
	return tx
}
