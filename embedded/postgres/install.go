//go:build unix

package postgres

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const installTimeout = 10 * time.Minute

// noDefaultCluster keeps Debian's package from creating and starting a cluster of its own on port 5432.
const noDefaultCluster = "/etc/postgresql-common/createcluster.d/sendtip.conf"

// prebuiltVersions are the versions that embedded-postgres knows the standard binaries of.
var prebuiltVersions = map[int]embeddedpostgres.PostgresVersion{
	15: embeddedpostgres.V15, 16: embeddedpostgres.V16, 17: embeddedpostgres.V17, 18: embeddedpostgres.V18,
}

const prebuiltDefault = 17

func canUseApt() bool {
	if os.Geteuid() != 0 {
		return false
	}
	if _, err := os.Stat("/etc/debian_version"); err != nil {
		return false
	}
	_, err := exec.LookPath("apt-get")
	return err == nil
}

func installWithApt(ctx context.Context, cfg Config) error {
	cfg.Progress("installing PostgreSQL with apt-get, once; this takes about a minute")
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	if err := os.MkdirAll(filepath.Dir(noDefaultCluster), 0o755); err != nil { //nolint:gosec // a system folder that others read
		return err
	}
	text := "# Written by sendtip before it installed PostgreSQL: it runs a cluster of its own.\ncreate_main_cluster = false\n"
	err := os.WriteFile(noDefaultCluster, []byte(text), 0o644) //nolint:gosec // no secret is in it, and PostgreSQL's user reads it
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"update", "-qq"},
		{"install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w: %s", args[0], err, tail(output))
		}
	}
	return nil
}

// prebuilt fetches the standard prebuilt binaries once and returns their folder. The library offers no fetch
// alone and its own start works only for ordinary users, so it is started on a throw-away cluster and judged
// by the programs it leaves: as root that start fails after unpacking them, which is all that is wanted.
func prebuilt(ctx context.Context, cfg Config, where place, want int) (string, error) {
	if want == 0 {
		want = prebuiltDefault
	}
	version, known := prebuiltVersions[want]
	if !known {
		return "", fmt.Errorf("there are no prebuilt binaries of PostgreSQL %d", want)
	}
	cache, err := prebuiltCache(where)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "postgresql-"+string(version))
	bin := filepath.Join(folder, "bin")
	if _, err := os.Stat(filepath.Join(folder, "complete")); err == nil {
		return bin, nil
	}
	cfg.Progress("downloading PostgreSQL " + string(version) + ", once")
	scratch, err := os.MkdirTemp("", "sendtip-postgres-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // only a throw-away cluster
	port, err := freePort(0)
	if err != nil {
		return "", err
	}
	library := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().Version(version).Port(uint32(port)).
		CachePath(cache).BinariesPath(folder).RuntimePath(filepath.Join(scratch, "run")).
		DataPath(filepath.Join(scratch, "data")).Logger(io.Discard))
	startErr := library.Start()
	if startErr == nil {
		startErr = library.Stop()
	}
	if err := where.command(ctx, filepath.Join(bin, "initdb"), "-V").Run(); err != nil {
		return "", fmt.Errorf("download the prebuilt PostgreSQL %s: %w", version, orElse(startErr, err))
	}
	return bin, os.WriteFile(filepath.Join(folder, "complete"), nil, 0o600)
}

// prebuiltCache is a folder whose programs the server's user can run.
func prebuiltCache(where place) (string, error) {
	if where.as != nil {
		return rootBase, os.MkdirAll(rootBase, 0o755) //nolint:gosec // the server's user must pass through
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "sendtip")
	return cache, os.MkdirAll(cache, 0o700)
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}
