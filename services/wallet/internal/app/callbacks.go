package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

// Where M-Pesa calls: about a prompt, with the top-up's id after the token, and about payments to the short code, which is told once. Both
// keep their messages in one table.
var (
	stkCallbacks = hook.Address{Path: "/v1/hooks/st/", Token: "stk", Sealed: "callback:"}
	c2bCallbacks = hook.Address{Path: "/v1/hooks/cb/", Token: "c2b", Sealed: stkCallbacks.Sealed}
)

// Kinds of messages that M-Pesa posts.
const (
	kindStk = "stk"
	kindC2b = "c2b"
	// kindClaim is a payment that Safaricom's books confirm.
	kindClaim = "claim"
	// kindPull is a payment in Safaricom's books of which nobody told us.
	kindPull = "pull"
)

// ReceiveStkCallback stores the result of a prompt, sealed and once, and leaves the judgement to a job. A wrong token is 404.
func (a *App) ReceiveStkCallback(ctx context.Context, token string, topupID uuid.UUID, body []byte) error {
	if err := a.stk.Check(token, topupID.String()); err != nil {
		return err
	}
	// Not by the CheckoutRequestID: it ends with nine digits of the phone, and the body's hash tells messages apart.
	return a.storeCallback(ctx, a.stk, kindStk, "topup:"+topupID.String(), &topupID, body)
}

// ReceiveC2bConfirmation stores a paybill payment, sealed and once, and leaves the judgement to a job. A wrong token is 404.
func (a *App) ReceiveC2bConfirmation(ctx context.Context, token string, body []byte) error {
	if err := a.c2b.Check(token, a.ShortCode); err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	providerID := "body:" + hex.EncodeToString(sum[:])
	if c, err := daraja.ParseC2B(body); err == nil && domain.ReadableReceipt(c.TransID) {
		providerID = c.TransID
	}
	return a.storeCallback(ctx, a.c2b, kindC2b, providerID, nil, body)
}

// storeCallback also keeps whether the message came from an address of Safaricom's: what a stranger says is judged otherwise.
func (a *App) storeCallback(ctx context.Context, at *hook.Hook, kind, providerID string, topupID *uuid.UUID, body []byte) error {
	source := auth.SourceKnown
	if auth.From(ctx).Stranger() {
		source = auth.SourceStranger
	}
	sum := sha256.Sum256(body)
	return at.Keep(ctx, body, func(tx pgx.Tx, m hook.Message) (river.JobArgs, error) {
		_, err := a.q.InsertCallback(ctx, tx, walletdb.InsertCallbackParams{ID: m.ID, Kind: kind, ProviderID: providerID, BodyHash: sum[:],
			BodySealed: m.Sealed, TopupID: topupID, Source: source, ReceivedAt: a.Now()})
		if pg.IsNoRows(err) {
			return nil, nil // the same message again
		}
		if err != nil {
			return nil, err
		}
		return JudgeCallbackArgs{CallbackID: m.ID}, nil
	})
}

// ValidationAnswer answers Safaricom's question whether a payment is welcome: "0", or one of its codes.
type ValidationAnswer struct{ Code, Text string }

// Safaricom's codes (Daraja C2B, validation).
var (
	answerWelcome   = ValidationAnswer{"0", "Accepted"}
	answerAccount   = ValidationAnswer{"C2B00012", "Rejected"}
	answerShortCode = ValidationAnswer{"C2B00015", "Rejected"}
	answerOther     = ValidationAnswer{"C2B00016", "Rejected"}
)

// ValidateC2b says whether a payment to the paybill is welcome: to an account of an active customer. It is the one webhook that keeps
// nothing: Safaricom asks a question and waits for the answer, and no money has moved.
func (a *App) ValidateC2b(ctx context.Context, token string, body []byte) (ValidationAnswer, error) {
	if err := a.c2b.Check(token, a.ShortCode); err != nil {
		return ValidationAnswer{}, err
	}
	c, err := daraja.ParseC2B(body)
	if err != nil {
		return answerOther, nil //nolint:nilerr // an unreadable question is answered, not failed
	}
	if c.ShortCode != a.ShortCode {
		return answerShortCode, nil
	}
	account := domain.NormalizeAccount(c.BillRef)
	var walletStatus, customerStatus string
	if t, err := a.q.ReferenceKnown(ctx, a.Pool, account); err == nil {
		walletStatus, customerStatus = t.WalletStatus, t.CustomerStatus
	} else if !pg.IsNoRows(err) {
		return ValidationAnswer{}, fmt.Errorf("find account: %w", err)
	}
	if w, err := a.q.GetWalletByDepositAccount(ctx, a.Pool, &account); err == nil {
		walletStatus, customerStatus = w.Status, w.CustomerStatus
	} else if !pg.IsNoRows(err) {
		return ValidationAnswer{}, fmt.Errorf("find account: %w", err)
	}
	if walletStatus != domain.WalletOpen || customerStatus != domain.CustomerActive {
		return answerAccount, nil
	}
	return answerWelcome, nil
}
