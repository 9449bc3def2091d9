package blob_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sendtip/sendtip/kit/blob"
	"github.com/sendtip/sendtip/kit/fault"
)

// TestAssets: an asset lies under its digest as it is; all of it and parts of it are read, and a changed one is found.
func TestAssets(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "client", 1)
		content := jpeg(6<<20 + 3)
		sum := sha256.Sum256(content)
		a, again := putAsset(t, s, content), putAsset(t, s, content)
		if a != again || a.Name != "assets/"+hex.EncodeToString(sum[:]) ||
			a.Meta != (blob.Meta{Original: "id.jpg", Type: image, Size: int64(len(content)), SHA256: sum}) {
			t.Fatalf("%+v", a)
		}
		r, err := s.GetAsset(t.Context(), a.Name)
		if err != nil {
			t.Fatal(err)
		}
		if r.Meta.Size != int64(len(content)) || r.Meta.SHA256 != sum {
			t.Errorf("%+v", r.Meta)
		}
		if got, err := all(r, nil); err != nil || !bytes.Equal(got, content) {
			t.Error(err)
		}
		size := int64(len(content))
		for _, c := range []struct{ offset, length int64 }{{0, 1}, {0, size}, {1, 100}, {size - 1, 1}, {5 << 20, 1 << 20}} {
			got, err := all(s.GetAssetRange(t.Context(), a.Name, c.offset, c.length))
			if err != nil || !bytes.Equal(got, content[c.offset:c.offset+c.length]) {
				t.Errorf("%+v: %d bytes, %v", c, len(got), err)
			}
		}
		for _, c := range []struct{ offset, length int64 }{{-1, 1}, {0, 0}, {0, -1}, {0, size + 1}, {size, 1}, {size - 1, 2}, {1, 1<<63 - 1}} {
			if got, err := all(s.GetAssetRange(t.Context(), a.Name, c.offset, c.length)); err == nil {
				t.Errorf("%+v: %d bytes", c, len(got))
			}
		}
		changed := bytes.Clone(content)
		changed[len(changed)/2] ^= 1
		for what, lies := range map[string][]byte{
			"changed": changed, "cut": content[:len(content)-1], "longer": append(bytes.Clone(content), 0), "empty": {},
		} {
			overwrite(t, s, a.Name, lies)
			if _, err := all(s.GetAsset(t.Context(), a.Name)); !errors.Is(err, blob.ErrOpen) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if again := putAsset(t, s, content); again != a {
			t.Errorf("%+v", again)
		}
		if got, err := all(s.GetAsset(t.Context(), a.Name)); err != nil || !bytes.Equal(got, content) {
			t.Error("a put does not mend what was changed", err)
		}
		if _, err := s.GetAsset(t.Context(), "assets/"+strings.Repeat("0", 64)); !errors.Is(err, fault.ErrNotFound) {
			t.Error(err)
		}
	})
}

// TestCrash: what a process leaves that dies in the middle of a put has no name of a file, and is swept later without asking.
func TestCrash(t *testing.T) {
	t.Parallel()
	p := folder(t)
	s := p.open(t, "agents", 1)
	more, send := io.Pipe()
	u := upload(nil)
	u.Content = more
	done := make(chan error)
	go func() {
		_, err := s.Put(t.Context(), "documents", u)
		done <- err
	}()
	if _, err := send.Write(jpeg(300_000)); err != nil { // returns when all of it was read, so that some of it lies on the disk
		t.Fatal(err)
	}
	after := folder(t)
	if err := os.CopyFS(after.folder, os.DirFS(p.folder)); err != nil {
		t.Fatal(err)
	}
	if err := send.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	s = after.open(t, "agents", 1)
	left := lie(t, s)
	if len(left) != 1 || !strings.HasSuffix(left[0], ".tmp") {
		t.Fatalf("there lie %v", left)
	}
	if _, err := s.Get(t.Context(), left[0], nil); !errors.Is(err, fault.ErrNotFound) {
		t.Error(err)
	}
	sweep(t, s, "documents", 0, nothing)
	after.ago(2*time.Hour, func() {})
	sweep(t, s, "documents", 1, func(context.Context, []string) (map[string]bool, error) {
		t.Error("asked about what has no name")
		return nil, nil
	})
	nothingLeft(t, after, s, "sweep")
}

