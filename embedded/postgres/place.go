//go:build unix

package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sendtip/sendtip/embedded/filelock"
)

// rootBase holds the clusters and prebuilt programs that root starts.
const rootBase = "/var/lib/sendtip"

// LocationFile is the file in an installation's folder that tells a person where root's cluster is; no program goes by it.
const LocationFile = "postgres.location"

// orphanPatience is how long a server without an owner may take to end by itself, then on SIGINT, then on
// SIGQUIT. The kernel has told it already when its owner died (Linux).
const orphanPatience = 5 * time.Second

// place is where a cluster lives and as whom it runs.
type place struct {
	base string              // belongs to this process's user
	as   *syscall.Credential // nil: as this process's user
}

func (p place) data() string         { return filepath.Join(p.base, "data") }
func (p place) sockets() string      { return filepath.Join(p.base, "run") }
func (p place) logFile() string      { return filepath.Join(p.base, "postgres.log") }
func (p place) ownerLock() string    { return filepath.Join(p.base, "owner.lock") }
func (p place) dataLock() string     { return filepath.Join(p.base, "data.lock") }
func (p place) passwordFile() string { return filepath.Join(p.base, "superuser.password") }

// findPlace creates the base folder.
func findPlace(cfg Config) (place, error) {
	p, err := locate(cfg)
	if err != nil {
		return place{}, err
	}
	if cfg.DataDir == "" && p.as != nil { // root's data lies elsewhere: a person must be able to find it
		if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
			return place{}, err
		}
		if err := os.WriteFile(filepath.Join(cfg.Dir, LocationFile), []byte(p.base+"\n"), 0o600); err != nil {
			return place{}, err
		}
	}
	// Open to pass through, not to list: the server's user has to reach its folder inside.
	if err := os.MkdirAll(p.base, 0o711); err != nil { //nolint:gosec // see the line above
		return place{}, fmt.Errorf("create the folder for PostgreSQL: %w", err)
	}
	return p, nil
}

// locate says where the cluster of cfg is or would be, and creates nothing.
func locate(cfg Config) (place, error) {
	p := place{base: cfg.DataDir}
	isRoot := os.Geteuid() == 0
	if isRoot {
		as, err := unprivileged()
		if err != nil {
			return place{}, err
		}
		p.as = as
	}
	if p.base == "" {
		if cfg.Dir == "" {
			return place{}, errors.New("postgres.Config needs Dir or DataDir")
		}
		base, err := defaultBase(cfg.Dir, isRoot)
		if err != nil {
			return place{}, err
		}
		p.base = base
	}
	base, err := filepath.Abs(p.base)
	if err != nil {
		return place{}, err
	}
	p.base = base
	return p, nil
}

func defaultBase(dir string, isRoot bool) (string, error) {
	if !isRoot {
		return filepath.Join(dir, "postgres"), nil
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := realPath(abs) // the same folder by another name is the same cluster
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(real))
	return filepath.Join(rootBase, hex.EncodeToString(sum[:8])), nil
}

// realPath is the path without links; the end of it need not exist yet.
func realPath(abs string) (string, error) {
	real, err := filepath.EvalSymlinks(abs)
	if !errors.Is(err, os.ErrNotExist) || abs == filepath.Dir(abs) {
		return real, err
	}
	if parent, err := realPath(filepath.Dir(abs)); err == nil {
		return filepath.Join(parent, filepath.Base(abs)), nil
	}
	return "", err
}

// unprivileged is the user that a server started by root runs as: PostgreSQL refuses root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL cannot run as root and there is no user postgres or nobody: " +
		"create one (useradd --system postgres), run as an ordinary user, or set SENDTIP_POSTGRES_URL")
}

// claim takes both locks. With them in hand no server runs on the data, so a postmaster.pid is a leftover of a
// crash; it is removed, because the server would refuse to start if its process id belongs to somebody else now.
func (p place) claim(ctx context.Context, cfg Config) (owner, data *filelock.Lock, err error) {
	owner, err = acquire(ctx, p.ownerLock(), time.Second)
	if errors.Is(err, filelock.ErrHeld) {
		return nil, nil, fmt.Errorf("%w (%s): stop the other process first", ErrRunning, p.base)
	}
	if err != nil {
		return nil, nil, err
	}
	dataLock := p.dataLock()
	for _, signal := range []syscall.Signal{0, syscall.SIGINT, syscall.SIGQUIT} {
		p.signalOrphan(signal)
		data, err = acquire(ctx, dataLock, orphanPatience)
		if err == nil {
			return owner, data, errors.Join(
				os.RemoveAll(filepath.Join(p.data(), "postmaster.pid")),
				os.RemoveAll(p.sockets()), // its lock file carries the process id too
			)
		}
		if !errors.Is(err, filelock.ErrHeld) || ctx.Err() != nil {
			break
		}
		cfg.Progress("waiting for the PostgreSQL of an earlier run to stop")
		cfg.Log.WarnContext(ctx, "postgres of an earlier run still holds the data", "data", p.data())
	}
	_ = owner.Release()
	return nil, nil, fmt.Errorf("a PostgreSQL of an earlier run still holds %s and does not stop: "+
		"end it with pg_ctl stop -D %s -m immediate: %w", p.data(), p.data(), err)
}

// signalOrphan signals the server named in postmaster.pid. It is called only while the data lock is held by
// a server without an owner, so the file is that server's.
func (p place) signalOrphan(signal syscall.Signal) {
	if signal == 0 {
		return
	}
	text, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if err != nil {
		return // it is just ending
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 {
		return
	}
	_ = syscall.Kill(pid, signal) // an error means that it has ended
}

func acquire(ctx context.Context, path string, patience time.Duration) (*filelock.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return filelock.Acquire(ctx, path)
}

// command prepares a program of PostgreSQL to run as the server's user, in a folder that this user can enter,
// and without the caller's PG* variables, which would change what it does.
func (p place) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = p.base
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.base, "LC_ALL=C", "TZ=UTC"}
	if p.as != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	}
	return cmd
}

// give hands a path to the server's user.
func (p place) give(path string) error {
	if p.as == nil {
		return nil
	}
	return os.Chown(path, int(p.as.Uid), int(p.as.Gid))
}

// logTail is the end of the server's log, for an error message.
func (p place) logTail() string {
	text, err := os.ReadFile(p.logFile())
	if err != nil {
		return "its log cannot be read: " + err.Error()
	}
	return tail(text) + " (" + p.logFile() + ")"
}

// tail is the last lines of a program's output.
func tail(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "; ")
}
