package filelock_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sendtip/sendtip/embedded/filelock"
)

func TestExclusive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := filelock.Try(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := filelock.Try(path); !errors.Is(err, filelock.ErrHeld) {
		t.Fatalf("second holder: %v, want ErrHeld", err)
	}
	if _, err := filelock.TryShared(path); !errors.Is(err, filelock.ErrHeld) {
		t.Fatalf("shared beside exclusive: %v, want ErrHeld", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	second, err := filelock.Try(path)
	if err != nil {
		t.Fatalf("after release: %v", err)
	}
	if err := second.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestSharedHoldersKeepOutTheExclusiveOne(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	one, err := filelock.TryShared(path)
	if err != nil {
		t.Fatal(err)
	}
	two, err := filelock.AcquireShared(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := filelock.Acquire(ctx, path); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, filelock.ErrHeld) {
		t.Fatalf("exclusive beside shared: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		_, err := filelock.Acquire(t.Context(), path)
		got <- err
	}()
	if err := errors.Join(one.Release(), two.Release()); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatalf("exclusive after both left: %v", err)
	}
}
