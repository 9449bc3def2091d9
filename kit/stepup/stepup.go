// Package stepup says what an approval by PIN is for. user signs it into the token, and the owner of the operation compares it.
package stepup

import (
	"crypto/sha256"
	"encoding/base64"

	"github.com/google/uuid"
)

// Hash is what the token for an operation on an object carries: base64url of SHA-256 over the operation and the object's id.
func Hash(operation string, id uuid.UUID) string { return hash(operation + "\nid=" + id.String()) }

// OfQuote is what the token for a transfer carries, which is approved by its quote's id alone.
func OfQuote(id uuid.UUID) string { return hash("quote_id=" + id.String()) }

func hash(canonical string) string {
	sum := sha256.Sum256([]byte(canonical))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
