package app

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// postTransferDelay gives the request time to end the transfer by itself; then the job is the only finisher.
const postTransferDelay = 30 * time.Second

type opening struct {
	ID, UserID, IdempotencyID uuid.UUID
	Input                     TransferInput
	Rules                     domain.Rules
}

// openTransfer is the first step of a transfer. A repeated request gets what the first one got.
func (a *App) openTransfer(
	ctx context.Context, tx pgx.Tx, userID uuid.UUID, in TransferInput, rules domain.Rules,
) (t domain.Transfer, replayed bool, err error) {
	id, key := newID(), idem.NewKey(ctx, "createTransfer", in.Key, in)
	stored, quote, err := a.claimAndLock(ctx, tx, key, id, in.QuoteID)
	if err != nil {
		return t, false, err
	}
	if stored != nil {
		return t, true, decode(stored, &t)
	}
	t, err = a.storeTransfer(ctx, tx, quote, opening{ID: id, UserID: userID, IdempotencyID: key.ID(), Input: in, Rules: rules})
	return t, false, err
}

// decode gives back a stored result, or the refusal that was stored instead.
func decode(stored *idem.Stored, v any) error {
	if err := stored.Err(); err != nil {
		return err
	}
	return stored.Decode(v)
}

// claimAndLock claims the idempotency key, then locks the quote, in one round trip. For a key that is taken, the lock means nothing.
func (a *App) claimAndLock(
	ctx context.Context, tx pgx.Tx, key idem.Key, id, quoteID uuid.UUID,
) (*idem.Stored, walletdb.LockQuoteRow, error) {
	both := pg.NewPipeline(tx)
	if _, err := a.idem.Claim(ctx, both, key, idem.Phased("/v1/transfers/"+id.String())); err != nil {
		return nil, walletdb.LockQuoteRow{}, err
	}
	q, err := a.q.LockQuote(ctx, both, quoteID)
	if len(both.Tags()) == 0 { // the claim itself failed
		stored, err := a.idem.Claimed(ctx, tx, key, pgconn.CommandTag{}, err)
		return stored, q, err
	}
	if err != nil && !pg.IsNoRows(err) { // an unknown quote is nobody's, and refused as such
		return nil, q, fmt.Errorf("lock quote: %w", err)
	}
	stored, err := a.idem.Claimed(ctx, tx, key, both.Tags()[0], nil)
	return stored, q, err
}

// storeTransfer spends the quote: all that can refuse without the ledger, and the rows that let the job go on alone.
func (a *App) storeTransfer(ctx context.Context, tx pgx.Tx, q walletdb.LockQuoteRow, o opening) (domain.Transfer, error) {
	now := a.Now()
	stepUp := auth.From(ctx).StepUp
	if err := judgeQuote(q, o.UserID, stepUp, now); err != nil {
		return domain.Transfer{}, err
	}
	sender := domain.Customer{UserID: q.UserID, Status: q.SenderStatus, Tier: q.SenderTier, Country: q.SenderCountry}
	limit := o.Rules.Limit(sender, domain.KindTransfer, q.Currency, now)
	if err := limit.CheckAmount(q.AmountMinor); err != nil {
		return domain.Transfer{}, err
	}
	t, params, err := a.newTransfer(q, o, now)
	if err != nil {
		return domain.Transfer{}, err
	}
	writes := pg.NewPipeline(tx)
	if err := a.Jobs.Schedule(ctx, writes, q.JobID, PostTransferArgs{TransferID: t.ID}, now.Add(postTransferDelay)); err != nil {
		return domain.Transfer{}, err
	}
	entry := audit.Entry{Action: "transfer.created", ObjectType: "transfer", ObjectID: t.ID.String()}
	if err := audit.Record(ctx, writes, now, entry); err != nil {
		return domain.Transfer{}, err
	}
	period := domain.PeriodOf(sender.Country, now)
	t.JobID, params.JobID = q.JobID, q.JobID
	params.Jti, params.StepUpExpiresAt, params.Day, params.Month = stepUp.JTI, stepUp.ExpiresAt, date(period.Day), date(period.Month)
	used, err := a.q.OpenTransfer(ctx, writes, params)
	switch pg.Constraint(err) {
	case "transfers_quote_once":
		return domain.Transfer{}, domain.ErrQuoteSpent
	case "step_ups_once":
		return domain.Transfer{}, domain.ErrStepUpUsed
	}
	if err != nil {
		return domain.Transfer{}, fmt.Errorf("open transfer: %w", err)
	}
	if err := limit.CheckUsed(domain.Used{Day: used.UsedDay, Month: used.UsedMonth}); err != nil {
		return domain.Transfer{}, err
	}
	return t, a.claimRequest(ctx, tx, t)
}

