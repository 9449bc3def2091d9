package proof

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
)

// Key signs checkpoints of one ledger.
type Key struct {
	Signer      note.Signer
	VerifierKey string // public, for those who check: name+hash+base64, as the note package writes it
}

// ParseKey makes the key of the ledger named origin from an Ed25519 private key in PEM (PKCS #8). A name has neither white space nor "+".
func ParseKey(origin string, pemBytes []byte) (Key, error) {
	block, _ := pem.Decode(pemBytes)
	if block == nil {
		return Key{}, errors.New("the key is not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, errors.New("the key is not in PKCS #8") // the cause could quote the key
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return Key{}, errors.New("the key is not for Ed25519")
	}
	return NewKey(origin, private)
}

// ValidOrigin says whether a text can name a ledger and its keys (sumdb/note: no blanks, no plus).
func ValidOrigin(text string) bool {
	_, err := NewKey(text, ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	return err == nil
}

// NewKey makes the key of the ledger named origin.
func NewKey(origin string, private ed25519.PrivateKey) (Key, error) {
	public, ok := private.Public().(ed25519.PublicKey)
	if !ok {
		return Key{}, errors.New("the key is not for Ed25519")
	}
	verifierKey, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return Key{}, fmt.Errorf("make the public key: %w", err)
	}
	verifier, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Key{}, fmt.Errorf("%q cannot name a key: %w", origin, err)
	}
	const algorithm = 1 // Ed25519, in the note format
	seed := append([]byte{algorithm}, private.Seed()...)
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, verifier.KeyHash(), base64.StdEncoding.EncodeToString(seed)))
	if err != nil {
		return Key{}, errors.New("the key and its name do not make a signer") // the cause could quote the key
	}
	return Key{Signer: signer, VerifierKey: verifierKey}, nil
}

// Verifiers returns the verifiers of public keys, as Key.VerifierKey writes them.
func Verifiers(keys ...string) (note.Verifiers, error) {
	if len(keys) == 0 {
		return nil, errors.New("there is no public key")
	}
	list := make([]note.Verifier, len(keys))
	for i, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, fmt.Errorf("%q is no public key of a ledger (name+hash+base64): %w", k, err)
		}
		list[i] = v
	}
	return note.VerifierList(list...), nil
}
