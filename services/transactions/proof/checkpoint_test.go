package proof_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

const origin = "sendtip.test/ledger"

// newKey makes a key the way `sendtip keys init` writes it.
func newKey(t testing.TB, name string) proof.Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := proof.ParseKey(name, pkcs8(t, private))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs8(t testing.TB, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))))
}

func verifiers(t testing.TB, keys ...proof.Key) note.Verifiers {
	t.Helper()
	var public []string
	for _, k := range keys {
		public = append(public, k.VerifierKey)
	}
	v, err := proof.Verifiers(public...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sign(t testing.TB, c proof.Checkpoint, keys ...proof.Key) string {
	t.Helper()
	var signers []note.Signer
	for _, k := range keys {
		signers = append(signers, k.Signer)
	}
	signed, err := c.Sign(signers...)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	previous, current, stranger := newKey(t, origin), newKey(t, origin), newKey(t, origin)
	want := proof.Checkpoint{Origin: origin, Size: 5, Root: leafNumber(1)}
	signed := sign(t, want, current, previous)
	if !strings.HasPrefix(signed, origin+"\n5\n") || strings.Count(signed, "\n— "+origin+" ") != 2 {
		t.Errorf("%s", signed)
	}
	for _, known := range [][]proof.Key{{previous}, {current}, {previous, current}, {stranger, current}} {
		got, key, err := proof.OpenCheckpoint([]byte(signed), verifiers(t, known...))
		if err != nil || got != want {
			t.Errorf("%+v, %v", got, err)
		}
		if k := known[len(known)-1].VerifierKey; len(known) == 1 && !strings.HasPrefix(k, key+"+") {
			t.Errorf("signed by %s, not %s", k, key)
		}
	}
	refused := func(what, signed string, known note.Verifiers, want error) {
		t.Helper()
		if _, _, err := proof.OpenCheckpoint([]byte(signed), known); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
	known := verifiers(t, current, previous)
	refused("an unknown key", signed, verifiers(t, stranger), proof.ErrSignature)
	refused("no key", signed, nil, proof.ErrSignature)
	refused("another size", strings.Replace(signed, "\n5\n", "\n6\n", 1), known, proof.ErrSignature)
	refused("nothing", "", known, proof.ErrMalformed)
	refused("no signature", string(want.Marshal()), known, proof.ErrMalformed)
	refused("too much", signed+strings.Repeat("— x eHh4eHh4\n", 2000), known, proof.ErrMalformed)
	// The last character of 68 bytes in base64 has two bits that say nothing.
	at := strings.LastIndex(signed, "=") - 1
	spelled := []byte(signed)
	spelled[at] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[strings.IndexByte(
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", spelled[at])^1]
	refused("the same signature, spelled otherwise", string(spelled), known, proof.ErrMalformed)

	// A key of another ledger that the verifier also knows says nothing about this one.
	other := newKey(t, "sendtip.test/other")
	forged, err := note.Sign(&note.Note{Text: string(want.Marshal())}, other.Signer)
	if err != nil {
		t.Fatal(err)
	}
	refused("a key of another ledger", string(forged), verifiers(t, other, current), proof.ErrSignature)
	if _, err := want.Sign(other.Signer); err == nil {
		t.Error("a key of another ledger signs")
	}
	if _, err := want.Sign(); err == nil {
		t.Error("nobody signs")
	}
}

func TestParseCheckpoint(t *testing.T) {
	t.Parallel()
	good := string(proof.Checkpoint{Origin: origin, Size: 12, Root: leafNumber(1)}.Marshal())
	if c, err := proof.ParseCheckpoint([]byte(good)); err != nil || c.Size != 12 || c.Root != leafNumber(1) || c.Origin != origin {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "\n", good + "more\n", good[:len(good)-1], "\n" + strings.SplitN(good, "\n", 2)[1],
		strings.Replace(good, "12", "012", 1),
		strings.Replace(good, "12", "-1", 1), strings.Replace(good, "12", "+12", 1), strings.Replace(good, "12", "9223372036854775808", 1),
		strings.Replace(good, "=\n", "\n", 1), origin + "\n1\nAAAA\n"} {
		if _, err := proof.ParseCheckpoint([]byte(bad)); !errors.Is(err, proof.ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "two words", "a+b", "line\nbreak", "\xff"} {
		if _, err := proof.ParseKey(name, pkcs8(t, private)); err == nil {
			t.Errorf("%q names a key", name)
		}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, []byte("x"), pkcs8(t, ec), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})} {
		if _, err := proof.ParseKey(origin, bad); err == nil {
			t.Errorf("a key is made of %d bytes that are none", len(bad))
		}
	}
	for _, bad := range [][]string{nil, {"x"}, {origin + "+00000000+AAAA"}} {
		if _, err := proof.Verifiers(bad...); err == nil {
			t.Errorf("%q are public keys", bad)
		}
	}
}
