package app

import (
	"context"
	"fmt"

	transactionsdb "github.com/sendtip/sendtip/generated/transactions/db"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/services/transactions/internal/domain"
	"github.com/sendtip/sendtip/services/transactions/proof"
)

// NewestCheckpoint returns the newest signed checkpoint, or fault.ErrNotFound until there is one. Everybody may read it, as all of the
// tree: hashes of salted parts say nothing about what they cover.
func (a *App) NewestCheckpoint(ctx context.Context) (transactionsdb.Checkpoint, error) {
	row, err := a.q.LastCheckpoint(ctx, a.pool)
	if err != nil {
		return row, notFound(err)
	}
	return row, nil
}

// Tile is a part of the tree. A final one never changes.
type Tile struct {
	Hashes []proof.Hash
	Final  bool
}

// LogTile returns the first hashes of a tile, width of them; 0 means as many as the newest checkpoint covers. What no checkpoint covers
// is fault.ErrNotFound.
func (a *App) LogTile(ctx context.Context, level int, index int64, width int) (Tile, error) {
	if width < 0 || width > proof.TileWidth {
		return Tile{}, fault.ErrInvalid.WithField("width", "width_invalid", "The width must be between 1 and 256.")
	}
	newest, err := a.NewestCheckpoint(ctx)
	if err != nil {
		return Tile{}, err
	}
	signed := proof.WidthAt(uint64(newest.Size), level, index)
	if signed == 0 || width > signed {
		return Tile{}, fault.ErrNotFound
	}
	final := width > 0 || signed == proof.TileWidth
	if width == 0 {
		width = signed
	}
	hashes, err := a.tiles(a.pool).Tile(ctx, level, index, width)
	return Tile{hashes, final}, err
}

// InclusionProof proves that the tree of a size has the leaf at an index.
type InclusionProof struct {
	Index, Size uint64
	LeafHash    proof.Hash
	Hashes      []proof.Hash
}

// InclusionProof makes the proof; size nil means that of the newest checkpoint.
func (a *App) InclusionProof(ctx context.Context, index int64, size *int64) (p InclusionProof, err error) {
	if p.Size, err = a.signedSize(ctx, size, "size"); err != nil {
		return p, err
	}
	if index < 0 || uint64(index) >= p.Size {
		return p, domain.ErrIndexBeyondSize
	}
	p.Index = uint64(index)
	tiles := a.tiles(a.pool)
	leaf, err := tiles.leaves(ctx, index, index+1)
	if err != nil {
		return p, err
	}
	p.LeafHash = leaf[0]
	p.Hashes, err = proof.Inclusion(ctx, tiles, p.Index, p.Size)
	return p, err
}

// ConsistencyProof proves that the first tree is the beginning of the second.
type ConsistencyProof struct {
	First, Second uint64
	Hashes        []proof.Hash
}

// ConsistencyProof makes the proof; second nil means the size of the newest checkpoint.
func (a *App) ConsistencyProof(ctx context.Context, first int64, second *int64) (p ConsistencyProof, err error) {
	if p.Second, err = a.signedSize(ctx, second, "second"); err != nil {
		return p, err
	}
	if first < 0 {
		return p, fault.ErrInvalid.WithField("first", "first_invalid", "A size must not be negative.")
	}
	if p.First = uint64(first); p.First > p.Second {
		return p, domain.ErrSizesReversed
	}
	p.Hashes, err = proof.Consistency(ctx, a.tiles(a.pool), p.First, p.Second)
	return p, err
}

// signedSize returns the size that was asked for, or the newest one. Only what is signed is proved: the root of anything else is nobody's
// word.
func (a *App) signedSize(ctx context.Context, size *int64, parameter string) (uint64, error) {
	newest, err := a.NewestCheckpoint(ctx)
	switch {
	case err != nil:
		return 0, err
	case size == nil:
		return uint64(newest.Size), nil
	case *size < 0:
		return 0, fault.ErrInvalid.WithField(parameter, parameter+"_invalid", "A size must not be negative.")
	case *size > newest.Size:
		return 0, domain.ErrSizeBeyondCheckpoint
	}
	return uint64(*size), nil
}

// ListLedgerKeys returns every key that signed checkpoints, oldest first, at most 100.
func (a *App) ListLedgerKeys(ctx context.Context) ([]transactionsdb.SigningKey, error) {
	return a.q.ListSigningKeys(ctx, a.pool)
}

func (a *App) tiles(db transactionsdb.DBTX) tiles { return tiles{a.q, db} }

// tiles reads the tree from its tables.
type tiles struct {
	q  *transactionsdb.Queries
	db transactionsdb.DBTX
}

// Tile implements proof.Tiles: leaves from the sealed batches, all above them from the roots that the sealer kept.
func (t tiles) Tile(ctx context.Context, level int, index int64, width int) ([]proof.Hash, error) {
	first := index * proof.TileWidth
	if level == 0 {
		return t.leaves(ctx, first, first+int64(width))
	}
	rows, err := t.q.ListTileNodes(ctx, t.db, int16(8*level), first, first+int64(width))
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	if len(rows) != width {
		return nil, fmt.Errorf("the tree lacks nodes of level %d from %d: %d instead of %d", 8*level, first, len(rows), width)
	}
	hashes := make([]proof.Hash, width)
	for i, row := range rows {
		hashes[i] = proof.Hash(row.Hash)
	}
	return hashes, nil
}

// leaves returns the leaf hashes from first to before end.
func (t tiles) leaves(ctx context.Context, first, end int64) ([]proof.Hash, error) {
	rows, err := t.q.ListTileLeaves(ctx, t.db, first, end)
	if err != nil {
		return nil, fmt.Errorf("read leaves: %w", err)
	}
	hashes := make([]proof.Hash, 0, end-first)
	for _, row := range rows {
		for at := row.FirstIndex; len(row.LeafHashes) > 0; at, row.LeafHashes = at+1, row.LeafHashes[proof.HashSize:] {
			if at == first+int64(len(hashes)) && at < end {
				hashes = append(hashes, proof.Hash(row.LeafHashes[:proof.HashSize]))
			}
		}
	}
	if int64(len(hashes)) != end-first {
		return nil, fmt.Errorf("the tree lacks leaves from %d: %d instead of %d", first, len(hashes), end-first)
	}
	return hashes, nil
}
