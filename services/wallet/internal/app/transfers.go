package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/clients/ledger"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/jobs"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	sealNote = "transfer note"
	// postTransferDelay gives the request time to end the transfer by itself; then the job is the only finisher.
	postTransferDelay = 30 * time.Second
)

// TransferInput asks for a quoted transfer.
type TransferInput struct {
	Key             string `json:"-"` // Idempotency-Key
	QuoteID         uuid.UUID
	Note            string
	ClientReference string
}

// CreateTransfer moves money to another wallet. The ledger decides; if its answer is lost, the transfer stays created and the job
// post_transfer settles it under the same reference.
func (a *App) CreateTransfer(ctx context.Context, in TransferInput) (domain.Transfer, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Transfer{}, err
	}
	rules, err := a.rules(ctx)
	if err != nil {
		return domain.Transfer{}, err
	}
	var t domain.Transfer
	var replayed bool
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		id := newID()
		key := idem.NewKey(ctx, "createTransfer", in.Key, in)
		stored, q, err := a.claimAndLock(ctx, tx, key, id, in.QuoteID)
		if replayed = stored != nil; replayed {
			return decode(stored, &t)
		}
		if err != nil {
			return err
		}
		t, err = a.openTransfer(ctx, tx, q, opening{ID: id, UserID: userID, IdempotencyID: key.ID(), Input: in, Rules: rules})
		return err
	})
	if err != nil || replayed {
		return t, err
	}
	ctx = context.WithoutCancel(ctx) // the caller may hang up; the calls below have deadlines of their own
	answer := a.post(ctx, t.LedgerRequest())
	if answer.IsUnknown() {
		a.Log.WarnContext(ctx, "transfer pending", "transfer", t.ID, "err", answer.Err())
		return t, nil // 202: the job asks again
	}
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	finish := a.closeTransfer
	if answer.IsPosted() {
		finish = a.completeTransfer
	}
	closed, err := finish(ctx, t, answer)
	if err != nil {
		a.Log.ErrorContext(ctx, "close transfer", "transfer", t.ID, "err", err)
		return t, nil // 202: money may have moved, the job closes it
	}
	if closed.Status == domain.TransferFailed {
		return closed, domain.TransferRefusal(answer.Code())
	}
	return closed, nil
}

// decode gives back a stored result, or the refusal that was stored instead.
func decode(stored *idem.Stored, v any) error {
	if err := stored.Err(); err != nil {
		return err
	}
	return stored.Decode(v)
}

type opening struct {
	ID, UserID, IdempotencyID uuid.UUID
	Input                     TransferInput
	Rules                     domain.Rules
}

// claimAndLock claims the idempotency key, then locks the quote, in one round trip. For a key that is taken, the lock means nothing.
func (a *App) claimAndLock(ctx context.Context, tx pgx.Tx, key idem.Key, id, quoteID uuid.UUID) (*idem.Stored, walletdb.LockQuoteRow, error) {
	both := &pipeline{tx: tx}
	if _, err := a.idem.Claim(ctx, both, key, idem.Phased("/v1/transfers/"+id.String())); err != nil {
		return nil, walletdb.LockQuoteRow{}, err
	}
	q, err := a.q.LockQuote(ctx, both, quoteID)
	if len(both.tags) == 0 { // the claim itself failed
		stored, err := a.idem.Claimed(ctx, tx, key, pgconn.CommandTag{}, err)
		return stored, q, err
	}
	if err != nil && !pg.IsNoRows(err) { // an unknown quote is nobody's, and refused as such
		return nil, q, fmt.Errorf("lock quote: %w", err)
	}
	stored, err := a.idem.Claimed(ctx, tx, key, both.tags[0], nil)
	return stored, q, err
}

