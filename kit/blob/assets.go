package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sendtip/sendtip/kit/fault"
)

// Asset is a public file that was put: what it holds is its name, so it never changes.
type Asset struct {
	Name string // in the store: its kind and digest
	Meta Meta
}

// PutAsset stores a public file of a kind under its digest, as it is. It is read into the folder for temporary files first, as its
// name is known at the end of it. The same content may be put any number of times: it is written anew each time, so that it is not too
// old to be kept while its row is on the way.
func (s *Store) PutAsset(ctx context.Context, kind string, u Upload) (Asset, error) {
	if !word.MatchString(kind) {
		return Asset{}, fmt.Errorf("blob: %q is no kind", kind)
	}
	c, err := read(u)
	if err != nil {
		return Asset{}, err
	}
	beside, err := os.CreateTemp("", "asset-*")
	if err != nil {
		return Asset{}, fmt.Errorf("put asset: %w", err)
	}
	defer func() { _ = beside.Close() }()
	if err := os.Remove(beside.Name()); err != nil { // it lives as long as it is open
		return Asset{}, fmt.Errorf("put asset: %w", err)
	}
	if _, err := io.Copy(beside, c); err != nil {
		return Asset{}, fmt.Errorf("put asset: %w", err)
	}
	if _, err := beside.Seek(0, io.SeekStart); err != nil {
		return Asset{}, fmt.Errorf("put asset: %w", err)
	}
	sum := [sha256.Size]byte(c.hash.Sum(nil))
	a := Asset{Name: kind + "/" + hex.EncodeToString(sum[:]), Meta: Meta{Original: shown(u.Name), Type: c.mime, Size: c.size, SHA256: sum}}
	err = s.write(ctx, a.Name, func(to io.Writer) error {
		_, err := io.Copy(to, beside)
		return err
	})
	if err != nil {
		return Asset{}, err
	}
	return a, nil
}

// GetAsset opens an asset, of which the reader's Meta tells size and digest only. The caller closes the reader.
func (s *Store) GetAsset(ctx context.Context, name string) (*Reader, error) {
	if !assetName.MatchString(name) {
		return nil, fault.ErrNotFound
	}
	lies, err := s.open(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	r := &Reader{Meta: Meta{Size: lies.Size()}, from: lies, lies: lies, hash: sha256.New()}
	_, err = hex.Decode(r.Meta.SHA256[:], []byte(name[len(name)-2*sha256.Size:]))
	return r, err
}

// GetAssetRange opens length bytes of an asset from offset on. A part has no digest to be compared with, only its length. What is not
// within the asset is refused: the caller knows its size from its row.
func (s *Store) GetAssetRange(ctx context.Context, name string, offset, length int64) (*Reader, error) {
	if !assetName.MatchString(name) {
		return nil, fault.ErrNotFound
	}
	if offset < 0 || length <= 0 {
		return nil, errRange
	}
	lies, err := s.open(ctx, name, offset, length)
	if err != nil {
		return nil, err
	}
	if length > lies.Size()-offset {
		_ = lies.Close()
		return nil, errRange
	}
	return &Reader{Meta: Meta{Size: length}, from: lies, lies: lies}, nil
}

var errRange = errors.New("blob: no such part of the asset")
