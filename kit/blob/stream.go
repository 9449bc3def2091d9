package blob

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Files are sealed as age does it (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár): chunks of 64 KiB under
// AES-256-GCM, each with its number in the nonce, the last with a mark. A chunk that is changed, swapped, left out, or taken from
// elsewhere does not open, and a file that is cut at the edge of a chunk has no last one. The key is the file's own, so the numbers
// never repeat under it.
const (
	chunkSize = 64 << 10
	tagSize   = 16
	keySize   = 32
)

// streamKey is the cipher of one file: of its random key and of its name, so that the content of another name does not open.
func streamKey(key []byte, name string) (cipher.AEAD, error) {
	own, err := hkdf.Key(sha256.New, key, nil, "sendtip blob v1: "+name, keySize)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	block, err := aes.NewCipher(own)
	if err != nil {
		return nil, fmt.Errorf("blob: %w", err)
	}
	return cipher.NewGCM(block)
}

func nonce(number uint64, last bool) []byte {
	n := make([]byte, 12)
	binary.BigEndian.PutUint64(n[3:11], number)
	if last {
		n[11] = 1
	}
	return n
}

// sealingWriter seals what is written to it; Close writes the last chunk and leaves the writer behind it open.
type sealingWriter struct {
	to     io.Writer
	aead   cipher.AEAD
	number uint64
	chunk  []byte
	sealed []byte
}

func newSealingWriter(to io.Writer, aead cipher.AEAD) *sealingWriter {
	return &sealingWriter{to: to, aead: aead, chunk: make([]byte, 0, chunkSize), sealed: make([]byte, 0, chunkSize+tagSize)}
}

func (w *sealingWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if len(w.chunk) == chunkSize { // there is more, so it is not the last
			if err := w.flush(false); err != nil {
				return written, err
			}
		}
		n := min(chunkSize-len(w.chunk), len(p)-written)
		w.chunk = append(w.chunk, p[written:written+n]...)
		written += n
	}
	return written, nil
}

func (w *sealingWriter) Close() error { return w.flush(true) }

func (w *sealingWriter) flush(last bool) error {
	w.sealed = w.aead.Seal(w.sealed[:0], nonce(w.number, last), w.chunk, nil)
	w.number++
	w.chunk = w.chunk[:0]
	_, err := w.to.Write(w.sealed)
	return err
}

// openingReader gives what a sealingWriter sealed. Nothing comes out of a chunk that does not open.
type openingReader struct {
	from   *bufio.Reader
	aead   cipher.AEAD
	number uint64
	sealed []byte
	plain  []byte // opened, not read yet
	err    error  // once it is over
}

func newOpeningReader(from io.Reader, aead cipher.AEAD) *openingReader {
	return &openingReader{from: bufio.NewReader(from), aead: aead, sealed: make([]byte, chunkSize+tagSize)}
}

func (r *openingReader) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.plain, r.err = r.next()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// next opens a chunk; with the last comes io.EOF.
func (r *openingReader) next() ([]byte, error) {
	n, err := io.ReadFull(r.from, r.sealed)
	last := errors.Is(err, io.ErrUnexpectedEOF)
	switch {
	case errors.Is(err, io.EOF):
		return nil, ErrOpen // a file has at least one chunk, and after the last nothing is asked
	case err != nil && !last:
		return nil, err
	}
	if !last {
		_, err := r.from.Peek(1)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		last = err != nil
	}
	plain, err := r.aead.Open(r.sealed[:0], nonce(r.number, last), r.sealed[:n], nil)
	if err != nil || len(plain) == 0 {
		return nil, ErrOpen // an empty chunk is never written: files are not empty
	}
	r.number++
	if last {
		return plain, io.EOF
	}
	return plain, nil
}
