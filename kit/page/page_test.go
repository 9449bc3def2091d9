package page_test

import (
	"bytes"
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/seal"
)

func pager(t testing.TB, keys ...byte) *page.Pager {
	t.Helper()
	var all [][]byte
	for _, k := range keys {
		all = append(all, bytes.Repeat([]byte{k}, seal.KeySize))
	}
	s, err := seal.New(all[0], all[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return page.New(s)
}

func as(t testing.TB, subject, act string) context.Context {
	return auth.With(t.Context(), auth.Principal{Subject: subject, Act: act})
}

// list is whatever a cursor is bound to.
type list struct{ operation, subject, act, account, kind string }

func (l list) read(t testing.TB, p *page.Pager, cursor string) (page.Page[int64], error) {
	return page.Read[int64](as(t, l.subject, l.act), p, l.operation, page.Request{Cursor: &cursor}, l.account, l.kind)
}

func (l list) cursor(t testing.TB, p *page.Pager, at int64) string {
	first, err := page.Read[int64](as(t, l.subject, l.act), p, l.operation, page.Request{}, l.account, l.kind)
	if err != nil {
		t.Fatal(err)
	}
	return *first.Next(at)
}

// TestCursorModel: a cursor is good for the list that it was made for, and for no other.
func TestCursorModel(t *testing.T) {
	t.Parallel()
	p := pager(t, 1)
	// Few short words, so that two lists often differ in one part, or only in where a part ends.
	word := rapid.SampledFrom([]string{"", "a", "b", "ab", `a","b`, "user:a", `"`})
	lists := rapid.Custom(func(t *rapid.T) list {
		return list{word.Draw(t, "operation"), word.Draw(t, "subject"), word.Draw(t, "act"), word.Draw(t, "account"), word.Draw(t, "kind")}
	})
	rapid.Check(t, func(rt *rapid.T) {
		mine, at := lists.Draw(rt, "mine"), rapid.Int64().Draw(rt, "at")
		other := mine // but for one part
		parts := []*string{&other.operation, &other.subject, &other.act, &other.account, &other.kind}
		*parts[rapid.IntRange(0, len(parts)-1).Draw(rt, "part")] = word.Draw(rt, "instead")
		switch rapid.IntRange(0, 2).Draw(rt, "or") {
		case 1:
			other = lists.Draw(rt, "other")
		case 2: // the same letters, with another place where the first part ends
			other = mine
			other.operation, other.subject = mine.operation+mine.subject, ""
		}
		cursor := mine.cursor(t, p, at)
		if got, err := mine.read(t, p, cursor); err != nil || got.From(0) != at || got.First() {
			rt.Fatalf("its own list: %v %v", got.From(0), err)
		}
		if _, err := other.read(t, p, cursor); (err == nil) != (mine == other) || err != nil && !errors.Is(err, page.ErrCursor) {
			rt.Fatalf("cursor of %+v read as %+v: %v", mine, other, err)
		}
	})
}

// TestChangedCursorModel: every byte counts, in its place, and none may be added or missing.
func TestChangedCursorModel(t *testing.T) {
	t.Parallel()
	p, mine := pager(t, 1), list{"listThings", "user:a", "", "x", ""}
	alphabet := []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/\r\n \x00\xff")
	rapid.Check(t, func(rt *rapid.T) {
		cursor := mine.cursor(t, p, rapid.Int64().Draw(rt, "at"))
		i, b := rapid.IntRange(0, len(cursor)).Draw(rt, "i"), rapid.SampledFrom(alphabet).Draw(rt, "byte")
		changed := []byte(cursor)
		switch rapid.SampledFrom([]string{"put", "insert", "cut"}).Draw(rt, "how") {
		case "put":
			changed[min(i, len(changed)-1)] = b
		case "insert":
			changed = slices.Insert(changed, i, b)
		case "cut":
			changed = changed[:i]
		}
		if string(changed) == cursor {
			return
		}
		if _, err := mine.read(t, p, string(changed)); !errors.Is(err, page.ErrCursor) {
			rt.Fatalf("%q changed to %q: %v", cursor, changed, err)
		}
	})
	// Each bit of each byte, too: the last character has spare bits, which base64 overlooks.
	cursor := mine.cursor(t, p, 12)
	for i := range cursor {
		for _, c := range alphabet {
			if changed := cursor[:i] + string(c) + cursor[i+1:]; changed != cursor {
				if _, err := mine.read(t, p, changed); !errors.Is(err, page.ErrCursor) {
					t.Fatalf("%q: %v", changed, err)
				}
			}
		}
	}
}

func TestOldCursors(t *testing.T) {
	t.Parallel()
	p, mine := pager(t, 1), list{"listThings", "user:a", "", "x", ""}
	id := uuid.MustParse("01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e")
	for _, old := range []string{"", "3", "s3", "i" + id.String(), "AZN8XopAfBudfj9rKhwNTg", "MDE5MzdjNWU", "!!!!", "AA",
		strings.Repeat("A", 200), strings.Repeat("A", 100_000)} {
		if _, err := mine.read(t, p, old); !errors.Is(err, page.ErrCursor) {
			t.Errorf("%.40q: %v", old, err)
		}
	}
}

// TestKeysTakeTurns: a cursor made before a rotation leads on during it, is followed by cursors of the new key, and ends with its own.
func TestKeysTakeTurns(t *testing.T) {
	t.Parallel()
	mine := list{"listThings", "user:a", "", "x", ""}
	old := mine.cursor(t, pager(t, 1), 7)
	during, err := mine.read(t, pager(t, 2, 1), old)
	if err != nil || during.From(0) != 7 {
		t.Fatalf("during the rotation: %v", err)
	}
	after := pager(t, 2)
	if got, err := mine.read(t, after, *during.Next(8)); err != nil || got.From(0) != 8 {
		t.Fatalf("the next cursor needs the old key: %v", err)
	}
	if _, err := mine.read(t, after, old); !errors.Is(err, page.ErrCursor) {
		t.Fatalf("the old key is gone: %v", err)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	p := pager(t, 1)
	for limit, want := range map[int32]bool{-1: false, 0: false, 1: true, 100: true, 101: false} {
		got, err := page.Read[int64](t.Context(), p, "listThings", page.Request{Limit: &limit})
		if (err == nil) != want || want && got.Size != limit || !want && !errors.Is(err, page.ErrLimit) {
			t.Errorf("limit %d: %d %v", limit, got.Size, err)
		}
	}
	got, err := page.Read[int64](t.Context(), p, "listThings", page.Request{})
	if err != nil || got.Size != page.DefaultSize || !got.First() || got.From(9) != 9 {
		t.Errorf("no limit: %+v %v", got, err)
	}
}

// TestWalk: pages lead through all rows, each once, whatever the page's size, and the size may change on the way.
func TestWalk(t *testing.T) {
	t.Parallel()
	p := pager(t, 1)
	for rows := range 8 {
		for _, sizes := range [][]int32{{1}, {2}, {3}, {7}, {100}, {2, 1, 3}} {
			var seen []int64
			in := page.Request{}
			for i := 0; ; i++ {
				in.Limit = &sizes[i%len(sizes)]
				asked, err := page.Read[int64](t.Context(), p, "listThings", in)
				if err != nil {
					t.Fatal(err)
				}
				var found []int64
				for n := asked.From(0) + 1; n <= int64(rows) && len(found) < int(asked.Size)+1; n++ {
					found = append(found, n)
				}
				found, in.Cursor = page.Cut(asked, found, func(n int64) int64 { return n })
				seen = append(seen, found...)
				if in.Cursor == nil {
					if len(found) == 0 && rows > 0 {
						t.Fatalf("%d rows by %v: a cursor led to nothing", rows, sizes)
					}
					break
				}
				if len(found) != int(asked.Size) {
					t.Fatalf("%d rows of %d, and more to come", len(found), asked.Size)
				}
			}
			if want := []int64{1, 2, 3, 4, 5, 6, 7}[:rows]; !slices.Equal(seen, want) {
				t.Errorf("%d rows by %v: %v", rows, sizes, seen)
			}
		}
	}
}

// TestPositions: the kinds of positions come back as they were, and fit the contract's form of a cursor.
func TestPositions(t *testing.T) {
	t.Parallel()
	type timed struct {
		At time.Time `json:"at"`
		ID uuid.UUID `json:"id"`
	}
	roundTrip(t, uuid.Max)
	roundTrip(t, uuid.Nil)
	roundTrip(t, int64(9007199254740993))
	roundTrip(t, timed{time.Date(2026, 11, 23, 9, 30, 0, 123456000, time.UTC), uuid.Max})
}

// cursorForm is the pattern of PageCursor in openapi/common.yaml, with its maxLength.
var cursorForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

func roundTrip[P comparable](t *testing.T, at P) {
	t.Helper()
	p := pager(t, 1)
	first, err := page.Read[P](t.Context(), p, "listThings", page.Request{})
	if err != nil {
		t.Fatal(err)
	}
	cursor := first.Next(at)
	if !cursorForm.MatchString(*cursor) {
		t.Errorf("%v: %s", at, *cursor)
	}
	var other P
	got, err := page.Read[P](t.Context(), p, "listThings", page.Request{Cursor: cursor})
	if err != nil || got.From(other) != at {
		t.Errorf("%v came back as %v: %v", at, got.From(other), err)
	}
	// Another release may order the list by something else: its cursors are none of this one's.
	if _, err := page.Read[[]int](t.Context(), p, "listThings", page.Request{Cursor: cursor}); !errors.Is(err, page.ErrCursor) {
		t.Errorf("%v read as another kind of position: %v", at, err)
	}
}
