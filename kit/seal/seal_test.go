package seal_test

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/kit/seal"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, seal.KeySize) }

func sealer(t testing.TB, current []byte, previous ...[]byte) *seal.Sealer {
	t.Helper()
	s, err := seal.New(current, previous...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSeal(t testing.TB, s *seal.Sealer, purpose, plaintext string) []byte {
	t.Helper()
	sealed, err := s.Seal(purpose, []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func TestNewRefusesShortKeys(t *testing.T) {
	t.Parallel()
	if _, err := seal.New(make([]byte, 31)); err == nil {
		t.Fatal("31 bytes accepted")
	}
	if _, err := seal.New(key(1), nil); err == nil {
		t.Fatal("empty previous key accepted")
	}
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	s := sealer(t, key(1))
	for _, plaintext := range []string{"", "a", strings.Repeat("long ", 1000)} {
		sealed := mustSeal(t, s, "users.phone:1", plaintext)
		if len(sealed) != len(plaintext)+45 {
			t.Fatalf("length %d for %d", len(sealed), len(plaintext))
		}
		got, err := s.Open("users.phone:1", sealed)
		if err != nil || string(got) != plaintext {
			t.Fatalf("got %q %v", got, err)
		}
	}
	if bytes.Equal(mustSeal(t, s, "p", "same"), mustSeal(t, s, "p", "same")) {
		t.Fatal("equal values sealed equally")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := sealer(t, key(1))
	sealed := mustSeal(t, s, "users.phone:1", "secret")
	if _, err := s.Open("users.phone:2", sealed); !errors.Is(err, seal.ErrOpen) {
		t.Fatalf("another row: %v", err)
	}
	if _, err := sealer(t, key(2)).Open("users.phone:1", sealed); !errors.Is(err, seal.ErrOpen) {
		t.Fatalf("another key: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := s.Open("users.phone:1", changed); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, err := s.Open("users.phone:1", sealed[:i]); !errors.Is(err, seal.ErrOpen) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before := sealer(t, key(1))
	sealed, token := mustSeal(t, before, "p", "secret"), before.Token("stk", "row")
	index := before.Index("phone", "+254700000001")

	during := sealer(t, key(2), key(1))
	if got, err := during.Open("p", sealed); err != nil || string(got) != "secret" {
		t.Fatalf("old value: %q %v", got, err)
	}
	if !during.TokenMatches(token, "stk", "row") || !during.TokenMatches(during.Token("stk", "row"), "stk", "row") {
		t.Fatal("a token of either key must match")
	}
	indexes := during.Indexes("phone", "+254700000001")
	if len(indexes) != 2 || !bytes.Equal(indexes[1], index) || !bytes.Equal(indexes[0], during.Index("phone", "+254700000001")) {
		t.Fatal("indexes: current first, then previous")
	}
	after := sealer(t, key(2))
	if _, err := after.Open("p", mustSeal(t, during, "p", "secret")); err != nil {
		t.Fatalf("new values must not need the old key: %v", err)
	}
	if after.TokenMatches(token, "stk", "row") {
		t.Fatal("a dropped key still counts")
	}
}

func TestUsesAreSeparate(t *testing.T) {
	t.Parallel()
	s := sealer(t, key(1))
	seen := map[string]string{}
	for name, value := range map[string][]byte{
		"index a x":    s.Index("a", "x"),
		"index a y":    s.Index("a", "y"),
		"index b x":    s.Index("b", "x"),
		"derive a":     s.Derive("a"),
		"derive b":     s.Derive("b"),
		"token a x":    []byte(s.Token("a", "x")),
		"token a xy,z": []byte(s.Token("a", "xy", "z")),
		"token a x,yz": []byte(s.Token("a", "x", "yz")),
		"token a":      []byte(s.Token("a")),
		"token a ''":   []byte(s.Token("a", "")),
	} {
		if other, ok := seen[string(value)]; ok {
			t.Fatalf("%s equals %s", name, other)
		}
		seen[string(value)] = name
	}
	if !bytes.Equal(s.Index("a", "x"), sealer(t, key(1)).Index("a", "x")) {
		t.Fatal("an index must be the same for the same key")
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	s := sealer(t, key(1))
	token := s.Token("stk", "row")
	if !regexp.MustCompile(`^[abdf-pr-z02-9]{32}$`).MatchString(token) { // no e, c, q: Daraja refuses words made of them
		t.Fatalf("shape: %q", token)
	}
	if !s.TokenMatches(strings.ToUpper(token), "stk", "row") {
		t.Fatal("case must not matter")
	}
	for name, matches := range map[string]bool{
		"other row":     s.TokenMatches(token, "stk", "row2"),
		"other purpose": s.TokenMatches(token, "c2b", "row"),
		"empty":         s.TokenMatches("", "stk", "row"),
		"cut":           s.TokenMatches(token[:31], "stk", "row"),
	} {
		if matches {
			t.Errorf("%s matches", name)
		}
	}
}
