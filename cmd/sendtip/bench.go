package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/embedded/filelock"
	"github.com/sendtip/sendtip/embedded/postgres"
	"github.com/sendtip/sendtip/services/transactions/proof"
	"github.com/sendtip/sendtip/services/transactions/seed"
)

func benchCommand(f *flags) *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Fill the platform with data for load tests (development only)"}
	cmd.AddCommand(benchSeedCommand(f))
	return cmd
}

// benchSeed is what `sendtip bench seed` is told.
type benchSeed struct {
	*flags
	url     string
	options seed.Options
}

func benchSeedCommand(f *flags) *cobra.Command {
	b := benchSeed{flags: f}
	cmd := &cobra.Command{Use: "seed", Short: "Load millions of made-up transactions into the ledger of a local platform", Args: cobra.NoArgs,
		Long: "Writes pay-ins, transfers, withdrawals, reversals and refusals as the ledger itself would have written them:\n" +
			"`sendtip ledger verify` finds nothing wrong, and receipts and statements work. Stop the platform first; its database is started\n" +
			"for the run. An interrupted run leaves a complete ledger, and another run adds more. No events are published: the ledger's\n" +
			"publisher continues after the seeded transactions, so wallets and notifications never hear of them. Refused when\n" +
			"SENDTIP_ENV=production: made-up transactions can never be removed.",
		RunE: func(c *cobra.Command, _ []string) error { return b.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr()) }}
	cmd.Flags().IntVar(&b.options.Transactions, "transactions", 1_000_000, "transactions to post")
	cmd.Flags().IntVar(&b.options.Accounts, "accounts", 200_000, "customers' wallets that take part; missing ones are opened")
	cmd.Flags().IntVar(&b.options.Days, "days", 90,
		"past days over which the transactions are spread, after everything that is already in the ledger")
	cmd.Flags().Uint64Var(&b.options.Seed, "seed", 1,
		"seed of the random numbers: the same seed on the same ledger generates the same transactions")
	cmd.Flags().StringVar(&b.url, "database-url", "",
		"address of the ledger's database by its owner or a superuser; the service signs then (default: this folder's platform, or "+
			"SENDTIP_POSTGRES_URL)")
	return cmd
}

func (b *benchSeed) run(ctx context.Context, out, progress io.Writer) (err error) {
	if err := notInProduction(b.environ()); err != nil {
		return err
	}
	started := time.Now()
	address := b.url
	if address == "" {
		stop, err := b.startDatabase(ctx, progress)
		if err != nil {
			return err
		}
		defer stop()
		if address, err = b.ownerURL(); err != nil {
			return err
		}
		if b.options.Sign, err = b.signing(); err != nil {
			return err
		}
	}
	pace := newPace(progress)
	b.options.Progress = pace.show
	r, err := seed.Run(ctx, address, b.options)
	pace.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "seeded transactions=%d postings=%d holds=%d refused=%d accounts_opened=%d seconds=%.1f per_second=%.0f mb=%d "+
		"tree_size=%d root=%x total_seconds=%.1f\n",
		r.Transactions, r.Postings, r.Holds, r.Refused, r.Accounts, r.Took.Seconds(), float64(r.Transactions)/max(r.Took.Seconds(), 1e-3),
		r.Bytes>>20, r.Size, r.Root, time.Since(started).Seconds())
	return err
}

func notInProduction(environ map[string]string) error {
	if environ["SENDTIP_ENV"] == "production" {
		return errors.New("SENDTIP_ENV=production: made-up transactions do not belong in a ledger of real money, and could never be removed")
	}
	return nil
}

