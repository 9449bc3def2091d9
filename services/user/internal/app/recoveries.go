package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// StartRecovery sends a code to the number that the account shall have, as a registration does to a new customer's.
func (a *App) StartRecovery(ctx context.Context, phone, country, language string) (Challenge, error) {
	if err := domain.CheckPhone(phone, country); err != nil {
		return Challenge{}, err
	}
	language, err := domain.BaseLanguage(language)
	if err != nil {
		return Challenge{}, err
	}
	return a.challenge(ctx, challengeInput{who: asker{phone: phone}, purpose: domain.OtpRecovery, country: country, language: language,
		send: true})
}

// RecoveryInput is the proof of the number, what the account shall have, and the document that shows whose it is.
type RecoveryInput struct {
	ID               uuid.UUID
	Otp, Pin, Device string
	Submission       domain.Submission
	ConsentVersion   string
}

// RecoveryReceipt is what the person asks for the state with.
type RecoveryReceipt struct {
	ID    uuid.UUID
	Token string
}

// CompleteRecovery stores the recovery, with the job that looks whose the document is: here nobody looks, so that answers and their times
// tell nothing. A request that is repeated with its code on its device gets the same receipt; the token is derived, so it is not stored.
func (a *App) CompleteRecovery(ctx context.Context, in RecoveryInput) (RecoveryReceipt, error) {
	receipt := RecoveryReceipt{ID: in.ID, Token: a.recoveryToken(in.ID, in.Device)}
	if err := domain.CheckPin(in.Pin); err != nil {
		return RecoveryReceipt{}, err // before the code: choosing a better PIN costs no try
	}
	sub, err := in.Submission.Check(domain.Today(a.Now(), in.Submission.Country))
	if err != nil {
		return RecoveryReceipt{}, err
	}
	if _, err := a.q.ChallengeOwner(ctx, a.Pool, in.ID, domain.OtpRecovery); pg.IsNoRows(err) {
		return RecoveryReceipt{}, fault.ErrNotFound
	} else if err != nil {
		return RecoveryReceipt{}, fmt.Errorf("read challenge: %w", err)
	}
	c, err := a.tryOtp(ctx, in.ID, domain.OtpRecovery, in.Otp)
	if errors.Is(err, domain.ErrOtpInvalid) {
		return receipt, a.recoveryRepeated(ctx, in)
	}
	if err != nil {
		return RecoveryReceipt{}, err
	}
	row, err := a.recoveryRow(ctx, in, sub, c)
	if err != nil {
		return RecoveryReceipt{}, err
	}
	hash := sha256.Sum256([]byte(receipt.Token))
	row.TokenHash = hash[:]
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error { return a.insertRecovery(ctx, tx, row, sub, in.Device) })
	if errors.Is(err, domain.ErrOtpInvalid) { // a twin spent it
		return receipt, a.recoveryRepeated(ctx, in)
	}
	return receipt, err
}

