package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/events"
	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/audit"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const (
	sealRequesterName = "requester name"
	sealPayerName     = "payer name"
	sealRequestNote   = "request note"
)

// RequestInput asks a customer for money.
type RequestInput struct {
	Key        string `json:"-"` // Idempotency-Key
	WalletID   uuid.UUID
	PayerPhone string // E.164
	Amount     money.Money
	Note       string
}

// CreatePaymentRequest asks the customer of a phone for money. Who is found is asked of user on the caller's behalf, and limited there.
func (a *App) CreatePaymentRequest(ctx context.Context, in RequestInput) (domain.Request, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Request{}, err
	}
	if err := domain.CheckRequestNote(in.Note); err != nil {
		return domain.Request{}, err
	}
	key := idem.NewKey(ctx, "createPaymentRequest", in.Key, in)
	var r domain.Request
	stored, err := a.idem.Find(ctx, a.Pool, key) // a repeat asks nobody again
	if err != nil {
		return domain.Request{}, err
	}
	if stored != nil {
		return r, stored.Decode(&r)
	}
	if r, err = a.newRequest(ctx, userID, in); err != nil {
		return domain.Request{}, err
	}
	err = pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		stored, err := a.idem.Begin(ctx, tx, key, idem.Once)
		if err != nil {
			return err
		}
		if stored != nil {
			return stored.Decode(&r)
		}
		if err := a.storeRequest(ctx, tx, r, in); err != nil {
			return err
		}
		return a.idem.Finish(ctx, tx, key, 201, r)
	})
	return r, err
}

// newRequest checks what can be checked without a lock, and finds both names.
func (a *App) newRequest(ctx context.Context, userID uuid.UUID, in RequestInput) (domain.Request, error) {
	if err := a.mayAskInto(ctx, a.Pool, userID, in); err != nil {
		return domain.Request{}, err
	}
	payer, err := a.payerOf(ctx, in.PayerPhone)
	if err != nil {
		return domain.Request{}, err
	}
	if payer.UserID == userID {
		return domain.Request{}, domain.ErrPayerSelf
	}
	name, err := a.maskedNameOf(ctx, userID)
	if err != nil {
		return domain.Request{}, err
	}
	now := a.Now()
	return domain.Request{ID: newID(), RequesterID: userID, WalletID: in.WalletID, PayerID: payer.UserID, RequesterName: name,
		PayerName: payer.MaskedName, Amount: in.Amount, Note: in.Note, Status: domain.RequestOpen, AskedAt: now, CreatedAt: now,
		ExpiresAt: now.Add(domain.RequestLife)}, nil
}

// payerOf finds whom a phone belongs to.
func (a *App) payerOf(ctx context.Context, phone string) (recipient, error) {
	found, err := a.findRecipient(ctx, phone)
	switch {
	case errors.Is(err, domain.ErrRecipientMissing):
		return found, domain.ErrPayerMissing
	case errors.Is(err, domain.ErrRecipientInReview):
		return found, domain.ErrPayerInReview
	}
	return found, err
}

// mayAskInto checks the requester's side: an open wallet of a verified customer, in the currency that is asked for.
func (a *App) mayAskInto(ctx context.Context, db walletdb.DBTX, userID uuid.UUID, in RequestInput) error {
	to, err := a.q.GetWalletOwner(ctx, db, in.WalletID)
	switch {
	case pg.IsNoRows(err), err == nil && to.UserID != userID:
		return fault.ErrNotFound
	case err != nil:
		return fmt.Errorf("get wallet: %w", err)
	}
	if err := (domain.Customer{Status: to.CustomerStatus, Tier: to.Tier}).MayPay(); err != nil {
		return err
	}
	switch {
	case to.Currency != in.Amount.Currency:
		return domain.ErrCurrencyMismatch
	case to.Status != domain.WalletOpen:
		return domain.ErrWalletNotOpen
	}
	return nil
}

