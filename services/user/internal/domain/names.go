package domain

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// letters that Unicode does not decompose into a base letter and a mark.
var letters = strings.NewReplacer("ø", "o", "đ", "d", "ł", "l", "ß", "ss", "æ", "ae", "œ", "oe", "ı", "i")

// apostrophes are what keyboards and registers write for one: each is folded into the first.
const apostrophes = "'’‘‛`´′‵ʼʻʽʾʿˈʹ＇ꞌ՚ߴߵ"

// foldApostrophes is the one place where they are told from other characters. It comes before Unicode's decompositions, which make a
// blank and an accent of ´.
func foldApostrophes(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(apostrophes, r) {
			return '\''
		}
		return r
	}, name)
}

// nameTokens cuts a name into comparable words: lower case, no diacritics, apostrophes joined (Ng'ang'a is nganga), everything
// else that is no letter separates.
func nameTokens(name string) []string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(foldApostrophes(name))) {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'':
		case unicode.IsLetter(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Fields(letters.Replace(b.String()))
}

// plainName says that a name, its apostrophes folded, has letters and what stands between them in documents, and nothing else. Digits,
// symbols and invisible characters do not count when names are compared, so without this rule they would be verified along with the name:
// a telephone number that a sender sees as part of the recipient's name, or a direction mark that turns the text around it.
func plainName(name string) bool {
	marks := maxMarks                         // as long as there is no letter
	for _, r := range norm.NFC.String(name) { // what can be written as one letter is one
		switch {
		case unicode.Is(unicode.M, r):
			// More marks than a script stacks on a letter, one that is not seen, and one without a letter are ornament, and count as nothing
			// when names are compared.
			if marks++; marks > maxMarks || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r) {
				return false
			}
		case unicode.IsLetter(r):
			marks = 0
		case strings.ContainsRune(" '-.,", r):
			marks = maxMarks
		default:
			return false
		}
	}
	return true
}

// maxMarks is how many marks may stand on one letter, besides those that are written with it as one.
const maxMarks = 2

// nameMatch counts how many of the submitted words stand in the returned name, in any order and each returned word once:
// exactly, or nearly (at most one letter wrong, missing or added, or two neighbours swapped, in words of four letters or more; or the same
// letters in another order).
// Registers join and cut names as they like, so neighbours may stand for one word on either side: Abdi Rahman is ABDIRAHMAN.
func nameMatch(submitted, returned []string) (exact, near int) {
	if strings.Join(submitted, "") == strings.Join(returned, "") {
		return len(submitted), 0
	}
	left, right := slices.Clone(submitted), slices.Clone(returned)
	match := func(same func(a, b string) bool) (words int) {
		left, right, words = pair(left, right, same)
		before := len(left)
		right, left, _ = pair(right, left, same)
		return words + before - len(left)
	}
	exact = match(func(a, b string) bool { return a == b }) // first, so that a near one does not take another's place
	return exact, match(func(a, b string) bool { return nearly(a, b) || sameLetters(a, b) })
}

// maxJoined is how many neighbours are taken for one word.
const maxJoined = 4

// pair takes away what belongs together: a word of runs, or some neighbours of it joined, and a word of words. It returns what is left of
// both, and how many words of runs went.
func pair(runs, words []string, same func(a, b string) bool) (restRuns, restWords []string, taken int) {
	for size := 1; size <= maxJoined; size++ {
		for i := 0; i+size <= len(runs); {
			run := strings.Join(runs[i:i+size], "")
			j := slices.IndexFunc(words, func(w string) bool { return same(run, w) })
			if j < 0 {
				i++
				continue
			}
			runs, words = slices.Delete(runs, i, i+size), slices.Delete(words, j, j+1)
			taken += size
		}
	}
	return runs, words, taken
}

// sameLetters says that two words, or names written together, have the same letters in any order.
func sameLetters(a, b string) bool {
	x, y := []rune(a), []rune(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
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
