package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	walletdb "github.com/sendtip/sendtip/generated/wallet/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/providers/daraja"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

const sealCallback = "callback"

// Kinds of messages that M-Pesa posts.
const (
	kindStk = "stk"
	kindC2b = "c2b"
	// kindClaim is a payment that Safaricom's books confirm.
	kindClaim = "claim"
)

// ReceiveStkCallback stores the result of a prompt, sealed and once, and leaves the judgement to a job. A wrong token is 404.
func (a *App) ReceiveStkCallback(ctx context.Context, token string, topupID uuid.UUID, body []byte) error {
	if !a.Sealer.TokenMatches(token, tokenStk, topupID.String()) {
		a.metrics.callbacks.WithLabelValues(kindStk, "wrong_token").Inc()
		return fault.ErrNotFound
	}
	// Not by the CheckoutRequestID: it ends with nine digits of the phone, and the body's hash tells messages apart.
	return a.storeCallback(ctx, kindStk, "topup:"+topupID.String(), &topupID, body)
}

// ReceiveC2bConfirmation stores a paybill payment, sealed and once, and leaves the judgement to a job. A wrong token is 404.
func (a *App) ReceiveC2bConfirmation(ctx context.Context, token string, body []byte) error {
	if !a.Sealer.TokenMatches(token, tokenC2b, a.ShortCode) {
		a.metrics.callbacks.WithLabelValues(kindC2b, "wrong_token").Inc()
		return fault.ErrNotFound
	}
	sum := sha256.Sum256(body)
	providerID := "body:" + hex.EncodeToString(sum[:])
	if c, err := daraja.ParseC2B(body); err == nil && domain.ReadableReceipt(c.TransID) {
		providerID = c.TransID
	}
	return a.storeCallback(ctx, kindC2b, providerID, nil, body)
}

func (a *App) storeCallback(ctx context.Context, kind, providerID string, topupID *uuid.UUID, body []byte) error {
	id, source := newID(), auth.SourceKnown
	if auth.From(ctx).Stranger() {
		source = auth.SourceStranger
	}
	sealed, err := a.Sealer.Seal(sealCallback+":"+id.String(), body)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	return pg.InTx(ctx, a.Pool, func(tx pgx.Tx) error {
		_, err := a.q.InsertCallback(ctx, tx, walletdb.InsertCallbackParams{ID: id, Kind: kind, ProviderID: providerID, BodyHash: sum[:],
			BodySealed: sealed, TopupID: topupID, Source: source, ReceivedAt: a.Now()})
		if pg.IsNoRows(err) {
			return nil // the same message again
		}
		if err != nil {
			return fmt.Errorf("store callback: %w", err)
		}
		if _, err := a.Jobs.InsertTx(ctx, tx, JudgeCallbackArgs{CallbackID: id}, nil); err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
		return nil
	})
}

// Verdict answers Safaricom's question whether a payment is welcome: "0", or one of its codes.
type Verdict struct{ Code, Text string }

// Safaricom's codes (Daraja C2B, validation).
var (
	verdictWelcome   = Verdict{"0", "Accepted"}
	verdictAccount   = Verdict{"C2B00012", "Rejected"}
	verdictShortCode = Verdict{"C2B00015", "Rejected"}
	verdictOther     = Verdict{"C2B00016", "Rejected"}
)

// ValidateC2b says whether a payment to the paybill is welcome: to an account of an active customer.
func (a *App) ValidateC2b(ctx context.Context, token string, body []byte) (Verdict, error) {
	if !a.Sealer.TokenMatches(token, tokenC2b, a.ShortCode) {
		a.metrics.callbacks.WithLabelValues(kindC2b, "wrong_token").Inc()
		return Verdict{}, fault.ErrNotFound
	}
	c, err := daraja.ParseC2B(body)
	if err != nil {
		return verdictOther, nil //nolint:nilerr // an unreadable question is answered, not failed
	}
	if c.ShortCode != a.ShortCode {
		return verdictShortCode, nil
	}
	account := domain.NormalAccount(c.BillRef)
	var walletStatus, customerStatus string
	if t, err := a.q.ReferenceKnown(ctx, a.Pool, account); err == nil {
		walletStatus, customerStatus = t.WalletStatus, t.CustomerStatus
	} else if !pg.IsNoRows(err) {
		return Verdict{}, fmt.Errorf("find account: %w", err)
	}
	if w, err := a.q.GetWalletByDepositAccount(ctx, a.Pool, &account); err == nil {
		walletStatus, customerStatus = w.Status, w.CustomerStatus
	} else if !pg.IsNoRows(err) {
		return Verdict{}, fmt.Errorf("find account: %w", err)
	}
	if walletStatus != domain.WalletOpen || customerStatus != domain.CustomerActive {
		return verdictAccount, nil
	}
	return verdictWelcome, nil
}
