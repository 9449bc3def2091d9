package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// unansweredPage is how many customers are read at a time when those of before are asked about.
const unansweredPage = 100

// Hint is what an event says about a customer.
type Hint struct {
	UserID    uuid.UUID
	Suspended bool
	Tier      int16
}

// HearCustomer takes away at once what an event takes away, and leaves it to a job to ask user what holds: an event grants nothing. It
// runs in the consumer's transaction.
func (a *App) HearCustomer(ctx context.Context, tx pgx.Tx, in Hint) error {
	_, err := a.q.LoseStanding(ctx, tx, walletdb.LoseStandingParams{UserID: in.UserID, Suspended: in.Suspended, Tier: in.Tier, At: a.Now()})
	if err != nil && !pg.IsNoRows(err) {
		return fmt.Errorf("lose standing: %w", err)
	}
	if err == nil {
		if err := a.tellLedger(ctx, tx, in.UserID); err != nil {
			return err
		}
	}
	return a.AskStanding(ctx, tx, in.UserID)
}

// HearNumberClaimed stops payments by a customer's number at once, and leaves it to a job to ask user what holds. It runs in the consumer's
// transaction.
func (a *App) HearNumberClaimed(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	if err := a.q.LoseNumber(ctx, tx, a.Now(), userID); err != nil {
		return fmt.Errorf("lose number: %w", err)
	}
	return a.AskStanding(ctx, tx, userID)
}

// AskStanding leaves it to a job to ask user what a customer may do. It runs in the consumer's transaction.
func (a *App) AskStanding(ctx context.Context, tx pgx.Tx, userID uuid.UUID) error {
	if _, err := a.Jobs.InsertTx(ctx, tx, ConfirmStandingArgs{UserID: userID}, nil); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// ConfirmStanding asks user what a customer may do, stores it, and opens the first wallet. Of two questions the answer to the later one
// holds: whatever changed after it was asked has an event of its own, which asks again.
func (a *App) ConfirmStanding(ctx context.Context, userID uuid.UUID) error {
	question, err := a.q.NumberQuestion(ctx, a.Pool)
	if err != nil {
		return fmt.Errorf("number question: %w", err)
	}
	standing, err := a.standingOf(ctx, userID)
	if errors.Is(err, fault.ErrNotFound) {
		a.alarm(ctx, "customer_unknown", "user", userID)
		if err := a.q.MarkAnswered(ctx, a.Pool, question, userID); err != nil {
			return fmt.Errorf("mark answered: %w", err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error { return a.putStanding(ctx, tx, question, standing) })
}

func (a *App) putStanding(ctx context.Context, tx pgx.Tx, question int64, s standing) error {
	before, err := a.q.LockCustomer(ctx, tx, s.UserID)
	if err != nil && !pg.IsNoRows(err) {
		return fmt.Errorf("lock customer: %w", err)
	}
	_, err = a.q.PutStanding(ctx, tx, walletdb.PutStandingParams{UserID: s.UserID, Status: s.Status, Tier: s.Tier, Country: s.Country,
		Version: s.Version, Answered: question, At: a.Now(), Number: s.Number})
	if pg.IsNoRows(err) {
		return nil // a later question has its answer
	}
	if err != nil {
		return fmt.Errorf("put standing: %w", err)
	}
	created := false
	if currency := domain.HomeCurrency(s.Country); currency != "" && s.Tier > 0 {
		if _, created, err = a.addWallet(ctx, tx, s.UserID, currency); err != nil {
			return err
		}
	}
	if !created && before.Tier == s.Tier && before.Country == s.Country {
		return nil // the maximum is the same
	}
	return a.tellLedger(ctx, tx, s.UserID)
}

// ConfirmUnanswered asks about the customers whose rows older versions made from events alone, and then has nothing more to do than to
// wait for the end.
func (a *App) ConfirmUnanswered(ctx context.Context) error {
	after, failed := uuid.Nil, error(nil)
	for {
		ids, err := a.q.ListUnanswered(ctx, a.Pool, after, unansweredPage)
		if err != nil {
			return fmt.Errorf("list unanswered: %w", err)
		}
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			if err := a.ConfirmStanding(ctx, id); err != nil {
				failed = err // the others are asked about first
			}
		}
		after = ids[len(ids)-1]
	}
	if failed != nil {
		return failed
	}
	<-ctx.Done()
	return nil
}

// standing is what user answers about a customer.
type standing struct {
	UserID  uuid.UUID
	Status  string
	Tier    int16
	Country string
	Number  string
	Version int64
}

// standingOf asks user what a customer may do. A status that is new to this service allows nothing.
func (a *App) standingOf(ctx context.Context, userID uuid.UUID) (standing, error) {
	answer, err := a.Users.GetStandingWithResponse(ctx, userID)
	if err != nil {
		return standing{}, fmt.Errorf("get standing: %w", err)
	}
	if answer.JSON200 == nil {
		return standing{}, peerFault("get standing", call.Problem(answer.StatusCode(), answer.Body), fault.ErrNotFound)
	}
	got := answer.JSON200
	if got.UserID != userID || got.Tier < 0 || got.Tier > domain.MaxTier {
		return standing{}, errors.New("get standing: the answer is for something else")
	}
	s := standing{UserID: userID, Status: domain.CustomerSuspended, Tier: int16(got.Tier), Country: got.Country, Number: numberOf(got.Number),
		Version: got.Version}
	if got.Status == domain.CustomerActive {
		s.Status = domain.CustomerActive
	}
	return s, nil
}

// numberOf reads what a number may be used for. User says nothing of it in older versions; a word that is new here allows nothing.
func numberOf(said *string) string {
	switch {
	case said == nil, *said == domain.NumberHeld:
		return domain.NumberHeld
	case *said == domain.NumberNone:
		return domain.NumberNone
	}
	return domain.NumberInReview
}