// storeRequest counts the requester's open requests under the lock of the customer's row, so that requests made at once take turns.
func (a *App) storeRequest(ctx context.Context, tx pgx.Tx, r domain.Request, in RequestInput) error {
	if _, err := a.q.LockCustomer(ctx, tx, r.RequesterID); err != nil {
		return fmt.Errorf("lock customer: %w", err)
	}
	if err := a.mayAskInto(ctx, tx, r.RequesterID, in); err != nil {
		return err
	}
	open, err := a.q.CountOpenRequests(ctx, tx, r.PayerID, r.RequesterID, r.CreatedAt)
	if err != nil {
		return fmt.Errorf("count requests: %w", err)
	}
	if err := domain.CheckOpenRequests(open.Total, open.ToPayer); err != nil {
		return err
	}
	requester, requesterErr := a.sealText(sealRequesterName, r.ID, r.RequesterName)
	payer, payerErr := a.sealText(sealPayerName, r.ID, r.PayerName)
	note, noteErr := a.sealText(sealRequestNote, r.ID, r.Note)
	if err := errors.Join(requesterErr, payerErr, noteErr); err != nil {
		return err
	}
	if err := a.q.InsertRequest(ctx, tx, walletdb.InsertRequestParams{ID: r.ID, RequesterID: r.RequesterID, WalletID: r.WalletID,
		PayerID: r.PayerID, RequesterNameSealed: requester, PayerNameSealed: payer, Currency: r.Amount.Currency,
		AmountMinor: r.Amount.Amount, NoteSealed: note, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt}); err != nil {
		return fmt.Errorf("insert request: %w", err)
	}
	return a.tellRequest(ctx, tx, r, "created")
}

// GetPaymentRequest returns a request that the caller made or received.
func (a *App) GetPaymentRequest(ctx context.Context, id uuid.UUID) (domain.Request, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return domain.Request{}, err
	}
	row, err := a.q.GetRequest(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && row.RequesterID != userID && row.PayerID != userID:
		return domain.Request{}, fault.ErrNotFound
	case err != nil:
		return domain.Request{}, fmt.Errorf("get request: %w", err)
	}
	return a.request(ctx, row).At(a.Now()), nil
}

// ListPaymentRequests returns a page of what the caller asked for and was asked, newest first; direction picks one of both.
func (a *App) ListPaymentRequests(ctx context.Context, direction string, in page.Request) ([]domain.Request, *string, error) {
	userID, err := auth.UserFrom(ctx)
	if err != nil {
		return nil, nil, err
	}
	p, err := page.Read[uuid.UUID](ctx, a.pages, "listPaymentRequests", in, direction)
	if err != nil {
		return nil, nil, err
	}
	rows, err := a.q.ListRequests(ctx, a.Pool, walletdb.ListRequestsParams{Sent: direction != "received", Received: direction != "sent",
		UserID: userID, Before: p.From(uuid.Max), PageSize: p.Size + 1})
	if err != nil {
		return nil, nil, fmt.Errorf("list requests: %w", err)
	}
	rows, next := page.Cut(p, rows, func(r walletdb.PaymentRequest) uuid.UUID { return r.ID })
	out := make([]domain.Request, 0, len(rows))
	for _, r := range rows {
		out = append(out, a.request(ctx, r).At(a.Now()))
	}
	return out, next, nil
}

// payable returns the request that a customer wants to pay. A payment locks it; here it is only looked at.
func (a *App) payable(ctx context.Context, userID, id uuid.UUID) (domain.Request, error) {
	row, err := a.q.GetRequest(ctx, a.Pool, id)
	switch {
	case pg.IsNoRows(err), err == nil && row.PayerID != userID:
		return domain.Request{}, fault.ErrNotFound
	case err != nil:
		return domain.Request{}, fmt.Errorf("get request: %w", err)
	}
	r := a.request(ctx, row)
	return r, r.MayPay(a.Now())
}

func (a *App) request(ctx context.Context, r walletdb.PaymentRequest) domain.Request {
	return domain.Request{ID: r.ID, RequesterID: r.RequesterID, WalletID: r.WalletID, PayerID: r.PayerID,
		RequesterName: a.shownText(ctx, sealRequesterName, r.ID, r.RequesterNameSealed),
		PayerName:     a.shownText(ctx, sealPayerName, r.ID, r.PayerNameSealed),
		Amount:        money.Money{Amount: r.AmountMinor, Currency: r.Currency}, Note: a.shownText(ctx, sealRequestNote, r.ID, r.NoteSealed),
		Status: r.Status, TransferID: r.TransferID, Reminders: r.Reminders, AskedAt: r.AskedAt.UTC(), CreatedAt: r.CreatedAt.UTC(),
		ExpiresAt: r.ExpiresAt.UTC(), ClosedAt: r.ClosedAt}
}

// tellRequest publishes and audits what became of a request whose row is locked.
func (a *App) tellRequest(ctx context.Context, tx pgx.Tx, r domain.Request, what string) error {
	if err := audit.Record(ctx, tx, a.Now(), audit.Entry{Action: "payment_request." + what, ObjectType: "payment_request",
		ObjectID: r.ID.String()}); err != nil {
		return err
	}
	return a.publish(ctx, tx, "wallet.request_"+what, r.ID, events.WalletRequestCreated{PaymentRequestID: r.ID, RequesterUserID: r.RequesterID,
		PayerUserID: r.PayerID, Amount: wireMoney(r.Amount), ExpiresAt: r.ExpiresAt})
}
