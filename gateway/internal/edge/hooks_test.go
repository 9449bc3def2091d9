package edge

import (
	"testing"
	"time"
)

func TestOrigins(t *testing.T) {
	t.Parallel()
	o := senderWatch{of: map[string]*sender{}}
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	seen := func(known bool, want, wantSay bool) {
		t.Helper()
		if all, say := o.seen("st", known, now); all != want || say != wantSay {
			t.Fatalf("all strangers %t, said %t; want %t %t", all, say, want, wantSay)
		}
	}
	seen(true, false, false)
	for range 5 {
		seen(false, false, false) // a moment after the provider's own
	}
	now = now.Add(quietAfter)
	seen(false, true, true)
	seen(false, true, false) // once an hour is enough
	now = now.Add(repeatAlarm)
	seen(false, true, true)
	seen(true, false, false)
	now = now.Add(quietAfter)
	seen(false, false, false) // two are an accident
	seen(false, false, false)
	seen(false, true, false)
}
