package check

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// building is a tree that was computed from the sealed leaf hashes.
type building struct {
	size     int64
	root     proof.Hash
	frontier []byte
	roots    map[int64]proof.Hash // at the sizes of checkpoints, and at the size that the table ledger_tree has
	nodes    map[node]proof.Hash
}

type node struct{ level, index int64 }

// Orders in which batches are taken.
const (
	byIndex = "first_index"
	byBatch = "batch_id"
)

// build computes the tree. Leaves at the places of overrides are taken from there.
func (r *run) build(ctx context.Context, s *session, order string, overrides map[int64]proof.Hash) (building, error) {
	b := building{roots: map[int64]proof.Hash{}, nodes: map[node]proof.Hash{}}
	if err := s.probe(ctx); err != nil {
		return b, err
	}
	sizes, err := query(ctx, s.db, func(row pgx.CollectableRow, v *int64) error { return row.Scan(v) },
		"SELECT size FROM checkpoints UNION SELECT size FROM ledger_tree")
	if err != nil {
		return b, fmt.Errorf("read the sizes of the checkpoints: %w", err)
	}
	for _, n := range r.notes {
		sizes = append(sizes, int64(n.Size)) // #nosec G115 -- parsed as 63 bits
	}
	slices.Sort(sizes)
	sizes = slices.Compact(sizes)
	tree := proof.NewTree()
	mark := func() {
		for len(sizes) > 0 && sizes[0] <= int64(tree.Size()) { // #nosec G115
			if sizes[0] == int64(tree.Size()) { // #nosec G115
				b.roots[sizes[0]] = tree.Root()
			}
			sizes = sizes[1:]
		}
	}
	mark()
	type leaves struct {
		at     int64
		hashes []byte
	}
	for last := int64(-1 << 62); ; {
		page, err := query(ctx, s.db, func(row pgx.CollectableRow, v *leaves) error { return row.Scan(&v.at, &v.hashes) },
			"SELECT "+order+", leaf_hashes FROM sealed_batches WHERE "+order+" > $1 ORDER BY "+order+" LIMIT 256", last)
		if err != nil {
			return b, fmt.Errorf("read the leaf hashes: %w", err)
		}
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			last = l.at
			for ; len(l.hashes) >= proof.HashSize; l.hashes = l.hashes[proof.HashSize:] {
				leaf := proof.Hash(l.hashes[:proof.HashSize])
				if h, ok := overrides[int64(tree.Size())]; ok { // #nosec G115
					leaf = h
				}
				tree.Append(leaf, func(level uint, index uint64, hash proof.Hash) {
					b.nodes[node{int64(level), int64(index)}] = hash // #nosec G115
				})
				mark()
			}
		}
	}
	b.size, b.root, b.frontier = int64(tree.Size()), tree.Root(), tree.Frontier() // #nosec G115
	return b, nil
}

// treeState is what the tables say of the whole tree.
type treeState struct {
	there       bool
	size        int64
	frontier    []byte
	root        []byte
	checkpoints int64
	newest      string
	last        checkpoint // the newest stored one, if its signature holds
}

func (r *run) treeRow(ctx context.Context, s *session) (treeState, error) {
	list, err := query(ctx, s.db, func(row pgx.CollectableRow, v *treeState) error { return row.Scan(&v.size, &v.frontier, &v.root) },
		"SELECT size, frontier, root FROM ledger_tree LIMIT 1")
	if err != nil {
		return treeState{}, fmt.Errorf("read the tree: %w", err)
	}
	var state treeState
	if len(list) > 0 {
		state = list[0]
		state.there = true
	}
	newest, err := query(ctx, s.db, func(row pgx.CollectableRow, v *string) error { return row.Scan(v) },
		"SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1")
	if err != nil {
		return state, fmt.Errorf("read the newest checkpoint: %w", err)
	}
	if len(newest) > 0 {
		state.newest = newest[0]
		state.last = r.keys.open([]byte(newest[0]))
	}
	return state, nil
}

// fits says whether a witness confirms the tree: the table ledger_tree, or the newest checkpoint if it covers all leaves.
func (r *run) fits(b *building, state *treeState) bool {
	return state.there && b.size == state.size && bytes.Equal(b.root[:], state.root) || r.signed(b, state)
}

func (r *run) signed(b *building, state *treeState) bool {
	return state.newest != "" && state.last.err == nil && int64(state.last.Size) == b.size && state.last.Root == b.root // #nosec G115
}

