package daraja

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sync"
)

// registrationsFile is what they are kept in; a new one is written beside it under keptNew.
const (
	registrationsFile = "registrations.json"
	keptNew           = registrationsFile + ".new"
)

// Made reports whether a file of Options.Dir is this package's.
func Made(name string) bool { return name == registrationsFile || name == keptNew }

// registration is where payments to a short code are confirmed.
type registration struct {
	Version      int    `json:"version"`
	Confirmation string `json:"confirmation"`
	Validation   string `json:"validation"`
	OnSilence    string `json:"on_silence"` // Completed or Cancelled
}

// registered is what short codes have told M-Pesa once and for good.
type registered struct {
	C2B  map[string]registration `json:"c2b"`
	Pull map[string]bool         `json:"pull"`
}

// registrations outlive the sandbox, as they do at Safaricom: the platform registers at its own start only.
type registrations struct {
	path string // empty: they are in memory only

	mu  sync.Mutex
	now registered
}

// loadRegistrations reads what an earlier run kept in the folder.
func loadRegistrations(dir string) (*registrations, error) {
	r := &registrations{now: registered{C2B: map[string]registration{}, Pull: map[string]bool{}}}
	if dir == "" {
		return r, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the sandbox's folder: %w", err)
	}
	r.path = filepath.Join(dir, registrationsFile)
	raw, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read registrations: %w", err)
	}
	if err := json.Unmarshal(raw, &r.now); err != nil {
		return nil, fmt.Errorf("%s is damaged (delete it, and restart wallet to register again): %w", r.path, err)
	}
	return r, nil
}

// c2b returns where payments to a short code are confirmed; false if nowhere.
func (r *registrations) c2b(code string) (registration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reg, ok := r.now.C2B[code]
	return reg, ok
}

func (r *registrations) pullOpen(code string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now.Pull[code]
}

// setC2B replaces the addresses: the sandbox allows it, production does not.
func (r *registrations) setC2B(code string, reg registration) error {
	return r.change(func(next *registered) { next.C2B[code] = reg })
}

// openPull reports whether the short code was not registered before.
func (r *registrations) openPull(code string) (fresh bool, err error) {
	err = r.change(func(next *registered) {
		fresh = !next.Pull[code]
		next.Pull[code] = true
	})
	return fresh, err
}

// change keeps a change before it holds: what was acknowledged is not lost.
func (r *registrations) change(do func(next *registered)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := registered{C2B: map[string]registration{}, Pull: map[string]bool{}}
	maps.Copy(next.C2B, r.now.C2B)
	maps.Copy(next.Pull, r.now.Pull)
	do(&next)
	if err := r.keep(next); err != nil {
		return err
	}
	r.now = next
	return nil
}

// keep writes a new file and puts it in the old one's place. The addresses hold secrets, so nobody else may read it.
func (r *registrations) keep(next registered) error {
	if r.path == "" {
		return nil
	}
	raw, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return fmt.Errorf("write registrations: %w", err)
	}
	beside := filepath.Join(filepath.Dir(r.path), keptNew)
	if err := os.WriteFile(beside, raw, 0o600); err != nil {
		return fmt.Errorf("write registrations: %w", err)
	}
	if err := os.Rename(beside, r.path); err != nil {
		return fmt.Errorf("write registrations: %w", err)
	}
	return nil
}

// notKept answers a registration that could not be stored; the caller tries again.
func (s *Server) notKept(w http.ResponseWriter, err error) {
	s.world.Log().Error("registration not kept", "err", err)
	fail(w, http.StatusInternalServerError, "500.003.02", "System is busy. Please try again in few minutes.")
}
