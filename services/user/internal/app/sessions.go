package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Tokens are what a signed-in phone holds.
type Tokens struct {
	Access         string
	AccessExpires  time.Time
	Refresh        string
	RefreshExpires time.Time
	SessionID      uuid.UUID
}

// StartLoginChallenge sends a code for signing in on a device, if the phone is a customer's; nobody can tell from the answer.
func (a *App) StartLoginChallenge(ctx context.Context, phone, device string) (Challenge, error) {
	who, err := a.asker(ctx, phone, device)
	if err != nil {
		return Challenge{}, err
	}
	in := challengeInput{who: who, purpose: domain.OtpLogin, language: domain.DefaultLanguage}
	if u := who.user; u != nil && !who.inReview {
		in.user, in.language, in.country, in.send = u, u.Language, u.Country, true
	}
	return a.challenge(ctx, in)
}

// SessionInput is what somebody shows to sign in; challenge and code on a new device only.
type SessionInput struct {
	Phone, Pin, Device string
	ChallengeID        *uuid.UUID
	Otp                string
	Totp               string // of staff
}

// CreateSession signs in. On a device that is not bound to the customer the code that was sent for this customer and this device comes
// before the PIN: a stranger can neither try PINs nor lock them, and learns the same about every phone.
func (a *App) CreateSession(ctx context.Context, in SessionInput) (Tokens, error) {
	who, err := a.signer(ctx, in.Phone, in.Device)
	if err != nil {
		return Tokens{}, err
	}
	if err := a.admitSignIn(ctx, who); err != nil {
		return Tokens{}, err
	}
	u := who.user
	if !who.bound {
		if err := a.tryDeviceOtp(ctx, u, in); err != nil {
			return Tokens{}, err
		}
	}
	if err := a.tryPin(ctx, pinTry{user: u, phone: in.Phone, pin: in.Pin, own: who.bound}); errors.Is(err, errPinWrong) {
		return Tokens{}, domain.ErrCredentialsInvalid
	} else if err != nil {
		return Tokens{}, err
	}
	shown, err := a.secondFactor(ctx, u, in.Totp)
	if err != nil {
		return Tokens{}, err
	}
	var t Tokens
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		locked, err := a.q.LockUser(ctx, tx, u.ID) // a suspension at the same moment comes before or after, never between
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		if !bytes.Equal(locked.PinSealed, u.PinSealed) || locked.Role != u.Role {
			return domain.ErrCredentialsInvalid // the PIN was reset after it was compared, or the role asks for something else now
		}
		if locked.Status != domain.StatusActive {
			return domain.ErrUserSuspended
		}
		if !who.bound {
			if err := a.bindDevice(ctx, tx, locked, in); err != nil {
				return err
			}
		}
		if shown.name != "" {
			if err := a.spendTotp(ctx, tx, shown.factor, shown.step); err != nil {
				return err
			}
		}
		t, err = a.openSession(ctx, tx, locked, in.Device, shown.name)
		return err
	})
	return t, err
}

func (a *App) tryDeviceOtp(ctx context.Context, u *userdb.User, in SessionInput) error {
	if in.ChallengeID == nil || in.Otp == "" {
		return domain.ErrDeviceUnknown
	}
	c, err := a.tryOtp(ctx, *in.ChallengeID, domain.OtpLogin, in.Otp)
	if err != nil {
		return err
	}
	if u == nil || c.UserID == nil || *c.UserID != u.ID || !a.sameDevice(c.DeviceIndex, in.Device) {
		return domain.ErrOtpInvalid
	}
	return nil
}

func (a *App) sameDevice(index []byte, device string) bool {
	return slices.ContainsFunc(a.Sealer.Indexes(indexDevice, device), func(i []byte) bool { return string(i) == string(index) })
}

