package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/kafka"
	"github.com/sendtip/sendtip/embedded/postgres"
	"github.com/sendtip/sendtip/sandbox"
)

const (
	lockName   = "up.lock"
	markerName = "sendtip.folder"
	markerText = "This folder holds a platform of SENDTIP. `sendtip reset` deletes the files that SENDTIP made in it, because this file is " +
		"here.\n"
	// checkpointName is the ledger's file of checkpoints, unless a setting names another.
	checkpointName = "ledger.checkpoints"
)

var (
	// ErrNothing says that there is no folder to reset.
	ErrNothing = errors.New("there is no such folder")
	// ErrNotOurs says that a folder is not one that SENDTIP may delete.
	ErrNotOurs = errors.New("this folder will not be deleted")
)

// ResetOptions say what Reset deletes.
type ResetOptions struct {
	Dir string
	// Keys deletes the keys too; else they are moved into a folder beside Dir. What was sealed under them can be read in no other way.
	Keys bool
	// DryRun only says what would go.
	DryRun bool
	Now    time.Time
	// Say receives a line for each thing that goes or stays; nil discards.
	Say func(string)
}

// mark notes that the folder is a platform's; without it Reset touches nothing.
func mark(dir string) error {
	path := filepath.Join(dir, markerName)
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := os.WriteFile(path, []byte(markerText), 0o600); err != nil {
		return fmt.Errorf("mark %s as a platform's folder: %w", dir, err)
	}
	return nil
}

// Reset deletes what a stopped platform made: its database (as root outside the folder), events and logs; its keys are moved beside the
// folder. It refuses any folder that is not a platform's and one whose platform runs, follows no link, and leaves files of others, with
// the folder around them. It may be repeated after a crash.
func Reset(ctx context.Context, o ResetOptions) error {
	if o.Say == nil {
		o.Say = func(string) {}
	}
	dir, err := ownFolder(o.Dir)
	if err != nil {
		return err
	}
	lock, err := filelock.Try(filepath.Join(dir, lockName))
	if errors.Is(err, filelock.ErrHeld) {
		return fmt.Errorf("%w: %s (stop it with Ctrl-C where it was started)", ErrRunning, dir)
	}
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // it goes with the folder
	database, err := postgres.Location(postgres.Config{Dir: dir})
	if err != nil {
		return err
	}
	backup := ""
	if _, err := os.Lstat(filepath.Join(dir, "keys")); err == nil && !o.Keys {
		if backup, err = freeName(dir + ".keys-" + o.Now.UTC().Format("20060102-150405")); err != nil {
			return err
		}
	}
	sayPlan(o, dir, database, backup)
	if o.DryRun {
		return nil
	}
	if err := mark(dir); err != nil { // an older folder is known by its keys, which go before the rest
		return err
	}
	// First what can still refuse: another process may run the database or the broker without the platform's lock.
	if err := errors.Join(postgres.Remove(ctx, postgres.Config{Dir: dir}), kafka.Remove(ctx, dir)); err != nil {
		return err
	}
	if err := removeKeys(filepath.Join(dir, "keys"), backup); err != nil {
		return err
	}
	for folder, ours := range map[string]func(string) bool{"log": ourLog, sandboxFolder: sandbox.Made} {
		if err := removeFolder(filepath.Join(dir, folder), ours); err != nil {
			return err
		}
	}
	for _, name := range []string{postgres.LocationFile, checkpointName, markerName, lockName} { // the lock last: nobody starts meanwhile
		if err := remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return finish(dir, o.Say)
}

// Remove is Reset of everything, for tests and benches. A folder that is gone already is none of its errors.
func Remove(ctx context.Context, dir string) error {
	err := Reset(ctx, ResetOptions{Dir: dir, Keys: true, Now: time.Now()})
	if errors.Is(err, ErrNothing) {
		return nil
	}
	return err
}

// ownFolder returns the folder's full path if it is one that Reset may work on.
func ownFolder(given string) (string, error) {
	if given == "" {
		return "", fmt.Errorf("%w: no folder was given", ErrNotOurs)
	}
	dir, err := filepath.Abs(given)
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", gone(dir)
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%w: %s is not a folder; if it is a link, give the folder that it points to", ErrNotOurs, dir)
	}
	if holdsHome(dir) {
		return "", fmt.Errorf("%w: %s is your home folder or contains it; delete what SENDTIP created there by hand", ErrNotOurs, dir)
	}
	if !marked(dir) && !olderPlatform(dir) {
		return "", fmt.Errorf("%w: %s has no %s, so no platform was started in it; if one was, long ago, start it once more", ErrNotOurs, dir,
			markerName)
	}
	return dir, nil
}

