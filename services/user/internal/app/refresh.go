package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/jackc/pgx/v5"

	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// RefreshInput is a refresh token, the device that holds it, and the client's key for this exchange.
type RefreshInput struct{ Token, Device, IdempotencyKey string }

// RefreshSession exchanges a refresh token for its successor. Idempotency is not kept by kit/idem, because the result is a
// secret: the successor is derived from the predecessor and the key, so the same request yields it again without storing it.
// Reuse revokes the session, and that is committed although the caller is refused.
func (a *App) RefreshSession(ctx context.Context, in RefreshInput) (Tokens, error) {
	if in.IdempotencyKey == "" {
		return Tokens{}, idem.ErrMissing
	}
	var t Tokens
	var refusal error
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) (err error) {
		t, refusal, err = a.refresh(ctx, tx, in)
		return err
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return Tokens{}, err
	}
	return t, nil
}

// refresh returns a refusal that must not undo what was written, or an error that must.
func (a *App) refresh(ctx context.Context, tx pgx.Tx, in RefreshInput) (t Tokens, refusal, err error) {
	hash := refreshHash(in.Token)
	found, err := a.q.FindRefreshToken(ctx, tx, hash)
	if pg.IsNoRows(err) {
		return t, domain.ErrRefreshInvalid, nil
	}
	if err != nil {
		return t, nil, fmt.Errorf("find refresh token: %w", err)
	}
	s, err := a.q.LockSession(ctx, tx, found.SessionID)
	if err != nil {
		return t, nil, fmt.Errorf("lock session: %w", err)
	}
	now := a.Now()
	if s.RevokedAt != nil || !now.Before(s.ExpiresAt) || s.IdleUntil != nil && !now.Before(*s.IdleUntil) {
		return t, domain.ErrRefreshInvalid, nil
	}
	token, err := a.q.GetRefreshToken(ctx, tx, hash)
	if err != nil {
		return t, nil, fmt.Errorf("read refresh token: %w", err)
	}
	askedBy := sha256.Sum256([]byte(in.IdempotencyKey))
	successor := a.successor(in)
	switch domain.JudgeRefresh(domain.RefreshTry{
		SameDevice: a.sameDevice(s.DeviceIndex, in.Device), UsedAt: token.UsedAt, UsedBy: token.UsedBy, AskedBy: askedBy[:], Now: now,
	}) {
	case domain.RefreshSpend:
		if err := a.spendRefresh(ctx, tx,
			userdb.SpendRefreshTokenParams{Hash: hash, Now: now, UsedBy: askedBy[:], SuccessorHash: refreshHash(successor)}, s); err != nil {
			return t, nil, err
		}
	case domain.RefreshRepeated:
		if !hmac.Equal(token.SuccessorHash, refreshHash(successor)) {
			return t, domain.ErrRefreshInvalid, nil // the key that derives was rotated within these 30 s: no theft, and nothing to give
		}
		web.ResponseHeader(ctx).Set(idem.ReplayedHeader, "true")
	default:
		a.metrics.refreshReused.Inc()
		return t, domain.ErrRefreshReused, a.revokeSession(ctx, tx, s.ID, s.UserID, "refresh_reused")
	}
	u, err := a.q.GetUser(ctx, tx, s.UserID)
	if err != nil {
		return t, nil, fmt.Errorf("read user: %w", err)
	}
	if u.Status != domain.StatusActive {
		return t, nil, domain.ErrUserSuspended
	}
	if isStaff(u.Role) && s.IdleUntil == nil {
		return t, nil, domain.ErrRefreshInvalid // opened before staff had sessions of their own
	}
	t, err = a.tokens(u, opened{id: s.ID, factor: s.Factor, expires: s.ExpiresAt}, successor, now)
	return t, nil, err
}

func (a *App) spendRefresh(ctx context.Context, tx pgx.Tx, p userdb.SpendRefreshTokenParams, s userdb.LockSessionRow) error {
	n, err := a.q.SpendRefreshToken(ctx, tx, p)
	if err != nil {
		return fmt.Errorf("spend refresh token: %w", err)
	}
	if n != 1 {
		return fmt.Errorf("spend refresh token: %d rows under the session's lock", n)
	}
	if err := a.q.InsertRefreshToken(ctx, tx, p.SuccessorHash, s.ID, p.Now); err != nil {
		return fmt.Errorf("insert refresh token: %w", err)
	}
	if s.IdleUntil == nil {
		return nil
	}
	idle := p.Now.Add(domain.StaffIdle)
	if err := a.q.KeepSession(ctx, tx, s.ID, &idle); err != nil {
		return fmt.Errorf("keep session: %w", err)
	}
	return nil
}

func (a *App) successor(in RefreshInput) string {
	mac := hmac.New(sha256.New, a.Sealer.Derive("refresh successor"))
	mac.Write([]byte(in.Token + "\n" + in.IdempotencyKey))
	return refreshText(mac.Sum(nil))
}
