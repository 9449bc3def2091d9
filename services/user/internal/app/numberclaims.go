package app

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/sendtip/sendtip/generated/events"
	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

// EndNumberClaimArgs is the job that ends a claim which the holder does not answer. It is never given up: without it the number would be
// held back for ever.
type EndNumberClaimArgs struct {
	ClaimID uuid.UUID `json:"claim_id"`
}

// Kind implements river.JobArgs.
func (EndNumberClaimArgs) Kind() string { return "user.end_number_claim" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (EndNumberClaimArgs) InsertOpts() river.InsertOpts { return jobs.MoneyOpts() }

// Claim is a claim on a customer's number.
type Claim struct {
	ID, UserID           uuid.UUID
	State, Reason        string
	OpenedAt, ReleaseAt  time.Time
	AnsweredAt, ClosedAt *time.Time
	Phone                string // for compliance only
}

func claimOf(c userdb.NumberClaim) Claim {
	utc := func(t *time.Time) *time.Time {
		if t == nil {
			return nil
		}
		u := t.UTC()
		return &u
	}
	return Claim{ID: c.ID, UserID: c.UserID, State: c.State, Reason: c.Reason, OpenedAt: c.OpenedAt.UTC(),
		ReleaseAt: facts(c).ReleaseAt().UTC(), AnsweredAt: utc(c.AnsweredAt), ClosedAt: utc(c.ClosedAt)}
}

// facts are what rules about a claim go by.
func facts(c userdb.NumberClaim) domain.NumberClaim {
	return domain.NumberClaim{State: c.State, Reason: c.Reason, OpenedAt: c.OpenedAt}
}

// holds says whether a number is a customer's, also under a previous key.
func (a *App) holds(u userdb.User, phone string) bool {
	return slices.ContainsFunc(a.Sealer.Indexes(indexPhone, phone), func(i []byte) bool { return bytes.Equal(i, u.PhoneIndex) })
}

// inReview says whether somebody else has proved to receive what is sent to a customer's number.
func (a *App) inReview(ctx context.Context, db userdb.DBTX, user uuid.UUID) (bool, error) {
	in, err := a.q.NumberInReview(ctx, db, user)
	if err != nil {
		return false, fmt.Errorf("read number claim: %w", err)
	}
	return in, nil
}

// reachable says, under the customer's lock, whether a code that was sent to a number still speaks for the customer.
func (a *App) reachable(ctx context.Context, tx pgx.Tx, u userdb.User, phone string) error {
	in, err := a.inReview(ctx, tx, u.ID)
	if err != nil {
		return err
	}
	if in || !a.holds(u, phone) {
		return domain.ErrOtpInvalid
	}
	return nil
}

// signer looks who signs in. On a device of theirs, that is also who had the number until it passed on: they sign in with it until they
// have another one.
func (a *App) signer(ctx context.Context, phone, device string) (asker, error) {
	who, err := a.asker(ctx, phone, device)
	if err != nil || who.bound {
		return who, err
	}
	u, err := a.q.FindFormerHolder(ctx, a.Pool, a.Sealer.Indexes(indexPhone, phone), a.Sealer.Indexes(indexDevice, device))
	if pg.IsNoRows(err) {
		return who, nil
	}
	if err != nil {
		return who, fmt.Errorf("find former holder: %w", err)
	}
	who.user, who.bound = &u, true
	return who, nil
}

// claimNumber judges a registration of a number that was proved by its code. It reports false if nobody holds the number. On a device of
// the holder's the refusal is that they have an account; on any other a claim is opened, unless one waits already.
func (a *App) claimNumber(ctx context.Context, tx pgx.Tx, phone, device string) (bool, error) {
	known, err := a.findByPhone(ctx, tx, phone)
	if err != nil || known == nil {
		return false, err
	}
	u, err := a.lockUser(ctx, tx, known.ID)
	if err != nil {
		return false, err
	}
	if !a.holds(u, phone) {
		return false, nil // released at this moment
	}
	own, err := a.q.DeviceBound(ctx, tx, u.ID, a.Sealer.Indexes(indexDevice, device))
	if err != nil {
		return false, fmt.Errorf("read device: %w", err)
	}
	if own {
		return false, domain.ErrAlreadyRegistered
	}
	waiting, err := a.waitingClaim(ctx, tx, u.ID)
	if err != nil {
		return false, err
	}
	if waiting != nil {
		return true, a.auditClaim(ctx, tx, "repeated", *waiting)
	}
	return true, a.openClaim(ctx, tx, u, phone)
}

// waitingClaim is the claim on a locked customer's number; nil for none.
func (a *App) waitingClaim(ctx context.Context, tx pgx.Tx, user uuid.UUID) (*userdb.NumberClaim, error) {
	c, err := a.q.WaitingNumberClaim(ctx, tx, user)
	if pg.IsNoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read number claim: %w", err)
	}
	return &c, nil
}

