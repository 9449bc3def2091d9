package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	// requestedWait gives the answer to the request time to arrive: a callback can be faster.
	requestedWait = 2 * time.Second
	// requestedPatience is how long a callback waits for it; the request itself gives up earlier.
	requestedPatience = 60 * time.Second
	confirmWait       = 10 * time.Second
	// contradictionPatience is how long a confirmation with another amount waits for its top-up's own result.
	contradictionPatience = domain.QueryWindow + time.Minute

	sourceCallback = "callback"
	sourceC2b      = "c2b"
	sourcePull     = "pull"
)

// receiptPattern is wider than Safaricom's ten capitals and digits, and fits into a ledger reference.
var receiptPattern = regexp.MustCompile(`^[A-Z0-9]{1,50}$`)

// prepareStk does what must not happen inside a transaction. A success for a prompt whose request got no answer is confirmed by a query,
// as there is no CheckoutRequestID of our own to compare; confirmed holds the outcome.
func (a *App) prepareStk(ctx context.Context, row walletdb.GetCallbackRow, c daraja.STKCallback) (wait time.Duration, confirmed daraja.Outcome, err error) {
	stored, err := a.q.GetTopup(ctx, a.Pool, *row.TopupID)
	if pg.IsNoRows(err) {
		return 0, daraja.Unknown, nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("get topup: %w", err)
	}
	t, err := a.topup(stored)
	if err != nil {
		return 0, "", err
	}
	if t.Status == domain.TopupRequested && a.Now().Sub(row.ReceivedAt) < requestedPatience {
		return requestedWait, "", nil
	}
	switch {
	case t.CheckoutRequestID != "", c.Outcome != daraja.Paid:
		return 0, c.Outcome, nil
	case t.Status == domain.TopupStored:
		return 0, daraja.Unknown, nil // nobody was asked to pay yet; it must not count if the prompt leaves before the judgement
	}
	if a.Now().Sub(row.ReceivedAt) > domain.QueryEnd {
		return 0, daraja.Unknown, nil // Safaricom has confirmed nothing for a day: a person must look
	}
	status, err := a.Mpesa.STKQuery(ctx, c.CheckoutRequestID)
	if err != nil {
		a.Log.WarnContext(ctx, "confirm callback", "topup", t.ID, "err", err)
		return confirmWait, "", nil
	}
	if status.Outcome == daraja.Pending || status.Outcome == daraja.Unknown {
		return confirmWait, "", nil
	}
	return 0, status.Outcome, nil
}

// judgeStk applies the result of a prompt under the top-up's lock.
func (a *App) judgeStk(ctx context.Context, tx pgx.Tx, row walletdb.GetCallbackRow, c daraja.STKCallback, confirmed daraja.Outcome) (string, error) {
	t, err := a.lockTopup(ctx, tx, *row.TopupID)
	switch {
	case pg.IsNoRows(err):
		return verdictUnknownTopup, nil
	case err != nil:
		return "", err
	case t.Status == domain.TopupStored:
		return verdictNotRequested, nil
	case t.CheckoutRequestID != "" && t.CheckoutRequestID != c.CheckoutRequestID:
		return verdictCheckoutMismatch, nil
	}
	switch c.Outcome {
	case daraja.Failed:
		return a.declineTopup(ctx, tx, t, c)
	case daraja.Paid:
	default:
		return verdictNoResult, nil
	}
	paid := money.Money{Amount: c.AmountMinor, Currency: domain.MpesaCurrency}
	switch {
	case confirmed != daraja.Paid:
		return verdictRefuted, nil
	case paid != t.Amount && receiptPattern.MatchString(c.Receipt) && t.Receipt == "":
		// No credit on a message that contradicts the request: Safaricom itself is asked, now. The receipt stays tied to the top-up, so
		// that a confirmation that is wrong in the same way is no deposit.
		if _, err := a.claimReceipt(ctx, tx, c.Receipt, t, sourceCallback); err != nil {
			return "", err
		}
		return verdictAmountMismatch, a.askNow(ctx, tx, t.ID)
	case paid != t.Amount:
		return verdictAmountMismatch, a.askNow(ctx, tx, t.ID)
	case !receiptPattern.MatchString(c.Receipt):
		return verdictUnreadable, a.askNow(ctx, tx, t.ID)
	}
	if t.PromptedAt != nil {
		a.metrics.callbackSeconds.Observe(a.Now().Sub(*t.PromptedAt).Seconds())
	}
	if t.CheckoutRequestID == "" {
		t.CheckoutRequestID, t.MerchantRequestID = c.CheckoutRequestID, c.MerchantRequestID
	}
	return a.takeCallbackReceipt(ctx, tx, row, t, c)
}

