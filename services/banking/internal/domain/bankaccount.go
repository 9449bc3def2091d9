package domain

import (
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/stepup"
)

// MaxBankAccounts is how many accounts a customer can have linked.
const MaxBankAccounts = 5

// BankListLife is how long the list of banks counts as fresh.
const BankListLife = 24 * time.Hour

// Bank can be paid to.
type Bank struct{ Code, Name string }

// BankAccount is an account that a customer has linked to withdraw to.
type BankAccount struct {
	ID, UserID         uuid.UUID
	BankCode, BankName string
	Number             string
	Name               string // the owner's
	NameChecked        bool   // the bank told it; else the customer did
	PayableFrom        time.Time
	CreatedAt          time.Time
	Deleted            bool
	Recipient          string // Paystack's code; "" until it knows the account
}

// LastFour is all of an account's number that is shown.
func LastFour(number string) string { return number[max(len(number)-4, 0):] }

// BankAccountApprovalHash is what a step-up token for linking an account carries.
func BankAccountApprovalHash(id uuid.UUID) string { return stepup.Hash("createBankAccount", id) }

// PayableFrom is when a new account can be paid to: at once if the bank says that it is the customer's, else after the cooling period, in
// which a customer whose phone somebody else uses can notice.
func PayableFrom(fits bool, now time.Time) time.Time {
	if fits {
		return now
	}
	return now.Add(CoolingPeriod)
}

// NameFits compares the name that a bank tells with the customer's masked one (names in full, the last one as its initial): each of the
// names is among the bank's, and the initial begins another one of them. Order, case and punctuation do not matter; a customer without a
// last name is not recognized.
func NameFits(bank, masked string) bool {
	theirs := tokens(bank)
	ours := strings.Fields(masked)
	if len(ours) < 2 || !strings.HasSuffix(ours[len(ours)-1], ".") {
		return false
	}
	initial := strings.ToLower(strings.TrimSuffix(ours[len(ours)-1], "."))
	for _, name := range tokens(strings.Join(ours[:len(ours)-1], " ")) {
		i := slices.Index(theirs, name)
		if i < 0 {
			return false
		}
		theirs = slices.Delete(theirs, i, i+1)
	}
	return initial != "" && slices.ContainsFunc(theirs, func(t string) bool { return strings.HasPrefix(t, initial) })
}

// SameName says whether a bank has told the same name twice.
func SameName(a, b string) bool {
	x, y := tokens(a), tokens(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

func tokens(name string) []string {
	return strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && r != '\'' })
}
