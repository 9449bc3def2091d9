package domain

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// letters that Unicode does not decompose into a base letter and a mark.
var letters = strings.NewReplacer("ø", "o", "đ", "d", "ł", "l", "ß", "ss", "æ", "ae", "œ", "oe", "ı", "i")

// nameTokens cuts a name into comparable words: lower case, no diacritics, apostrophes joined (Ng'ang'a is nganga), everything
// else that is no letter separates.
func nameTokens(name string) []string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(name)) {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’', r == '‘', r == '`', r == 'ʼ':
		case unicode.IsLetter(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(letters.Replace(b.String()))
}

// plainName says that a name has letters and what stands between them in documents, and nothing else. Digits, symbols and invisible
// characters do not count when names are compared, so without this rule they would be verified along with the name: a telephone number
// that a sender sees as part of the recipient's name, or a direction mark that turns the text around it.
func plainName(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.Is(unicode.M, r) && !strings.ContainsRune(" '’‘`-.,", r) {
			return false
		}
	}
	return true
}

// nameMatch counts how many of the submitted words stand in the returned name, in any order and each returned word once:
// exactly, or nearly (at most one letter wrong, missing or added, or two neighbours swapped, in words of four letters or more).
func nameMatch(submitted, returned []string) (exact, near int) {
	left := append([]string(nil), returned...)
	var open []string
	for _, word := range submitted {
		if i := indexFunc(left, func(w string) bool { return w == word }); i >= 0 {
			left = append(left[:i], left[i+1:]...)
			exact++
			continue
		}
		open = append(open, word)
	}
	for _, word := range open { // exact words first, so that a near one does not take another's place
		if i := indexFunc(left, func(w string) bool { return nearly(w, word) }); i >= 0 {
			left = append(left[:i], left[i+1:]...)
			near++
		}
	}
	return exact, near
}

func indexFunc(words []string, match func(string) bool) int {
	for i, w := range words {
		if match(w) {
			return i
		}
	}
	return -1
}

// nearly says that two words differ by one edit.
func nearly(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(x) < 4 || len(y)-len(x) > 1 {
		return false
	}
	i := 0
	for i < len(x) && x[i] == y[i] {
		i++
	}
	if len(x) != len(y) {
		return string(x[i:]) == string(y[i+1:])
	}
	if i == len(x) || string(x[i+1:]) == string(y[i+1:]) {
		return true
	}
	return i+1 < len(x) && x[i] == y[i+1] && x[i+1] == y[i] && string(x[i+2:]) == string(y[i+2:])
}
