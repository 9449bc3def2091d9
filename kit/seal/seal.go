// Package seal protects personal data at rest: AES-256-GCM under a key of its own for every value, blind indexes for
// look-ups by equality, and tokens for webhook paths. All keys descend from one key-encryption key (KEK) per service by
// HKDF-SHA256, so a service keeps one secret and two uses never share a key.
//
// Rotation: New takes the current KEK and the previous ones. Seal, Index, Token and Derive use the current KEK; Open and
// TokenMatches accept all; Indexes gives the index under each, for look-ups while rows are rewritten. A previous KEK is
// dropped after every row was sealed and indexed anew.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// KeySize is the length of a key-encryption key in bytes.
const KeySize = 32

const (
	version    = 1
	keyIDSize  = 4
	saltSize   = 24 // random: 2^96 values pass before two salts are likely to meet
	nonceSize  = 12
	tagSize    = 16
	headerSize = 1 + keyIDSize + saltSize
	tokenSize  = 20 // 160 bits, 32 letters
)

// ErrOpen is returned for every value that cannot be opened: another purpose, another key, changed or cut. It does not
// say which, so that nothing can be learned by trying.
var ErrOpen = errors.New("seal: cannot open")

// tokenEncoding has no letter of which the words are made that Daraja refuses in addresses (mpesa, safaricom, query, sql, exec, exe,
// cmd: each has an e, c or q), so no token contains one by chance.
var tokenEncoding = base32.NewEncoding("abdfghijklmnoprstuvwxyz023456789").WithPadding(base32.NoPadding)

// Sealer holds the keys of one service. It is safe for concurrent use.
type Sealer struct {
	keys []kek // the first is the current one
}

type kek struct {
	id     [keyIDSize]byte
	secret []byte
}

// New returns a Sealer. Every key must be KeySize random bytes; previous keys only open.
func New(current []byte, previous ...[]byte) (*Sealer, error) {
	s := &Sealer{}
	for _, secret := range append([][]byte{current}, previous...) {
		if len(secret) != KeySize {
			return nil, fmt.Errorf("seal: a key must be %d bytes, got %d", KeySize, len(secret))
		}
		k := kek{secret: append([]byte(nil), secret...)}
		copy(k.id[:], k.derive("key id", "", keyIDSize))
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// Seal encrypts plaintext so that only Open with the same purpose can read it. Put the row id into the purpose where
// two rows could be swapped. The result is 45 bytes longer than the plaintext:
// version (1), key id (4), salt (24), ciphertext, tag (16).
func (s *Sealer) Seal(purpose string, plaintext []byte) ([]byte, error) {
	k := s.keys[0]
	out := make([]byte, headerSize, headerSize+len(plaintext)+tagSize)
	out[0] = version
	copy(out[1:], k.id[:])
	salt := out[1+keyIDSize : headerSize]
	if _, err := rand.Read(salt); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	aead, nonce, err := k.cipher(salt)
	if err != nil {
		return nil, err
	}
	return aead.Seal(out, nonce, plaintext, aad(out[:headerSize], purpose)), nil
}

// Open returns the plaintext of a value that Seal made for the same purpose, or ErrOpen.
func (s *Sealer) Open(purpose string, sealed []byte) ([]byte, error) {
	if len(sealed) < headerSize+tagSize || sealed[0] != version {
		return nil, ErrOpen
	}
	header, body := sealed[:headerSize], sealed[headerSize:]
	for _, k := range s.keys {
		if [keyIDSize]byte(header[1:1+keyIDSize]) != k.id {
			continue
		}
		aead, nonce, err := k.cipher(header[1+keyIDSize:])
		if err != nil {
			return nil, err
		}
		if plaintext, err := aead.Open(nil, nonce, body, aad(header, purpose)); err == nil {
			return plaintext, nil
		}
	}
	return nil, ErrOpen
}

// Index returns the blind index of a value: 32 bytes that are equal for equal values and tell nothing else without the
// key. The caller normalizes the value first (E.164, lower case).
func (s *Sealer) Index(purpose, value string) []byte {
	return s.keys[0].index(purpose, value)
}

// Indexes returns the blind index under the current key and each previous one, current first: look up with
// `index = ANY($1)` while a rotation is under way.
func (s *Sealer) Indexes(purpose, value string) [][]byte {
	out := make([][]byte, len(s.keys))
	for i, k := range s.keys {
		out[i] = k.index(purpose, value)
	}
	return out
}

// Token returns 32 lower-case letters and digits that only this service can compute for these parts: the secret in a
// webhook's path. It is recomputed, never stored. An error cannot occur, so there is none.
func (s *Sealer) Token(purpose string, parts ...string) string {
	return s.keys[0].token(purpose, parts)
}

// TokenMatches reports, in constant time per key, whether token was made by Token for these parts under the current key
// or a previous one. The case of letters does not matter: some gateways on the way change it.
func (s *Sealer) TokenMatches(token, purpose string, parts ...string) bool {
	given, matches := []byte(strings.ToLower(token)), false
	for _, k := range s.keys {
		if hmac.Equal(given, []byte(k.token(purpose, parts))) {
			matches = true
		}
	}
	return matches
}

// Derive returns a 32 byte key for another use (an HMAC of idempotency keys, for example), from the current key.
func (s *Sealer) Derive(purpose string) []byte {
	return s.keys[0].derive("derived", purpose, KeySize)
}

// DerivePrevious returns what Derive returned under each previous KEK: values that were made then are compared with these.
func (s *Sealer) DerivePrevious(purpose string) [][]byte {
	var out [][]byte
	for _, k := range s.keys[1:] {
		out = append(out, k.derive("derived", purpose, KeySize))
	}
	return out
}

// CheckValues returns a value of each key, current first, that tells which key it is and nothing about it.
func (s *Sealer) CheckValues() [][]byte {
	out := make([][]byte, len(s.keys))
	for i, k := range s.keys {
		out[i] = k.derive("check value", "", KeySize)
	}
	return out
}

// cipher gives every value its own key, so the limit of 2^32 random nonces per key is never near.
func (k kek) cipher(salt []byte) (cipher.AEAD, []byte, error) {
	material, err := hkdf.Key(sha256.New, k.secret, salt, "sendtip seal v1: value", KeySize+nonceSize)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: %w", err)
	}
	block, err := aes.NewCipher(material[:KeySize])
	if err != nil {
		return nil, nil, fmt.Errorf("seal: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, nil, fmt.Errorf("seal: %w", err)
	}
	return aead, material[KeySize:], nil
}

func (k kek) index(purpose, value string) []byte {
	mac := hmac.New(sha256.New, k.derive("index", purpose, KeySize))
	mac.Write([]byte(value))
	return mac.Sum(nil)
}

func (k kek) token(purpose string, parts []string) string {
	mac := hmac.New(sha256.New, k.derive("token", purpose, KeySize))
	for _, part := range parts {
		// Lengths keep ("ab", "c") and ("a", "bc") apart.
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		mac.Write([]byte(part))
	}
	return strings.ToLower(tokenEncoding.EncodeToString(mac.Sum(nil)[:tokenSize]))
}

// derive cannot fail: HKDF refuses only results longer than 255 hashes.
func (k kek) derive(use, purpose string, size int) []byte {
	key, err := hkdf.Key(sha256.New, k.secret, nil, "sendtip seal v1: "+use+": "+purpose, size)
	if err != nil {
		panic("seal: " + err.Error())
	}
	return key
}

// aad binds the header as well: its length is fixed, so header and purpose cannot run into each other.
func aad(header []byte, purpose string) []byte {
	return append(append([]byte(nil), header...), purpose...)
}
