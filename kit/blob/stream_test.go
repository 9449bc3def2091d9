package blob_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sendtip/sendtip/kit/blob"
)

// bomb is an archive that would be 64 MiB.
func bomb(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(to io.Writer) (io.WriteCloser, error) { return flate.NewWriter(to, flate.BestCompression) })
	f, err := w.Create("zeros")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(f, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const sealedChunk = 64<<10 + 16

// refusesChanged puts another content in the place of a file; nothing of it may come out that was not there before.
func refusesChanged(t testing.TB, s *blob.Store, f blob.File, plain, changed []byte, what string, n int) {
	t.Helper()
	overwrite(t, s, f.Name, changed)
	got, err := get(t.Context(), s, f.Name, f.Sealed)
	if !errors.Is(err, blob.ErrOpen) {
		t.Errorf("%s %d: %v", what, n, err)
	}
	if !bytes.HasPrefix(plain, got) {
		t.Errorf("%s %d: gave what was not put", what, n)
	}
}

// TestChanged: every change of a byte and every cut of a file is found, also where the file has several chunks.
func TestChanged(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "agents", 1)
		plain := jpeg(40)
		f := put(t, s, plain)
		sealed := raw(t, s, f.Name)
		for i := range sealed {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			refusesChanged(t, s, f, plain, changed, "changed at", i)
			refusesChanged(t, s, f, plain, sealed[:i], "cut at", i)
		}
		refusesChanged(t, s, f, plain, append(bytes.Clone(sealed), 0), "longer by", 1)

		plain = jpeg(3*64<<10 + 100)
		f = put(t, s, plain)
		sealed = raw(t, s, f.Name)
		c := func(i int) []byte { return sealed[i*sealedChunk : min((i+1)*sealedChunk, len(sealed))] }
		for n, changed := range [][][]byte{
			{c(1), c(0), c(2), c(3)}, {c(0), c(2), c(1), c(3)}, {c(0), c(1), c(3)}, {c(1), c(2), c(3)}, {c(0), c(1), c(1), c(2), c(3)},
			{c(0), c(1), c(2)}, {c(0), c(1)}, {c(0)}, {c(0), c(1), c(2), c(3), c(3)}, {c(0), c(1), c(2), c(3), c(0)}, {c(3)},
		} {
			refusesChanged(t, s, f, plain, slices.Concat(changed...), "chunks", n)
		}
		for _, cut := range []int{0, 1, 16, sealedChunk - 1, sealedChunk, sealedChunk + 1, sealedChunk + 16, sealedChunk + 17, 3 * sealedChunk,
			len(sealed) - 1} {
			refusesChanged(t, s, f, plain, sealed[:cut], "cut at", cut)
		}
		overwrite(t, s, f.Name, sealed)
		if got, err := get(t.Context(), s, f.Name, f.Sealed); err != nil || !bytes.Equal(got, plain) {
			t.Error("the file itself is refused", err)
		}
	})
}

// TestStream: the seal finds cuts, swaps and what was added by itself, not only the digest that is compared at the end.
func TestStream(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	for _, n := range []int{1, 64 << 10, 2*64<<10 - 1, 2 * 64 << 10, 2*64<<10 + 1} {
		plain := jpeg(max(n, 12))[:n]
		sealed, err := blob.SealStream(key, "documents/a", plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := blob.OpenStream(key, "documents/a", sealed); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes: got %d, %v", n, len(got), err)
		}
		first := sealed[:min(sealedChunk, len(sealed))]
		for what, changed := range map[string][]byte{
			"nothing": {}, "first chunk": first, "without the last byte": sealed[:len(sealed)-1],
			"without the last chunk": sealed[:(len(sealed)-1)/sealedChunk*sealedChunk],
			"twice":                  slices.Concat(sealed, sealed),
			"last chunk twice":       slices.Concat(sealed, sealed[(len(sealed)-1)/sealedChunk*sealedChunk:]),
			"first chunk behind":     slices.Concat(sealed[len(first):], first), "a byte more": slices.Concat(sealed, []byte{0}),
		} {
			if bytes.Equal(changed, sealed) {
				continue
			}
			if got, err := blob.OpenStream(key, "documents/a", changed); !errors.Is(err, blob.ErrOpen) {
				t.Errorf("%d bytes, %s: %d come out, %v", n, what, len(got), err)
			}
		}
		if _, err := blob.OpenStream(key, "documents/b", sealed); !errors.Is(err, blob.ErrOpen) {
			t.Errorf("%d bytes, of another name: %v", n, err)
		}
	}
	none, err := blob.SealStream(key, "documents/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := blob.OpenStream(key, "documents/a", none); !errors.Is(err, blob.ErrOpen) {
		t.Errorf("a file of nothing opens: %v", err)
	}
}

