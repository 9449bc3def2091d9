package check

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// maxNotes bounds a file of checkpoints, in bytes.
const maxNotes = 1 << 30

// Notes splits a file of checkpoints, each of which is followed by an empty line. A note has an empty line of its own, before its
// signatures.
func Notes(data []byte) (list [][]byte, err error) {
	if len(data) > maxNotes {
		return nil, fmt.Errorf("the file of checkpoints has more than %d bytes", maxNotes)
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	for blocks := bytes.Split(bytes.Trim(data, "\n"), []byte("\n\n")); len(blocks) > 0; blocks = blocks[min(2, len(blocks)):] {
		if len(blocks) == 1 {
			if len(bytes.TrimSpace(blocks[0])) == 0 && len(list) == 0 {
				return nil, errors.New("the file has no checkpoint")
			}
			return nil, fmt.Errorf("checkpoint number %d has no signatures: the file was cut or is no file of checkpoints", len(list)+1)
		}
		list = append(list, slices.Concat(bytes.TrimLeft(blocks[0], "\n"), []byte("\n\n"), blocks[1], []byte("\n")))
	}
	return list, nil
}
