package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
)

const (
	// youngest is the least age of what may be swept: an upload that is still coming in, and the row that follows it, take less.
	youngest = time.Hour
	// batch is how many names are asked about at a time.
	batch = 500
)

// Known answers which of the names are in rows.
type Known func(ctx context.Context, names []string) (map[string]bool, error)

// Sweep deletes the files of a kind that are older than olderThan and in no row: what a crash between a put and its row left. It
// returns how many. When it cannot learn what is known, it deletes nothing more.
//
// An asset that lies there without a row for so long, and is put again while Sweep deletes it, may be lost although it has a row now:
// within the moment between a last look at its age and the delete. Sweep away from the hours in which assets are put.
func (s *Store) Sweep(ctx context.Context, kind string, olderThan time.Duration, known Known) (int, error) {
	if !word.MatchString(kind) || olderThan < youngest {
		return 0, errors.New("blob: a sweep needs a kind, and an age of an hour or more")
	}
	before := s.now().Add(-olderThan)
	swept := 0
	var names []string
	ask := func() error {
		n, err := s.sweep(ctx, names, before, known)
		swept += n
		names = names[:0]
		return err
	}
	for list := s.bucket.List(&blob.ListOptions{Prefix: kind + "/"}); ; {
		o, err := list.Next(ctx)
		if errors.Is(err, io.EOF) {
			return swept, ask()
		}
		if err != nil {
			return swept, fmt.Errorf("list files: %w", err)
		}
		if o.IsDir || !o.ModTime.Before(before) {
			continue
		}
		switch {
		case remainder.MatchString(o.Key):
			if err := s.remove(ctx, o.Key); err != nil {
				return swept, err
			}
			swept++
		case ours(o.Key): // what else lies there was not put by us
			names = append(names, o.Key)
		}
		if len(names) == batch {
			if err := ask(); err != nil {
				return swept, err
			}
		}
	}
}

func (s *Store) sweep(ctx context.Context, names []string, before time.Time, known Known) (int, error) {
	if len(names) == 0 {
		return 0, nil
	}
	kept, err := known(ctx, names)
	if err != nil {
		return 0, fmt.Errorf("ask what is known: %w", err)
	}
	swept := 0
	for _, name := range names {
		if kept[name] {
			continue
		}
		now, err := s.bucket.Attributes(ctx, name)
		if gcerrors.Code(err) == gcerrors.NotFound || err == nil && !now.ModTime.Before(before) {
			continue // gone, or put again just now
		}
		if err != nil {
			return swept, fmt.Errorf("look at a file: %w", err)
		}
		if err := s.remove(ctx, name); err != nil {
			return swept, err
		}
		swept++
	}
	return swept, nil
}
