package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/blob"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/keycheck"
)

// TestPutAndGet: what was put comes back, whatever its size and however it arrives; the metadata says what it is; neither content nor
// the client's name lies in the store.
func TestPutAndGet(t *testing.T) {
	t.Parallel()
	const chunk = 64 << 10
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "agents", 1)
		for _, n := range []int{12, 3071, 3072, 3073, chunk - 1, chunk, chunk + 1, 2*chunk - 1, 2 * chunk, 2*chunk + 1, 11<<20 + 1} {
			content := jpeg(n)
			u := upload(nil)
			u.Content, u.Name = iotest.OneByteReader(bytes.NewReader(content)), `C:\scans\Wanjiru's ID.jpg`
			if n > 3*chunk {
				u.Content = bytes.NewReader(content)
			}
			f, err := s.Put(t.Context(), "documents", u)
			if err != nil {
				t.Fatalf("%d bytes: %v", n, err)
			}
			want := blob.Meta{Original: "Wanjiru's ID.jpg", Type: image, Size: int64(n), SHA256: sha256.Sum256(content)}
			if f.Meta != want || f.Name != "documents/"+f.ID.String() || f.ID.Version() != 7 {
				t.Fatalf("%d bytes: %+v", n, f)
			}
			got, err := get(t.Context(), s, f.Name, f.Sealed)
			if err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
			}
			if meta, err := s.Meta(f.Name, f.Sealed); err != nil || meta != want {
				t.Errorf("%d bytes: %+v %v", n, meta, err)
			}
			if in := raw(t, s, f.Name); bytes.Contains(in, content[:12]) || len(in) != n+16*((n+chunk-1)/chunk) {
				t.Errorf("%d bytes: %d lie in the store", n, len(in))
			}
			if bytes.Contains(f.Sealed, []byte("Wanjiru")) {
				t.Error("the client's name is not sealed")
			}
		}
	})
}

// TestAnySize: the same for sizes and reads that nobody chose.
func TestAnySize(t *testing.T) {
	t.Parallel()
	s := folder(t).open(t, "agents", 1)
	rapid.Check(t, func(r *rapid.T) {
		content := jpeg(rapid.IntRange(12, 70<<10).Draw(r, "size") + 64<<10*rapid.IntRange(0, 3).Draw(r, "chunks"))
		u := upload(nil)
		u.Content = iotest.HalfReader(bytes.NewReader(content))
		f, err := s.Put(t.Context(), "documents", u)
		if err != nil {
			r.Fatal(err)
		}
		if got, err := get(t.Context(), s, f.Name, f.Sealed); err != nil || !bytes.Equal(got, content) {
			r.Fatalf("got %d of %d, %v", len(got), len(content), err)
		}
	})
}

// TestRefused: what is not accepted is refused by what it is, not by what it is called, and leaves nothing.
func TestRefused(t *testing.T) {
	t.Parallel()
	away := errors.New("the client went away")
	for name, c := range map[string]struct {
		content io.Reader
		max     int64
		want    error
	}{
		"empty":                   {bytes.NewReader(nil), 100, blob.ErrEmpty},
		"one byte too many":       {bytes.NewReader(jpeg(1001)), 1000, blob.ErrTooLarge},
		"far too many":            {bytes.NewReader(jpeg(9 << 20)), 1000, blob.ErrTooLarge},
		"too many, of S3's parts": {bytes.NewReader(jpeg(12 << 20)), 11 << 20, blob.ErrTooLarge},
		"without an end":          {io.MultiReader(bytes.NewReader(jpeg(100)), zeros{}), 1 << 20, blob.ErrTooLarge},
		"web page":                {strings.NewReader("<html><script>alert(1)</script></html>"), 1000, blob.ErrType},
		"drawing":                 {strings.NewReader(`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`), 1000, blob.ErrType},
		"program":                 {strings.NewReader("MZ\x90\x00" + strings.Repeat("x", 500)), 1000, blob.ErrType},
		"text":                    {strings.NewReader("just words"), 1000, blob.ErrType},
		"archive":                 {bytes.NewReader(bomb(t)), 1 << 20, blob.ErrType},
		"web page behind spaces":  {strings.NewReader(strings.Repeat(" ", 4000) + "<html>"), 1 << 20, blob.ErrType},
		"picture and page":        {io.MultiReader(bytes.NewReader(jpeg(5000)), strings.NewReader("<HTML><ScRiPt>")), 1 << 20, blob.ErrType},
		"page over two reads": {io.MultiReader(bytes.NewReader(jpeg(5000)), strings.NewReader("<scr"), strings.NewReader("ipt>")), 1 << 20,
			blob.ErrType},
		"picture and program of a server": {io.MultiReader(bytes.NewReader(jpeg(70000)), strings.NewReader("<?PHP ")), 1 << 20, blob.ErrType},
		"cut off at once":                 {iotest.ErrReader(away), 1000, away},
		"cut off":                         {io.MultiReader(bytes.NewReader(jpeg(200_000)), iotest.ErrReader(away)), 1 << 20, away},
		"cut off in S3's second part":     {io.MultiReader(bytes.NewReader(jpeg(7<<20)), iotest.ErrReader(away)), 32 << 20, away},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content, err := io.ReadAll(io.LimitReader(c.content, 13<<20))
			ends := io.Reader(bytes.NewReader(nil))
			if err != nil {
				ends = iotest.ErrReader(err)
			}
			again := func() io.Reader { return io.MultiReader(&pieces{b: content}, ends) }
			if len(content) < 10_000 {
				again = func() io.Reader { return io.MultiReader(iotest.OneByteReader(bytes.NewReader(content)), ends) }
			}
			places(t, func(t *testing.T, p place) {
				s := p.open(t, "agents", 1)
				u := blob.Upload{Content: again(), Name: "picture.jpg", MaxBytes: c.max, Types: []string{image}}
				if f, err := s.Put(t.Context(), "documents", u); !errors.Is(err, c.want) || f.Sealed != nil {
					t.Errorf("put: %v", err)
				}
				u.Content = again()
				if a, err := s.PutAsset(t.Context(), "assets", u); !errors.Is(err, c.want) || a.Name != "" {
					t.Errorf("put asset: %v", err)
				}
				nothingLeft(t, p, s, name)
			})
		})
	}
}

