package app

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// Challenge is a code that was asked for.
type Challenge struct {
	ID          uuid.UUID
	ExpiresAt   time.Time
	ResendAfter time.Time
}

type challengeInput struct {
	who                        asker
	purpose, country, language string
	user                       *userdb.User // whom the code is for; nil for a registration, and where none is sent
	send                       bool         // false for a login of an unknown phone: a row like any other, and no message
}

// challenge makes a code for a phone, within the limit of who asks.
func (a *App) challenge(ctx context.Context, in challengeInput) (Challenge, error) {
	var c Challenge
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		c, err = a.insertChallenge(ctx, tx, in)
		return err
	})
	return c, err
}

func (a *App) insertChallenge(ctx context.Context, tx pgx.Tx, in challengeInput) (Challenge, error) {
	now := a.Now()
	if err := a.admitCode(ctx, tx, in.who); err != nil {
		return Challenge{}, err
	}
	row, err := a.challengeRow(in, now)
	if err != nil {
		return Challenge{}, err
	}
	if err := a.q.InsertChallenge(ctx, tx, row); err != nil {
		return Challenge{}, fmt.Errorf("insert challenge: %w", err)
	}
	c := Challenge{ID: row.ID, ExpiresAt: row.ExpiresAt, ResendAfter: now.Add(domain.OtpPause)}
	if !in.send {
		return c, nil
	}
	return c, a.publish(ctx, tx, "user.otp_requested", row.ID, events.UserOtpRequested{ChallengeID: row.ID, Purpose: in.purpose})
}

func (a *App) challengeRow(in challengeInput, now time.Time) (userdb.InsertChallengeParams, error) {
	row := userdb.InsertChallengeParams{
		Purpose: in.purpose, PhoneIndex: a.Sealer.Index(indexPhone, in.who.phone), Country: in.country, Language: in.language, CreatedAt: now,
		ExpiresAt: now.Add(domain.OtpLife),
	}
	if in.user != nil {
		row.UserID = &in.user.ID
	}
	if in.who.device != "" {
		row.DeviceIndex = a.Sealer.Index(indexDevice, in.who.device)
	}
	number, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return row, fmt.Errorf("random: %w", err)
	}
	if row.ID, err = newID(); err != nil {
		return row, err
	}
	if row.CodeSealed, err = a.seal("otp.code", row.ID, fmt.Sprintf("%0*d", domain.OtpDigits, number)); err != nil {
		return row, err
	}
	row.PhoneSealed, err = a.seal("otp.phone", row.ID, in.who.phone)
	return row, err
}

// tryOtp compares a code; the try is counted and committed first. Unknown, spent, expired, exhausted and wrong are one answer.
// The caller spends the challenge with spendOtp in the transaction of its effect.
func (a *App) tryOtp(ctx context.Context, id uuid.UUID, purpose, code string) (userdb.ReserveOtpTryRow, error) {
	row, err := a.q.ReserveOtpTry(ctx, a.Pool,
		userdb.ReserveOtpTryParams{ID: id, Purpose: purpose, Now: a.Now(), MaxTries: domain.MaxOtpTries})
	if pg.IsNoRows(err) {
		return row, domain.ErrOtpInvalid
	}
	if err != nil {
		return row, fmt.Errorf("reserve code try: %w", err)
	}
	want, err := a.open("otp.code", row.ID, row.CodeSealed)
	if err != nil {
		return row, err
	}
	if subtle.ConstantTimeCompare([]byte(want), []byte(code)) != 1 {
		return row, domain.ErrOtpInvalid
	}
	return row, nil
}

// spendOtp makes the challenge useless for anybody else.
func (a *App) spendOtp(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	n, err := a.q.ConsumeChallenge(ctx, tx, id, a.Now())
	if err != nil {
		return fmt.Errorf("spend code: %w", err)
	}
	if n != 1 {
		return domain.ErrOtpInvalid
	}
	return nil
}

// Code is a code that has to be sent.
type Code struct {
	Phone, Code, Language, Purpose string
	ExpiresAt                      time.Time
}

// TakeOtp gives a code to the service that sends it, while it is good for anything. There is none for a login or reset that
// is no customer's.
func (a *App) TakeOtp(ctx context.Context, id uuid.UUID) (Code, error) {
	if err := auth.Require(ctx, scopes.UsersOtp); err != nil {
		return Code{}, err
	}
	row, err := a.q.GetChallenge(ctx, a.Pool, id, a.Now(), domain.MaxOtpTries)
	if pg.IsNoRows(err) {
		return Code{}, fault.ErrNotFound
	}
	if err != nil {
		return Code{}, fmt.Errorf("read challenge: %w", err)
	}
	if row.Purpose != domain.OtpRegistration && row.Purpose != domain.OtpRecovery && row.UserID == nil {
		return Code{}, fault.ErrNotFound
	}
	if row.Purpose == domain.OtpLogin || row.Purpose == domain.OtpPinReset {
		in, err := a.inReview(ctx, a.Pool, *row.UserID)
		if err != nil {
			return Code{}, err
		}
		if in {
			return Code{}, fault.ErrNotFound // asked for before somebody else proved to read what is sent there
		}
	}
	c := Code{Language: row.Language, Purpose: row.Purpose, ExpiresAt: row.ExpiresAt.UTC()}
	if c.Phone, err = a.open("otp.phone", row.ID, row.PhoneSealed); err != nil {
		return Code{}, err
	}
	c.Code, err = a.open("otp.code", row.ID, row.CodeSealed)
	return c, err
}
