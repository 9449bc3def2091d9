package app

import (
	"context"
	"crypto/hmac"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// StartPinReset sends a code if the phone is a customer's and the device one of theirs; nobody can tell from the answer. Operators
// have no reset by phone: who steals one must not become an operator.
func (a *App) StartPinReset(ctx context.Context, phone, device string) (Challenge, error) {
	who, err := a.asker(ctx, phone, device)
	if err != nil {
		return Challenge{}, err
	}
	in := challengeInput{who: who, purpose: domain.OtpPinReset, language: domain.DefaultLanguage}
	if u := who.user; who.bound && !who.inReview && u.Role == scopes.RoleCustomer {
		in.user, in.language, in.country, in.send = u, u.Language, u.Country, true
	}
	return a.challenge(ctx, in)
}

// PinResetInput is the proofs and the new PIN; the document's number only of verified customers.
type PinResetInput struct {
	ID                         uuid.UUID
	Otp, Pin, Device, IDNumber string
}

// CompletePinReset sets a new PIN, lifts the lock and ends all sessions. A SIM swap has no device of the customer, and a stolen
// phone does not know the document's number. Each wrong proof costs one of the code's tries.
func (a *App) CompletePinReset(ctx context.Context, in PinResetInput) error {
	if err := domain.CheckPin(in.Pin); err != nil {
		return err // before the code: choosing a better PIN costs no try
	}
	c, err := a.tryOtp(ctx, in.ID, domain.OtpPinReset, in.Otp)
	if err != nil {
		return err
	}
	if c.UserID == nil || !a.sameDevice(c.DeviceIndex, in.Device) {
		return domain.ErrOtpInvalid
	}
	if err := a.proveIdentity(ctx, *c.UserID, in.IDNumber); err != nil {
		return err
	}
	hash, err := a.hashPin(ctx, in.Pin)
	if err != nil {
		return err
	}
	sealed, err := a.seal("user.pin", *c.UserID, hash)
	if err != nil {
		return err
	}
	phone, err := a.open("otp.phone", c.ID, c.PhoneSealed)
	if err != nil {
		return err
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		u, err := a.q.LockUser(ctx, tx, *c.UserID)
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		if u.Status != domain.StatusActive {
			return domain.ErrUserSuspended
		}
		if isStaff(u.Role) {
			return domain.ErrOtpInvalid // joined the staff since
		}
		if err := a.reachable(ctx, tx, u, phone); err != nil {
			return err
		}
		return a.replacePin(ctx, tx, u, c.ID, sealed)
	})
}

func (a *App) replacePin(ctx context.Context, tx pgx.Tx, u userdb.User, challenge uuid.UUID, sealed []byte) error {
	if err := a.spendOtp(ctx, tx, challenge); err != nil {
		return err
	}
	now := a.Now()
	if err := a.q.UpdateUserPin(ctx, tx, u.ID, sealed, now); err != nil {
		return fmt.Errorf("update pin: %w", err)
	}
	if err := a.noteCredentials(ctx, tx, u.ID); err != nil {
		return err
	}
	if err := a.dropNumberChange(ctx, tx, u.ID, domain.NumberByPinReset); err != nil {
		return err
	}
	for _, index := range [][]byte{u.PhoneIndex, ownTries(u.ID)} {
		if err := a.q.ClearPinTries(ctx, tx, index, now); err != nil {
			return fmt.Errorf("clear pin tries: %w", err)
		}
	}
	if err := a.revokeAll(ctx, tx, u.ID, "pin_reset"); err != nil {
		return err
	}
	return audit.Record(ctx, tx, now, audit.Entry{Action: "user.pin_reset", ObjectType: "user", ObjectID: u.ID.String(),
		Detail: map[string]string{"challenge": challenge.String()}})
}

// proveIdentity compares the document's number of a verified customer by its blind index.
func (a *App) proveIdentity(ctx context.Context, user uuid.UUID, number string) error {
	k, err := a.q.VerifiedKyc(ctx, a.Pool, user)
	if pg.IsNoRows(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read kyc: %w", err)
	}
	claimed := domain.Submission{Country: k.Country, IDType: k.IDType, IDNumber: strings.ToUpper(strings.TrimSpace(number))}
	indexes := a.Sealer.Indexes(indexIdentity, claimed.IdentityKey())
	if number == "" || !slices.ContainsFunc(indexes, func(i []byte) bool { return hmac.Equal(i, k.IDIndex) }) {
		return domain.ErrIdentityRequired
	}
	return nil
}
