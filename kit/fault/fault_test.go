package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
)

func TestFaultsCompareByCode(t *testing.T) {
	t.Parallel()
	low := fault.New(fault.Unprocessable, "insufficient_funds", "The balance is too low.")
	wrapped := fmt.Errorf("debit: %w", low.WithRetryAfter(time.Second))
	if !errors.Is(wrapped, low) || errors.Is(wrapped, fault.ErrForbidden) {
		t.Fatal("faults must be equal by code and by nothing else")
	}
	f, ok := fault.As(wrapped)
	if !ok || f.RetryAfter != time.Second || low.RetryAfter != 0 {
		t.Fatal("With… must return changed copies")
	}
}

func TestWithFieldDoesNotShare(t *testing.T) {
	t.Parallel()
	a := fault.ErrInvalid.WithField("/a", "minimum", "too small")
	b, c := a.WithField("/b", "x", ""), a.WithField("/c", "x", "")
	if b.Fields[1].Pointer != "/b" || c.Fields[1].Pointer != "/c" || len(fault.ErrInvalid.Fields) != 0 {
		t.Fatal("copies share their fields")
	}
}
