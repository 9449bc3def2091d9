package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/generated/events"
	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// CheckpointSigned is the type of the event that carries a checkpoint out of the reach of whoever owns the database.
const CheckpointSigned = "ledger.checkpoint_signed"

// CheckpointSigner is what checkpoints are signed with.
type CheckpointSigner struct {
	Origin       string        // name of this ledger: first line of its checkpoints, and name of its keys
	Signers      []note.Signer // two during a rotation of the key
	VerifierKeys []string      // of the signers, for those who check
	File         string        // checkpoints are appended to it; "" for none
}

// NewCheckpointSigner makes the signers of private keys in PEM; an empty text is none.
func NewCheckpointSigner(origin, file string, keys ...string) (CheckpointSigner, error) {
	s := CheckpointSigner{Origin: origin, File: file}
	for _, text := range keys {
		if text == "" {
			continue
		}
		key, err := proof.ParseKey(origin, []byte(text))
		if err != nil {
			return s, err
		}
		s.Signers = append(s.Signers, key.Signer)
		s.VerifierKeys = append(s.VerifierKeys, key.VerifierKey)
	}
	return s, nil
}

// SignCheckpoint signs the tree as it stands, unless that is signed already or empty. Sealing and events go on when it fails.
func (a *App) SignCheckpoint(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sealTimeout)
	defer cancel()
	tree, err := a.q.GetTree(ctx, a.pool)
	if err != nil {
		return fmt.Errorf("sign: read the tree: %w", err)
	}
	if tree.Size == 0 {
		return nil
	}
	last, err := a.q.LastCheckpoint(ctx, a.pool)
	if err != nil && !pg.IsNoRows(err) {
		return fmt.Errorf("sign: read the last checkpoint: %w", err)
	}
	if err == nil && last.Size >= tree.Size {
		return nil
	}
	signed, err := proof.Checkpoint{Origin: a.signer.Origin, Size: uint64(tree.Size),
		Root: [proof.HashSize]byte(tree.Root)}.Sign(a.signer.Signers...)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	stored := false
	err = pg.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		now := a.clock()
		for _, key := range a.signer.VerifierKeys {
			if err := a.q.InsertSigningKey(ctx, tx, key, now); err != nil {
				return fmt.Errorf("note the key: %w", err)
			}
		}
		n, err := a.q.InsertCheckpoint(ctx, tx, transactionsdb.InsertCheckpointParams{Size: tree.Size, Root: tree.Root,
			Note: string(signed), Now: now})
		if stored = n == 1; err != nil || !stored {
			return err
		}
		return a.appendCheckpointEvent(ctx, tx, tree.Size, string(signed))
	})
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	if stored {
		failpoint("signed_before_file")
		return appendToFile(a.signer.File, signed)
	}
	return nil
}

func (a *App) appendCheckpointEvent(ctx context.Context, tx pgx.Tx, size int64, signed string) error {
	e, err := event.New(Topic, CheckpointSigned, a.signer.Origin, a.clock(),
		events.LedgerCheckpointSigned{Origin: a.signer.Origin, Size: size, Checkpoint: signed})
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, e)
}

// recallCheckpoint appends the newest stored checkpoint to the file, if a crash between the two kept it out.
func (a *App) recallCheckpoint(ctx context.Context) error {
	last, err := a.q.LastCheckpoint(ctx, a.pool)
	if pg.IsNoRows(err) || a.signer.File == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the last checkpoint: %w", err)
	}
	end, err := tail(a.signer.File, 8<<10)
	if err != nil || bytes.Contains(end, []byte(last.Note)) {
		return err
	}
	return appendToFile(a.signer.File, []byte(last.Note))
}

// tail returns the last bytes of a file; of one that does not exist, nothing.
func tail(path string, n int64) ([]byte, error) {
	f, err := os.Open(path) // #nosec G304 -- a setting
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint file: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("checkpoint file: %w", err)
	}
	b, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-n), n))
	if err != nil {
		return nil, fmt.Errorf("checkpoint file: %w", err)
	}
	return b, nil
}

// appendToFile adds a note and an empty line. The file is for a disk that the database's superuser does not reach.
func appendToFile(path string, signed []byte) error {
	if path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("checkpoint file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640) // #nosec G302 -- checkpoints are public
	if err != nil {
		return fmt.Errorf("checkpoint file: %w", err)
	}
	if _, err := f.Write(append(signed, '\n')); err != nil {
		_ = f.Close()
		return fmt.Errorf("checkpoint file: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("checkpoint file: %w", err)
	}
	return nil
}