// TestChangedAnywhere: the same for places that nobody chose.
func TestChangedAnywhere(t *testing.T) {
	t.Parallel()
	s := folder(t).open(t, "agents", 1)
	plain := jpeg(2*64<<10 + 5000)
	f := put(t, s, plain)
	sealed := raw(t, s, f.Name)
	rapid.Check(t, func(r *rapid.T) {
		changed := bytes.Clone(sealed)
		changed[rapid.IntRange(0, len(sealed)-1).Draw(r, "at")] ^= rapid.ByteRange(1, 255).Draw(r, "by")
		refusesChanged(t, s, f, plain, changed, "changed", 0)
		refusesChanged(t, s, f, plain, sealed[:rapid.IntRange(0, len(sealed)-1).Draw(r, "cut")], "cut", 0)
	})
}

// TestForeign: neither the content nor the value of another file, of the same content even, opens.
func TestForeign(t *testing.T) {
	t.Parallel()
	places(t, func(t *testing.T, p place) {
		s := p.open(t, "agents", 1)
		plain := jpeg(100_000)
		f, other := put(t, s, plain), put(t, s, plain)
		mine, theirs := raw(t, s, f.Name), raw(t, s, other.Name)
		if bytes.Equal(mine[:100], theirs[:100]) {
			t.Error("the same content is sealed the same")
		}
		refusesChanged(t, s, f, plain, theirs, "of another", 0)
		refusesChanged(t, s, f, plain, slices.Concat(mine[:sealedChunk], theirs[sealedChunk:]), "half of another", 0)
		overwrite(t, s, f.Name, mine)
		if _, err := get(t.Context(), s, f.Name, other.Sealed); !errors.Is(err, blob.ErrOpen) {
			t.Errorf("with the value of another: %v", err)
		}
		overwrite(t, s, "copies/"+f.ID.String(), mine)
		if _, err := get(t.Context(), s, "copies/"+f.ID.String(), f.Sealed); !errors.Is(err, blob.ErrOpen) {
			t.Errorf("as another kind: %v", err)
		}
		for i := range f.Sealed {
			changed := bytes.Clone(f.Sealed)
			changed[i] ^= 1
			if _, err := s.Meta(f.Name, changed); !errors.Is(err, blob.ErrOpen) {
				t.Errorf("value changed at %d: %v", i, err)
			}
		}
	})
}

// FuzzGet: whatever lies in the place of a file, nothing but the file comes out.
func FuzzGet(f *testing.F) {
	s := folder(f).open(f, "agents", 1)
	plain := jpeg(100)
	file := put(f, s, plain)
	sealed := raw(f, s, file.Name)
	f.Add(sealed)
	f.Add(sealed[:50])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, lies []byte) {
		overwrite(t, s, file.Name, lies)
		got, err := get(t.Context(), s, file.Name, file.Sealed)
		if (err == nil) != bytes.Equal(lies, sealed) || !bytes.HasPrefix(plain, got) {
			t.Errorf("%d bytes came out: %v", len(got), err)
		}
	})
}
