package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	claimOpen    = "open"
	claimRefuted = "refuted"
	claimCase    = "case"

	caseClaim = "claim"
	// indexAccount is the purpose of the blind index of accounts in claims.
	indexAccount = "claim.account"

	// maxJudgings is how often something is judged anew because another message was faster.
	maxJudgings = 3
)

// errOvertaken says that a receipt which was new when it was judged is taken: another message was faster, and the judgement does not hold.
var errOvertaken = errors.New("another message took the receipt")

// onFacts runs do, which judges what it reads and applies that, in one transaction, and again if it was overtaken.
func (a *App) onFacts(ctx context.Context, do func(tx pgx.Tx) error) error {
	var err error
	for range maxJudgings {
		if err = pg.InTx(ctx, a.Pool, do); !errors.Is(err, errOvertaken) {
			return err
		}
	}
	return err
}

// knownOfReceipt is what is known of a receipt alone.
func (a *App) knownOfReceipt(ctx context.Context, tx pgx.Tx, receipt string, receivedAt time.Time) (domain.Known, error) {
	k := domain.Known{ReceivedAt: receivedAt, Now: a.Now()}
	if !domain.ReadableReceipt(receipt) {
		return k, nil
	}
	taken, err := a.q.GetReceipt(ctx, tx, receipt)
	switch {
	case err == nil:
		k.Taken = &domain.Taken{TopupID: taken.TopupID, AmountMinor: taken.AmountMinor}
	case !pg.IsNoRows(err):
		return k, fmt.Errorf("get receipt: %w", err)
	}
	return k, nil
}

// knownWith is what is known of a receipt and of the locked top-up that it is about.
func (a *App) knownWith(ctx context.Context, tx pgx.Tx, t domain.Topup, receipt string, receivedAt time.Time) (domain.Known, error) {
	k, err := a.knownOfReceipt(ctx, tx, receipt, receivedAt)
	k.Topup, k.Booked = &t, daraja.NormalizeReceipt(t.Receipt)
	return k, err
}

// knownOfTopup is what is known of a receipt and of a top-up, under the top-up's lock.
func (a *App) knownOfTopup(ctx context.Context, tx pgx.Tx, id uuid.UUID, receipt string, receivedAt time.Time) (domain.Known, error) {
	t, err := a.lockTopup(ctx, tx, id)
	if pg.IsNoRows(err) {
		return a.knownOfReceipt(ctx, tx, receipt, receivedAt)
	}
	if err != nil {
		return domain.Known{}, err
	}
	return a.knownWith(ctx, tx, t, receipt, receivedAt)
}

// knownOfPayment is what is known of a payment: its receipt, and the top-up or the owner of the account that was paid to. The top-up is
// locked, so that its callback takes turns with us.
func (a *App) knownOfPayment(ctx context.Context, tx pgx.Tx, p domain.Payment, receivedAt time.Time) (domain.Known, error) {
	row, err := a.q.LockTopupByReference(ctx, tx, p.Account)
	if err == nil {
		t, err := a.topup(row)
		if err != nil {
			return domain.Known{}, err
		}
		return a.knownWith(ctx, tx, t, p.Receipt, receivedAt)
	}
	if !pg.IsNoRows(err) {
		return domain.Known{}, fmt.Errorf("lock topup: %w", err)
	}
	k, err := a.knownOfReceipt(ctx, tx, p.Receipt, receivedAt)
	if err != nil {
		return k, err
	}
	w, err := a.q.GetWalletByDepositAccount(ctx, tx, &p.Account)
	switch {
	case err == nil:
		k.Owner = &domain.Owner{WalletID: w.ID, UserID: w.UserID}
	case !pg.IsNoRows(err):
		return k, fmt.Errorf("find account: %w", err)
	}
	return k, nil
}

// message is the row of a message that is judged.
type message struct {
	ID         uuid.UUID
	ReceivedAt time.Time
}