// recoveryToken is a secret of the recovery and the device that completed it.
func (a *App) recoveryToken(id uuid.UUID, device string) string {
	mac := hmac.New(sha256.New, a.Sealer.Derive("recovery token"))
	mac.Write([]byte(id.String() + "\n" + device))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// recoveryRepeated is nil for a request that was answered before. Guesses of the code are of no use without the device's id.
func (a *App) recoveryRepeated(ctx context.Context, in RecoveryInput) error {
	r, err := a.q.GetRecovery(ctx, a.Pool, in.ID)
	if pg.IsNoRows(err) || err == nil && !a.sameDevice(r.DeviceIndex, in.Device) {
		return domain.ErrOtpInvalid
	}
	if err != nil {
		return fmt.Errorf("read recovery: %w", err)
	}
	spent, err := a.q.SpentCode(ctx, a.Pool, in.ID, domain.OtpRecovery)
	if err != nil {
		return fmt.Errorf("read spent code: %w", err)
	}
	code, err := a.open("otp.code", in.ID, spent)
	if err == nil && subtle.ConstantTimeCompare([]byte(code), []byte(in.Otp)) != 1 {
		err = domain.ErrOtpInvalid
	}
	return err
}

func (a *App) recoveryRow(ctx context.Context, in RecoveryInput, sub domain.Submission, c userdb.ReserveOtpTryRow) (
	userdb.InsertRecoveryParams, error) {
	now := a.Now()
	row := userdb.InsertRecoveryParams{ID: c.ID, PhoneCountry: c.Country, Country: sub.Country, IDType: sub.IDType,
		IDIndex: a.Sealer.Index(indexIdentity, sub.IdentityKey()), ConsentVersion: in.ConsentVersion,
		DeviceIndex: a.Sealer.Index(indexDevice, in.Device), CreatedAt: now, ExpiresAt: now.Add(domain.RecoveryLife)}
	phone, err := a.open("otp.phone", c.ID, c.PhoneSealed)
	if err != nil {
		return row, err
	}
	hash, err := a.hashPin(ctx, in.Pin)
	if err != nil {
		return row, err
	}
	text, err := json.Marshal(sub)
	if err != nil {
		return row, fmt.Errorf("encode submission: %w", err)
	}
	for _, part := range []struct {
		to          *[]byte
		name, plain string
	}{{&row.PhoneSealed, "recovery.phone", phone}, {&row.PinSealed, "recovery.pin", hash},
		{&row.SubmissionSealed, "recovery.submission", string(text)}} {
		if *part.to, err = a.seal(part.name, c.ID, part.plain); err != nil {
			return row, err
		}
	}
	return row, nil
}

func (a *App) insertRecovery(ctx context.Context, tx pgx.Tx, row userdb.InsertRecoveryParams, sub domain.Submission, device string) error {
	if err := a.spendOtp(ctx, tx, row.ID); err != nil {
		return err
	}
	if err := a.admit(ctx, tx, domain.RecoveriesOfIdentity, sub.PersonKey()); err != nil {
		return err
	}
	if err := a.admit(ctx, tx, domain.RecoveriesOfDevice, device); err != nil {
		return err
	}
	if err := a.q.InsertRecovery(ctx, tx, row); err != nil {
		return fmt.Errorf("insert recovery: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, CheckRecoveryArgs{row.ID}, nil); err != nil {
		return fmt.Errorf("enqueue recovery: %w", err)
	}
	return audit.Record(ctx, tx, row.CreatedAt, audit.Entry{Action: "recovery.started", ObjectType: "recovery", ObjectID: row.ID.String(),
		Detail: map[string]string{"consent_version": row.ConsentVersion}})
}

func (a *App) auditRecovery(ctx context.Context, tx pgx.Tx, what string, r userdb.Recovery, reason string) error {
	detail := map[string]string{}
	if r.UserID != nil {
		detail["user_id"] = r.UserID.String()
	}
	if reason != "" {
		detail["reason_code"] = reason
	}
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "recovery." + what, ObjectType: "recovery", ObjectID: r.ID.String(),
		Detail: detail})
}

// RecoveryState is what the person who asked may know.
type RecoveryState struct {
	ID        uuid.UUID
	State     string
	AppliesAt *time.Time
}

// GetRecovery answers whoever has the token, and nobody else.
func (a *App) GetRecovery(ctx context.Context, id uuid.UUID, token string) (RecoveryState, error) {
	r, err := a.q.GetRecovery(ctx, a.Pool, id)
	if err != nil && !pg.IsNoRows(err) {
		return RecoveryState{}, fmt.Errorf("read recovery: %w", err)
	}
	hash := sha256.Sum256([]byte(token))
	if err != nil || subtle.ConstantTimeCompare(hash[:], r.TokenHash) != 1 {
		return RecoveryState{}, fault.ErrNotFound
	}
	out := RecoveryState{ID: id, State: domain.RecoveryShown(r.State, r.ExpiresAt, a.Now())}
	if r.State == domain.RecoveryCooling {
		out.AppliesAt = utcOf(r.AppliesAt)
	}
	return out, nil
}

func utcOf(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	at := t.UTC()
	return &at
}