// settle tells, for transactions that do not give their leaf hash, whether the rows or the hash was changed: the tree knows.
func (r *run) settle(ctx context.Context, s *session, b *building, state *treeState) error {
	overrides := map[int64]proof.Hash{}
	for i := range r.suspects {
		if p := &r.suspects[i]; p.hasGot && p.batch.first >= 0 {
			overrides[p.index()] = p.got
		}
	}
	if len(overrides) == 0 {
		return nil
	}
	hashesChanged := false
	if !r.fits(b, state) {
		again, err := r.build(ctx, s, byIndex, overrides)
		if err != nil {
			return err
		}
		if hashesChanged = r.fits(&again, state); hashesChanged {
			*b = again
		}
	}
	// the first one of a busy account is named
	slices.SortFunc(r.suspects, func(a, b suspect) int { return cmp.Compare(a.index(), b.index()) })
	wanted := map[proof.Hash]bool{}
	for i := range r.suspects {
		wanted[r.suspects[i].want] = true
	}
	for i := range r.suspects {
		p := &r.suspects[i]
		switch {
		case !p.hasGot || p.batch.first < 0: // named already
		case !hashesChanged:
			r.add(p.altered)
		default:
			f := Finding{Kind: Altered, Table: p.batch.table, Key: p.batch.key(), Index: p.index(),
				Detail: fmt.Sprintf("the leaf hash at position %d is not that of transaction %s, whose own is the one that the tree has", p.position,
					p.id)}
			if wanted[p.got] {
				f.Kind = Reordered
			}
			r.add(f)
		}
	}
	return nil
}

// tree compares the row of the table ledger_tree.
func (r *run) tree(_ context.Context, _ *session, b *building, state *treeState) error {
	f := Finding{Kind: Altered, Table: "ledger_tree", Key: "its row", Index: -1}
	same := bytes.Equal(state.root, b.root[:])
	switch {
	case !state.there:
		f.Kind, f.Detail = Deleted, "there is none"
	case state.size == b.size && same && bytes.Equal(state.frontier, b.frontier):
		return nil
	case state.size == b.size && same:
		f.Detail = "its frontier is not that of the leaves"
	case same:
		f.Detail = fmt.Sprintf("its size is %d, and its root that of %d leaves", state.size, b.size)
	case r.signed(b, state) || state.size == b.size && bytes.Equal(state.frontier, b.frontier):
		f.Detail = fmt.Sprintf("its root is not that of the %d leaves", b.size)
	case state.size > b.size:
		f = Finding{Kind: Deleted, Table: "sealed_batches", Key: fmt.Sprintf("first index %d", b.size), Index: b.size,
			Detail: fmt.Sprintf("the tree had %d leaves, of which the last %d are missing", state.size, state.size-b.size)}
	case state.size < b.size && bytes.Equal(state.root, hashOf(b.roots[state.size])):
		f = Finding{Kind: Inserted, Table: "sealed_batches", Key: fmt.Sprintf("first index %d", state.size), Index: state.size,
			Detail: fmt.Sprintf("the tree has %d leaves, and there are %d", state.size, b.size)}
	case len(r.findings) > 0: // what is named above led to another root
		return nil
	default:
		f.Kind, f.Detail = Rewritten, "its root is not that of the sealed leaves, which agree with their rows: both were changed"
	}
	r.add(f)
	return nil
}

func hashOf(h proof.Hash) []byte { return h[:] }

// nodes compares the table tree_nodes. If the tree is not the signed one, the first node that differs says where it begins to be another.
func (r *run) nodes(ctx context.Context, s *session, b *building, state *treeState) error {
	type stored struct {
		node
		hash []byte
	}
	list, err := query(ctx, s.db, func(row pgx.CollectableRow, v *stored) error { return row.Scan(&v.level, &v.index, &v.hash) },
		"SELECT level::bigint, node_index, hash FROM tree_nodes ORDER BY level, node_index")
	if err != nil {
		return fmt.Errorf("read the nodes: %w", err)
	}
	known := make(map[proof.Hash]bool, len(b.nodes))
	for _, h := range b.nodes {
		known[h] = true
	}
	fits := r.fits(b, state)
	seen := make(map[node]bool, len(list))
	for _, n := range list {
		want, ok := b.nodes[n.node]
		seen[n.node] = true
		f := Finding{Kind: Altered, Table: "tree_nodes", Key: n.key(), Index: -1, Detail: "its hash is not that of its leaves"}
		switch {
		case ok && bytes.Equal(n.hash, want[:]):
			continue
		case !fits && !ok:
			continue // leaves are missing, which is named
		case !fits:
			f.Kind, f.Index = Rewritten, n.index<<n.level
			f.Detail = fmt.Sprintf("the leaves from %d to %d are not those that were sealed", f.Index, (n.index+1)<<n.level-1)
			r.add(f)
			return nil
		case !ok:
			f.Kind, f.Detail = Inserted, "the tree has no such node"
		case known[[proof.HashSize]byte(n.hash)]:
			f.Kind, f.Detail = Reordered, "its hash is that of another node"
		}
		r.add(f)
	}
	for n := range b.nodes {
		if !seen[n] {
			r.add(Finding{Kind: Deleted, Table: "tree_nodes", Key: n.key(), Index: -1, Detail: "the tree has it, and there is no row of it"})
		}
	}
	return nil
}

func (n node) key() string { return fmt.Sprintf("node %d/%d", n.level, n.index) }
