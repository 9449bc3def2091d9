package proof

import (
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// TileWidth is the number of hashes in a full tile.
const TileWidth = 1 << tileHeight

// Tiles gives out parts of the tree. Entry i of level L is the root of the perfect subtree number i of height 8*L, from the left; level 0
// is the leaf hashes. A tile is the entries from index*256, width of them (1 to 256).
type Tiles interface {
	Tile(ctx context.Context, level int, index int64, width int) ([]Hash, error)
}

// WidthAt returns how many entries the tile has in a tree of this size: 256, fewer at the right edge, or 0 beyond it.
func WidthAt(size uint64, level int, index int64) int {
	if level < 0 || level > 7 || index < 0 {
		return 0
	}
	first := uint64(index) << tileHeight
	if first>>tileHeight != uint64(index) {
		return 0
	}
	entries := size >> (tileHeight * level)
	if entries <= first {
		return 0
	}
	return int(min(entries-first, TileWidth))
}

// Inclusion proves the leaf at index in the tree of this size (RFC 6962 section 2.1.1).
func Inclusion(ctx context.Context, tiles Tiles, index, size uint64) ([]Hash, error) {
	nodes, err := merkle.Inclusion(index, size)
	if err != nil {
		return nil, fmt.Errorf("inclusion: %w", err)
	}
	return assemble(ctx, tiles, nodes, size)
}

// Consistency proves that the tree of size1 leaves is the beginning of the tree of size2 (RFC 6962 section 2.1.2).
func Consistency(ctx context.Context, tiles Tiles, size1, size2 uint64) ([]Hash, error) {
	nodes, err := merkle.Consistency(size1, size2)
	if err != nil {
		return nil, fmt.Errorf("consistency: %w", err)
	}
	return assemble(ctx, tiles, nodes, size2)
}

func assemble(ctx context.Context, tiles Tiles, nodes merkle.Nodes, size uint64) ([]Hash, error) {
	r := reader{tiles: tiles, size: size, read: map[tileID][]Hash{}}
	hashes := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		var err error
		if hashes[i], err = r.node(ctx, id); err != nil {
			return nil, err
		}
	}
	hashes, err := nodes.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("assemble proof: %w", err)
	}
	proof := make([]Hash, len(hashes))
	for i, h := range hashes {
		proof[i] = Hash(h)
	}
	return proof, nil
}

type tileID struct {
	level int
	index int64
}

// reader fetches each tile of a proof once.
type reader struct {
	tiles Tiles
	size  uint64
	read  map[tileID][]Hash
}

// node returns the root of a perfect subtree from the entries of the tile that it lies in.
func (r *reader) node(ctx context.Context, id compact.NodeID) ([]byte, error) {
	rest := id.Level % tileHeight
	first := id.Index << rest
	tile := tileID{level: int(id.Level / tileHeight), index: int64(first / TileWidth)}
	hashes, ok := r.read[tile]
	if !ok {
		width := WidthAt(r.size, tile.level, tile.index)
		var err error
		if hashes, err = r.tiles.Tile(ctx, tile.level, tile.index, width); err != nil {
			return nil, fmt.Errorf("read tile %d/%d: %w", tile.level, tile.index, err)
		}
		if len(hashes) != width {
			return nil, fmt.Errorf("read tile %d/%d: %d hashes instead of %d", tile.level, tile.index, len(hashes), width)
		}
		r.read[tile] = hashes
	}
	at, n := first%TileWidth, uint64(1)<<rest
	if at+n > uint64(len(hashes)) {
		return nil, fmt.Errorf("tile %d/%d ends before a node that the tree has", tile.level, tile.index)
	}
	edge := ranges.NewEmptyRange(0)
	for i := range hashes[at : at+n] {
		if err := edge.Append(hashes[at+uint64(i)][:], nil); err != nil {
			return nil, fmt.Errorf("hash tile: %w", err)
		}
	}
	return edge.GetRootHash(nil)
}

// VerifyInclusion checks that the tree of this size and root has the leaf at index.
func VerifyInclusion(leafHash Hash, index, size uint64, proof []Hash, root Hash) error {
	if err := merkle.VerifyInclusion(rfc6962.DefaultHasher, index, size, leafHash[:], raw(proof), root[:]); err != nil {
		return fmt.Errorf("%w at index %d of %d", ErrInclusion, index, size)
	}
	return nil
}

// VerifyConsistency checks that the tree of size1 is the beginning of the tree of size2. Every tree begins with the empty one.
func VerifyConsistency(size1, size2 uint64, root1, root2 Hash, proof []Hash) error {
	if size1 == 0 && root1 != Hash(rfc6962.DefaultHasher.EmptyRoot()) {
		return fmt.Errorf("%w: the empty tree has another root", ErrConsistency)
	}
	if err := merkle.VerifyConsistency(rfc6962.DefaultHasher, size1, size2, raw(proof), root1[:], root2[:]); err != nil {
		return fmt.Errorf("%w: %d and %d leaves", ErrConsistency, size1, size2)
	}
	return nil
}

func raw(hashes []Hash) [][]byte {
	s := make([][]byte, len(hashes))
	for i := range hashes {
		s[i] = hashes[i][:]
	}
	return s
}
