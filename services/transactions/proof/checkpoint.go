package proof

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// maxCheckpoint is the size of the largest note that is read, in bytes: room for a hundred signatures.
const maxCheckpoint = 16 << 10

// Checkpoint says that the tree of this ledger had this root when it had this many leaves (C2SP tlog-checkpoint).
type Checkpoint struct {
	Origin string // name of the ledger, and of the keys that sign for it
	Size   uint64
	Root   Hash
}

// Marshal returns the text that is signed: origin, size and root in base64, a line each.
func (c Checkpoint) Marshal() []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))
}

// ParseCheckpoint reads the text of a checkpoint. It proves nothing: OpenCheckpoint does.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 {
		return Checkpoint{}, fmt.Errorf("%w: a checkpoint has three lines", ErrMalformed)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(root) != HashSize {
		return Checkpoint{}, fmt.Errorf("%w: the root of the checkpoint is no hash", ErrMalformed)
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("%w: the size of the checkpoint is no number", ErrMalformed)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: Hash(root)}
	if c.Origin == "" || !bytes.Equal(c.Marshal(), text) {
		return Checkpoint{}, fmt.Errorf("%w: the checkpoint is not written as it is signed", ErrMalformed)
	}
	return c, nil
}

// Sign returns the note: the text with a signature of each signer, all of which must have the origin as their name.
func (c Checkpoint) Sign(signers ...note.Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, errors.New("sign checkpoint: there is no key")
	}
	for _, s := range signers {
		if s.Name() != c.Origin {
			return nil, fmt.Errorf("sign checkpoint: a key is named %q, the ledger %q", s.Name(), c.Origin)
		}
	}
	signed, err := note.Sign(&note.Note{Text: string(c.Marshal())}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint: %w", err)
	}
	return signed, nil
}

// OpenCheckpoint returns the checkpoint of a note and the name and hash of the key whose signature holds, as `name+hash`. Signatures by
// unknown keys are passed over, as the format wants; a wrong one by a known key is an error.
func OpenCheckpoint(signed []byte, known note.Verifiers) (c Checkpoint, key string, err error) {
	if len(signed) > maxCheckpoint {
		return c, "", fmt.Errorf("%w: the checkpoint has more than %d bytes", ErrMalformed, maxCheckpoint)
	}
	n, err := note.Open(signed, known)
	if err != nil {
		return c, "", openError(err)
	}
	if c, err = ParseCheckpoint([]byte(n.Text)); err != nil {
		return c, "", err
	}
	for _, sig := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil { // one signature, one spelling
			return c, "", fmt.Errorf("%w: a signature is no base64", ErrMalformed)
		}
		if sig.Name == c.Origin && key == "" {
			key = fmt.Sprintf("%s+%08x", sig.Name, sig.Hash)
		}
	}
	if key == "" {
		return c, "", fmt.Errorf("%w: the checkpoint is of %q, which none of the known keys signs for", ErrSignature, c.Origin)
	}
	return c, key, nil
}

func openError(err error) error {
	var unverified *note.UnverifiedNoteError
	if errors.As(err, &unverified) {
		var names []string
		for _, s := range unverified.Note.UnverifiedSigs {
			names = append(names, fmt.Sprintf("%s+%08x", s.Name, s.Hash))
		}
		return fmt.Errorf("%w: the checkpoint is signed by %s only, which is not among the known keys", ErrSignature, strings.Join(names, ", "))
	}
	var invalid *note.InvalidSignatureError
	if errors.As(err, &invalid) {
		return fmt.Errorf("%w: the signature of %s+%08x is not one of this checkpoint", ErrSignature, invalid.Name, invalid.Hash)
	}
	return fmt.Errorf("%w: the checkpoint is no signed note: %w", ErrMalformed, err)
}
