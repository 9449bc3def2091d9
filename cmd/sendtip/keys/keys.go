// Package keys makes and reads the secrets of a deployment. `sendtip keys init` writes each of them once, as a file of its own that
// only its owner can read; services get them by file or by environment.
package keys

import (
	"bytes"
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
	"slices"
	"strings"

	"github.com/sendtip/sendtip/openapi"
)

// Services have an identity key, a service key, a key-encryption key, two database passwords and one at the broker each.
var Services = openapi.Names(openapi.Services())

// Names of the files that belong to one service, as <service>.<name>.
const (
	Identity      = "identity"       // HS256, shared by the service and the gateway
	Service       = "service"        // sent to the gateway's internal listener, which knows its hash
	KEK           = "kek"            // seals personal data
	OwnerPassword = "owner-password" // database role that runs migrations
	AppPassword   = "app-password"   // database role that runs the service
	KafkaPassword = "kafka-password" // user of this name at the broker
)

// Tool is the operator's user at the broker, which creates topics and replays dead letters. It is no service.
const Tool = "tool"

// Names of the single files.
const (
	Delegation    = "gateway.delegation"
	UserSigning   = "user.signing.pem"      // ES256: access and step-up tokens
	LedgerSigning = "transactions.sign.pem" // Ed25519: checkpoints of the ledger
	AdminPassword = "postgres.password"     // superuser of the embedded cluster
	KafkaAdmin    = "kafka.password"        // superuser of the embedded broker
	RedisPassword = "redis.password"

	// LedgerSigningPrevious is the key before the last rotation, which signs too as long as its file exists; Init does not make it.
	LedgerSigningPrevious = "transactions.sign.pem.previous"
	// LedgerPublic has the public keys of all earlier signing keys, a line each, for those who hold old receipts.
	LedgerPublic = "transactions.sign.public"
)

// perService are the names of the files that Init makes for each service.
var perService = []string{Identity, Service, KEK, OwnerPassword, AppPassword, KafkaPassword}

// single are the other files that Init makes, each with how.
var single = map[string]func() ([]byte, error){
	Delegation: random, UserSigning: ecKey, LedgerSigning: edKey,
	AdminPassword: randomHex, KafkaAdmin: randomHex, RedisPassword: randomHex, Of(Tool, KafkaPassword): randomHex,
}

// tmpPrefix begins the names of files that are being written.
const tmpPrefix = ".new-"

// Made says whether a file of this name in a folder of keys is one that this package makes.
func Made(name string) bool {
	service, rest, _ := strings.Cut(name, ".")
	_, alone := single[name]
	return alone || name == LedgerSigningPrevious || name == LedgerPublic || strings.HasPrefix(name, tmpPrefix) ||
		slices.Contains(Services, service) && slices.Contains(perService, rest)
}

// Set is a folder of secrets.
type Set struct{ dir string }

// Init makes every secret that is missing in dir and leaves the others alone.
func Init(dir string) (Set, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Set{}, fmt.Errorf("create the keys folder: %w", err)
	}
	for _, s := range Services {
		for _, n := range perService {
			gen := random
			if strings.HasSuffix(n, "password") || n == Service {
				gen = randomHex
			}
			if err := ensure(filepath.Join(dir, s+"."+n), gen); err != nil {
				return Set{}, err
			}
		}
	}
	for name, gen := range single {
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

// Has says whether there is a secret of this name.
func (s Set) Has(name string) bool {
	_, err := os.Stat(filepath.Join(s.dir, name))
	return err == nil
}

// RotateLedger keeps the ledger's signing key as the previous one and makes a new key; it refuses while there is an earlier previous one.
// public are the public keys up to now, which are kept for good. A crash leaves either the old key or both; after it, rotating again is
// safe.
func RotateLedger(dir string, public []string) error {
	if err := replace(filepath.Join(dir, LedgerPublic), []byte(strings.Join(public, "\n"))); err != nil {
		return err
	}
	present, err := os.ReadFile(filepath.Join(dir, LedgerSigning)) // #nosec G304 -- our own folder
	if err != nil {
		return fmt.Errorf("read the signing key: %w", err)
	}
	previous, err := os.ReadFile(filepath.Join(dir, LedgerSigningPrevious)) // #nosec G304 -- our own folder
	if err == nil && !bytes.Equal(bytes.TrimSpace(previous), bytes.TrimSpace(present)) {
		return fmt.Errorf("%s is still there: start the ledger with both keys, then delete that file, then rotate again; a ledger that never "+
			"ran with "+
			"the key between refuses the next one", LedgerSigningPrevious)
	}
	if err := replace(filepath.Join(dir, LedgerSigningPrevious), []byte(strings.TrimSpace(string(present)))); err != nil {
		return err
	}
	fresh, err := edKey()
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	return replace(filepath.Join(dir, LedgerSigning), fresh)
}

// replace writes a file that appears complete, in the place of an older one.
func replace(path string, content []byte) error {
	tmp, err := writeNew(path, content)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(fmt.Errorf("write key: %w", err), os.Remove(tmp))
	}
	return nil
}

// writeNew writes a file of another name in the same folder, and returns that.
func writeNew(path string, content []byte) (string, error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), tmpPrefix+"*") // 0600
	if err != nil {
		return "", fmt.Errorf("write key: %w", err)
	}
	_, err = tmp.Write(append(content, '\n'))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("write key: %w", err), os.Remove(tmp.Name()))
	}
	return tmp.Name(), nil
}

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
	tmp, err := writeNew(path, content)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp) }()
	// A link fails when another process was first; its key stays.
	if err := os.Link(tmp, path); err != nil && !errors.Is(err, fs.ErrExist) {
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
