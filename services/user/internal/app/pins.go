package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/argon2"

	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/fault"
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

const (
	// maxHashWait is how long a PIN waits for its turn to be hashed; a longer queue would only pile up.
	maxHashWait = 3 * time.Second
	// pinTimeout bounds the rest, which a caller who hangs up does not stop: a right PIN must clear its count.
	pinTimeout = 5 * time.Second
)

// pinTry is a PIN to be checked. User is nil for an unknown phone: counting, lock, hashing and the answer are the same as for a customer.
type pinTry struct {
	user       *userdb.User
	phone, pin string
	own        bool // on a device of the customer's
}

// tryPin checks a PIN. The try is counted, and committed, before the PIN is looked at, so racing requests win no extra guess; it is not
// counted while it only waits for its turn. Strangers' tries have a count of their own: they cannot lock a customer out of their own
// device, and the customer's right PINs do not clear what strangers tried. A right PIN clears its count; the answer is errPinWrong,
// domain.ErrPinLocked or nil.
func (a *App) tryPin(ctx context.Context, t pinTry) error {
	u, index, stored := t.user, a.Sealer.Index(indexPhone, t.phone), a.dummyPin
	if u != nil {
		var err error
		index = u.PhoneIndex
		if t.own {
			index = ownTries(u.ID)
		}
		if stored, err = a.open("user.pin", u.ID, u.PinSealed); err != nil {
			return err
		}
	}
	release, err := a.turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pinTimeout)
	defer cancel()
	return a.checkPin(ctx, u != nil, index, stored, t.pin)
}

// ownTries names the count of tries on a customer's own devices; it cannot meet a phone's index, which is longer.
func ownTries(user uuid.UUID) []byte { return user[:] }

func (a *App) checkPin(ctx context.Context, known bool, index []byte, stored, pin string) error {
	if err := a.reserveTry(ctx, index, domain.ErrPinLocked); err != nil {
		return err
	}
	ok, err := verifyPin(stored, pin)
	if err != nil {
		return err
	}
	if !ok || !known {
		a.metrics.pinRefused.WithLabelValues("wrong").Inc()
		return errPinWrong
	}
	if err := a.q.ClearPinTries(ctx, a.Pool, index, a.Now()); err != nil {
		return fmt.Errorf("clear pin tries: %w", err)
	}
	return nil
}

// reserveTry counts a try under an index, or answers locked with the time that is left.
func (a *App) reserveTry(ctx context.Context, index []byte, locked *fault.Error) error {
	_, err := a.q.ReservePinTry(ctx, a.Pool, userdb.ReservePinTryParams{
		PhoneIndex: index, Now: a.Now(), MaxTries: domain.MaxPinTries,
		LockSeconds: int64(domain.PinLock.Seconds()), MaxLockSeconds: int64(domain.MaxPinLock.Seconds()),
	})
	if err == nil {
		return nil
	}
	if !pg.IsNoRows(err) {
		return fmt.Errorf("reserve try: %w", err)
	}
	a.metrics.pinRefused.WithLabelValues("locked").Inc()
	until, err := a.q.PinLockedUntil(ctx, a.Pool, index)
	if err != nil && !pg.IsNoRows(err) {
		return fmt.Errorf("read lock: %w", err)
	}
	if until == nil {
		return locked // lifted since by the right one: the next try will tell
	}
	return locked.WithRetryAfter(until.Sub(a.Now()))
}

// hashPin returns an argon2id string in the PHC format.
func (a *App) hashPin(ctx context.Context, pin string) (string, error) {
	salt := make([]byte, argonSalt)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("random: %w", err)
	}
	release, err := a.turn(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	key := argon(pin, salt)
	encode := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$%s$%s", argon2.Version, argonKiB, argonTime, encode(salt), encode(key)), nil
}

func verifyPin(stored, pin string) (bool, error) {
	prefix := fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=1$", argon2.Version, argonKiB, argonTime)
	rest, ok := strings.CutPrefix(stored, prefix)
	encodedSalt, encodedKey, two := strings.Cut(rest, "$")
	salt, err1 := base64.RawStdEncoding.DecodeString(encodedSalt)
	want, err2 := base64.RawStdEncoding.DecodeString(encodedKey)
	if !ok || !two || err1 != nil || err2 != nil || len(want) != argonKey {
		return false, errors.New("stored pin hash cannot be read")
	}
	return subtle.ConstantTimeCompare(argon(pin, salt), want) == 1, nil
}

func argon(pin string, salt []byte) []byte {
	return argon2.IDKey([]byte(pin), salt, argonTime, argonKiB, 1, argonKey)
}

// turn waits for one of the few places to hash in. Who waits too long is sent away before anything was counted.
func (a *App) turn(ctx context.Context) (release func(), err error) {
	wait, cancel := context.WithTimeout(ctx, maxHashWait)
	defer cancel()
	select {
	case a.hashing <- struct{}{}:
		return func() { <-a.hashing }, nil
	case <-wait.Done():
		return nil, fmt.Errorf("%w: wait for hashing: %w", fault.ErrUnavailable, wait.Err())
	}
}
