package check

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/sendtip/sendtip/services/transactions/proof"
)

// keyring is the public keys that are known to be the ledger's, and those that the table signing_keys says are.
type keyring struct {
	given, table note.Verifiers        // nil: none
	names        map[string]bool       // name+hash of those of the table
	stored       int64                 // checkpoints that only a key of the table vouches for
	opened       map[string]checkpoint // notes from outside: most stored ones are among them
}

// checkpoint is a note that was opened.
type checkpoint struct {
	proof.Checkpoint
	key     string // name+hash of the key whose signature holds
	vouched bool   // by a given key
	err     error
}

// readKeys makes the keyring.
func (r *run) readKeys(ctx context.Context, s *session) error {
	var err error
	if r.Keys = slices.Compact(slices.Sorted(slices.Values(r.Keys))); len(r.Keys) > 0 {
		if r.keys.given, err = proof.Verifiers(r.Keys...); err != nil {
			return err
		}
	}
	table, err := query(ctx, s.db, func(row pgx.CollectableRow, v *string) error { return row.Scan(v) },
		"SELECT verifier_key FROM signing_keys ORDER BY verifier_key")
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	r.keys.names = map[string]bool{}
	var list []note.Verifier
	for _, k := range table {
		v, err := note.NewVerifier(k)
		if err != nil {
			r.add(Finding{Kind: Altered, Table: "signing_keys", Key: k, Index: -1, Detail: "it is no public key"})
			continue
		}
		if name := fmt.Sprintf("%s+%08x", v.Name(), v.KeyHash()); !r.keys.names[name] {
			r.keys.names[name] = true
			list = append(list, v)
		}
	}
	r.keys.table = note.VerifierList(list...)
	return nil
}

// open checks a note with the given keys, or, if it has no signature of those, with the keys of the table.
func (k *keyring) open(signed []byte) (c checkpoint) {
	if c, known := k.opened[string(signed)]; known {
		return c
	}
	c.err = errors.New("no key")
	if k.given != nil {
		c.Checkpoint, c.key, c.err = proof.OpenCheckpoint(signed, k.given)
		if c.vouched = c.err == nil; c.vouched {
			return c
		}
	}
	first := c.err
	if c.Checkpoint, c.key, c.err = proof.OpenCheckpoint(signed, k.table); c.err != nil && k.given != nil {
		c.err = first
	}
	return c
}

// openNotes reads the checkpoints from outside.
func (r *run) openNotes() {
	r.keys.opened = make(map[string]checkpoint, len(r.Checkpoints))
	for i, signed := range r.Checkpoints {
		c := r.keys.open(signed)
		r.keys.opened[string(signed)] = c
		if c.err != nil {
			r.add(Finding{Kind: Signature, Key: fmt.Sprintf("checkpoint number %d from outside", i+1), Index: -1, Detail: c.err.Error()})
			continue
		}
		r.notes = append(r.notes, c)
	}
	slices.SortStableFunc(r.notes, func(a, b checkpoint) int { return cmp.Compare(a.Size, b.Size) })
}

type storedCheckpoint struct {
	size int64
	root []byte
	note string
}