func (a *App) bindDevice(ctx context.Context, tx pgx.Tx, u userdb.User, in SessionInput) error {
	if err := a.reachable(ctx, tx, u, in.Phone); err != nil {
		return err
	}
	if err := a.spendOtp(ctx, tx, *in.ChallengeID); err != nil {
		return err
	}
	now := a.Now()
	if _, err := a.q.BindDevice(ctx, tx, u.ID, a.Sealer.Index(indexDevice, in.Device), now); err != nil {
		return fmt.Errorf("bind device: %w", err)
	}
	return audit.Record(ctx, tx, now, audit.Entry{Action: "device.bound", ObjectType: "user", ObjectID: u.ID.String(),
		Detail: map[string]string{"challenge": in.ChallengeID.String()}})
}

// openSession starts a family of refresh tokens. factor is what the session was opened with beside the PIN.
func (a *App) openSession(ctx context.Context, tx pgx.Tx, u userdb.User, device, factor string) (Tokens, error) {
	now := a.Now()
	id, err := newID()
	if err != nil {
		return Tokens{}, err
	}
	row := userdb.InsertSessionParams{ID: id, UserID: u.ID, DeviceIndex: a.Sealer.Index(indexDevice, device), CreatedAt: now,
		ExpiresAt: now.Add(domain.SessionLife), Factor: factor}
	if isStaff(u.Role) {
		idle := now.Add(domain.StaffIdle)
		row.ExpiresAt, row.IdleUntil = now.Add(domain.StaffSessionLife), &idle
	}
	if err := a.q.InsertSession(ctx, tx, row); err != nil {
		return Tokens{}, fmt.Errorf("insert session: %w", err)
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return Tokens{}, fmt.Errorf("random: %w", err)
	}
	refresh := refreshText(random)
	if err := a.q.InsertRefreshToken(ctx, tx, refreshHash(refresh), id, now); err != nil {
		return Tokens{}, fmt.Errorf("insert refresh token: %w", err)
	}
	if err := audit.Record(ctx, tx, now, audit.Entry{Action: "session.created", ObjectType: "session", ObjectID: id.String(),
		Detail: map[string]string{"user_id": u.ID.String()}}); err != nil {
		return Tokens{}, err
	}
	return a.tokens(u, opened{id: id, factor: factor, expires: row.ExpiresAt}, refresh, now)
}

// opened is what tokens need to know of their session.
type opened struct {
	id      uuid.UUID
	factor  string
	expires time.Time
}

func (a *App) tokens(u userdb.User, s opened, refresh string, now time.Time) (Tokens, error) {
	access, expires, err := a.accessToken(u, s, now)
	return Tokens{Access: access, AccessExpires: expires, Refresh: refresh, RefreshExpires: s.expires.UTC(), SessionID: s.id}, err
}

func refreshText(b []byte) string { return "rt_" + base64.RawURLEncoding.EncodeToString(b) }

func refreshHash(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// DeleteSession signs the caller out. A session that has ended already is fine.
func (a *App) DeleteSession(ctx context.Context) error {
	if err := auth.Require(ctx, scopes.Profile); err != nil {
		return err
	}
	user, err := auth.UserFrom(ctx)
	if err != nil {
		return err
	}
	session, err := uuid.Parse(auth.From(ctx).SessionID)
	if err != nil {
		return fault.ErrForbidden
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		return a.revokeSession(ctx, tx, session, user, "signed_out")
	})
}

// revokeSession kills the refresh tokens, and by the revocation, which gateways poll, the access tokens.
func (a *App) revokeSession(ctx context.Context, tx pgx.Tx, session, user uuid.UUID, reason string) error {
	now := a.Now()
	n, err := a.q.RevokeSession(ctx, tx, userdb.RevokeSessionParams{ID: session, UserID: user, Now: now, Reason: reason})
	if err != nil || n == 0 {
		return err
	}
	if err := a.q.InsertRevocations(ctx, tx, []uuid.UUID{session}, a.ahead()); err != nil {
		return fmt.Errorf("insert revocation: %w", err)
	}
	return audit.Record(ctx, tx, now, audit.Entry{Action: "session.revoked", ObjectType: "session", ObjectID: session.String(),
		Detail: map[string]string{"reason": reason}})
}
