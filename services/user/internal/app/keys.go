package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
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

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Issuer and audience of the tokens that people hold.
const (
	tokenIssuer   = "sendtip"
	tokenAudience = "sendtip"
)

// Jwk is a public key in the form of RFC 7517.
type Jwk struct{ Kid, X, Y string }

// Keys signs tokens with the first key and shows the public halves of all: during a rotation the second one is the key that is
// leaving, or the one that is coming and has to be known everywhere before it signs.
type Keys struct {
	sign *ecdsa.PrivateKey
	kid  string
	set  []Jwk
}

// NewKeys reads ES256 keys in PEM (SEC 1 or PKCS #8), the signing one first. Empty ones are skipped.
func NewKeys(pems ...string) (*Keys, error) {
	k := &Keys{}
	for _, text := range pems {
		if text == "" {
			continue
		}
		key, err := parseKey(text)
		if err != nil {
			return nil, err
		}
		jwk, err := publicJwk(&key.PublicKey)
		if err != nil {
			return nil, err
		}
		if k.sign == nil {
			k.sign, k.kid = key, jwk.Kid
		}
		k.set = append(k.set, jwk)
	}
	if k.sign == nil {
		return nil, errors.New("no signing key: `sendtip keys init` makes one")
	}
	return k, nil
}

// Kids are the names of all keys, the signing one first. Each is a hash of its public key.
func (k *Keys) Kids() []string {
	var kids []string
	for _, jwk := range k.set {
		kids = append(kids, jwk.Kid)
	}
	return kids
}

func parseKey(text string) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("signing key: not PEM")
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return checkCurve(key)
	}
	any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("signing key: neither SEC 1 nor PKCS #8")
	}
	key, ok := any.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("signing key: not an elliptic curve key")
	}
	return checkCurve(key)
}

func checkCurve(key *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	if key.Curve != elliptic.P256() {
		return nil, errors.New("signing key: not on P-256")
	}
	return key, nil
}

func publicJwk(key *ecdsa.PublicKey) (Jwk, error) {
	point, err := key.Bytes() // 0x04, X, Y
	if err != nil {
		return Jwk{}, fmt.Errorf("signing key: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	x, y := encode(point[1:33]), encode(point[33:])
	// RFC 7638: the members in lexical order, without spaces.
	thumbprint := sha256.Sum256([]byte(`{"crv":"P-256","kty":"EC","x":"` + x + `","y":"` + y + `"}`))
	return Jwk{Kid: encode(thumbprint[:])[:16], X: x, Y: y}, nil
}

// Public returns the key set.
func (k *Keys) Public() []Jwk { return k.set }

type accessClaims struct {
	jwt.RegisteredClaims
	SessionID string   `json:"sid"`
	Scope     string   `json:"scope"`
	Roles     []string `json:"roles"`
	Tier      int32    `json:"tier"`
	Env       string   `json:"env"`
}

type stepUpClaims struct {
	jwt.RegisteredClaims
	SessionID string `json:"sid"`
	Operation string `json:"op"`
	Hash      string `json:"hash"`
	Env       string `json:"env"`
}

func (a *App) registered(subject uuid.UUID, now, expires time.Time) (jwt.RegisteredClaims, error) {
	id, err := newID()
	return jwt.RegisteredClaims{
		Issuer: tokenIssuer, Audience: jwt.ClaimStrings{tokenAudience}, Subject: subject.String(), ID: id.String(),
		IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
	}, err
}

// accessToken never outlives its session.
func (a *App) accessToken(u userdb.User, s opened, now time.Time) (string, time.Time, error) {
	expires := now.Add(domain.AccessLife)
	if s.expires.Before(expires) {
		expires = s.expires
	}
	expires = expires.Truncate(time.Second)
	claims, err := a.registered(u.ID, now, expires)
	if err != nil {
		return "", expires, err
	}
	role := rights(u.Role, s.factor)
	scope := strings.Join(scopes.OfRole(role), " ")
	token, err := a.Keys.signed("at+jwt", accessClaims{claims, s.id.String(), scope, []string{role}, u.Tier, a.Common.Env})
	return token, expires, err
}

func (k *Keys) signed(kind string, claims jwt.Claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["typ"], token.Header["kid"] = kind, k.kid
	text, err := token.SignedString(k.sign)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text, nil
}