// pieces gives its bytes in uneven reads.
type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(to []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	p.n = p.n%1021 + 1
	n := copy(to[:min(len(to), p.n)], p.b)
	p.b = p.b[n:]
	return n, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestAccepted: the last byte of the limit, and types by any of their names.
func TestAccepted(t *testing.T) {
	t.Parallel()
	s := folder(t).open(t, "agents", 1)
	for name, c := range map[string]struct {
		content []byte
		types   []string
		want    string
	}{
		"picture": {jpeg(1000), []string{"image/png", "image/jpeg"}, "image/jpeg"},
		"pdf":     {append([]byte("%PDF-1.7\n"), make([]byte, 991)...), []string{"application/pdf"}, "application/pdf"},
		"text":    {bytes.Repeat([]byte("word "), 200), []string{"text/plain"}, "text/plain"},
		"archive": {bomb(t), []string{"application/x-zip-compressed"}, "application/zip"},
	} {
		u := blob.Upload{Content: bytes.NewReader(c.content), MaxBytes: int64(len(c.content)), Types: c.types}
		f, err := s.Put(t.Context(), "documents", u)
		if err != nil || f.Meta.Type != c.want || f.Meta.Size != u.MaxBytes {
			t.Errorf("%s: %+v %v", name, f.Meta, err)
		}
	}
}

// TestUploadWithoutRules: who forgets the limit or the types accepts nothing.
func TestUploadWithoutRules(t *testing.T) {
	t.Parallel()
	s := folder(t).open(t, "agents", 1)
	for name, change := range map[string]func(u *blob.Upload){
		"content": func(u *blob.Upload) { u.Content = nil },
		"limit":   func(u *blob.Upload) { u.MaxBytes = 0 },
		"types":   func(u *blob.Upload) { u.Types = nil },
	} {
		u := upload(jpeg(100))
		change(&u)
		if _, err := s.Put(t.Context(), "documents", u); err == nil {
			t.Errorf("put without %s", name)
		}
	}
	for _, kind := range []string{"", "..", "a/b", "A", "a\x00", strings.Repeat("a", 33)} {
		if _, err := s.Put(t.Context(), kind, upload(jpeg(100))); err == nil {
			t.Errorf("put of kind %q", kind)
		}
		if _, err := s.PutAsset(t.Context(), kind, upload(jpeg(100))); err == nil {
			t.Errorf("put asset of kind %q", kind)
		}
	}
}

// TestNamesOfOthers: no name but ours reaches a driver, so no file outside the store is read or deleted.
func TestNamesOfOthers(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "agents", 1)
		f, other := put(t, s, jpeg(100)), p.open(t, "client", 1)
		asset := putAsset(t, other, jpeg(100))
		id, sum := f.ID.String(), strings.TrimPrefix(asset.Name, "assets/")
		for _, name := range []string{"", "documents", "documents/", id, "../agents/" + f.Name, "documents/../" + f.Name, f.Name + "\x00",
			"documents/" + id + "/", "/" + f.Name, "documents//" + id, strings.ToUpper(f.Name), "documents/..", "documents/%2e%2e/" + id,
			"documents\\" + id, f.Name + ".tmp", f.Name + "\n", "../client/" + asset.Name, "documents/../../client/assets/" + sum} {
			if _, err := s.Get(t.Context(), name, f.Sealed); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("get %q: %v", name, err)
			}
			if _, err := s.GetAsset(t.Context(), name); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("get asset %q: %v", name, err)
			}
			if _, err := s.GetAssetRange(t.Context(), name, 0, 1); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("get part %q: %v", name, err)
			}
			if err := s.Delete(t.Context(), name); !errors.Is(err, fault.ErrNotFound) {
				t.Errorf("delete %q: %v", name, err)
			}
		}
		if _, err := s.GetAsset(t.Context(), f.Name); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("a file of somebody as an asset: %v", err)
		}
		if _, err := s.GetAssetRange(t.Context(), f.Name, 0, 1); !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("a part of a file of somebody as an asset: %v", err)
		}
		if _, err := get(t.Context(), s, f.Name, f.Sealed); err != nil {
			t.Error(err)
		}
	})
}

