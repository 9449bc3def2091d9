package daraja

import (
	"crypto/rsa"
	"crypto/x509"
	_ "embed" // the development key
	"encoding/base64"
	"encoding/pem"
	"errors"
	"sync"
)

// developmentKey opens initiators' passwords, as Safaricom's does. It is the same in every sandbox, so that settings stay right over
// restarts, and secret nowhere: nothing but simulated money depends on it.
//
//go:embed development/key.pem
var developmentKey []byte

// Certificate is the one to encrypt initiators' passwords for.
//
//go:embed development/certificate.pem
var Certificate string

// maxFailures is after how many wrong credentials in a row the credential is locked.
const maxFailures = 5

// Results about the initiator, before anything else is looked at.
const (
	codeWrongInitiator = "2001"
	codeLocked         = "8006"
)

// initiator is the organisation's API user.
type initiator struct {
	name, password string
	key            *rsa.PrivateKey

	mu       sync.Mutex
	failures int
}

func newInitiator(name, password string) (*initiator, error) {
	block, _ := pem.Decode(developmentKey)
	if block == nil {
		return nil, errors.New("the sandbox's key is damaged")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the sandbox's key is damaged")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the sandbox's key is damaged")
	}
	return &initiator{name: name, password: password, key: key}, nil
}

// judge returns the result code of an order with this name and credential, "" if both are right.
func (i *initiator) judge(name, credential string) string {
	i.mu.Lock()
	locked := i.failures >= maxFailures
	i.mu.Unlock()
	if locked {
		return codeLocked
	}
	right := same(name, i.name) && same(i.open(credential), i.password)
	i.mu.Lock()
	defer i.mu.Unlock()
	if right {
		i.failures = 0
		return ""
	}
	i.failures++
	return codeWrongInitiator
}

func (i *initiator) open(credential string) string {
	sealed, err := base64.StdEncoding.DecodeString(credential)
	if err != nil {
		return ""
	}
	password, err := rsa.DecryptPKCS1v15(nil, i.key, sealed) //nolint:staticcheck // the padding is Safaricom's choice
	if err != nil {
		return ""
	}
	return string(password)
}

// UnlockInitiator makes a locked credential usable again.
func (s *Server) UnlockInitiator() {
	s.initiator.mu.Lock()
	defer s.initiator.mu.Unlock()
	s.initiator.failures = 0
}