// leaveClaimed gives up the claimed number of a locked customer who gets another one. Nothing is sent to it, so the answer is the customer
// without it.
func (a *App) leaveClaimed(ctx context.Context, tx pgx.Tx, u userdb.User) (userdb.User, error) {
	c, err := a.waitingClaim(ctx, tx, u.ID)
	if err != nil || c == nil {
		return u, err
	}
	if _, err := a.moveClaim(ctx, tx, *c, domain.NumberClaim{State: domain.ClaimReleased, Reason: domain.ClaimGivenUp}, nil); err != nil {
		return u, err
	}
	u.PhoneSealed, u.PhoneIndex = nil, nil
	return u, nil
}

func (a *App) openClaim(ctx context.Context, tx pgx.Tx, u userdb.User, phone string) error {
	id, err := newID()
	if err != nil {
		return err
	}
	c := userdb.NumberClaim{ID: id, UserID: u.ID, PhoneIndex: u.PhoneIndex, State: domain.ClaimOpen, OpenedAt: a.Now()}
	if c.PhoneSealed, err = a.seal("claim.phone", id, phone); err != nil {
		return err
	}
	if err := a.q.InsertNumberClaim(ctx, tx, userdb.InsertNumberClaimParams{ID: c.ID, UserID: c.UserID, PhoneSealed: c.PhoneSealed,
		PhoneIndex: c.PhoneIndex, OpenedAt: c.OpenedAt}); err != nil {
		return fmt.Errorf("insert number claim: %w", err)
	}
	version, err := a.q.RaiseUserVersion(ctx, tx, u.ID, c.OpenedAt)
	if err != nil {
		return fmt.Errorf("raise version: %w", err)
	}
	releaseAt := facts(c).ReleaseAt()
	if _, err := a.Jobs.InsertTx(ctx, tx, EndNumberClaimArgs{ClaimID: c.ID}, &river.InsertOpts{ScheduledAt: releaseAt}); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	if err := a.publish(ctx, tx, "user.number_claimed", u.ID, events.UserNumberClaimed{UserID: u.ID, ClaimID: c.ID, ReleaseAt: releaseAt,
		Version: version}); err != nil {
		return err
	}
	return a.auditClaim(ctx, tx, "opened", c)
}

func (a *App) auditClaim(ctx context.Context, tx pgx.Tx, what string, c userdb.NumberClaim) error {
	return audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "number_claim." + what, ObjectType: "number_claim", ObjectID: c.ID.String(),
		Detail: map[string]string{"user_id": c.UserID.String(), "reason": c.Reason}})
}

// lockClaim locks a claim and its holder, the holder first: whatever judges a customer's number does so in this order.
func (a *App) lockClaim(ctx context.Context, tx pgx.Tx, id uuid.UUID) (userdb.User, userdb.NumberClaim, error) {
	c, err := a.q.GetNumberClaim(ctx, tx, id)
	if pg.IsNoRows(err) {
		return userdb.User{}, c, fault.ErrNotFound
	}
	if err != nil {
		return userdb.User{}, c, fmt.Errorf("read number claim: %w", err)
	}
	u, err := a.lockUser(ctx, tx, c.UserID)
	if err != nil {
		return u, c, err
	}
	if c, err = a.q.LockNumberClaim(ctx, tx, id); err != nil {
		return u, c, fmt.Errorf("lock number claim: %w", err)
	}
	return u, c, nil
}

// moveClaim stores a claim's next state, and what follows from it. decided is who approved compliance's decision.
func (a *App) moveClaim(ctx context.Context, tx pgx.Tx, c userdb.NumberClaim, next domain.NumberClaim, decided *uuid.UUID) (
	userdb.NumberClaim, error,
) {
	now := a.Now()
	c.State, c.Reason, c.DecidedBy = next.State, next.Reason, decided
	if c.Reason == domain.ClaimRejected || c.Reason == domain.ClaimGivenUp {
		c.AnsweredAt = &now
	}
	if !facts(c).Waiting() {
		c.ClosedAt = &now
	}
	if err := a.q.MoveNumberClaim(ctx, tx, userdb.MoveNumberClaimParams{ID: c.ID, State: c.State, Reason: c.Reason, AnsweredAt: c.AnsweredAt,
		ClosedAt: c.ClosedAt, DecidedBy: c.DecidedBy}); err != nil {
		return c, fmt.Errorf("move number claim: %w", err)
	}
	if err := a.auditClaim(ctx, tx, c.State, c); err != nil {
		return c, err
	}
	if c.State == domain.ClaimDisputed {
		return c, a.publish(ctx, tx, "user.number_claim_disputed", c.UserID, events.UserNumberClaimDisputed{UserID: c.UserID, ClaimID: c.ID,
			ReasonCode: c.Reason})
	}
	version, err := a.endClaim(ctx, tx, c)
	if err != nil {
		return c, err
	}
	return c, a.publish(ctx, tx, "user.number_claim_closed", c.UserID, events.UserNumberClaimClosed{UserID: c.UserID, ClaimID: c.ID,
		State: c.State, ReasonCode: c.Reason, Version: version})
}

