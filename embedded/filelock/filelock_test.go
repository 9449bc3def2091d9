package filelock_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
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

// TestADeletedFileKeepsNobodyOut: a holder may delete the lock's file before it lets go. Whoever had opened the file then holds a lock that
// nobody else sees, so it must ask again.
func TestADeletedFileKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	var holders atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for got := 0; got < 200; {
				lock, err := filelock.Try(path)
				if errors.Is(err, filelock.ErrHeld) {
					runtime.Gosched()
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				got++
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d hold the lock", n)
				}
				runtime.Gosched()
				holders.Add(-1)
				if err := errors.Join(os.Remove(path), lock.Release()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