// checkpoints compares the table checkpoints, and the notes from outside with it.
func (r *run) checkpoints(ctx context.Context, s *session, b *building, state *treeState) error {
	sizes, err := query(ctx, s.db, func(row pgx.CollectableRow, v *int64) error { return row.Scan(v) },
		"SELECT size FROM checkpoints ORDER BY size")
	if err != nil {
		return fmt.Errorf("read the checkpoints: %w", err)
	}
	state.checkpoints = int64(len(sizes))
	vouched := true
	good := int64(0) // size up to which the tree is the signed one
	rewritten := false
	for last := int64(-1); ; {
		page, err := query(ctx, s.db, func(row pgx.CollectableRow, v *storedCheckpoint) error { return row.Scan(&v.size, &v.root, &v.note) },
			"SELECT size, root, note FROM checkpoints WHERE size > $1 ORDER BY size LIMIT 1000", last)
		if err != nil {
			return fmt.Errorf("read the checkpoints: %w", err)
		}
		if len(page) == 0 {
			break
		}
		for i := range page {
			last = page[i].size
			c := r.keys.open([]byte(page[i].note))
			f := r.stored(b, &page[i], &c, sizes)
			if vouched = c.vouched; c.err == nil && !vouched {
				r.keys.stored++
			}
			switch {
			case f == nil:
				good = page[i].size
			case f.Kind == Rewritten && rewritten:
			case f.Kind == Rewritten:
				rewritten = true
				f.Index = good
				f.Detail = fmt.Sprintf("the leaves from %d to %d are not those that were signed", good, page[i].size-1)
				r.add(*f)
			default:
				r.add(*f)
			}
		}
	}
	if r.keys.given != nil && !vouched && state.last.err == nil && len(sizes) > 0 {
		r.add(Finding{Kind: Signature, Table: "checkpoints", Key: fmt.Sprintf("checkpoint %d", sizes[len(sizes)-1]), Index: -1,
			Detail: "the newest checkpoint is not signed by a key that is known to be the ledger's, only by " + state.last.key +
				" of the table signing_keys"})
	}
	for _, n := range r.notes {
		if _, there := slices.BinarySearch(sizes, int64(n.Size)); !there && int64(n.Size) <= b.size { // #nosec G115
			r.add(Finding{Kind: Deleted, Table: "checkpoints", Key: fmt.Sprintf("checkpoint %d", n.Size), Index: -1,
				Detail: "it was kept outside, and there is no row of it"})
		}
	}
	return nil
}

// stored compares one row of the table with its note and with the tree.
func (r *run) stored(b *building, row *storedCheckpoint, c *checkpoint, sizes []int64) *Finding {
	f := &Finding{Kind: Altered, Table: "checkpoints", Key: fmt.Sprintf("checkpoint %d", row.size), Index: -1}
	root, computed := b.roots[row.size]
	switch {
	case c.err != nil:
		f.Kind, f.Detail = Signature, c.err.Error()
	case int64(c.Size) != row.size: // #nosec G115
		f.Detail = fmt.Sprintf("its note is one of %d leaves", c.Size)
		if _, other := slices.BinarySearch(sizes, int64(c.Size)); other { // #nosec G115
			f.Kind = Reordered
		}
	case !bytes.Equal(c.Root[:], row.root):
		f.Detail = "its root is not that of its note"
	case row.size > b.size:
		f.Kind, f.Detail = TailCut, fmt.Sprintf("it was signed when the tree had %d leaves, and there are %d", row.size, b.size)
	case !computed || root != c.Root:
		f.Kind = Rewritten
	case !r.keys.names[c.key]:
		f.Kind, f.Table, f.Key, f.Detail = Deleted, "signing_keys", c.key, "it signed checkpoints, and there is no row of it"
	default:
		return nil
	}
	return f
}

// fromOutside compares checkpoints that were kept where the database's superuser does not reach.
func (r *run) fromOutside(b *building) {
	var sizes []string
	rewritten := false
	good := uint64(0)
	for _, n := range r.notes {
		switch root, computed := b.roots[int64(n.Size)]; { // #nosec G115
		case int64(n.Size) > b.size: // #nosec G115
			sizes = append(sizes, fmt.Sprint(n.Size))
		case computed && root == n.Root:
			good = n.Size
		case !rewritten:
			rewritten = true
			r.add(Finding{Kind: Rewritten, Key: fmt.Sprintf("checkpoint %d from outside", n.Size), Index: int64(good), // #nosec G115
				Detail: fmt.Sprintf("the leaves from %d to %d are not those that were signed", good, n.Size-1)})
		}
	}
	if len(sizes) == 0 {
		return
	}
	r.add(Finding{Kind: TailCut, Key: fmt.Sprintf("checkpoint %s from outside", sizes[len(sizes)-1]), Index: b.size,
		Detail: fmt.Sprintf("it was signed when the tree had %s leaves, and there are %d: the last ones were cut off (all such checkpoints: %s)",
			sizes[len(sizes)-1], b.size, strings.Join(sizes[max(0, len(sizes)-20):], ", "))})
}
