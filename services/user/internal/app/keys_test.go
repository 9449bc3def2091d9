package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"testing"

	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/testworld"
)

// publicKey finds a key by its id and rebuilds it from the JSON form.
func publicKey(t testing.TB, set []app.Jwk, kid any) *ecdsa.PublicKey {
	t.Helper()
	for _, k := range set {
		if k.Kid != kid {
			continue
		}
		x, err1 := base64.RawURLEncoding.DecodeString(k.X)
		y, err2 := base64.RawURLEncoding.DecodeString(k.Y)
		if err1 != nil || err2 != nil || len(x) != 32 || len(y) != 32 {
			t.Fatal("coordinates")
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	t.Fatalf("kid %v is not in the key set", kid)
	return nil
}

func TestKeys(t *testing.T) {
	t.Parallel()
	current, previous := testworld.KeyPEM(t), testworld.KeyPEM(t)
	both, err := app.NewKeys(current, previous)
	if err != nil {
		t.Fatal(err)
	}
	alone, err := app.NewKeys(current, "")
	if err != nil {
		t.Fatal(err)
	}
	if set := both.Public(); len(set) != 2 || set[0] != alone.Public()[0] || set[0].Kid == set[1].Kid || len(set[0].Kid) != 16 {
		t.Errorf("key sets %+v, %+v", both.Public(), alone.Public())
	}
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, _ := rsa.GenerateKey(rand.Reader, 2048)
	for name, c := range map[string]struct {
		key any
		ok  bool
	}{"PKCS #8": {p256, true}, "P-384": {p384, false}, "RSA": {rsaKey, false}} {
		der, err := x509.MarshalPKCS8PrivateKey(c.key)
		if err != nil {
			t.Fatal(err)
		}
		_, err = app.NewKeys(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "no pem", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"} {
		if _, err := app.NewKeys(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}
