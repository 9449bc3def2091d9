package daraja

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails since Go 1.24
	return hex.EncodeToString(b)
}

// newRequestID has the newer shape, for example 1c5b-4ba8-815c-ac45c57a3db01469899.
func newRequestID() string {
	h := randomHex(16)
	return h[:4] + "-" + h[4:8] + "-" + h[8:12] + "-" + h[12:]
}

// checkoutID is ws_CO_, the time in Nairobi, a counter, and the last nine digits of the number.
func checkoutID(at time.Time, counter int, msisdn string) string {
	return fmt.Sprintf("ws_CO_%s%03d%s", at.In(eat).Format("02012006150405"), counter%1000, msisdn[len(msisdn)-9:])
}

// receiptMaker makes receipts of ten characters: year, month and day letters and seven more. The tail walks through
// all values in a scattered order from a random start, so no receipt repeats within a run.
type receiptMaker struct{ next uint64 }

const (
	alphabet    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	tailValues  = 36 * 36 * 36 * 36 * 36 * 36 * 36
	tailStride  = 30_517_578_125 // 5^15: no common factor with 36, so every value is met once
	receiptTail = 7
)

func newReceiptMaker() receiptMaker {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return receiptMaker{next: binary.BigEndian.Uint64(b[:]) % tailValues}
}

func (m *receiptMaker) make(at time.Time) string {
	at = at.In(eat)
	out := make([]byte, 0, 3+receiptTail)
	out = append(out, alphabet[10+(at.Year()-2018+12)%26], alphabet[9+int(at.Month())], alphabet[at.Day()])
	m.next = (m.next + tailStride) % tailValues
	for n, i := m.next, 0; i < receiptTail; i++ {
		out = append(out, alphabet[n%36])
		n /= 36
	}
	return string(out)
}
