// Package keys makes and reads the secrets of a deployment. `sendtip keys init` writes each of them once, as a file of its own that
// only its owner can read; services get them by file or by environment.
package keys

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Services have an identity key, a service key, a key-encryption key and two database passwords each.
var Services = []string{"gateway", "user", "wallet", "transactions", "notification"}

// Names of the files that belong to one service, as <service>.<name>.
const (
	Identity      = "identity"       // HS256, shared by the service and the gateway
	Service       = "service"        // sent to the gateway's internal listener, which knows its hash
	KEK           = "kek"            // seals personal data
	OwnerPassword = "owner-password" // database role that runs migrations
	AppPassword   = "app-password"   // database role that runs the service
)

// Names of the single files.
const (
	Delegation    = "gateway.delegation"
	UserSigning   = "user.signing.pem"      // ES256: access and step-up tokens
	LedgerSigning = "transactions.sign.pem" // Ed25519: checkpoints of the ledger
	AdminPassword = "postgres.password"     // superuser of the embedded cluster
)

// Set is a folder of secrets.
type Set struct{ dir string }

// Init makes every secret that is missing in dir and leaves the others alone.
func Init(dir string) (Set, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Set{}, fmt.Errorf("make the folder of keys: %w", err)
	}
	for _, s := range Services {
		for _, n := range []string{Identity, Service, KEK, OwnerPassword, AppPassword} {
			gen := random
			if strings.HasSuffix(n, "password") || n == Service {
				gen = randomHex
			}
			if err := ensure(filepath.Join(dir, s+"."+n), gen); err != nil {
				return Set{}, err
			}
		}
	}
	for name, gen := range map[string]func() ([]byte, error){
		Delegation: random, AdminPassword: randomHex, UserSigning: ecKey, LedgerSigning: edKey,
	} {
		if err := ensure(filepath.Join(dir, name), gen); err != nil {
			return Set{}, err
		}
	}
	return Set{dir: dir}, nil
}

// Read returns the secret of a file.
func (s Set) Read(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, name)) // #nosec G304 -- our own folder
	if err != nil {
		return "", fmt.Errorf("read key: %w (run `sendtip keys init`)", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// File returns the setting that makes a service read the secret from its file.
func (s Set) File(name string) string { return "file:" + filepath.Join(s.dir, name) }

// Beside is the path of a file next to the folder of the keys.
func (s Set) Beside(name string) string { return filepath.Join(filepath.Dir(s.dir), name) }

// Of names a service's file.
func Of(service, name string) string { return service + "." + name }

// Hash returns the hex SHA-256 of a service key, which is all that the gateway knows of it.
func Hash(serviceKey string) string {
	sum := sha256.Sum256([]byte(serviceKey))
	return hex.EncodeToString(sum[:])
}

// ensure writes the file once. It appears under its name only when it is complete: a crash leaves no half key.
func ensure(path string, gen func() ([]byte, error)) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	content, err := gen()
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // 0600
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	if _, err := tmp.Write(append(content, '\n')); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	// A link fails when another process was first; its key stays.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write key: %w", err)
	}
	return nil
}

func random() ([]byte, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(b)), nil
}

func randomHex() ([]byte, error) {
	b := make([]byte, 24)
	if _, err := rand.Read(b); err != nil {
		return nil, err
	}
	return []byte(hex.EncodeToString(b)), nil
}

func ecKey() ([]byte, error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return pkcs8(k)
}

func edKey() ([]byte, error) {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return pkcs8(k)
}

func pkcs8(k any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, err
	}
	return []byte(strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))), nil
}
