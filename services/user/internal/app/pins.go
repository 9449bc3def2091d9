package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"

	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Argon2id parameters: OWASP's m = 19 MiB, t = 2, p = 1.
const (
	argonKiB  = 19 * 1024
	argonTime = 2
	argonSalt = 16
	argonKey  = 32
)

// errPinWrong is inside this package only: each use case says it in its own words.
var errPinWrong = errors.New("wrong pin")

// tryPin checks a PIN. The try is counted, and committed, before the PIN is looked at, so racing requests win no extra guess.
// u is nil for an unknown phone: counting, lock, hashing and the answer are the same as for a customer. A right PIN clears the
// count; the answer is errPinWrong, domain.ErrPinLocked or nil.
func (a *App) tryPin(ctx context.Context, u *userdb.User, phone, pin string) error {
	index, stored := a.Sealer.Index(indexPhone, phone), a.dummyPin
	if u != nil {
		var err error
		index = u.PhoneIndex
		if stored, err = a.open("user.pin", u.ID, u.PinSealed); err != nil {
			return err
		}
	}
	_, err := a.q.ReservePinTry(ctx, a.Pool, userdb.ReservePinTryParams{
		PhoneIndex: index, Now: a.now(), MaxTries: domain.MaxPinTries,
		LockSeconds: int64(domain.PinLock.Seconds()), MaxLockSeconds: int64(domain.MaxPinLock.Seconds()),
	})
	if pg.IsNoRows(err) {
		a.metrics.pinRefused.WithLabelValues("locked").Inc()
		return a.pinLocked(ctx, index)
	}
	if err != nil {
		return fmt.Errorf("reserve pin try: %w", err)
	}
	ok, err := a.verifyPin(ctx, stored, pin)
	if err != nil {
		return err
	}
	if !ok || u == nil {
		a.metrics.pinRefused.WithLabelValues("wrong").Inc()
		return errPinWrong
	}
	if err := a.q.ClearPinTries(ctx, a.Pool, index, a.now()); err != nil {
		return fmt.Errorf("clear pin tries: %w", err)
	}
	return nil
}

func (a *App) pinLocked(ctx context.Context, index []byte) error {
	until, err := a.q.PinLockedUntil(ctx, a.Pool, index)
	if err != nil && !pg.IsNoRows(err) {
		return fmt.Errorf("read pin lock: %w", err)
	}
	if until == nil {
		return domain.ErrPinLocked // lifted since by the right PIN: the next try will tell
	}
	return domain.ErrPinLocked.WithRetryAfter(until.Sub(a.now()))
}

// hashPin returns an argon2id string in the PHC format.
func (a *App) hashPin(ctx context.Context, pin string) (string, error) {
	salt := make([]byte, argonSalt)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("random: %w", err)
	}
	key, err := a.argon(ctx, pin, salt)
	if err != nil {
		return "", err
	}
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, argonKiB, argonTime, encode(salt), encode(key)), nil
}

func (a *App) verifyPin(ctx context.Context, stored, pin string) (bool, error) {
	prefix := fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$", argon2.Version, argonKiB, argonTime)
	rest, ok := strings.CutPrefix(stored, prefix)
	encodedSalt, encodedKey, two := strings.Cut(rest, "$")
	salt, err1 := base64.RawStdEncoding.DecodeString(encodedSalt)
	want, err2 := base64.RawStdEncoding.DecodeString(encodedKey)
	if !ok || !two || err1 != nil || err2 != nil || len(want) != argonKey {
		return false, errors.New("stored pin hash cannot be read")
	}
	got, err := a.argon(ctx, pin, salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

func (a *App) argon(ctx context.Context, pin string, salt []byte) ([]byte, error) {
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
		return argon2.IDKey([]byte(pin), salt, argonTime, argonKiB, 1, argonKey), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for hashing: %w", ctx.Err())
	}
}