// startDatabase runs this folder's PostgreSQL if nobody does, with tables that are up to date, and returns what stops it again.
func (b *benchSeed) startDatabase(ctx context.Context, progress io.Writer) (stop func(), err error) {
	set, err := b.keys()
	if err != nil {
		return nil, err
	}
	if admin := os.Getenv("SENDTIP_POSTGRES_URL"); admin != "" {
		return func() {}, platform.Migrate(ctx, admin, set)
	}
	lock, err := filelock.Try(filepath.Join(b.dir, "up.lock"))
	if err != nil {
		return func() {}, nil //nolint:nilerr // the platform runs, perhaps without the ledger: seed.Run looks
	}
	release := func() { _ = lock.Release() }
	password, err := set.Read(keys.AdminPassword)
	if err != nil {
		release()
		return nil, err
	}
	dir, err := filepath.Abs(b.dir)
	if err != nil {
		release()
		return nil, err
	}
	config := postgres.Config{Dir: dir, Port: b.ports().Postgres(), Password: password,
		Progress: func(s string) { _, _ = fmt.Fprintln(progress, " ", s) }}
	if err := postgres.EndOrphan(ctx, config); err != nil {
		release()
		return nil, err
	}
	server, err := postgres.Start(ctx, config)
	if err != nil {
		release()
		return nil, err
	}
	stop = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			_, _ = fmt.Fprintln(progress, "the database did not shut down cleanly; it recovers at the next start:", err)
		}
		release()
	}
	if err := platform.Migrate(ctx, server.URL("postgres"), set); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// ownerURL is the address by which the ledger's owner reaches its database.
func (b *benchSeed) ownerURL() (string, error) {
	set, err := b.keys()
	if err != nil {
		return "", err
	}
	admin, err := b.adminURL()
	if err != nil {
		return "", err
	}
	address, err := platform.DatabaseURL(admin, "transactions")
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", errors.New("SENDTIP_POSTGRES_URL is not a URL")
	}
	password, err := set.Read(keys.Of("transactions", keys.OwnerPassword))
	if err != nil {
		return "", err
	}
	u.User = url.UserPassword("transactions_owner", password)
	return u.String(), nil
}

// signing are the keys that the service of this folder would sign with.
func (b *benchSeed) signing() (*seed.Signing, error) {
	set, err := b.keys()
	if err != nil {
		return nil, err
	}
	s := &seed.Signing{Origin: origin(), File: env("SENDTIP_CHECKPOINT_FILE", filepath.Join(b.dir, "ledger.checkpoints"))}
	for _, name := range []string{keys.LedgerSigning, keys.LedgerSigningPrevious} {
		if !set.Has(name) {
			continue
		}
		pem, err := set.Read(name)
		if err != nil {
			return nil, err
		}
		key, err := proof.ParseKey(s.Origin, []byte(pem))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.Keys = append(s.Keys, key)
	}
	return s, nil
}

// pace says how far a long command is, how fast, and how long it will take: in place on a terminal, else in a line now and then.
type pace struct {
	out      io.Writer
	terminal bool
	mu       sync.Mutex
	started  time.Time // of the counting: partitions and accounts come before
	first    int
	last     time.Time
	most     int
}

func newPace(out io.Writer) *pace {
	p := &pace{out: out}
	if file, ok := out.(*os.File); ok {
		p.terminal = term.IsTerminal(int(file.Fd()))
	}
	return p
}

func (p *pace) show(done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	every := linesEvery
	if p.terminal {
		every = barEvery
	}
	now := time.Now()
	if p.started.IsZero() {
		p.started, p.first, p.last = now, done, now
	}
	if done < p.most || now.Sub(p.last) < every || total <= 0 { // chunks may report out of their order
		return
	}
	p.last, p.most = now, done
	rate := float64(done-p.first) / max(now.Sub(p.started).Seconds(), 1e-3)
	line := fmt.Sprintf("%3d%%  %d of %d transactions  %.0f/s  %.0f s left", done*100/total, done, total, rate,
		float64(total-done)/max(rate, 1))
	if p.terminal {
		_, _ = fmt.Fprintf(p.out, "\r%-78s", line)
		return
	}
	_, _ = fmt.Fprintln(p.out, line)
}

func (p *pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal && p.most > 0 {
		_, _ = fmt.Fprint(p.out, "\r\033[K")
	}
}