// apply does what a judgement says, in the transaction that it was judged in.
func (a *App) apply(ctx context.Context, tx pgx.Tx, j domain.Judgement, m message) error {
	if err := a.bookReceipt(ctx, tx, j); err != nil {
		return err
	}
	if j.EndClaims {
		if err := a.endClaims(ctx, tx, j.Payment); err != nil {
			return err
		}
	}
	if j.Topup != nil {
		if err := a.changeTopup(ctx, tx, j); err != nil {
			return err
		}
	}
	if j.Claim {
		if err := a.storeClaim(ctx, tx, j.Payment, m); err != nil {
			return err
		}
	}
	if j.Ask != nil {
		if _, err := a.Jobs.InsertTx(ctx, tx, AskStkArgs{TopupID: *j.Ask}, nil); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
	}
	if j.Verdict == domain.VerdictUnreadable {
		return a.openCase(ctx, tx, string(j.Verdict), m.ID)
	}
	return nil
}

// bookReceipt books a payment's receipt, once for ever: for a top-up, or for a new deposit, whose credit it leaves to a job.
func (a *App) bookReceipt(ctx context.Context, tx pgx.Tx, j domain.Judgement) error {
	now := a.Now()
	receipt := walletdb.InsertReceiptParams{Receipt: j.Payment.Receipt, Source: j.Payment.Source,
		AmountMinor: j.Payment.Amount.Amount, CreatedAt: now}
	d := walletdb.InsertDepositParams{ID: newID(), Receipt: j.Payment.Receipt, Currency: j.Payment.Amount.Currency,
		AmountMinor: j.Payment.Amount.Amount, CreatedAt: now}
	switch {
	case j.BookTopup != nil:
		receipt.TopupID, receipt.AmountMinor = &j.BookTopup.ID, j.BookTopup.Amount.Amount
	case j.NewDeposit:
		receipt.DepositID = &d.ID
	default:
		return nil
	}
	_, err := a.q.InsertReceipt(ctx, tx, receipt)
	if pg.IsNoRows(err) {
		return errOvertaken
	}
	if err != nil {
		return fmt.Errorf("book receipt: %w", err)
	}
	if !j.NewDeposit {
		return nil
	}
	if j.Owner != nil {
		d.WalletID, d.UserID = &j.Owner.WalletID, &j.Owner.UserID
	}
	if err := a.q.InsertDeposit(ctx, tx, d); err != nil {
		return fmt.Errorf("insert deposit: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, CreditDepositArgs{DepositID: d.ID}, nil); err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

// changeTopup stores what a judgement makes of its top-up.
func (a *App) changeTopup(ctx context.Context, tx pgx.Tx, j domain.Judgement) error {
	if j.Event == "" {
		return a.saveTopup(ctx, tx, *j.Topup)
	}
	_, _, err := a.moveTopup(ctx, tx, *j.Topup, j.Event, j.Failure)
	return err
}

// storeClaim notes what a message says that only Safaricom's own books can confirm. Where they cannot be asked, it is a case at once.
func (a *App) storeClaim(ctx context.Context, tx pgx.Tx, p domain.Payment, m message) error {
	now := a.Now()
	c := walletdb.InsertClaimParams{CallbackID: m.ID, ReceiptKey: p.Receipt, AmountMinor: p.Amount.Amount, CreatedAt: now,
		AccountIndex: a.Sealer.Index(indexAccount, p.Account), PaidAt: domain.ClaimTime(p.PaidAt, m.ReceivedAt),
		State: claimOpen, NextAskAt: &now}
	if !a.AskPull {
		c.State, c.NextAskAt = claimCase, nil
		if err := a.openCase(ctx, tx, caseClaim, m.ID); err != nil {
			return err
		}
	}
	if err := a.q.InsertClaim(ctx, tx, c); err != nil {
		return fmt.Errorf("insert claim: %w", err)
	}
	return nil
}

// endClaims ends the claims to a receipt that is accounted for. Those that said something else were lies, or somebody's slip.
func (a *App) endClaims(ctx context.Context, tx pgx.Tx, p domain.Payment) error {
	closed, err := a.q.CloseClaims(ctx, tx, p.Amount.Amount, a.Sealer.Indexes(indexAccount, p.Account), p.Receipt)
	if err != nil {
		return fmt.Errorf("close claims: %w", err)
	}
	for _, c := range closed {
		if c.State == claimRefuted {
			a.alarm(ctx, "claim_refuted", "callback", c.CallbackID)
		}
	}
	return nil
}

// openCase leaves a message to a person of finance.
func (a *App) openCase(ctx context.Context, tx pgx.Tx, kind string, callbackID uuid.UUID) error {
	if err := a.q.OpenCase(ctx, tx, kind, &callbackID, a.Now()); err != nil {
		return fmt.Errorf("open case: %w", err)
	}
	return nil
}
