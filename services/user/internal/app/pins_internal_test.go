package app

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/servicetest"
	usersql "github.com/sendtip/sendtip/sql/user"
)

// TestHashingQueue: under a flood a PIN that never got its turn is answered 503, and is no try: else retries would lock customers out.
func TestHashingQueue(t *testing.T) {
	t.Parallel()
	a, err := New(servicetest.New(t, "user", usersql.Migrations(), nil).Parts, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	try := func(ctx context.Context) error {
		return a.tryPin(ctx, pinTry{phone: "+254712345678", pin: "7294"})
	}
	for range cap(a.hashing) {
		a.hashing <- struct{}{} // all places are taken
	}
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if err := try(ctx); !errors.Is(err, fault.ErrUnavailable) {
			t.Fatalf("%v, want unavailable", err)
		}
		cancel()
	}
	var tries int
	if err := a.Pool.QueryRow(t.Context(), "SELECT count(*) FROM pin_attempts").Scan(&tries); err != nil || tries != 0 {
		t.Fatalf("%d PINs were counted that nobody looked at (%v)", tries, err)
	}
	started := time.Now()
	if err := try(t.Context()); !errors.Is(err, fault.ErrUnavailable) || time.Since(started) > 2*maxHashWait {
		t.Fatalf("%v after %s, want unavailable in bounded time", err, time.Since(started))
	}
	for range cap(a.hashing) {
		<-a.hashing
	}
	if err := try(t.Context()); !errors.Is(err, errPinWrong) {
		t.Fatalf("%v after the flood", err)
	}
}
