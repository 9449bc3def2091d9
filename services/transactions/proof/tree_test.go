package proof_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// TestKnownRoots has the leaves and roots that implementations of RFC 6962 share as their test vectors.
func TestKnownRoots(t *testing.T) {
	t.Parallel()
	tree := proof.NewTree()
	if root := tree.Root(); hex.EncodeToString(root[:]) != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("empty: %x", root)
	}
	for i, v := range []struct{ leaf, root string }{
		{"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
		{"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
		{"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
		{"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
		{"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
		{"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
		{"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
		{"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
	} {
		data, err := hex.DecodeString(v.leaf)
		if err != nil {
			t.Fatal(err)
		}
		tree.Append(proof.Hash(sha(0, data)), nil)
		if root := tree.Root(); hex.EncodeToString(root[:]) != v.root || tree.Size() != uint64(i)+1 {
			t.Errorf("size %d: %x", tree.Size(), root)
		}
	}
}

// forest is a tree of many leaves with its root at every size, and the rows that the database would have.
type forest struct {
	leaves []proof.Hash
	nodes  map[uint]map[uint64]proof.Hash
	roots  []proof.Hash
	reads  int
}

func leafNumber(i int) proof.Hash {
	return proof.Hash(sha(0, binary.BigEndian.AppendUint64(nil, uint64(i))))
}

func grow(t testing.TB, size int) *forest {
	t.Helper()
	f := &forest{nodes: map[uint]map[uint64]proof.Hash{}, roots: []proof.Hash{proof.NewTree().Root()}}
	tree := proof.NewTree()
	for i := range size {
		f.leaves = append(f.leaves, leafNumber(i))
		tree.Append(f.leaves[i], func(level uint, index uint64, hash proof.Hash) {
			if level%8 != 0 || level == 0 {
				t.Errorf("level %d is kept", level)
			}
			if f.nodes[level] == nil {
				f.nodes[level] = map[uint64]proof.Hash{}
			}
			if _, twice := f.nodes[level][index]; twice {
				t.Errorf("%d/%d is kept twice", level, index)
			}
			f.nodes[level][index] = hash
		})
		f.roots = append(f.roots, tree.Root())
	}
	return f
}

// Tile implements proof.Tiles.
func (f *forest) Tile(_ context.Context, level int, index int64, width int) ([]proof.Hash, error) {
	f.reads++
	first := int(index) * proof.TileWidth
	if level == 0 {
		return f.leaves[first : first+width], nil
	}
	tile := make([]proof.Hash, width)
	for i := range tile {
		hash, ok := f.nodes[uint(8*level)][uint64(first+i)]
		if !ok {
			return nil, fmt.Errorf("%d/%d was not kept", level, first+i)
		}
		tile[i] = hash
	}
	return tile, nil
}

// TestEveryLeafOfSmallTrees proves each index of each size, against the definition of the RFC.
func TestEveryLeafOfSmallTrees(t *testing.T) {
	t.Parallel()
	f := grow(t, 70)
	raw := make([][]byte, len(f.leaves))
	for i := range f.leaves {
		raw[i] = f.leaves[i][:]
	}
	for size := 1; size <= len(raw); size++ {
		if !bytes.Equal(f.roots[size][:], referenceRoot(raw[:size])) {
			t.Fatalf("root of %d", size)
		}
		for i := range size {
			got, err := proof.Inclusion(t.Context(), f, uint64(i), uint64(size))
			if err != nil {
				t.Fatal(err)
			}
			want := referencePath(i, raw[:size])
			if len(got) != len(want) {
				t.Fatalf("%d of %d: %d hashes, want %d", i, size, len(got), len(want))
			}
			for n := range got {
				if !bytes.Equal(got[n][:], want[n]) {
					t.Fatalf("%d of %d: hash %d", i, size, n)
				}
			}
		}
	}
}

// TestProofs draws leaves and sizes of a tree with three levels of tiles.
func TestProofs(t *testing.T) {
	t.Parallel()
	const most = 1<<16 + 700
	f := grow(t, most)
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(1, most),
			rapid.SampledFrom([]int{1, 255, 256, 257, 511, 512, 1 << 15, 1<<16 - 1, 1 << 16, 1<<16 + 1, 1<<16 + 256})).Draw(t, "size")
		index := rapid.IntRange(0, size-1).Draw(t, "index")
		f.reads = 0
		inclusion, err := proof.Inclusion(context.Background(), f, uint64(index), uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		if f.reads > 6 {
			t.Errorf("%d tiles for one proof", f.reads)
		}
		if err := proof.VerifyInclusion(f.leaves[index], uint64(index), uint64(size), inclusion, f.roots[size]); err != nil {
			t.Fatal(err)
		}
		other := rapid.IntRange(0, size-1).Filter(func(i int) bool { return i != index || size == 1 }).Draw(t, "another")
		if err := proof.VerifyInclusion(f.leaves[index], uint64(other), uint64(size), inclusion, f.roots[size]); other != index &&
			!errors.Is(err, proof.ErrInclusion) {
			t.Fatalf("%d passes for %d of %d: %v", index, other, size, err)
		}
		earlier := rapid.IntRange(0, size).Draw(t, "earlier")
		consistency, err := proof.Consistency(context.Background(), f, uint64(earlier), uint64(size))
		if err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyConsistency(uint64(earlier), uint64(size), f.roots[earlier], f.roots[size], consistency); err != nil {
			t.Fatal(err)
		}
		forged := f.roots[earlier]
		forged[3]++
		if err := proof.VerifyConsistency(uint64(earlier), uint64(size), forged, f.roots[size], consistency); !errors.Is(err,
			proof.ErrConsistency) {
			t.Fatalf("another root of %d passes: %v", earlier, err)
		}
	})
}

// TestResume: a tree that is put down and taken up again at any size grows as one that never was.
func TestResume(t *testing.T) {
	t.Parallel()
	f := grow(t, 600)
	rapid.Check(t, func(t *rapid.T) {
		tree := proof.NewTree()
		for tree.Size() < 600 {
			again, err := proof.ResumeTree(tree.Size(), tree.Frontier())
			if err != nil {
				t.Fatal(err)
			}
			tree = again
			for range min(rapid.IntRange(1, 300).Draw(t, "leaves"), 600-int(tree.Size())) {
				tree.Append(leafNumber(int(tree.Size())), func(level uint, index uint64, hash proof.Hash) {
					if f.nodes[level][index] != hash {
						t.Fatalf("%d/%d differs", level, index)
					}
				})
			}
			if tree.Root() != f.roots[tree.Size()] {
				t.Fatalf("root of %d differs", tree.Size())
			}
		}
	})
	for _, bad := range [][]byte{make([]byte, 31), make([]byte, 32), make([]byte, 96)} {
		if _, err := proof.ResumeTree(3, bad); !errors.Is(err, proof.ErrMalformed) {
			t.Errorf("a frontier of %d bytes for 3 leaves: %v", len(bad), err)
		}
	}
}

func TestImpossibleProofs(t *testing.T) {
	t.Parallel()
	f := grow(t, 5)
	if _, err := proof.Inclusion(t.Context(), f, 5, 5); err == nil {
		t.Error("a leaf beyond the tree is proved")
	}
	if _, err := proof.Consistency(t.Context(), f, 6, 5); err == nil {
		t.Error("a later tree is proved to be earlier")
	}
	if _, err := proof.Inclusion(t.Context(), short{f}, 0, 5); err == nil {
		t.Error("a tile that is too short goes unseen")
	}
	if _, err := proof.Inclusion(t.Context(), lost{}, 0, 5); !errors.Is(err, errLost) {
		t.Errorf("%v", err)
	}
	if err := proof.VerifyConsistency(0, 5, f.roots[1], f.roots[5], nil); !errors.Is(err, proof.ErrConsistency) {
		t.Errorf("the empty tree with another root: %v", err)
	}
	if err := proof.VerifyConsistency(5, 3, f.roots[5], f.roots[3], nil); !errors.Is(err, proof.ErrConsistency) {
		t.Errorf("backwards: %v", err)
	}
}

type short struct{ *forest }

func (s short) Tile(ctx context.Context, level int, index int64, width int) ([]proof.Hash, error) {
	tile, err := s.forest.Tile(ctx, level, index, width)
	return tile[:len(tile)-1], err
}

var errLost = errors.New("lost")

type lost struct{}

func (lost) Tile(context.Context, int, int64, int) ([]proof.Hash, error) { return nil, errLost }

func TestWidthAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size  uint64
		level int
		index int64
		want  int
	}{
		{0, 0, 0, 0}, {1, 0, 0, 1}, {255, 0, 0, 255}, {256, 0, 0, 256}, {257, 0, 1, 1}, {255, 1, 0, 0}, {256, 1, 0, 1}, {65536, 1, 0, 256},
		{65536, 1, 1, 0},
		{65536, 2, 0, 1}, {1 << 62, 7, 0, 64}, {1 << 62, 8, 0, 0}, {1 << 62, 0, 1 << 62, 0}, {10, -1, 0, 0}, {10, 0, -1, 0},
	} {
		if got := proof.WidthAt(c.size, c.level, c.index); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