func nothing(context.Context, []string) (map[string]bool, error) { return nil, nil }

func sweep(t testing.TB, s *blob.Store, kind string, want int, known blob.Known) {
	t.Helper()
	if n, err := s.Sweep(t.Context(), kind, time.Hour, known); err != nil || n != want {
		t.Errorf("swept %d of %s, want %d: %v", n, kind, want, err)
	}
}

// TestSweep: what is old and unknown goes; what is young, known, of another kind, of another service, or not ours stays.
func TestSweep(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s, other := p.open(t, "agents", 1), p.open(t, "client", 1)
		var known, orphan, theirs blob.File
		var asset blob.Asset
		p.ago(61*time.Minute, func() {
			known, orphan, asset, theirs = put(t, s, jpeg(100)), put(t, s, jpeg(100)), putAsset(t, s, jpeg(100)), put(t, other, jpeg(100))
			overwrite(t, s, "documents/README", []byte("somebody's own"))
		})
		young := put(t, s, jpeg(100))
		rows := func(_ context.Context, names []string) (map[string]bool, error) {
			if slices.Contains(names, young.Name) {
				t.Error("asked about a young file")
			}
			return map[string]bool{known.Name: true}, nil
		}
		away := errors.New("the database is away")
		if n, err := s.Sweep(t.Context(), "documents", time.Hour, func(context.Context, []string) (map[string]bool, error) {
			return map[string]bool{}, away
		}); n != 0 || !errors.Is(err, away) || len(lie(t, s)) != 5 {
			t.Errorf("swept %d without knowing: %v", n, err)
		}
		if _, err := s.Sweep(t.Context(), "documents", time.Hour-1, rows); err == nil {
			t.Error("swept what is too young")
		}
		if _, err := s.Sweep(t.Context(), "", time.Hour, rows); err == nil {
			t.Error("swept every kind")
		}
		if n, err := s.Sweep(t.Context(), "documents", 2*time.Hour, rows); n != 0 || err != nil {
			t.Errorf("swept %d: %v", n, err)
		}
		sweep(t, s, "documents", 1, rows)
		sweep(t, s, "documents", 0, rows)
		want := []string{"documents/README", known.Name, young.Name, asset.Name}
		slices.Sort(want)
		if names := lie(t, s); !slices.Equal(names, want) {
			t.Errorf("%s is gone, there lie %v", orphan.Name, names)
		}
		if _, err := get(t.Context(), other, theirs.Name, theirs.Sealed); err != nil {
			t.Error(err)
		}
	})
}

// TestSweepMany: all are asked about, so many at a time.
func TestSweepMany(t *testing.T) {
	t.Parallel()
	p := folder(t)
	s := p.open(t, "agents", 1)
	dir := filepath.Join(p.folder, "agents", "documents")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const many = 2*blob.Batch + 1
	for i := range many {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("0190a000-0000-7000-8000-%012d", i)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.ago(2*time.Hour, func() {})
	var asked []int
	sweep(t, s, "documents", many-3, func(_ context.Context, names []string) (map[string]bool, error) {
		asked = append(asked, len(names))
		return map[string]bool{names[0]: true}, nil
	})
	if !slices.Equal(asked, []int{blob.Batch, blob.Batch, 1}) || len(lie(t, s)) != 3 {
		t.Errorf("asked about %v, %d are left", asked, len(lie(t, s)))
	}
}

// TestSweepOfWhatIsPutAgain: an asset that is put again while the sweep asks is not old any more.
func TestSweepOfWhatIsPutAgain(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "client", 1)
		p.ago(2*time.Hour, func() { putAsset(t, s, jpeg(100)) })
		sweep(t, s, "assets", 0, func(context.Context, []string) (map[string]bool, error) {
			putAsset(t, s, jpeg(100))
			return nil, nil
		})
		if len(lie(t, s)) != 1 {
			t.Error("it is gone")
		}
	})
}
