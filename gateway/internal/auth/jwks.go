package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/sendtip/sendtip/kit/fault"
)

const (
	// minRefresh is how often strangers' key ids may make the gateway ask for keys: this is the negative cache.
	minRefresh = time.Second
	// maxKeyAge bounds how long a withdrawn key is still trusted.
	maxKeyAge = 5 * time.Minute
	maxKeys   = 16
)

var kidPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Keys holds the public keys of the user service. It keeps serving known keys while user is down.
type Keys struct {
	fetch func(ctx context.Context) ([]byte, error)
	now   func() time.Time
	log   *slog.Logger
	group singleflight.Group

	mu      sync.RWMutex
	keys    map[string]*ecdsa.PublicKey
	asked   time.Time // last try
	loaded  time.Time // last success
	lastErr error
}

// NewKeys makes an empty set; fetch reads the JWKS document.
func NewKeys(fetch func(ctx context.Context) ([]byte, error), now func() time.Time, log *slog.Logger) *Keys {
	return &Keys{fetch: fetch, now: now, log: log, keys: map[string]*ecdsa.PublicKey{}}
}

// ErrKeysNotLoaded says that no token can be checked yet.
var ErrKeysNotLoaded = errors.New("the token keys were never read")

// Ready answers nil once the keys were read: a gateway that started before user would refuse every token with 503 until it asks again.
func (k *Keys) Ready(context.Context) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.loaded.IsZero() {
		return ErrKeysNotLoaded
	}
	return nil
}

// Get returns the key with this id. A strange id asks the user service once for all waiting requests: while user does not answer,
// the refusal is 503, because the token may well be good.
func (k *Keys) Get(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	if !kidPattern.MatchString(kid) {
		return nil, ErrToken
	}
	key, fresh, err := k.look(kid)
	if key != nil {
		if !fresh {
			go func() { _ = k.refresh(context.WithoutCancel(ctx)) }() // a withdrawn key must not live for ever; its failure is logged
		}
		return key, nil
	}
	if !fresh {
		err = k.refresh(ctx)
		key, _, _ = k.look(kid)
	}
	if key != nil {
		return key, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fault.ErrUnavailable, err)
	}
	return nil, ErrToken
}

// look returns the key, whether asking again is not due yet, and how the last try ended.
func (k *Keys) look(kid string) (*ecdsa.PublicKey, bool, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	now, key := k.now(), k.keys[kid]
	if key != nil {
		return key, now.Sub(k.loaded) < maxKeyAge || now.Sub(k.asked) < minRefresh, nil
	}
	return nil, !k.asked.IsZero() && now.Sub(k.asked) < minRefresh, k.lastErr
}

// Refresh reads the keys now.
func (k *Keys) Refresh(ctx context.Context) error { return k.refresh(ctx) }

func (k *Keys) refresh(ctx context.Context) error {
	_, err, _ := k.group.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // one caller's hang-up is not the others'
		defer cancel()
		data, err := k.fetch(ctx)
		var keys map[string]*ecdsa.PublicKey
		if err == nil {
			keys, err = parseKeys(data)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.asked, k.lastErr = k.now(), err
		if err != nil {
			k.log.WarnContext(ctx, "token keys could not be read; known keys stay in use", "err", err)
			return nil, err
		}
		k.keys, k.loaded = keys, k.asked
		return nil, nil
	})
	return err
}

// parseKeys takes P-256 signing keys with an id, and nothing else.
func parseKeys(data []byte) (map[string]*ecdsa.PublicKey, error) {
	var set struct {
		Keys []struct{ Kty, Crv, Alg, Use, Kid, X, Y string } `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, errors.New("the key set is not JSON")
	}
	keys := map[string]*ecdsa.PublicKey{}
	for _, j := range set.Keys {
		if j.Kty != "EC" || j.Crv != "P-256" || j.Alg != "ES256" || j.Use != "sig" || !kidPattern.MatchString(j.Kid) || len(keys) == maxKeys {
			continue
		}
		key, err := point(j.X, j.Y)
		if err != nil {
			return nil, err
		}
		keys[j.Kid] = key
	}
	if len(keys) == 0 {
		return nil, errors.New("the key set has no ES256 key")
	}
	return keys, nil
}

func point(x64, y64 string) (*ecdsa.PublicKey, error) {
	x, errX := base64.RawURLEncoding.DecodeString(x64)
	y, errY := base64.RawURLEncoding.DecodeString(y64)
	if errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("a key of the set has a malformed point")
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y)) // refuses a point off the curve
	if err != nil {
		return nil, errors.New("a key of the set is not on the curve")
	}
	return key, nil
}
