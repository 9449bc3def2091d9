package proof

import (
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// tileHeight is how many levels of the tree one level of tiles spans.
const tileHeight = 8

var ranges = &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// Tree is the append-only Merkle tree of RFC 6962, of which it keeps only the right edge. It is not safe for concurrent use.
type Tree struct{ edge *compact.Range }

// NewTree returns the tree without leaves.
func NewTree() *Tree { return &Tree{edge: ranges.NewEmptyRange(0)} }

// ResumeTree returns the tree of this size with this frontier.
func ResumeTree(size uint64, frontier []byte) (*Tree, error) {
	if len(frontier)%HashSize != 0 {
		return nil, fmt.Errorf("%w: a frontier of %d bytes", ErrMalformed, len(frontier))
	}
	hashes := make([][]byte, 0, len(frontier)/HashSize+1)
	for ; len(frontier) > 0; frontier = frontier[HashSize:] {
		hashes = append(hashes, append([]byte(nil), frontier[:HashSize]...))
	}
	edge, err := ranges.NewRange(0, size, hashes)
	if err != nil {
		return nil, fmt.Errorf("%w: the frontier is not one of %d leaves: %w", ErrMalformed, size, err)
	}
	return &Tree{edge: edge}, nil
}

// Append adds a leaf. keep, if not nil, is called for each perfect subtree at level 8, 16, 24, … that the leaf completes: index counts
// subtrees of that level from the left.
func (t *Tree) Append(leafHash Hash, keep func(level uint, index uint64, hash Hash)) {
	var visit compact.VisitFn
	if keep != nil {
		visit = func(id compact.NodeID, hash []byte) {
			if id.Level > 0 && id.Level%tileHeight == 0 {
				keep(id.Level, id.Index, Hash(hash))
			}
		}
	}
	if err := t.edge.Append(leafHash[:], visit); err != nil {
		panic(fmt.Sprintf("the edge of the tree does not fit its size: %v", err)) // NewRange has checked that
	}
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.edge.End() }

// Root is the tree's hash; that of no leaves is the hash of nothing.
func (t *Tree) Root() Hash {
	if t.Size() == 0 {
		return Hash(rfc6962.DefaultHasher.EmptyRoot())
	}
	root, err := t.edge.GetRootHash(nil)
	if err != nil {
		panic(fmt.Sprintf("the edge of the tree does not begin at its first leaf: %v", err))
	}
	return Hash(root)
}

// Frontier returns what ResumeTree needs: the roots of the perfect subtrees along the right edge, largest first.
func (t *Tree) Frontier() []byte {
	hashes := t.edge.Hashes()
	b := make([]byte, 0, HashSize*len(hashes))
	for _, h := range hashes {
		b = append(b, h...)
	}
	return b
}
