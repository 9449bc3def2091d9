package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

func newClosing() *closing {
	return &closing{transfer: domain.Transfer{ID: uuid.New()}, done: make(chan bool, 1)}
}

// TestClosingsGroup holds the first commit until others wait: they end together, each with its own answer.
func TestClosingsGroup(t *testing.T) {
	t.Parallel()
	entered, release := make(chan []*closing), make(chan error)
	left := newClosing() // somebody else has closed it
	g := &closings{log: slog.New(slog.DiscardHandler), commit: func(_ context.Context, group []*closing) (closed []uuid.UUID, err error) {
		entered <- group
		for _, c := range group {
			if c != left {
				closed = append(closed, c.transfer.ID)
			}
		}
		return closed, <-release
	}}
	first := newClosing()
	g.enqueue(first)
	if group := <-entered; len(group) != 1 || group[0] != first {
		t.Fatalf("the first waits for %d others", len(group)-1)
	}
	second := []*closing{newClosing(), left, newClosing()}
	for _, c := range second {
		g.enqueue(c)
	}
	release <- nil
	if group := <-entered; len(group) != 3 || !<-first.done {
		t.Fatalf("%d together", len(group))
	}
	failing := newClosing()
	g.enqueue(failing)
	release <- nil
	for _, c := range second {
		if closed := <-c.done; closed != (c != left) {
			t.Errorf("closed is %v, left alone %v", closed, c == left)
		}
	}
	<-entered
	release <- errors.New("the database is away")
	if <-failing.done {
		t.Error("a failed group says closed")
	}
}

func TestClosingsBounds(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sizes []int
	entered, release := make(chan struct{}, 1), make(chan struct{})
	g := &closings{log: slog.New(slog.DiscardHandler), commit: func(_ context.Context, group []*closing) ([]uuid.UUID, error) {
		mu.Lock()
		sizes = append(sizes, len(group))
		first := len(sizes) == 1
		mu.Unlock()
		if first {
			entered <- struct{}{}
			<-release
			panic("a broken program")
		}
		return nil, nil
	}}
	all := []*closing{newClosing()}
	g.enqueue(all[0])
	<-entered
	for range maxClosings + 1 {
		all = append(all, newClosing())
		g.enqueue(all[len(all)-1])
	}
	close(release)
	for i, c := range all {
		if <-c.done {
			t.Errorf("closing %d says closed", i)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(sizes) != 3 || sizes[0] != 1 || sizes[1] != maxClosings || sizes[2] != 1 {
		t.Errorf("groups of %v", sizes)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if g.submit(ctx, newClosing()) {
		t.Error("a caller without time is told that it is closed")
	}
}