// judgeQuote checks ownership first, so that nobody learns anything about another's quote.
func judgeQuote(q walletdb.LockQuoteRow, userID uuid.UUID, stepUp *auth.StepUp, now time.Time) error {
	switch {
	case q.UserID != userID:
		return domain.ErrQuoteNotFound
	case stepUp == nil:
		return domain.ErrStepUpMissing
	case stepUp.Hash != domain.ApprovalHash(q.ID):
		return domain.ErrStepUpMismatch
	case !stepUp.ExpiresAt.After(now):
		return domain.ErrStepUpExpired
	case q.Spent:
		return domain.ErrQuoteSpent
	case !q.ExpiresAt.After(now):
		return domain.ErrQuoteExpired
	}
	if err := (domain.Customer{Status: q.SenderStatus, Tier: q.SenderTier}).MayPay(); err != nil {
		return err
	}
	if q.WalletStatus != domain.WalletOpen {
		return domain.ErrWalletNotOpen
	}
	if q.RecipientWalletStatus != domain.WalletOpen {
		return domain.ErrRecipientCannot
	}
	if q.ByPhone && q.RecipientNumber != domain.NumberHeld {
		return domain.ErrRecipientInReview // the number was claimed, or has passed on, since it was quoted
	}
	return domain.Customer{Status: q.RecipientStatus, Tier: q.RecipientTier}.MayReceive()
}

func (a *App) newTransfer(q walletdb.LockQuoteRow, o opening, now time.Time) (domain.Transfer, walletdb.OpenTransferParams, error) {
	in := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: q.Currency} }
	name, err := a.openText(sealRecipientName, q.ID, q.RecipientNameSealed)
	if err != nil {
		return domain.Transfer{}, walletdb.OpenTransferParams{}, err
	}
	t := domain.Transfer{
		ID: o.ID, QuoteID: q.ID, UserID: q.UserID, WalletID: q.WalletID,
		RecipientUserID: q.RecipientUserID, RecipientWalletID: q.RecipientWalletID, RecipientName: name,
		Price:  domain.Price{Amount: in(q.AmountMinor), Fee: in(q.FeeMinor), Excise: in(q.ExciseMinor)},
		Status: domain.TransferCreated, Note: o.Input.Note, ClientReference: o.Input.ClientReference,
		IdempotencyID: o.IdempotencyID, CreatedAt: now, RequestID: q.PaymentRequestID,
	}
	note, err := a.sealText(sealNote, t.ID, t.Note)
	if err != nil {
		return domain.Transfer{}, walletdb.OpenTransferParams{}, err
	}
	p := walletdb.OpenTransferParams{ID: t.ID, QuoteID: t.QuoteID, UserID: t.UserID, WalletID: t.WalletID, RecipientUserID: t.RecipientUserID,
		RecipientWalletID: t.RecipientWalletID, Currency: q.Currency,
		AmountMinor: q.AmountMinor, FeeMinor: q.FeeMinor, ExciseMinor: q.ExciseMinor,
		NoteSealed: note, IdempotencyID: t.IdempotencyID, CreatedAt: now, RecipientNameSealed: q.RecipientNameSealed,
		PaymentRequestID: q.PaymentRequestID}
	if t.ClientReference != "" {
		p.ClientReference = &t.ClientReference
	}
	return t, p, nil
}

// transfer is a row with its texts. They decide nothing: one that is lost keeps no money waiting and hides no transfer.
func (a *App) transfer(ctx context.Context, r walletdb.Transfer) domain.Transfer {
	in := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: r.Currency} }
	name := a.shownText(ctx, sealRecipientName, r.QuoteID, r.RecipientNameSealed) // sealed for the quote, and copied
	note := a.shownText(ctx, sealNote, r.ID, r.NoteSealed)
	t := domain.Transfer{ID: r.ID, QuoteID: r.QuoteID, UserID: r.UserID, WalletID: r.WalletID, RecipientUserID: r.RecipientUserID,
		RecipientWalletID: r.RecipientWalletID, RecipientName: name,
		Price:  domain.Price{Amount: in(r.AmountMinor), Fee: in(r.FeeMinor), Excise: in(r.ExciseMinor)},
		Status: r.Status, FailureCode: r.FailureCode, Note: note, IdempotencyID: r.IdempotencyID, JobID: r.JobID,
		LedgerTransactionID: r.LedgerTransactionID, CreatedAt: r.CreatedAt, ClosedAt: r.ClosedAt, RequestID: r.PaymentRequestID}
	if r.ClientReference != nil {
		t.ClientReference = *r.ClientReference
	}
	return t
}