// TestDelete: it is gone, and gone again is no error.
func TestDelete(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "agents", 1)
		f, asset := put(t, s, jpeg(100)), putAsset(t, s, jpeg(100))
		for range 2 {
			for _, name := range []string{f.Name, asset.Name} {
				if err := s.Delete(t.Context(), name); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := s.Get(t.Context(), f.Name, f.Sealed); !errors.Is(err, fault.ErrNotFound) {
			t.Error(err)
		}
		if _, err := s.GetAsset(t.Context(), asset.Name); !errors.Is(err, fault.ErrNotFound) {
			t.Error(err)
		}
		nothingLeft(t, p, s, "delete")
	})
}

// TestKeys: under a new key-encryption key old files are read, and a value that is sealed anew opens the file that stayed; a key that is
// not there opens nothing. keycheck reads the column.
func TestKeys(t *testing.T) {
	t.Parallel()
	p := folder(t)
	content := jpeg(200_000)
	f := put(t, p.open(t, "agents", 1), content)
	if got, err := get(t.Context(), p.open(t, "agents", 2, 1), f.Name, f.Sealed); err != nil || !bytes.Equal(got, content) {
		t.Error(err)
	}
	both := sealer(t, 2, 1)
	plain, err := both.Open(blob.SealedFor+f.ID.String(), f.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	other := put(t, p.open(t, "agents", 1), content)
	theirs, err := both.Open(blob.SealedFor+other.ID.String(), other.Sealed)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(fileKey(t, plain), fileKey(t, theirs)) {
		t.Error("two files have one key")
	}
	anew, err := both.Seal(blob.SealedFor+f.ID.String(), plain)
	if err != nil {
		t.Fatal(err)
	}
	after := p.open(t, "agents", 2)
	if got, err := get(t.Context(), after, f.Name, anew); err != nil || !bytes.Equal(got, content) {
		t.Error(err)
	}
	if _, err := get(t.Context(), after, f.Name, f.Sealed); !errors.Is(err, blob.ErrOpen) {
		t.Error(err)
	}
	if err := keycheck.Column(both, "documents", "file", blob.SealedFor).Open(f.ID, f.Sealed); err != nil {
		t.Error(err)
	}
	if err := keycheck.Column(both, "documents", "file", blob.SealedFor).Open(uuid.New(), f.Sealed); err == nil {
		t.Error("the value opens for another row")
	}
}

func fileKey(t testing.TB, record []byte) []byte {
	t.Helper()
	var r struct{ Key []byte }
	if err := json.Unmarshal(record, &r); err != nil || len(r.Key) != 32 {
		t.Fatalf("a key of %d bytes: %v", len(r.Key), err)
	}
	return r.Key
}

// TestTogether: puts at the same time do not meet: files have names of their own, and the same asset is the same.
func TestTogether(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "agents", 1)
		var putting sync.WaitGroup
		for i := range 8 {
			putting.Go(func() {
				content := jpeg(100_000 + i/2)
				f, err := s.Put(t.Context(), "documents", upload(content))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := get(t.Context(), s, f.Name, f.Sealed); err != nil || !bytes.Equal(got, content) {
					t.Error(i, err)
				}
				a, err := s.PutAsset(t.Context(), "assets", upload(content))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := all(s.GetAsset(t.Context(), a.Name)); err != nil || !bytes.Equal(got, content) {
					t.Error(i, err)
				}
			})
		}
		putting.Wait()
		if names := lie(t, s); len(names) != 8+4 {
			t.Errorf("%d lie there: %v", len(names), names)
		}
	})
}

// TestOpen: a folder that is missing is a disk that is missing, apart from one below the working folder, which development makes.
func TestOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	none := filepath.Join(dir, "none")
	if _, err := blob.Open(t.Context(), blob.Settings{URL: "file://" + none}, "agents", sealer(t, 1)); err == nil {
		t.Error("opened a folder that is not there")
	}
	for _, service := range []string{"", "..", "a/b"} {
		if _, err := blob.Open(t.Context(), blob.Settings{URL: "file://" + dir}, service, sealer(t, 1)); err == nil {
			t.Errorf("opened for %q", service)
		}
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, none)
	if err != nil {
		t.Fatal(err)
	}
	s, err := blob.Open(t.Context(), blob.Settings{URL: "file:" + relative}, "agents", sealer(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, jpeg(100))
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(none); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("ready without its folder")
	}
	p := bucket(t)
	if err := p.open(t, "agents", 1).Check(t.Context()); err != nil {
		t.Error(err)
	}
	p.settings.URL = strings.Replace(p.settings.URL, "//files?", "//others?", 1)
	if err := p.open(t, "agents", 1).Check(t.Context()); err == nil {
		t.Error("ready without its bucket")
	}
}
