// Package keys owns partners' API keys: their form, and the set of live keys that every gateway holds in memory.
package keys

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/gateway/internal/auth"
	"github.com/sendtip/sendtip/kit/fault"
)

// Refusals of a key.
var (
	ErrKey     = fault.New(fault.Unauthenticated, "invalid_api_key", "The API key is not valid.")
	ErrExpired = fault.New(fault.Unauthenticated, "api_key_expired", "The API key has expired.")
)

const (
	brand      = "stk"
	idSize     = 26 // base32 of 16 bytes
	secretSize = 52 // base32 of 32 bytes
	sumSize    = 7  // base32 of 4 bytes
)

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// New makes a key: stk_<env>_<id>_<256 random bits>_<checksum>. The checksum lets a mistyped or invented key be refused without a look-up.
func New(env string, id uuid.UUID) string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	body := brand + "_" + env + "_" + encoding.EncodeToString(id[:]) + "_" + encoding.EncodeToString(secret)
	return body + "_" + checksum(body)
}

func checksum(body string) string {
	return encoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

// Parse returns the id of a well-formed key of this environment.
func Parse(env, key string) (uuid.UUID, error) {
	parts := strings.Split(key, "_")
	if len(key) > 160 || len(parts) != 5 || parts[0] != brand || len(parts[2]) != idSize || len(parts[3]) != secretSize ||
		len(parts[4]) != sumSize {
		return uuid.Nil, ErrKey
	}
	if checksum(key[:len(key)-sumSize-1]) != parts[4] {
		return uuid.Nil, ErrKey
	}
	if parts[1] != env {
		return uuid.Nil, auth.ErrWrongEnvironment
	}
	raw, err := encoding.DecodeString(parts[2])
	if err != nil {
		return uuid.Nil, ErrKey
	}
	id, err := uuid.FromBytes(raw)
	if err != nil {
		return uuid.Nil, ErrKey
	}
	return id, nil
}

// Hash is what is stored of a key: its 256 random bits need no slow hash.
func Hash(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}

// Hint is the part of the key that lists show, so that people recognise it.
func Hint(key string) string {
	parts := strings.Split(key, "_")
	return strings.Join(parts[:min(3, len(parts))], "_")
}
