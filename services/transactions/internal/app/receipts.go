package app

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/web"
	"github.com/sendtip/sendtip/services/transactions/internal/leaves"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// GetReceipt returns the receipt of a transaction on the user's own account, which shows nothing of other accounts; nil while no signed
// checkpoint covers it. Somebody else's account, and a transaction that does not touch the account, are fault.ErrNotFound.
func (a *App) GetReceipt(ctx context.Context, accountID, transactionID uuid.UUID) (*proof.Receipt, error) {
	if _, err := a.GetBalance(ctx, accountID); err != nil { // the owner only
		return nil, err
	}
	t, err := a.leaf(ctx, transactionID)
	if err != nil {
		return nil, err
	}
	touched, err := a.touches(ctx, t, accountID)
	if err != nil {
		return nil, err
	}
	if !touched {
		return nil, fault.ErrNotFound
	}
	return a.receipt(ctx, t, func(index uint64, path []proof.Hash, checkpoint string) proof.Receipt {
		return proof.AccountReceipt(t, accountID, index, path, checkpoint)
	})
}

// GetLedgerReceipt returns the receipt with all parts, and the metadata with its salt while that exists; nil while no signed checkpoint
// covers the transaction.
func (a *App) GetLedgerReceipt(ctx context.Context, transactionID uuid.UUID) (*proof.Receipt, error) {
	if err := auth.Require(ctx, scopes.LedgerRead); err != nil {
		return nil, err
	}
	t, err := a.leaf(ctx, transactionID)
	if err != nil {
		return nil, err
	}
	r, err := a.receipt(ctx, t, func(index uint64, path []proof.Hash, checkpoint string) proof.Receipt {
		return proof.FullReceipt(t, index, path, checkpoint)
	})
	if err != nil || r == nil || t.MetadataHash == nil {
		return r, err
	}
	row, err := a.q.GetMetadata(ctx, a.pool, transactionID)
	if pg.IsNoRows(err) { // erased
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read metadata: %w", err)
	}
	facts := map[string]string{}
	if err := json.Unmarshal(row.Metadata, &facts); err != nil {
		return nil, fmt.Errorf("metadata of transaction %s: %w", transactionID, err)
	}
	salt := [proof.SaltSize]byte(row.Salt)
	if hash := proof.MetadataHash(salt, facts); string(hash[:]) != string(t.MetadataHash) {
		return nil, fmt.Errorf("transaction %s: %w", transactionID, proof.ErrMetadata)
	}
	full := r.WithMetadata(salt, facts)
	return &full, nil
}

// EraseMetadata deletes the metadata of a transaction and its salt, with an audit row. Without any there is nothing to do.
func (a *App) EraseMetadata(ctx context.Context, transactionID uuid.UUID) error {
	if err := auth.Require(ctx, scopes.AdminLedger); err != nil {
		return err
	}
	if _, err := auth.UserFrom(ctx); err != nil { // a person, whom the audit row names
		return err
	}
	p := auth.From(ctx)
	erased, err := a.q.EraseMetadata(ctx, a.pool, transactionsdb.EraseMetadataParams{TransactionID: transactionID, Actor: p.Subject,
		Operation: p.Operation, RequestID: web.RequestID(ctx)})
	if err != nil || erased {
		return err
	}
	exists, err := a.q.HasTransaction(ctx, a.pool, transactionID)
	if err != nil {
		return err
	}
	if !exists {
		return fault.ErrNotFound
	}
	return nil
}

// leaf reads what the leaf of a transaction covers.
func (a *App) leaf(ctx context.Context, id uuid.UUID) (*proof.Transaction, error) {
	found, err := leaves.Load(ctx, a.pool, []uuid.UUID{id})
	if err != nil {
		return nil, err
	}
	t := found[id]
	if t == nil {
		return nil, fault.ErrNotFound
	}
	return t, nil
}

// touches says whether the transaction moves, reserves or frees money of the account.
func (a *App) touches(ctx context.Context, t *proof.Transaction, account uuid.UUID) (bool, error) {
	for i := range t.Postings {
		if t.Postings[i].Source == account || t.Postings[i].Destination == account {
			return true, nil
		}
	}
	if t.HoldID == uuid.Nil {
		return false, nil
	}
	held, err := a.q.HoldAccount(ctx, a.pool, t.HoldID)
	if err != nil {
		return false, fmt.Errorf("read hold: %w", err)
	}
	return held == account, nil
}

// receipt proves the transaction in the tree of the newest checkpoint, or returns nil if that does not cover it.
func (a *App) receipt(ctx context.Context, t *proof.Transaction,
	build func(index uint64, path []proof.Hash, checkpoint string) proof.Receipt) (*proof.Receipt, error) {
	sealed, err := a.q.GetLeafIndex(ctx, a.pool, t.ID)
	if pg.IsNoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the leaf's index: %w", err)
	}
	newest, err := a.q.LastCheckpoint(ctx, a.pool)
	if pg.IsNoRows(err) || err == nil && sealed >= newest.Size {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the newest checkpoint: %w", err)
	}
	index, size := uint64(sealed), uint64(newest.Size)
	path, err := proof.Inclusion(ctx, a.tiles(a.pool), index, size)
	if err != nil {
		return nil, err
	}
	// A row that was changed since does not make this leaf: better no receipt, and an error in the log, than one that proves nothing.
	if err := proof.VerifyInclusion(proof.LeafHash(t), index, size, path, proof.Hash(newest.Root)); err != nil {
		return nil, fmt.Errorf("receipt of transaction %s: %w", t.ID, err)
	}
	r := build(index, path, newest.Note)
	return &r, nil
}
