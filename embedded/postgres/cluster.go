//go:build unix

package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/internal/child"
)

// maxSocketPath is what fits into a socket address on every system (104 on macOS) with PostgreSQL's file name.
const maxSocketPath = 80

// maxLogBytes is where the server's log starts anew at the next start.
const maxLogBytes = 10 << 20

var errEnded = errors.New("PostgreSQL ended while starting")

// prepare creates the cluster if there is none and makes sure that the superuser has the wanted password.
func (p place) prepare(ctx context.Context, cfg Config, programs programs) (string, error) {
	stored, err := os.ReadFile(p.passwordFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	password := cfg.Password
	if password == "" {
		password = string(stored)
	}
	if password == "" {
		password = rand.Text()
	}
	if strings.ContainsAny(password, "\r\n\x00") {
		return "", errors.New("the superuser's password must be one line")
	}
	if p.majorOfData() == 0 {
		err = p.initialise(ctx, cfg, programs, password)
	} else if password != string(stored) {
		err = p.setPassword(ctx, programs, password)
	}
	if err != nil {
		return "", err
	}
	return password, writeFile(p.passwordFile(), password)
}

// majorOfData is the major version of the existing cluster, 0 if there is none.
func (p place) majorOfData() int {
	text, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION"))
	if err != nil {
		return 0
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return major
}

// initialise creates the cluster beside its final place and renames it: a half-made one is never started.
func (p place) initialise(ctx context.Context, cfg Config, programs programs, password string) error {
	cfg.Progress("creating the database cluster in " + p.base)
	fresh, passwordFile := p.data()+".new", filepath.Join(p.base, "initdb.password")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := errors.Join(os.Mkdir(fresh, 0o700), p.give(fresh)); err != nil {
		return err
	}
	defer func() { _ = os.Remove(passwordFile) }() // the password is kept elsewhere
	if err := errors.Join(writeFile(passwordFile, password+"\n"), p.give(passwordFile)); err != nil {
		return err
	}
	args := []string{
		"-D", fresh, "-U", Superuser, "--pwfile", passwordFile, "-A", "scram-sha-256",
		"-E", "UTF8", "--locale=C", "--data-checksums",
	}
	if cfg.NoFsync {
		args = append(args, "--no-sync")
	}
	output, err := p.command(ctx, programs.initdb, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb in %s: %w: %s; the folder's parents must be open to the server's user", p.base, err, tail(output))
	}
	return os.Rename(fresh, p.data())
}

// setPassword changes the superuser's password while no server runs, in PostgreSQL's single-user mode.
func (p place) setPassword(ctx context.Context, programs programs, password string) error {
	cmd := p.command(ctx, programs.postgres, "--single", "-D", p.data(), "-c", "password_encryption=scram-sha-256", "postgres")
	cmd.Stdin = strings.NewReader("ALTER ROLE " + Superuser + " PASSWORD '" + strings.ReplaceAll(password, "'", "''") + "'\n")
	// The output echoes the statement, so it never goes into an error.
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("set the superuser's password of %s: %w", p.data(), err)
	}
	return nil
}

// run starts the server; it inherits the data lock.
func (p place) run(cfg Config, programs programs, port int, data *filelock.Lock) (*child.Process, error) {
	if err := errors.Join(os.MkdirAll(p.sockets(), 0o700), p.give(p.sockets())); err != nil {
		return nil, err
	}
	log, err := openLog(p.logFile())
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own copy
	args := []string{"-D", p.data()}
	settings := p.settings(cfg, port)
	for _, name := range sortedKeys(settings) {
		args = append(args, "-c", name+"="+settings[name])
	}
	// The server's life is not bound to the context of Start.
	cmd := p.command(context.Background(), programs.postgres, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{data.File()}
	process, err := child.Start(cmd, syscall.SIGINT) // SIGINT is PostgreSQL's fast shutdown
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", programs.postgres, err)
	}
	return process, nil
}

// settings suit two cores and a development machine. The log never shows statements or row values: they
// contain personal data.
func (p place) settings(cfg Config, port int) map[string]string {
	settings := map[string]string{ //nolint:gosec // names of settings, no credentials
		"listen_addresses":                "127.0.0.1",
		"port":                            strconv.Itoa(port),
		"unix_socket_directories":         quoted(p.sockets()),
		"max_connections":                 strconv.Itoa(cfg.MaxConnections),
		"shared_buffers":                  "128MB",
		"effective_cache_size":            "1GB",
		"maintenance_work_mem":            "64MB",
		"wal_compression":                 "on",
		"min_wal_size":                    "80MB",
		"max_wal_size":                    "1GB",
		"checkpoint_timeout":              "15min",
		"max_worker_processes":            "4",
		"max_parallel_workers":            "2",
		"max_parallel_workers_per_gather": "0",
		"autovacuum_max_workers":          "2",
		"dynamic_shared_memory_type":      "mmap", // in the data directory: nothing is left behind after kill -9
		"jit":                             "off",
		"random_page_cost":                "1.1",
		"password_encryption":             "scram-sha-256",
		"timezone":                        "UTC",
		"log_timezone":                    "UTC",
		"logging_collector":               "off",
		"log_min_error_statement":         "panic",
		"log_error_verbosity":             "terse",
		"log_parameter_max_length":        "0",
		"fsync":                           "on",
		"full_page_writes":                "on",
		"synchronous_commit":              "on",
	}
	if len(p.sockets()) > maxSocketPath {
		settings["unix_socket_directories"] = "" // the loopback port is enough
	}
	if cfg.NoFsync {
		for _, name := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
			settings[name] = "off"
		}
	}
	for name, value := range cfg.Settings {
		settings[name] = value
	}
	return settings
}

// quoted keeps a path that has a comma in it together, in a setting that is a list.
func quoted(path string) string { return `"` + strings.ReplaceAll(path, `"`, `""`) + `"` }

// freePort checks that the wanted loopback port is free, or picks one for 0.
func freePort(wanted int) (int, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		return 0, fmt.Errorf("PostgreSQL cannot use port %d: %w; stop the program that uses the port, "+
			"or set SENDTIP_PORT_BASE, or give a server in SENDTIP_POSTGRES_URL", wanted, err)
	}
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener has no other address
	return port, listener.Close()
}

func openLog(path string) (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600)
}

// writeFile replaces a secret file at once: a reader sees the old or the new one.
func writeFile(path, text string) error {
	if err := os.WriteFile(path+".tmp", []byte(text), 0o600); err != nil { //nolint:gosec // a path of ours
		return err
	}
	return os.Rename(path+".tmp", path)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