// gone says what is left of a folder that was deleted by hand: as root its database lies elsewhere.
func gone(dir string) error {
	database, err := postgres.Location(postgres.Config{Dir: dir})
	if err != nil {
		return err
	}
	if database != "" {
		return fmt.Errorf("%w: %s; but its database is still in %s: restore the folder, or delete the database too if you are sure", ErrNothing,
			dir,
			database)
	}
	return fmt.Errorf("%w: %s", ErrNothing, dir)
}

// holdsHome says whether the folder is the user's home or one above it, by whatever name.
func holdsHome(dir string) bool {
	home, err := os.UserHomeDir()
	if err != nil {
		return false
	}
	target, err := os.Stat(dir)
	if err != nil {
		return false
	}
	for at := filepath.Clean(home); ; at = filepath.Dir(at) {
		if info, err := os.Stat(at); err == nil && os.SameFile(info, target) {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

func marked(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, markerName)) // #nosec G304 -- a fixed name
	return err == nil && string(text) == markerText && regular(filepath.Join(dir, markerName))
}

// olderPlatform knows a folder from before there were markers: a lock, and keys under our names and no other files beside them.
func olderPlatform(dir string) bool {
	folder := filepath.Join(dir, "keys")
	if info, err := os.Lstat(folder); err != nil || !info.IsDir() || !regular(filepath.Join(dir, lockName)) {
		return false
	}
	files, err := os.ReadDir(folder)
	if err != nil || len(files) == 0 {
		return false
	}
	return !slices.ContainsFunc(files, func(f fs.DirEntry) bool { return !f.Type().IsRegular() || !keys.Made(f.Name()) })
}

func regular(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular()
}

func sayPlan(o ResetOptions, dir, database, backup string) {
	for _, path := range []string{database, filepath.Join(dir, "kafka"), filepath.Join(dir, "log"), filepath.Join(dir, sandboxFolder),
		filepath.Join(dir, checkpointName)} {
		if _, err := os.Lstat(path); err == nil { // "" is none
			o.Say("delete " + path)
		}
	}
	if backup != "" {
		o.Say("move   " + filepath.Join(dir, "keys") + " to " + backup)
	} else if _, err := os.Lstat(filepath.Join(dir, "keys")); err == nil {
		o.Say("delete " + filepath.Join(dir, "keys") + ": nothing that was sealed under these keys can ever be read again, not even in backups")
	}
}

// removeKeys moves the whole folder, at once, or deletes our files in it when there is no backup. A link only loses its name.
func removeKeys(folder, backup string) error {
	info, err := os.Lstat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if backup != "" {
		if err := os.Rename(folder, backup); err != nil {
			return fmt.Errorf("keep the keys: %w; the data has been deleted, but the keys are still in %s: copy them elsewhere, then run this "+
				"again with --keys", err,
				folder)
		}
		return nil
	}
	if !info.IsDir() {
		return remove(folder)
	}
	return removeNamed(folder, keys.Made)
}

// ourLog is the log, or an older one beside it.
func ourLog(name string) bool {
	return strings.HasPrefix(name, "sendtip") && strings.Contains(name, ".log")
}

// removeFolder deletes our files in a folder that may not be there, and the folder if nothing else is in it.
func removeFolder(folder string, ours func(name string) bool) error {
	info, err := os.Lstat(folder)
	if err != nil || !info.IsDir() {
		return nil //nolint:nilerr // there is none, or it is not ours
	}
	return removeNamed(folder, ours)
}

// removeNamed deletes files of our names, and the folder if nothing else is in it.
func removeNamed(folder string, ours func(name string) bool) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	left := len(files)
	for _, f := range files {
		if f.IsDir() || !ours(f.Name()) {
			continue
		}
		if err := remove(filepath.Join(folder, f.Name())); err != nil {
			return err
		}
		left--
	}
	if left > 0 {
		return nil
	}
	return remove(folder)
}

// finish deletes the folder, unless it holds what others made.
func finish(dir string, say func(string)) error {
	left, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range left {
		say("leave  " + filepath.Join(dir, f.Name()) + ": not created by SENDTIP")
	}
	if len(left) > 0 {
		return nil
	}
	return remove(dir)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// freeName is a name that nothing has: two resets may fall into one second.
func freeName(path string) (string, error) {
	for n := 1; n < 100; n++ {
		name := path
		if n > 1 {
			name = fmt.Sprintf("%s-%d", path, n)
		}
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s and 99 more names are taken", path)
}