// endClaim leaves the number with its holder or takes it, with everything that was counted against it: the next holder begins anew.
func (a *App) endClaim(ctx context.Context, tx pgx.Tx, c userdb.NumberClaim) (int64, error) {
	now := a.Now()
	if c.State != domain.ClaimReleased {
		version, err := a.q.RaiseUserVersion(ctx, tx, c.UserID, now)
		if err != nil {
			return 0, fmt.Errorf("raise version: %w", err)
		}
		return version, nil
	}
	phone, err := a.open("claim.phone", c.ID, c.PhoneSealed)
	if err != nil {
		return 0, err
	}
	if err := a.q.ForgetPinTries(ctx, tx, a.Sealer.Indexes(indexPhone, phone)); err != nil {
		return 0, fmt.Errorf("forget pin tries: %w", err)
	}
	var keys [][]byte
	for _, l := range []domain.Limit{domain.CodesOfPhone, domain.SignInsOfPhone} {
		keys = append(keys, a.Sealer.Indexes(indexLimit, l.Name+"/"+phone)...)
	}
	if err := a.q.ForgetLimits(ctx, tx, keys); err != nil {
		return 0, fmt.Errorf("forget limits: %w", err)
	}
	if err := a.noteCredentials(ctx, tx, c.UserID); err != nil {
		return 0, err
	}
	version, err := a.q.ReleaseUserPhone(ctx, tx, c.UserID, now)
	if err != nil {
		return 0, fmt.Errorf("release number: %w", err)
	}
	return version, nil
}

// EndNumberClaim is the job's work: without the holder's answer the number is released, or handed to compliance if they could not answer.
func (a *App) EndNumberClaim(ctx context.Context, id uuid.UUID) (time.Duration, error) {
	var wait time.Duration
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		u, c, err := a.lockClaim(ctx, tx, id)
		if err != nil {
			return err
		}
		now, was := a.Now(), facts(c)
		// Staff have no number change of their own to get another one by, and a stranger must not get theirs by waiting.
		next := was.Silent(now, u.Status == domain.StatusActive && !isStaff(u.Role))
		if next != was {
			_, err = a.moveClaim(ctx, tx, c, next, nil)
			return err
		}
		if c.State == domain.ClaimOpen {
			wait = max(was.ReleaseAt().Sub(now), time.Second) // the clock that made the job due was ahead
		}
		return nil
	})
	return wait, err
}

// answerClaim stores the holder's answer, which the PIN approves. A repeated answer gets what the first one got.
func (a *App) answerClaim(ctx context.Context, id uuid.UUID, operation string, judge func(domain.NumberClaim) (domain.NumberClaim, error)) (
	Claim, error) {
	holder, _, err := a.caller(ctx)
	if err != nil {
		return Claim{}, err
	}
	var out Claim
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		if c, err := a.q.GetNumberClaim(ctx, tx, id); pg.IsNoRows(err) || err == nil && c.UserID != holder.ID {
			return fault.ErrNotFound // before the lock: nobody holds up somebody else's account
		} else if err != nil {
			return fmt.Errorf("read number claim: %w", err)
		}
		_, c, err := a.lockClaim(ctx, tx, id)
		if err != nil {
			return err
		}
		next, err := judge(facts(c))
		if err != nil {
			return err
		}
		if next != facts(c) {
			if err := a.spendStepUp(ctx, tx, operation, id); err != nil {
				return err
			}
			if c, err = a.moveClaim(ctx, tx, c, next, nil); err != nil {
				return err
			}
		}
		out = claimOf(c)
		return nil
	})
	return out, err
}

// RejectNumberClaim is the holder's answer that the number is theirs.
func (a *App) RejectNumberClaim(ctx context.Context, id uuid.UUID) (Claim, error) {
	return a.answerClaim(ctx, id, "rejectNumberClaim", domain.NumberClaim.Reject)
}

// ReleaseNumberClaim is the holder's answer that the number is not theirs.
func (a *App) ReleaseNumberClaim(ctx context.Context, id uuid.UUID) (Claim, error) {
	return a.answerClaim(ctx, id, "releaseNumberClaim", domain.NumberClaim.GiveUp)
}

// ListMyNumberClaims returns a page of the claims on the caller's number, newest first, and the cursor of the next one.
func (a *App) ListMyNumberClaims(ctx context.Context, in page.Request) ([]Claim, *string, error) {
	u, _, err := a.caller(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listMyNumberClaims", in)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListUserNumberClaims(ctx, a.Pool, u.ID, p.From(uuid.Max), p.Size+1)
	if err != nil {
		return nil, nil, fmt.Errorf("list number claims: %w", err)
	}
	rows, next := page.Cut(p, rows, func(c userdb.NumberClaim) uuid.UUID { return c.ID })
	out := make([]Claim, len(rows))
	for i, c := range rows {
		out[i] = claimOf(c)
	}
	return out, next, nil
}
