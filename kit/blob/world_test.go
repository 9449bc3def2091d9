package blob_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/sendtip/sendtip/kit/blob"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/kit/seal"
)

const image = "image/jpeg"

// jpeg is a picture of n bytes, as far as its beginning tells.
func jpeg(n int) []byte {
	b := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz-"), n/37+1)[:n]
	copy(b, "\xff\xd8\xff\xe0\x00\x10JFIF\x00")
	return b
}

func upload(content []byte) blob.Upload {
	return blob.Upload{Content: bytes.NewReader(content), Name: "id.jpg", MaxBytes: 32 << 20, Types: []string{image, "image/png"}}
}

func sealer(t testing.TB, current byte, previous ...byte) *seal.Sealer {
	t.Helper()
	var old [][]byte
	for _, p := range previous {
		old = append(old, bytes.Repeat([]byte{p}, seal.KeySize))
	}
	s, err := seal.New(bytes.Repeat([]byte{current}, seal.KeySize), old...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// place is where files are kept, by one of the drivers.
type place struct {
	settings blob.Settings
	folder   string                            // of the file driver
	ago      func(age time.Duration, f func()) // does what f does as if it had been done some time ago
}

func (p place) open(t testing.TB, service string, key byte, previous ...byte) *blob.Store {
	t.Helper()
	s, err := blob.Open(t.Context(), p.settings, service, sealer(t, key, previous...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// places runs a test with each driver.
func places(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	for name, setup := range map[string]func(t testing.TB) place{"folder": folder, "s3": bucket} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, setup(t))
		})
	}
}

func folder(t testing.TB) place {
	t.Helper()
	dir := t.TempDir()
	return place{settings: blob.Settings{URL: "file://" + dir}, folder: dir, ago: func(age time.Duration, f func()) {
		f()
		then := time.Now().Add(-age)
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return os.Chtimes(path, then, then)
		})
		if err != nil {
			t.Fatal(err)
		}
	}}
}

// shifted is the clock of the S3 server.
type shifted struct{ by atomic.Int64 }

func (s *shifted) Now() time.Time                  { return time.Now().Add(time.Duration(s.by.Load())) }
func (s *shifted) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

func bucket(t testing.TB) place {
	t.Helper()
	clock := &shifted{}
	backend := s3mem.New(s3mem.WithTimeSource(clock))
	if err := backend.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithTimeSource(clock), gofakes3.WithTimeSkewLimit(0)).Server())
	t.Cleanup(server.Close)
	return place{
		settings: blob.Settings{URL: "s3://files?region=eu-west-1&endpoint=" + server.URL, AccessKey: "someone",
			SecretKey: config.NewSecret("secret")},
		ago: func(age time.Duration, f func()) {
			clock.by.Store(-int64(age))
			f()
			clock.by.Store(0)
		},
	}
}

func put(t testing.TB, s *blob.Store, content []byte) blob.File {
	t.Helper()
	f, err := s.Put(t.Context(), "documents", upload(content))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func putAsset(t testing.TB, s *blob.Store, content []byte) blob.Asset {
	t.Helper()
	a, err := s.PutAsset(t.Context(), "assets", upload(content))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func get(ctx context.Context, s *blob.Store, name string, sealed []byte) ([]byte, error) {
	return all(s.Get(ctx, name, sealed))
}

func all(r *blob.Reader, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	return io.ReadAll(r)
}

// lie are the names under which something lies in the store, whoever put it.
func lie(t testing.TB, s *blob.Store) []string {
	t.Helper()
	var names []string
	for list := s.Bucket().List(nil); ; {
		o, err := list.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, o.Key)
	}
}

func raw(t testing.TB, s *blob.Store, name string) []byte {
	t.Helper()
	b, err := s.Bucket().ReadAll(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func overwrite(t testing.TB, s *blob.Store, name string, b []byte) {
	t.Helper()
	if err := s.Bucket().WriteAll(t.Context(), name, b, nil); err != nil {
		t.Fatal(err)
	}
}

// nothingLeft: neither an object nor a file of the driver's own.
func nothingLeft(t testing.TB, p place, s *blob.Store, after string) {
	t.Helper()
	if names := lie(t, s); len(names) > 0 {
		t.Errorf("%s: the store holds %s", after, strings.Join(names, " "))
	}
	if p.folder == "" {
		return
	}
	err := filepath.WalkDir(p.folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s: there is %s", after, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
