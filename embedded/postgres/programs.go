//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// minMajor is the oldest PostgreSQL that the schemas are tested with (Debian 12's).
const minMajor = 15

// packageFolders are where packages put the programs without putting them on PATH.
var packageFolders = []string{
	"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                   // Red Hat, PGDG
	"/usr/libexec/postgresql*",           // Alpine
	"/opt/homebrew/opt/postgresql@*/bin", // Homebrew on Apple silicon
	"/usr/local/opt/postgresql@*/bin",    // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// programs are one version's server tools.
type programs struct {
	initdb   string
	postgres string
	major    int
}

// findPrograms looks on PATH, in the package folders, then installs: with apt as root, else the prebuilt
// binaries. An existing cluster needs exactly its own major version.
func findPrograms(ctx context.Context, cfg Config, where place) (programs, error) {
	want := where.majorOfData()
	if found, ok := search(ctx, where, want, installedFolders()); ok {
		return found, nil
	}
	var problems []error
	if canUseApt() {
		if err := installWithApt(ctx, cfg); err != nil {
			problems = append(problems, err)
			cfg.Log.WarnContext(ctx, "install postgres with apt-get", "err", err)
		} else if found, ok := search(ctx, where, want, installedFolders()); ok {
			return found, nil
		}
	}
	folder, err := prebuilt(ctx, cfg, where, want)
	if err != nil {
		problems = append(problems, err)
	} else if found, ok := search(ctx, where, want, []string{folder}); ok {
		return found, nil
	}
	version := fmt.Sprintf("PostgreSQL %d or newer", minMajor)
	if want != 0 {
		version = fmt.Sprintf("PostgreSQL %d, which made the data in %s,", want, where.data())
	}
	return programs{}, errors.Join(append([]error{fmt.Errorf("%s was not found: install it (Debian, Ubuntu: apt-get install "+
		"postgresql; macOS: brew install postgresql@17) or set SENDTIP_POSTGRES_URL to a running server", version)}, problems...)...)
}

// installedFolders lists PATH's folder first, then the package folders, newest version first.
func installedFolders() []string {
	var folders []string
	if path, err := exec.LookPath("postgres"); err == nil {
		folders = append(folders, filepath.Dir(path))
	}
	var packaged []string
	for _, pattern := range packageFolders {
		found, err := filepath.Glob(pattern)
		if err == nil {
			packaged = append(packaged, found...)
		}
	}
	slices.Sort(packaged)
	slices.Reverse(packaged)
	return append(folders, packaged...)
}

// search returns the first folder whose programs the server's user can run and whose version fits.
func search(ctx context.Context, where place, want int, folders []string) (programs, bool) {
	for _, folder := range folders {
		found := programs{initdb: filepath.Join(folder, "initdb"), postgres: filepath.Join(folder, "postgres")}
		if _, err := os.Stat(found.initdb); err != nil {
			continue
		}
		output, err := where.command(ctx, found.postgres, "-V").Output()
		if err != nil {
			continue
		}
		match := versionPattern.FindSubmatch(output)
		if match == nil {
			continue
		}
		found.major, err = strconv.Atoi(string(match[1]))
		if err == nil && fits(found.major, want) {
			return found, true
		}
	}
	return programs{}, false
}

func fits(major, want int) bool {
	if want != 0 {
		return major == want
	}
	return major >= minMajor
}
