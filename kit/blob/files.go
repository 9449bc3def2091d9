package blob

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/google/uuid"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/sendtip/sendtip/kit/fault"
)

// SealedFor with the id of a file behind it is the purpose under which its sealed value is sealed: for keycheck.Column, and to seal the
// value anew when the key-encryption key changes. The file itself stays as it is then.
const SealedFor = "file:"

// Meta is what is known of a file.
type Meta struct {
	Original string            `json:"original"` // the client's name for it
	Type     string            `json:"type"`     // by its content
	Size     int64             `json:"size"`     // in bytes
	SHA256   [sha256.Size]byte `json:"sha256"`
}

// File is one that was put. ID, name and sealed value go into the caller's row.
type File struct {
	ID     uuid.UUID
	Name   string // in the store: its kind and id
	Sealed []byte // its Meta and its key, under SealedFor and ID
	Meta   Meta
}

// record is what Sealed holds.
type record struct {
	Version int    `json:"v"`
	Key     []byte `json:"key"`
	Meta
}

const recordVersion = 1

// Put stores a file of a kind ("documents"), sealed, or leaves nothing. It is there for good when Put returns: the caller commits its
// row after that, not before.
func (s *Store) Put(ctx context.Context, kind string, u Upload) (File, error) {
	if !word.MatchString(kind) {
		return File{}, fmt.Errorf("blob: %q is no kind", kind)
	}
	c, err := read(u)
	if err != nil {
		return File{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return File{}, fmt.Errorf("blob: %w", err)
	}
	f := File{ID: id, Name: kind + "/" + id.String()}
	key := make([]byte, keySize)
	if _, err := rand.Read(key); err != nil {
		return File{}, fmt.Errorf("blob: %w", err)
	}
	aead, err := streamKey(key, f.Name)
	if err != nil {
		return File{}, err
	}
	err = s.write(ctx, f.Name, func(to io.Writer) error {
		w := newSealingWriter(to, aead)
		if _, err := io.Copy(w, c); err != nil {
			return err
		}
		return w.Close()
	})
	if err != nil {
		return File{}, err
	}
	f.Meta = Meta{Original: shown(u.Name), Type: c.mime, Size: c.size, SHA256: [sha256.Size]byte(c.hash.Sum(nil))}
	plain, err := json.Marshal(record{recordVersion, key, f.Meta})
	if err != nil {
		return File{}, fmt.Errorf("blob: %w", err)
	}
	f.Sealed, err = s.sealer.Seal(SealedFor+id.String(), plain)
	return f, err
}

// write stores what fill writes, under a name that nothing has before all of it is there: the file driver renames a file that it wrote
// beside, S3 knows an object when its upload is complete.
func (s *Store) write(ctx context.Context, name string, fill func(to io.Writer) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var file *os.File
	w, err := s.bucket.NewWriter(ctx, name, &blob.WriterOptions{
		ContentType: "application/octet-stream", DisableContentTypeDetection: true,
		MaxConcurrency: 1, // else an upload to S3 holds five parts in memory
		BeforeWrite: func(as func(any) bool) error {
			as(&file)
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	err = fill(w)
	if err == nil && file != nil {
		err = file.Sync() // before it has its name: not even a power cut leaves half a file there
	}
	if err != nil {
		cancel() // so that Close throws away what was written
		_ = w.Close()
		return fmt.Errorf("write file: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if file != nil {
		if err := s.syncFolders(file.Name()); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	return nil
}

// Meta opens the sealed value of a row.
func (s *Store) Meta(name string, sealed []byte) (Meta, error) {
	r, err := s.record(name, sealed)
	return r.Meta, err
}

func (s *Store) record(name string, sealed []byte) (record, error) {
	if !fileName.MatchString(name) {
		return record{}, fault.ErrNotFound
	}
	plain, err := s.sealer.Open(SealedFor+name[len(name)-len(uuid.Nil.String()):], sealed)
	if err != nil {
		return record{}, ErrOpen
	}
	var r record
	if err := json.Unmarshal(plain, &r); err != nil || r.Version != recordVersion {
		return record{}, ErrOpen
	}
	return r, nil
}

// Reader reads a file. It ends with ErrOpen in place of io.EOF where the file is not what was put. Of a sealed file nothing that was
// changed comes out before that; an asset must be read to its end before it is believed.
type Reader struct {
	Meta Meta

	from io.Reader
	lies io.Closer
	hash hash.Hash // nil: a part, which has no digest
	read int64
}

// Get opens a file for its row. The caller closes the reader.
func (s *Store) Get(ctx context.Context, name string, sealed []byte) (*Reader, error) {
	r, err := s.record(name, sealed)
	if err != nil {
		return nil, err
	}
	aead, err := streamKey(r.Key, name)
	if err != nil {
		return nil, err
	}
	lies, err := s.open(ctx, name, 0, -1)
	if err != nil {
		return nil, err
	}
	return &Reader{Meta: r.Meta, from: newOpeningReader(lies, aead), lies: lies, hash: sha256.New()}, nil
}

func (s *Store) open(ctx context.Context, name string, offset, length int64) (*blob.Reader, error) {
	r, err := s.bucket.NewRangeReader(ctx, name, offset, length, nil)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, fault.ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("open file: %w", err)
	}
	return r, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.read += int64(n)
	if r.hash != nil {
		r.hash.Write(p[:n])
	}
	if errors.Is(err, io.EOF) && (r.read != r.Meta.Size || r.hash != nil && [sha256.Size]byte(r.hash.Sum(nil)) != r.Meta.SHA256) {
		return n, ErrOpen
	}
	return n, err
}

// Close ends the reading.
func (r *Reader) Close() error { return r.lies.Close() }