// openTransfer is the first step: all that can refuse without the ledger, and the rows that let the job go on alone.
func (a *App) openTransfer(ctx context.Context, tx pgx.Tx, q walletdb.LockQuoteRow, o opening) (domain.Transfer, error) {
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
	writes := &pipeline{tx: tx}
	if err := a.Jobs.Schedule(ctx, writes, q.JobID, PostTransferArgs{TransferID: t.ID}, now.Add(postTransferDelay)); err != nil {
		return domain.Transfer{}, err
	}
	if err := audit.Record(ctx, writes, now, audit.Entry{Action: "transfer.created", ObjectType: "transfer", ObjectID: t.ID.String()}); err != nil {
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
	return t, nil
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
	return domain.Customer{Status: q.RecipientStatus, Tier: q.RecipientTier}.MayReceive()
}

func (a *App) newTransfer(q walletdb.LockQuoteRow, o opening, now time.Time) (domain.Transfer, walletdb.OpenTransferParams, error) {
	in := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: q.Currency} }
	name, err := a.openText(sealRecipientName, q.ID, q.RecipientNameSealed)
	if err != nil {
		return domain.Transfer{}, walletdb.OpenTransferParams{}, err
	}
	t := domain.Transfer{
		ID: o.ID, QuoteID: q.ID, UserID: q.UserID, WalletID: q.WalletID, RecipientUserID: q.RecipientUserID, RecipientWalletID: q.RecipientWalletID,
		RecipientName: name, Price: domain.Price{Amount: in(q.AmountMinor), Fee: in(q.FeeMinor), Excise: in(q.ExciseMinor)},
		Status: domain.TransferCreated, Note: o.Input.Note, ClientReference: o.Input.ClientReference, IdempotencyID: o.IdempotencyID, CreatedAt: now,
	}
	note, err := a.sealText(sealNote, t.ID, t.Note)
	if err != nil {
		return domain.Transfer{}, walletdb.OpenTransferParams{}, err
	}
	p := walletdb.OpenTransferParams{ID: t.ID, QuoteID: t.QuoteID, UserID: t.UserID, WalletID: t.WalletID, RecipientUserID: t.RecipientUserID,
		RecipientWalletID: t.RecipientWalletID, Currency: q.Currency, AmountMinor: q.AmountMinor, FeeMinor: q.FeeMinor, ExciseMinor: q.ExciseMinor,
		NoteSealed: note, IdempotencyID: t.IdempotencyID, CreatedAt: now, RecipientNameSealed: q.RecipientNameSealed}
	if t.ClientReference != "" {
		p.ClientReference = &t.ClientReference
	}
	return t, p, nil
}

// closeTransfer is the last step: state, reservation, event, idempotency result, and the end of the job. If another finisher was first,
// it returns what that one left.
func (a *App) closeTransfer(ctx context.Context, t domain.Transfer, answer ledger.Answer) (domain.Transfer, error) {
	err := pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		now, transactionID := a.Now(), answer.TransactionID()
		p := walletdb.CloseTransferParams{ID: t.ID, Status: domain.TransferCompleted, At: &now, LedgerTransactionID: &transactionID}
		refusal := domain.TransferRefusal(answer.Code())
		if !answer.IsPosted() {
			p.Status, p.FailureCode, p.LedgerTransactionID = domain.TransferFailed, refusal.Code, nil
		}
		_, err := a.q.CloseTransfer(ctx, tx, p)
		if pg.IsNoRows(err) {
			row, err := a.q.GetTransfer(ctx, tx, t.ID)
			if err != nil {
				return fmt.Errorf("get transfer: %w", err)
			}
			t = a.transfer(ctx, row)
			return nil
		}
		if err != nil {
			return fmt.Errorf("close transfer: %w", err)
		}
		t.Status, t.FailureCode, t.LedgerTransactionID, t.ClosedAt = p.Status, p.FailureCode, p.LedgerTransactionID, &now
		if err := a.tellTransfer(ctx, tx, t); err != nil {
			return err
		}
		if answer.IsPosted() {
			err = a.idem.FinishByID(ctx, tx, t.IdempotencyID, 201, t)
		} else {
			err = a.idem.FinishFault(ctx, tx, t.IdempotencyID, refusal)
		}
		if err != nil {
			return err
		}
		_, err = a.Jobs.JobDeleteTx(ctx, tx, t.JobID)
		if errors.Is(err, rivertype.ErrJobRunning) || errors.Is(err, river.ErrNotFound) {
			return nil // it runs right now, perhaps it is the one that calls: it will find the transfer closed
		}
		return err
	})
	if err == nil {
		a.metrics.transfers.WithLabelValues(t.Status).Inc()
	}
	return t, err
}

