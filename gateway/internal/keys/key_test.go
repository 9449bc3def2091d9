package keys

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/gateway/internal/auth"
)

func TestParse(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	key := New("test", id)
	if got, err := Parse("test", key); err != nil || got != id {
		t.Fatalf("%s: %v", got, err)
	}
	if _, err := Parse("production", key); !errors.Is(err, auth.ErrWrongEnvironment) {
		t.Errorf("other environment: %v", err)
	}
	if Hint(key) != key[:strings.LastIndex(key[:len(key)-8], "_")] || strings.Contains(Hint(key), strings.Split(key, "_")[3]) {
		t.Errorf("hint %s", Hint(key))
	}
	if bytes.Equal(Hash(key), Hash(New("test", id))) {
		t.Error("two keys of one id have one hash: nothing in them is random")
	}
	for i := range key { // every single mistyped character is noticed
		typo := []byte(key)
		if typo[i]++; typo[i] == '_' {
			continue
		}
		if _, err := Parse("test", string(typo)); err == nil {
			t.Fatalf("a typo at %d was not noticed", i)
		}
	}
}

// FuzzParse checks that nothing but a key that New can write is taken, and that nothing panics.
func FuzzParse(f *testing.F) {
	f.Add("stk_test_agjxyxukib6bxhl6h5vsuha2ji_nbswy3dpeb3w64tmmqqhi2djomqgc3ronbswy3dpeb3w64tmmqqq_mfzwizq")
	f.Add(New("test", uuid.Nil))
	f.Add("____")
	f.Fuzz(func(t *testing.T, key string) {
		id, err := Parse("test", key)
		if err != nil {
			return
		}
		parts := strings.Split(key, "_")
		if want := New("test", id); !strings.HasPrefix(want, strings.Join(parts[:3], "_")) || len(key) != len(want) {
			t.Fatalf("%q was taken", key)
		}
	})
}

// TestExpiry: a key is good until the moment in which it expires, and not in it.
func TestExpiry(t *testing.T) {
	t.Parallel()
	id, now := uuid.New(), time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	key := New("test", id)
	for lead, want := range map[time.Duration]error{time.Nanosecond: nil, 0: ErrExpired, -time.Nanosecond: ErrExpired} {
		l := NewLive(nil, "test", func() time.Time { return now }, slog.New(slog.DiscardHandler))
		expires := now.Add(lead)
		l.keys[id] = live{hash: Hash(key), expires: &expires}
		l.fresh.Store(now.UnixNano())
		if c, err := l.Caller(key); !errors.Is(err, want) || err == nil && !c.ExpiresAt.Equal(expires) {
			t.Errorf("%s before it expires: %v", lead, err)
		}
	}
}
