//go:build unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Location is where the cluster of cfg is, "" if there is none. It is computed from cfg alone: a file that names a place would let whoever
// writes that file choose what is deleted.
func Location(cfg Config) (string, error) {
	where, err := locate(cfg)
	if err != nil || !where.exists() {
		return "", err
	}
	return where.base, nil
}

// exists says whether a cluster was started here: the owner's lock is made first and removed last.
func (p place) exists() bool {
	info, err := os.Lstat(p.ownerLock())
	return err == nil && info.Mode().IsRegular()
}

// made are the names of all that this package puts beside the data, the locks last: what is left of an interrupted removal is still ours.
func (p place) made() []string {
	return []string{p.data(), p.data() + ".new", p.sockets(), p.logFile(), p.passwordFile(), p.passwordFile() + ".tmp",
		filepath.Join(p.base, "initdb.password"), filepath.Join(p.base, "initdb.password.tmp"), p.dataLock(), p.ownerLock()}
}

// Remove deletes the cluster that cfg names, with all its data. It refuses while a process runs it, creates nothing, follows no link,
// and leaves whatever it did not make, with the folder around it.
func Remove(ctx context.Context, cfg Config) error {
	cfg = cfg.withDefaults()
	where, err := locate(cfg)
	if err != nil {
		return err
	}
	info, err := os.Lstat(where.base)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !where.exists() {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a link: delete the database that it leads to by hand, and the link, then call again", where.base)
	}
	owner, data, err := where.claim(ctx, cfg)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range where.made() {
		errs = append(errs, os.RemoveAll(name))
	}
	errs = append(errs, data.Release(), owner.Release())
	if left, err := os.ReadDir(where.base); err == nil && len(left) == 0 {
		errs = append(errs, os.Remove(where.base))
	}
	return errors.Join(errs...)
}
