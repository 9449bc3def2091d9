package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// StartRegistration sends a code. It never looks whether the phone is registered: who proves to hold it learns that later.
func (a *App) StartRegistration(ctx context.Context, phone, country, language string) (Challenge, error) {
	if err := domain.CheckPhone(phone, country); err != nil {
		return Challenge{}, err
	}
	language, err := domain.BaseLanguage(language)
	if err != nil {
		return Challenge{}, err
	}
	return a.challenge(ctx, challengeInput{who: asker{phone: phone}, purpose: domain.OtpRegistration, country: country, language: language,
		send: true})
}

// RegistrationInput is the proof and the choices of a new customer.
type RegistrationInput struct {
	ID               uuid.UUID
	Otp, Pin, Device string
}

// CompleteRegistration makes the customer, binds the device and opens the first session. A number that somebody else holds is claimed.
func (a *App) CompleteRegistration(ctx context.Context, in RegistrationInput) (domain.Profile, Tokens, error) {
	if err := domain.CheckPin(in.Pin); err != nil {
		return domain.Profile{}, Tokens{}, err // before the code: choosing a better PIN costs no try
	}
	c, err := a.tryOtp(ctx, in.ID, domain.OtpRegistration, in.Otp)
	if err != nil {
		return domain.Profile{}, Tokens{}, err
	}
	phone, err := a.open("otp.phone", c.ID, c.PhoneSealed)
	if err != nil {
		return domain.Profile{}, Tokens{}, err
	}
	row, err := a.newUser(ctx, phone, c.Country, c.Language, scopes.RoleCustomer, in.Pin)
	if err != nil {
		return domain.Profile{}, Tokens{}, err
	}
	var u userdb.User
	var t Tokens
	claimed := false
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		if err := a.spendOtp(ctx, tx, c.ID); err != nil {
			return err
		}
		if claimed, err = a.claimNumber(ctx, tx, phone, in.Device); err != nil || claimed {
			return err // a refusal that stays: the claim and the spent code are committed
		}
		if u, err = a.insertUser(ctx, tx, row, phone, in.Device); err != nil {
			return err
		}
		if err := a.publish(ctx, tx, "user.registered", u.ID, events.UserRegistered{UserID: u.ID}); err != nil {
			return err
		}
		t, err = a.openSession(ctx, tx, u, in.Device, "")
		return err
	})
	if err != nil {
		return domain.Profile{}, Tokens{}, err
	}
	if claimed {
		return domain.Profile{}, Tokens{}, domain.ErrNumberInReview
	}
	p, err := a.profile(u)
	return p, t, err
}

// newUser prepares a row; hashing the PIN takes too long for a transaction.
func (a *App) newUser(ctx context.Context, phone, country, language, role, pin string) (userdb.InsertUserParams, error) {
	row := userdb.InsertUserParams{PhoneIndex: a.Sealer.Index(indexPhone, phone), Country: country, Language: language, Role: role}
	hash, err := a.hashPin(ctx, pin)
	if err != nil {
		return row, err
	}
	if row.ID, err = newID(); err != nil {
		return row, err
	}
	if row.PhoneSealed, err = a.seal("user.phone", row.ID, phone); err != nil {
		return row, err
	}
	row.PinSealed, err = a.seal("user.pin", row.ID, hash)
	return row, err
}

// insertUser adds the customer and their first device, and forgets the tries that were made against the phone before.
func (a *App) insertUser(ctx context.Context, tx pgx.Tx, row userdb.InsertUserParams, phone, device string) (userdb.User, error) {
	known, err := a.findByPhone(ctx, tx, phone) // also under previous keys, which the constraint cannot see
	if err != nil {
		return userdb.User{}, err
	}
	if known != nil {
		return userdb.User{}, domain.ErrAlreadyRegistered
	}
	row.Now = a.Now()
	if err := a.q.InsertUser(ctx, tx, row); err != nil {
		if pg.Constraint(err) == "users_phone_once" {
			return userdb.User{}, domain.ErrAlreadyRegistered
		}
		return userdb.User{}, fmt.Errorf("insert user: %w", err)
	}
	if _, err := a.q.BindDevice(ctx, tx, row.ID, a.Sealer.Index(indexDevice, device), row.Now); err != nil {
		return userdb.User{}, fmt.Errorf("bind device: %w", err)
	}
	if err := a.q.ClearPinTries(ctx, tx, row.PhoneIndex, row.Now); err != nil {
		return userdb.User{}, fmt.Errorf("clear pin tries: %w", err)
	}
	if err := audit.Record(ctx, tx, row.Now, audit.Entry{Action: "user.registered", ObjectType: "user", ObjectID: row.ID.String(),
		Detail: map[string]string{"role": row.Role}}); err != nil {
		return userdb.User{}, err
	}
	return a.q.GetUser(ctx, tx, row.ID)
}
