//go:build unix

package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/sendtip/sendtip/kit/pg"
)

// passwords are the same in every process: roles belong to the whole server.
var passwords = pg.Passwords{Owner: "pgtest-owner", App: "pgtest-app"}

// Open returns a fresh database of a service: River's tables, the kit's and the service's migrations, with a
// pool like the service's own.
func Open(tb testing.TB, service string, migrations fs.FS) *DB {
	tb.Helper()
	key, err := schemaKey(migrations)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	db := cloneFor(tb, recipe{
		service: service,
		key:     key,
		provision: func(ctx context.Context, adminURL, database string) (string, string, error) {
			return provision(ctx, adminURL, database, service)
		},
		migrate: func(ctx context.Context, ownerURL string) error { return pg.Migrate(ctx, ownerURL, migrations) },
	})
	db.Pool, err = pg.Open(tb.Context(), db.AppURL, pg.Options{})
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(db.Pool.Close) // before the drop: cleanups run last in, first out
	return db
}

func provision(ctx context.Context, adminURL, database, service string) (ownerURL, appURL string, err error) {
	if err := pg.Provision(ctx, adminURL, database, service, passwords); err != nil {
		return "", "", err
	}
	address, err := url.Parse(adminURL)
	if err != nil {
		return "", "", fmt.Errorf("%s cannot be read", urlEnv)
	}
	address.Path = "/" + database
	address.User = url.UserPassword(service+"_owner", passwords.Owner)
	ownerURL = address.String()
	address.User = url.UserPassword(service+"_app", passwords.App)
	return ownerURL, address.String(), nil
}

// schemaKey changes when anything does that shapes the schema: the service's migrations, package pg with the
// kit's own, or the versions in the kit's go.mod (River's tables). Without the sources at hand (-trimpath) the
// test binary stands for them.
func schemaKey(migrations fs.FS) (string, error) {
	sum := sha256.New()
	if err := hashFiles(sum, migrations); err != nil {
		return "", err
	}
	_, here, _, _ := runtime.Caller(0)
	kit := filepath.Dir(filepath.Dir(here))
	if _, err := os.Stat(filepath.Join(kit, "pg")); err == nil && filepath.IsAbs(here) {
		if err := hashFiles(sum, os.DirFS(filepath.Join(kit, "pg"))); err != nil {
			return "", err
		}
		return hashOne(sum, filepath.Join(kit, "go.mod"))
	}
	binary, err := os.Executable()
	if err != nil {
		return "", err
	}
	return hashOne(sum, binary)
}

func hashOne(sum hash.Hash, path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // only read
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// hashFiles adds every file's name and text; fs.WalkDir goes in lexical order.
func hashFiles(sum hash.Hash, files fs.FS) error {
	return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%s\x00%d\x00%s", path, len(text), text)
		return err
	})
}
