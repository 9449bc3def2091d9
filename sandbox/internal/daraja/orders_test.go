package daraja

import (
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// TestTwoOrdersOfOneID takes what two requests that came at the same moment bring: both had looked before either was taken.
func TestTwoOrdersOfOneID(t *testing.T) {
	t.Parallel()
	w := world.New(world.Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: time.Now})
	t.Cleanup(w.Close)
	s, err := New(Options{}, w)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.register(&order{originator: "w-1"}); err != nil {
		t.Fatal(err)
	}
	if err := s.register(&order{originator: "w-1"}); !errors.Is(err, errDuplicate) {
		t.Errorf("the second: %v", err)
	}
	for range 2 {
		if err := s.register(&order{}); err != nil { // an order without an id of the caller's gets one
			t.Errorf("%v", err)
		}
	}
}
