package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/services/transactions/check"
)

func ledgerCommand(f *flags) *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "Verify the ledger and receipts, and manage the signing key"}
	cmd.AddCommand(ledgerVerifyCommand(f), verifyReceiptCommand(f), ledgerKeyCommand(f))
	return cmd
}

// ledgerVerify is what `sendtip ledger verify` is told.
type ledgerVerify struct {
	*flags
	url         string
	keys        []string
	checkpoints []string
	workers     int
}

func ledgerVerifyCommand(f *flags) *cobra.Command {
	v := ledgerVerify{flags: f}
	cmd := &cobra.Command{Use: "verify",
		Short: "Replay the whole ledger from its rows, and name everything that was altered, deleted, reordered or inserted", Args: cobra.NoArgs,
		Long: "Recomputes every leaf of the Merkle tree, the tree, the roots of all checkpoints and all balances in one snapshot, while the " +
			"ledger is running.\n" +
			"Without --key it uses the public keys of this folder's platform; without --checkpoint, the checkpoints in this folder's file\n" +
			"ledger.checkpoints. Only checkpoints kept outside the database can show that its superuser truncated the ledger and signed it again.",
		RunE: func(c *cobra.Command, _ []string) error { return v.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) }}
	cmd.Flags().StringVar(&v.url, "database-url", "",
		"address of the ledger's database, with a role that may read it (default: this folder's platform, or SENDTIP_POSTGRES_URL)")
	cmd.Flags().StringArrayVar(&v.keys, "key", nil,
		"public key of the ledger, or a file of public keys (`sendtip ledger key` prints them); can be given more than once")
	cmd.Flags().StringArrayVar(&v.checkpoints, "checkpoint", nil, "file of checkpoints kept outside the database; can be given more than once")
	cmd.Flags().IntVar(&v.workers, "workers", runtime.NumCPU(), "number of connections that read in parallel")
	return cmd
}

func (v *ledgerVerify) run(ctx context.Context, out, progress io.Writer) error {
	o := check.Options{Workers: v.workers}
	if v.workers < 1 || v.workers > 64 {
		return errors.New("--workers must be a number from 1 to 64")
	}
	var err error
	if o.Keys, err = v.publicKeys(v.keys); err != nil {
		return err
	}
	if o.Checkpoints, err = v.outside(progress); err != nil {
		return err
	}
	u, err := v.databaseURL()
	if err != nil {
		return err
	}
	pool, err := pg.Open(ctx, u, pg.Options{MaxConns: int32(v.workers + 1)}) // #nosec G115 -- at most 65
	if err != nil {
		return errors.New("--database-url is not the address of a PostgreSQL database (postgres://role:password@host:port/transactions)")
	}
	defer pool.Close()
	if err := pg.Check(pool)(ctx); err != nil {
		return errors.New("the database does not answer: start the platform (`make up`), or give its address with --database-url")
	}
	bar := newBar(progress)
	o.Progress = bar.show
	report, err := check.Replay(ctx, pool, o)
	bar.end()
	if err != nil {
		return fmt.Errorf("the ledger could not be read to the end: %w (is this the ledger's database, brought up to date with `sendtip "+
			"migrate`, and may the role read all its tables?)", err)
	}
	return sayReport(out, &report)
}

// databaseURL is the given address, or that of this folder's platform. It makes no keys where there is no platform.
func (v *ledgerVerify) databaseURL() (string, error) {
	if v.url != "" {
		return v.url, nil
	}
	if _, err := os.Stat(filepath.Join(v.dir, "keys")); err != nil && os.Getenv("SENDTIP_POSTGRES_URL") == "" {
		return "", fmt.Errorf("there is no platform in %s: give --dir, or the database with --database-url", v.dir)
	}
	admin, err := v.adminURL()
	if err != nil {
		return "", err
	}
	return platform.DatabaseURL(admin, "transactions")
}

