package main

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/generated/scopes"
)

// signer makes the tokens that the user service would, with the run's own key: registering and typing PINs a thousand times would measure
// argon2id, which is slow by intention.
type signer struct {
	key *ecdsa.PrivateKey
	kid string
}

func newSigner(set keys.Set) (*signer, error) {
	text, err := set.Read(keys.UserSigning)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("signing key: not PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("signing key: not an elliptic curve key")
	}
	point, err := key.PublicKey.Bytes() // 0x04, X, Y
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	thumbprint := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + encode(point[1:33]) + `","y":"` + encode(point[33:]) + `"}`))
	return &signer{key: key, kid: encode(thumbprint[:])[:16]}, nil
}

func (s *signer) sign(kind string, life time.Duration, c customer, more jwt.MapClaims) (string, error) {
	now := time.Now()
	claims := jwt.MapClaims{"iss": "sendtip", "aud": "sendtip", "sub": c.user.String(), "sid": c.session.String(), "jti": uuid.NewString(),
		"iat": now.Unix(), "exp": now.Add(life).Unix(), "env": "development"}
	for k, v := range more {
		claims[k] = v
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["typ"], token.Header["kid"] = kind, s.kid
	text, err := token.SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text, nil
}

// access is a customer's access token.
func (s *signer) access(c customer) (string, error) {
	return s.sign("at+jwt", 10*time.Minute, c, jwt.MapClaims{"scope": strings.Join(scopes.OfRole(scopes.RoleCustomer), " "),
		"roles": []string{scopes.RoleCustomer}, "tier": 2})
}

// approval is the step-up token for one quote.
func (s *signer) approval(c customer, quote uuid.UUID) (string, error) {
	sum := sha256.Sum256([]byte("quote_id=" + quote.String()))
	return s.sign("step-up+jwt", 5*time.Minute, c, jwt.MapClaims{"op": "createTransfer", "hash": base64.RawURLEncoding.EncodeToString(sum[:])})
}
