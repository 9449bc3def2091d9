package app

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// factorTotp says of a session that a code of the authenticator opened it.
const factorTotp = "totp"

// totpIssuer is what an authenticator shows above the code.
const totpIssuer = "SENDTIP"

// Totp is the secret of an authenticator, shown once.
type Totp struct{ Secret, URI string }

// CreateTotp shows a member of staff a new secret against the PIN. It counts once ConfirmTotp has taken a code of it in the same session,
// which is shown the same secret until then.
func (a *App) CreateTotp(ctx context.Context, pin string) (Totp, error) {
	u, session, err := a.member(ctx)
	if err != nil {
		return Totp{}, err
	}
	phone, err := a.open("user.phone", u.ID, u.PhoneSealed)
	if err != nil {
		return Totp{}, err
	}
	if err := a.tryPin(ctx, pinTry{user: &u, phone: phone, pin: pin, own: true}); errors.Is(err, errPinWrong) {
		return Totp{}, domain.ErrPinInvalid
	} else if err != nil {
		return Totp{}, err
	}
	random := make([]byte, domain.TotpSecretBytes)
	if _, err := rand.Read(random); err != nil {
		return Totp{}, fmt.Errorf("random: %w", err)
	}
	secret := base32.StdEncoding.EncodeToString(random)
	sealed, err := a.seal("user.totp", u.ID, secret)
	if err != nil {
		return Totp{}, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		n, err := a.q.ShowTotp(ctx, tx, userdb.ShowTotpParams{UserID: u.ID, SecretSealed: sealed, Now: a.Now(), SessionID: session})
		if err != nil {
			return fmt.Errorf("store authenticator: %w", err)
		}
		if n == 0 {
			secret, err = a.shownBefore(ctx, tx, u.ID)
			return err
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "totp.shown", ObjectType: "user", ObjectID: u.ID.String()})
	})
	if err != nil {
		return Totp{}, err
	}
	uri := url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + totpIssuer + ":" + phone,
		RawQuery: url.Values{"secret": {secret}, "issuer": {totpIssuer}}.Encode()}
	return Totp{Secret: secret, URI: uri.String()}, nil
}

// shownBefore is the secret that this session was shown: the answer may have been lost, or the button pressed twice.
func (a *App) shownBefore(ctx context.Context, tx pgx.Tx, user uuid.UUID) (string, error) {
	f, err := a.q.GetTotp(ctx, tx, user)
	if err != nil {
		return "", fmt.Errorf("read authenticator: %w", err)
	}
	if f.ConfirmedAt != nil {
		return "", domain.ErrTotpEnrolled
	}
	return a.open("user.totp", user, f.SecretSealed)
}

// ConfirmTotp takes the first code of a new authenticator. The session gets the rights of the role with its next access token.
func (a *App) ConfirmTotp(ctx context.Context, code string) error {
	u, session, err := a.member(ctx)
	if err != nil {
		return err
	}
	f, err := a.q.GetTotp(ctx, a.Pool, u.ID)
	if pg.IsNoRows(err) {
		return domain.ErrTotpInvalid
	}
	if err != nil {
		return fmt.Errorf("read authenticator: %w", err)
	}
	if f.ConfirmedAt != nil {
		return domain.ErrTotpEnrolled
	}
	if f.SessionID == nil || *f.SessionID != session {
		return domain.ErrTotpInvalid // another session was shown the secret: perhaps not the same person's
	}
	step, err := a.tryTotp(ctx, f, code)
	if err != nil {
		return err
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if err := a.spendTotp(ctx, tx, f, step); err != nil {
			return err
		}
		n, err := a.q.RaiseSession(ctx, tx, session, u.ID)
		if err != nil {
			return fmt.Errorf("raise session: %w", err)
		}
		if n == 0 {
			return domain.ErrSessionEnded
		}
		return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "totp.confirmed", ObjectType: "user", ObjectID: u.ID.String()})
	})
}

// member is the active member of staff who asks, and the session.
func (a *App) member(ctx context.Context) (userdb.User, uuid.UUID, error) {
	if err := auth.Require(ctx, scopes.Totp); err != nil {
		return userdb.User{}, uuid.Nil, err
	}
	u, session, err := a.caller(ctx)
	if err == nil && !isStaff(u.Role) {
		err = domain.ErrNotStaff
	}
	return u, session, err
}

// totpTries names the count of tries of an authenticator's codes; it meets neither a customer's id nor a phone's index, which have other
// lengths.
func totpTries(user uuid.UUID) []byte { return append(user[:], "totp"...) }

// tryTotp checks a code. The try is counted, and committed, before the code is looked at, as a PIN's is. It answers the time step, which
// the caller spends in the transaction of what the code is for.
func (a *App) tryTotp(ctx context.Context, f userdb.TotpFactor, code string) (int64, error) {
	secret, err := a.open("user.totp", f.UserID, f.SecretSealed)
	if err != nil {
		return 0, err
	}
	index := totpTries(f.UserID)
	if err := a.reserveTry(ctx, index, domain.ErrTotpLocked); err != nil {
		return 0, err
	}
	step, ok := domain.TotpStep(secret, code, a.Now())
	if !ok {
		a.metrics.pinRefused.WithLabelValues("totp").Inc()
		return 0, domain.ErrTotpInvalid
	}
	if err := a.q.ClearPinTries(ctx, a.Pool, index, a.Now()); err != nil {
		return 0, fmt.Errorf("clear code tries: %w", err)
	}
	return step, nil
}

func (a *App) spendTotp(ctx context.Context, tx pgx.Tx, f userdb.TotpFactor, step int64) error {
	n, err := a.q.SpendTotpStep(ctx, tx, userdb.SpendTotpStepParams{UserID: f.UserID, Step: step, Now: a.Now(), SecretSealed: f.SecretSealed})
	if err != nil {
		return fmt.Errorf("spend code: %w", err)
	}
	if n == 0 {
		return domain.ErrTotpInvalid // another request took it, or the authenticator was replaced
	}
	return nil
}

// second is what a member of staff shows beside the PIN.
type second struct {
	factor userdb.TotpFactor
	step   int64
	name   string // as the session keeps it: empty for customers, and for staff who have no authenticator yet
}

// secondFactor asks a member of staff who has an authenticator for a code of it.
func (a *App) secondFactor(ctx context.Context, u *userdb.User, code string) (second, error) {
	if !isStaff(u.Role) {
		return second{}, nil
	}
	f, err := a.q.GetTotp(ctx, a.Pool, u.ID)
	if pg.IsNoRows(err) || err == nil && f.ConfirmedAt == nil {
		return second{}, nil
	}
	if err != nil {
		return second{}, fmt.Errorf("read authenticator: %w", err)
	}
	if code == "" {
		return second{}, domain.ErrTotpRequired
	}
	step, err := a.tryTotp(ctx, f, code)
	return second{factor: f, step: step, name: factorTotp}, err
}