// outside reads the checkpoints that were kept outside the database.
func (v *ledgerVerify) outside(progress io.Writer) (notes [][]byte, err error) {
	files := v.checkpoints
	if len(files) == 0 {
		local := env("SENDTIP_CHECKPOINT_FILE", filepath.Join(v.dir, "ledger.checkpoints"))
		if _, err := os.Stat(local); err != nil {
			_, _ = fmt.Fprintln(progress, "note: there are no checkpoints from outside the database, so a ledger that was truncated and signed "+
				"again "+
				"would not be noticed: give --checkpoint FILE")
			return nil, nil
		}
		files = []string{local}
	}
	for _, name := range files {
		data, err := os.ReadFile(name) // #nosec G304 -- the operator's own choice
		if err != nil {
			return nil, fmt.Errorf("the checkpoint file %s cannot be read: check --checkpoint", name)
		}
		list, err := check.Notes(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: use the file exactly as the ledger or its topic wrote it", name, err)
		}
		notes = append(notes, list...)
	}
	return notes, nil
}

// sayReport prints one line if the ledger is sound, or every finding.
func sayReport(out io.Writer, r *check.Report) error {
	seconds := r.Took.Seconds()
	if len(r.Violations) == 0 {
		lines := strings.SplitN(r.Newest, "\n", 3)
		newest := "none"
		if len(lines) == 3 {
			newest = lines[1]
		}
		_, err := fmt.Fprintf(
			out, "ledger ok transactions=%d postings=%d queued=%d seconds=%.1f per_second=%.0f size=%d root=%x checkpoints=%d "+
				"newest_checkpoint=%s outside=%d erased=%d\n",
			r.Transactions, r.Postings, r.Queued, seconds, float64(r.Transactions)/max(seconds, 1e-3), r.Sealed, r.Root, r.Checkpoints, newest,
			r.Outside, r.Erased)
		if err == nil && r.StoredKeys > 0 {
			_, err = fmt.Fprintf(out, "note: %d checkpoints are signed only by earlier keys that the database itself names; give those with --key "+
				"to check them too\n", r.StoredKeys)
		}
		return err
	}
	_, _ = fmt.Fprintf(out, "the ledger has been CHANGED since it was written: %d findings, earliest first (%d transactions in %.1f s)\n",
		int64(len(r.Violations))+r.Omitted, r.Transactions, seconds)
	for _, v := range r.Violations {
		_, _ = fmt.Fprintln(out, " ", v)
	}
	if r.Omitted > 0 {
		_, _ = fmt.Fprintf(out, "  and %d more\n", r.Omitted)
	}
	_, _ = fmt.Fprintln(out, "what to do: stop the money services and make a copy of the database and its logs before anything else, then "+
		"compare the rows listed above with a backup and with customers' receipts")
	if slices.ContainsFunc(r.Violations, func(f check.Finding) bool { return f.Kind == check.Signature }) {
		_, _ = fmt.Fprintln(out, "an invalid signature can also mean that --key is not this ledger's key: `sendtip ledger key` on its "+
			"host prints the right one")
	}
	return errFailed
}

// bar shows how far a replay is: in place on a terminal, else in a line now and then.
type bar struct {
	out      io.Writer
	terminal bool
	mu       sync.Mutex
	started  time.Time
	last     time.Time
	shown    bool
}

const (
	barWidth   = 40
	barEvery   = 100 * time.Millisecond
	linesEvery = 5 * time.Second
)

func newBar(out io.Writer) *bar {
	b := &bar{out: out, started: time.Now(), last: time.Now()}
	if file, ok := out.(*os.File); ok {
		b.terminal = term.IsTerminal(int(file.Fd()))
	}
	return b
}

func (b *bar) show(done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	every := linesEvery
	if b.terminal {
		every = barEvery
	}
	now := time.Now()
	if now.Sub(b.last) < every || total <= 0 {
		return
	}
	b.last, b.shown = now, true
	percent := done * 100 / total
	if !b.terminal {
		_, _ = fmt.Fprintf(b.out, "%3d%% after %.0f s\n", percent, now.Sub(b.started).Seconds())
		return
	}
	full := int(done * barWidth / total)
	_, _ = fmt.Fprintf(b.out, "\r[%s%s] %3d%% %4.0f s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), percent,
		now.Sub(b.started).Seconds())
}

func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.terminal && b.shown {
		_, _ = fmt.Fprint(b.out, "\r\033[K")
	}
}
