package api

import (
	"bytes"
	"context"
	"encoding/base64"

	transactionsapi "github.com/sendtip/sendtip/generated/transactions/api"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// How long answers about the tree may be kept.
var (
	forEver = "public, max-age=31536000, immutable"
	notLong = "no-cache"
)

// GetCheckpoint answers GET /v1/ledger-log/checkpoint.
func (s *Server) GetCheckpoint(ctx context.Context,
	_ transactionsapi.GetCheckpointRequestObject) (transactionsapi.GetCheckpointResponseObject, error) {
	c, err := s.app.NewestCheckpoint(ctx)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetCheckpoint200TextResponse{Body: c.Note,
		Headers: transactionsapi.GetCheckpoint200ResponseHeaders{CacheControl: &notLong}}, nil
}

// GetLogTile answers GET /v1/ledger-log/tiles/{level}/{index}.
func (s *Server) GetLogTile(ctx context.Context,
	r transactionsapi.GetLogTileRequestObject) (transactionsapi.GetLogTileResponseObject, error) {
	width := 0
	if r.Params.Width != nil {
		if width = int(*r.Params.Width); width == 0 { // for the use case zero means that none was sent
			return nil, fault.ErrInvalid.WithField("width", "width_invalid", "The width must be between 1 and 256.")
		}
	}
	tile, err := s.app.LogTile(ctx, int(r.Level), r.Index, width)
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, proof.HashSize*len(tile.Hashes))
	for i := range tile.Hashes {
		body = append(body, tile.Hashes[i][:]...)
	}
	kept := &notLong
	if tile.Final {
		kept = &forEver
	}
	return transactionsapi.GetLogTile200ApplicationOctetStreamResponse{Body: bytes.NewReader(body), ContentLength: int64(len(body)),
		Headers: transactionsapi.GetLogTile200ResponseHeaders{CacheControl: kept}}, nil
}

// GetInclusionProof answers GET /v1/ledger-log/inclusion-proofs.
func (s *Server) GetInclusionProof(ctx context.Context,
	r transactionsapi.GetInclusionProofRequestObject) (transactionsapi.GetInclusionProofResponseObject, error) {
	p, err := s.app.InclusionProof(ctx, r.Params.Index, r.Params.Size)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetInclusionProof200JSONResponse{Index: int64(p.Index), Size: int64(p.Size), LeafHash: encoded(p.LeafHash[:]),
		Hashes: hashes(p.Hashes)}, nil
}

// GetConsistencyProof answers GET /v1/ledger-log/consistency-proofs.
func (s *Server) GetConsistencyProof(ctx context.Context,
	r transactionsapi.GetConsistencyProofRequestObject) (transactionsapi.GetConsistencyProofResponseObject, error) {
	p, err := s.app.ConsistencyProof(ctx, r.Params.First, r.Params.Second)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetConsistencyProof200JSONResponse{First: int64(p.First), Second: int64(p.Second), Hashes: hashes(p.Hashes)}, nil
}

// ListLedgerKeys answers GET /v1/ledger-log/keys.
func (s *Server) ListLedgerKeys(ctx context.Context,
	_ transactionsapi.ListLedgerKeysRequestObject) (transactionsapi.ListLedgerKeysResponseObject, error) {
	keys, err := s.app.ListLedgerKeys(ctx)
	if err != nil {
		return nil, err
	}
	answer := transactionsapi.ListLedgerKeys200JSONResponse{Data: make([]transactionsapi.LedgerKey, len(keys))}
	for i, k := range keys {
		answer.Data[i] = transactionsapi.LedgerKey{VerifierKey: k.VerifierKey, FirstSize: k.FirstSize, CreatedAt: k.CreatedAt.UTC()}
	}
	return answer, nil
}

// GetReceipt answers GET /v1/accounts/{account_id}/receipts/{transaction_id}.
func (s *Server) GetReceipt(ctx context.Context,
	r transactionsapi.GetReceiptRequestObject) (transactionsapi.GetReceiptResponseObject, error) {
	receipt, err := s.app.GetReceipt(ctx, r.AccountID, r.TransactionID)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetReceipt200JSONResponse(receiptResult(receipt)), nil
}

// GetLedgerReceipt answers GET /v1/ledger/transactions/{transaction_id}/receipt.
func (s *Server) GetLedgerReceipt(ctx context.Context,
	r transactionsapi.GetLedgerReceiptRequestObject) (transactionsapi.GetLedgerReceiptResponseObject, error) {
	receipt, err := s.app.GetLedgerReceipt(ctx, r.TransactionID)
	if err != nil {
		return nil, err
	}
	return transactionsapi.GetLedgerReceipt200JSONResponse(receiptResult(receipt)), nil
}

// EraseTransactionMetadata answers DELETE /v1/admin/ledger/transactions/{transaction_id}/metadata.
func (s *Server) EraseTransactionMetadata(ctx context.Context,
	r transactionsapi.EraseTransactionMetadataRequestObject) (transactionsapi.EraseTransactionMetadataResponseObject, error) {
	if err := s.app.EraseMetadata(ctx, r.TransactionID); err != nil {
		return nil, err
	}
	return transactionsapi.EraseTransactionMetadata204Response{}, nil
}

// What becomes of a receipt; the contract leaves the list open.
const (
	receiptPending = "pending"
	receiptSealed  = "sealed"
)

// receiptResult maps a receipt, which is nil while there is none.
func receiptResult(r *proof.Receipt) transactionsapi.ReceiptResult {
	if r == nil {
		return transactionsapi.ReceiptResult{Status: receiptPending}
	}
	out := &transactionsapi.Receipt{Format: r.Format(), Index: int64(r.Index),
		Parts: make([]transactionsapi.ReceiptPart, len(r.Parts)),
		Proof: hashes(r.Proof), Checkpoint: r.Checkpoint}
	for i, p := range r.Parts {
		if p.Disclosed == nil {
			hash := encoded(p.Hash[:])
			out.Parts[i].Hash = &hash
			continue
		}
		text, salt := string(p.Disclosed.JSON), encoded(p.Disclosed.Salt[:])
		out.Parts[i].JSON, out.Parts[i].Salt = &text, &salt
	}
	if r.Metadata != nil {
		out.Metadata = &transactionsapi.ReceiptMetadata{JSON: string(r.Metadata.JSON), Salt: encoded(r.Metadata.Salt[:])}
	}
	return transactionsapi.ReceiptResult{Status: receiptSealed, Receipt: out}
}

func hashes(list []proof.Hash) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = encoded(list[i][:])
	}
	return out
}

func encoded(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