// hearStranger notes what a message says whose sender nobody knows: its path is all that it had to know, and a log may have shown that. It
// decides nothing. Safaricom is asked what became of the prompt, and a receipt is a claim.
func (a *App) hearStranger(ctx context.Context, tx pgx.Tx, row walletdb.GetCallbackRow, c daraja.STKCallback) (string, error) {
	t, err := a.lockTopup(ctx, tx, *row.TopupID)
	switch {
	case pg.IsNoRows(err):
		return verdictUnknownTopup, nil
	case err != nil:
		return "", err
	case t.Status == domain.TopupStored:
		return verdictNotRequested, nil
	case t.CheckoutRequestID != "" && t.CheckoutRequestID != c.CheckoutRequestID:
		return verdictCheckoutMismatch, nil
	}
	if t.Status != domain.TopupPaid {
		if err := a.askNow(ctx, tx, t.ID); err != nil {
			return "", err
		}
	}
	switch {
	case c.Outcome != daraja.Paid:
		return verdictUnverified, nil
	case !receiptPattern.MatchString(c.Receipt):
		return verdictUnreadable, nil
	}
	return a.claim(ctx, tx, row, stkPayment(t, c))
}

func stkPayment(t domain.Topup, c daraja.STKCallback) payment {
	return payment{Receipt: c.Receipt, Amount: money.Money{Amount: c.AmountMinor, Currency: domain.MpesaCurrency}, Account: t.AccountReference,
		PaidAt: c.PaidAt, Source: sourceCallback}
}

func (a *App) declineTopup(ctx context.Context, tx pgx.Tx, t domain.Topup, c daraja.STKCallback) (string, error) {
	if t.CheckoutRequestID == "" {
		t.CheckoutRequestID, t.MerchantRequestID = c.CheckoutRequestID, c.MerchantRequestID
	}
	was := t.Status
	_, moved, err := a.moveTopup(ctx, tx, t, domain.EventDeclined, domain.FailureOf(c.ResultCode))
	switch {
	case err != nil:
		return "", err
	case moved:
		return verdictApplied, nil
	case was == domain.TopupPaid:
		return verdictConflict, nil // paid is the end; somebody must look
	}
	return verdictDuplicate, nil
}

// takeCallbackReceipt credits the prompt's receipt once. What names it first fixes it, callback or confirmation: a second one is a claim, and
// somebody must look.
func (a *App) takeCallbackReceipt(ctx context.Context, tx pgx.Tx, row walletdb.GetCallbackRow, t domain.Topup, c daraja.STKCallback) (string, error) {
	receipt := c.Receipt
	if daraja.NormalReceipt(t.Receipt) == receipt {
		return verdictDuplicate, nil
	}
	if t.Receipt != "" {
		verdict, err := a.claim(ctx, tx, row, stkPayment(t, c))
		if verdict == verdictDuplicate {
			verdict = verdictConflict // it is accounted for as something else: one of the two messages is wrong
		}
		return verdict, err
	}
	switch claimed, err := a.claimReceipt(ctx, tx, receipt, t, sourceCallback); {
	case err != nil:
		return "", err
	case claimed:
		if err := a.closeClaims(ctx, tx, stkPayment(t, c)); err != nil {
			return "", err
		}
		return verdictApplied, a.payTopup(ctx, tx, t, receipt)
	case t.Status == domain.TopupPaid:
		return verdictConflict, nil
	}
	taken, err := a.q.GetReceipt(ctx, tx, receipt)
	if err != nil {
		return "", fmt.Errorf("get receipt: %w", err)
	}
	if taken.TopupID != nil {
		return verdictConflict, nil // it is another prompt's: whatever this message is, it says nothing about this one
	}
	// The payment is credited as a deposit. Keeping its receipt stops a query from paying the top-up with the same money.
	t.Receipt = receipt
	return verdictConflict, a.saveTopup(ctx, tx, t)
}

