package blob

import (
	"bytes"
	"io"

	"gocloud.dev/blob"
)

// Bucket is what lies under the service's name, as a thief sees and changes it.
func (s *Store) Bucket() *blob.Bucket { return s.bucket }

// Batch is how many names a sweep asks about at a time.
const Batch = batch

// SealStream seals b as the content of a file of that name.
func SealStream(key []byte, name string, b []byte) ([]byte, error) {
	aead, err := streamKey(key, name)
	if err != nil {
		return nil, err
	}
	var sealed bytes.Buffer
	w := newSealingWriter(&sealed, aead)
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	err = w.Close()
	return sealed.Bytes(), err
}

// OpenStream gives what is sealed, without the digest that Get compares on top of it.
func OpenStream(key []byte, name string, sealed []byte) ([]byte, error) {
	aead, err := streamKey(key, name)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(newOpeningReader(bytes.NewReader(sealed), aead))
}
