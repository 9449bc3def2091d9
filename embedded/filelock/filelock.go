//go:build unix

// Package filelock holds advisory locks on files (flock). The kernel drops a lock when the last process that
// holds it is gone, however it ended, so a held lock proves that somebody lives. A process id proves nothing:
// after a crash it may belong to another program.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrHeld says that somebody else holds the lock.
var ErrHeld = errors.New("lock is held")

// pollInterval is how often a waiting caller asks again. A blocking flock cannot be cancelled by a context.
const pollInterval = 20 * time.Millisecond

// Lock is a held lock.
type Lock struct{ file *os.File }

// Try takes the lock on path alone, or answers ErrHeld at once. The file is created if it is missing.
func Try(path string) (*Lock, error) { return try(path, syscall.LOCK_EX) }

// TryShared takes the lock on path together with other shared holders, or answers ErrHeld at once.
func TryShared(path string) (*Lock, error) { return try(path, syscall.LOCK_SH) }

// Acquire is Try that waits until ctx ends.
func Acquire(ctx context.Context, path string) (*Lock, error) {
	return wait(ctx, path, syscall.LOCK_EX)
}

// AcquireShared is TryShared that waits until ctx ends.
func AcquireShared(ctx context.Context, path string) (*Lock, error) {
	return wait(ctx, path, syscall.LOCK_SH)
}

// File is the open lock file. A child process that inherits it holds the lock too, for as long as it or any
// of its own children lives.
func (l *Lock) File() *os.File { return l.file }

// Release closes this holder's copy. It never unlocks explicitly, because that would take the lock away from
// a child process that inherited it.
func (l *Lock) Release() error { return l.file.Close() }

func try(path string, how int) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err == nil && stands(file, path) {
		return &Lock{file: file}, nil
	}
	if err == nil { // its last holder deleted the file while it was being opened: a lock on it keeps nobody out
		_ = file.Close()
		return try(path, how)
	}
	_ = file.Close() // nothing was written
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: %w", path, ErrHeld)
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}

// stands says whether the file is still the one of this name.
func stands(file *os.File, path string) bool {
	held, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(held, named)
}

func wait(ctx context.Context, path string, how int) (*Lock, error) {
	for {
		lock, err := try(path, how)
		if !errors.Is(err, ErrHeld) {
			return lock, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}