// payTopup writes the receipt, and pays the top-up unless a query did so before.
func (a *App) payTopup(ctx context.Context, tx pgx.Tx, t domain.Topup, receipt string) error {
	t.Receipt = receipt
	_, moved, err := a.moveTopup(ctx, tx, t, domain.EventPaid, "")
	if err != nil || moved {
		return err
	}
	return a.saveTopup(ctx, tx, t)
}

// claimReceipt books a receipt for a top-up; false means that it is booked for something else. A top-up whose callback contradicted the
// request has its receipt booked already, without being paid.
func (a *App) claimReceipt(ctx context.Context, tx pgx.Tx, receipt string, t domain.Topup, source string) (bool, error) {
	_, err := a.q.InsertReceipt(ctx, tx, walletdb.InsertReceiptParams{Receipt: receipt, TopupID: &t.ID, Source: source,
		AmountMinor: t.Amount.Amount, CreatedAt: a.Now()})
	if err == nil {
		return true, nil
	}
	if !pg.IsNoRows(err) {
		return false, fmt.Errorf("take receipt: %w", err)
	}
	taken, err := a.q.GetReceipt(ctx, tx, receipt)
	if err != nil {
		return false, fmt.Errorf("get receipt: %w", err)
	}
	return taken.TopupID != nil && *taken.TopupID == t.ID && t.Receipt == "", nil
}

// payment is money on the paybill that is no top-up.
type payment struct {
	Receipt  string
	Amount   money.Money
	Account  string     // what it was paid to, in its normal form
	PaidAt   time.Time  // as the message says; zero if it does not
	WalletID *uuid.UUID // nil: nobody knows whose it is
	UserID   *uuid.UUID
	Source   string
}

// newDeposit books a receipt as a deposit and leaves the credit to a job.
func (a *App) newDeposit(ctx context.Context, tx pgx.Tx, p payment) (string, error) {
	id, now := newID(), a.Now()
	_, err := a.q.InsertReceipt(ctx, tx, walletdb.InsertReceiptParams{Receipt: p.Receipt, DepositID: &id, Source: p.Source,
		AmountMinor: p.Amount.Amount, CreatedAt: now})
	if pg.IsNoRows(err) {
		taken, err := a.q.GetReceipt(ctx, tx, p.Receipt)
		if err != nil {
			return "", fmt.Errorf("get receipt: %w", err)
		}
		if taken.AmountMinor != p.Amount.Amount {
			return verdictConflict, nil // one payment told in two ways: the first counts, and somebody must look
		}
		return verdictDuplicate, nil
	}
	if err != nil {
		return "", fmt.Errorf("take receipt: %w", err)
	}
	err = a.q.InsertDeposit(ctx, tx, walletdb.InsertDepositParams{ID: id, Receipt: p.Receipt, UserID: p.UserID, WalletID: p.WalletID,
		Currency: p.Amount.Currency, AmountMinor: p.Amount.Amount, CreatedAt: now})
	if err != nil {
		return "", fmt.Errorf("insert deposit: %w", err)
	}
	if _, err := a.Jobs.InsertTx(ctx, tx, CreditDepositArgs{DepositID: id}, nil); err != nil {
		return "", fmt.Errorf("enqueue: %w", err)
	}
	if p.WalletID == nil {
		return verdictSuspense, nil
	}
	return verdictDeposit, nil
}