func (a *App) tellTransfer(ctx context.Context, tx pgx.Tx, t domain.Transfer) error {
	e, err := transferEvent(t)
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, e)
}

// SettleTransfer repeats the last two steps for a transfer whose request did not end it.
func (a *App) SettleTransfer(ctx context.Context, id uuid.UUID) error {
	row, err := a.q.GetTransfer(ctx, a.Pool, id)
	if err != nil {
		return fmt.Errorf("get transfer: %w", err)
	}
	if row.Status != domain.TransferCreated {
		return nil
	}
	t := a.transfer(ctx, row)
	answer := a.post(call.AsService(ctx), t.LedgerRequest())
	if answer.IsUnknown() {
		return jobs.Unknown(answer.Err())
	}
	_, err = a.closeTransfer(ctx, t, answer)
	return err
}

// GetTransfer returns a transfer that the caller sent.
func (a *App) GetTransfer(ctx context.Context, id uuid.UUID) (domain.Transfer, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Transfer{}, err
	}
	row, err := a.q.GetTransfer(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && row.UserID != userID:
		return domain.Transfer{}, fault.ErrNotFound
	case err != nil:
		return domain.Transfer{}, fmt.Errorf("get transfer: %w", err)
	}
	return a.transfer(ctx, row), nil
}

// ListTransfers returns a page of what the caller sent, newest first; with a client reference only what carries it.
func (a *App) ListTransfers(ctx context.Context, clientReference string, in page.Request) ([]domain.Transfer, *string, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listTransfers", in, clientReference)
	if err != nil {
		return nil, nil, err
	}
	var rows []walletdb.Transfer
	if clientReference == "" {
		rows, err = a.q.ListTransfers(ctx, a.Pool, userID, p.From(uuid.Max), p.Size+1)
	} else {
		rows, err = a.q.ListTransfersByReference(ctx, a.Pool, walletdb.ListTransfersByReferenceParams{
			UserID: userID, ClientReference: clientReference, Before: p.From(uuid.Max), PageSize: p.Size + 1})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list transfers: %w", err)
	}
	rows, next := page.Cut(p, rows, func(t walletdb.Transfer) uuid.UUID { return t.ID })
	out := make([]domain.Transfer, 0, len(rows))
	for _, r := range rows {
		out = append(out, a.transfer(ctx, r))
	}
	return out, next, nil
}

// transfer is a row with its texts. They decide nothing: one that is lost keeps no money waiting and hides no transfer.
func (a *App) transfer(ctx context.Context, r walletdb.Transfer) domain.Transfer {
	in := func(minor int64) money.Money { return money.Money{Amount: minor, Currency: r.Currency} }
	name := a.shownText(ctx, sealRecipientName, r.QuoteID, r.RecipientNameSealed) // sealed for the quote, and copied
	note := a.shownText(ctx, sealNote, r.ID, r.NoteSealed)
	t := domain.Transfer{ID: r.ID, QuoteID: r.QuoteID, UserID: r.UserID, WalletID: r.WalletID, RecipientUserID: r.RecipientUserID,
		RecipientWalletID: r.RecipientWalletID, RecipientName: name, Price: domain.Price{Amount: in(r.AmountMinor), Fee: in(r.FeeMinor), Excise: in(r.ExciseMinor)},
		Status: r.Status, FailureCode: r.FailureCode, Note: note, IdempotencyID: r.IdempotencyID, JobID: r.JobID,
		LedgerTransactionID: r.LedgerTransactionID, CreatedAt: r.CreatedAt, ClosedAt: r.ClosedAt}
	if r.ClientReference != nil {
		t.ClientReference = *r.ClientReference
	}
	return t
}