// judgeC2b books a payment that Safaricom confirms, and takes a stranger's word for a claim. A confirmation without a readable short code
// came to the address of ours.
func (a *App) judgeC2b(ctx context.Context, tx pgx.Tx, row walletdb.GetCallbackRow, c daraja.C2BConfirmation) (string, error) {
	if c.ShortCode != "" && c.ShortCode != a.ShortCode {
		return verdictOtherShortCode, nil
	}
	p := payment{Receipt: c.TransID, Amount: money.Money{Amount: c.AmountMinor, Currency: domain.MpesaCurrency},
		Account: domain.NormalAccount(c.BillRef), PaidAt: c.PaidAt, Source: sourceC2b}
	if row.Source != auth.SourceKnown {
		return a.claim(ctx, tx, row, p)
	}
	verdict, err := a.book(ctx, tx, p, row.ReceivedAt)
	if err == nil && verdict == verdictAmountMismatch {
		return a.claim(ctx, tx, row, p) // a payment of its own, or the prompt's told wrongly: Safaricom's books tell which
	}
	return verdict, err
}

// book accounts for a payment that is certain, and ends the claims to its receipt.
func (a *App) book(ctx context.Context, tx pgx.Tx, p payment, receivedAt time.Time) (string, error) {
	verdict, err := a.attribute(ctx, tx, p, receivedAt)
	switch {
	case err != nil:
		return "", err
	case verdict == verdictConflict, verdict == verdictAmountMismatch:
		return verdict, nil // nothing is settled by it
	}
	return verdict, a.closeClaims(ctx, tx, p)
}

// attribute says whose a payment is: by its receipt; else by its account, if that is a top-up that still lacks a receipt and the amount agrees;
// else it is a new deposit, for the wallet of that account or for suspense.
func (a *App) attribute(ctx context.Context, tx pgx.Tx, p payment, receivedAt time.Time) (string, error) {
	row, err := a.q.LockTopupByReference(ctx, tx, p.Account)
	if err == nil {
		t, err := a.topup(row)
		if err != nil {
			return "", err
		}
		return a.attributeToTopup(ctx, tx, t, p, receivedAt)
	}
	if !pg.IsNoRows(err) {
		return "", fmt.Errorf("lock topup: %w", err)
	}
	w, err := a.q.GetWalletByDepositAccount(ctx, tx, &p.Account)
	switch {
	case err == nil:
		p.WalletID, p.UserID = &w.ID, &w.UserID
	case !pg.IsNoRows(err):
		return "", fmt.Errorf("find account: %w", err)
	}
	return a.newDeposit(ctx, tx, p)
}

// errNotYet rolls a judgement back: what it depends on is still open.
var errNotYet = errors.New("not yet")

// attributeToTopup attributes a payment under a top-up's reference, under the top-up's lock: its callback takes turns with us. A confirmation
// that contradicts an open prompt waits for the prompt's own result, and is then a mismatch unless it was another payment.
func (a *App) attributeToTopup(ctx context.Context, tx pgx.Tx, t domain.Topup, p payment, receivedAt time.Time) (string, error) {
	taken, err := a.q.GetReceipt(ctx, tx, p.Receipt)
	known := err == nil
	switch {
	case err != nil && !pg.IsNoRows(err):
		return "", fmt.Errorf("get receipt: %w", err)
	case known && taken.AmountMinor != p.Amount.Amount:
		return verdictConflict, nil
	case t.TakesConfirmation(p.Amount):
		claimed, err := a.claimReceipt(ctx, tx, p.Receipt, t, p.Source)
		if err != nil || !claimed {
			return verdictDuplicate, err
		}
		return verdictApplied, a.payTopup(ctx, tx, t, p.Receipt)
	case known:
		return verdictDuplicate, nil
	case !t.Contradicts(p.Amount), p.Source == sourcePull: // the books' amount is the payment's
		p.WalletID, p.UserID = &t.WalletID, &t.UserID
		return a.newDeposit(ctx, tx, p)
	case t.Status != domain.TopupPaid && a.Now().Sub(receivedAt) < contradictionPatience:
		return "", errNotYet
	}
	return verdictAmountMismatch, nil
}
