package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
	"github.com/sendtip/sendtip/generated/common"
	walletclient "github.com/sendtip/sendtip/generated/wallet/client"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/test/world"
)

type options struct {
	payments, customers int
	seed                uint64
	killEvery           time.Duration
}

// misbehaviour is how many of a hundred payments meet what.
var misbehaviour = map[string]int{"lost": 10, "twice": 10, "late": 10, "timeout": 5, "forged": 2}

const (
	// scale is how much faster the rails are asked than in reality.
	scale = "120"
	// endless bounds the wait for the last payment.
	endless = 6 * time.Minute
	// silentOne in so many customers has a phone about which M-Pesa answers no questions while the storm lasts: its lost results go into
	// doubt.
	silentOne = 3
)

// payment is one of the clients' log.
type payment struct {
	kind      string // topup or withdrawal
	id        uuid.UUID
	reference string // of a top-up, at M-Pesa
	minor     int64
	customer  *journey.Customer
	status    string
}

// storm is one run.
type storm struct {
	o     options
	w     *world.World
	say   func(format string, args ...any)
	books *pgxpool.Pool // the ledger's

	mu       sync.Mutex
	log      []*payment
	doubted  bool // money was in doubt on the way
	recovery []time.Duration
}

func run(ctx context.Context, o options, say func(format string, args ...any)) (verdict, error) {
	say("seed %d: %d payments of %d customers, a kill every %s", o.seed, o.payments, o.customers, o.killEvery)
	dir, err := os.MkdirTemp("", "sendtip-storm-*")
	if err != nil {
		return verdict{}, err
	}
	binaries, err := build(ctx, dir, "wallet", "banking", "transactions")
	if err != nil {
		return verdict{}, err
	}
	logFile, err := os.Create(filepath.Join(dir, "platform.log"))
	if err != nil {
		return verdict{}, err
	}
	w, err := world.StartWith(ctx, dir, logFile, clock.New(0), func(p *platform.Options) {
		p.Binaries = binaries
		p.Environ["SENDTIP_TIME_SCALE"] = scale
	})
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = w.Stop() }()
	s := &storm{o: o, w: w, say: say}
	if s.books, err = pg.Open(ctx, w.Platform.AdminURL("transactions"), pg.Options{MaxConns: 2}); err != nil {
		return verdict{}, err
	}
	defer s.books.Close()
	return s.pass(ctx)
}

// pass lets everybody pay, waits until nothing is open, and judges.
func (s *storm) pass(ctx context.Context) (verdict, error) {
	all, err := s.people(ctx)
	if err != nil {
		return verdict{}, err
	}
	if err := s.w.Sandbox.SetStorm(ctx, control.Storm{Seed: s.o.seed, Percent: misbehaviour}); err != nil {
		return verdict{}, err
	}
	began := time.Now()
	ended := make(chan struct{})
	var killing sync.WaitGroup
	killing.Go(func() { s.kill(ctx, ended) })
	killing.Go(func() { s.watch(ctx, ended) }) // and on, below, until all have their end
	var paying sync.WaitGroup
	for i, c := range all {
		paying.Go(func() { s.pays(ctx, i, c) })
	}
	paying.Wait()
	close(ended)
	killing.Wait()
	cleared := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx, cleared) })
	defer watching.Wait()
	defer close(cleared)
	report, err := s.w.Sandbox.Storm(ctx)
	if err != nil {
		return verdict{}, err
	}
	if err := s.calm(ctx, all); err != nil {
		return verdict{}, err
	}
	s.say("the storm took %s; kills: %d, slowest recovery %s; M-Pesa saw %v and hit %v", time.Since(began).Round(time.Second),
		len(s.recovery), longest(s.recovery), report.Seen, report.Hits)
	if err := s.wait(ctx); err != nil {
		return verdict{}, err
	}
	return s.judge(ctx, report)
}

// people are customers with money, made in fair weather.
func (s *storm) people(ctx context.Context) ([]*journey.Customer, error) {
	out := make([]*journey.Customer, s.o.customers)
	errs := make([]error, len(out))
	var wg sync.WaitGroup
	turns := make(chan struct{}, 6)
	for i := range out {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			if out[i], errs[i] = s.w.Customer(ctx, fmt.Sprintf("Storm%c", 'a'+i%26), 50_000_00); errs[i] != nil {
				return
			}
			script := control.Script{STK: "pay", DelayMS: control.Int(0)}
			if i%7 == 6 {
				script.STK = "cancel"
			}
			if i%silentOne == 0 {
				script.QueryResult = "lose"
			}
			errs[i] = s.w.Sandbox.SetPhoneScript(ctx, out[i].Phone, script)
		})
	}
	wg.Wait()
	return out, errors.Join(errs...)
}

// pays makes one customer's share of the payments, as an app does on a bad network: each call is repeated under its key until it is known.
func (s *storm) pays(ctx context.Context, i int, c *journey.Customer) {
	random := rand.New(rand.NewPCG(s.o.seed, uint64(i)))
	share := s.o.payments / s.o.customers
	if i < s.o.payments%s.o.customers {
		share++
	}
	for range share {
		minor := (10 + random.Int64N(90)) * 100
		if random.IntN(2) == 0 {
			s.topUp(ctx, c, minor)
		} else {
			s.withdraw(ctx, c, minor)
		}
	}
}

// until repeats do until it knows, or ctx ends.
func until(ctx context.Context, do func() bool) {
	for !do() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(150 * time.Millisecond):
		}
	}
}

func (s *storm) topUp(ctx context.Context, c *journey.Customer, minor int64) {
	p := &payment{kind: "topup", minor: minor, customer: c}
	key := uuid.NewString()
	until(ctx, func() bool {
		resp, err := c.Wallet.CreateTopupWithResponse(ctx, &walletclient.CreateTopupParams{IdempotencyKey: key}, walletclient.TopupRequest{
			WalletID: c.WalletID, Amount: common.PositiveMoney{Amount: minor, Currency: "KES"}, Phone: &c.Phone})
		if err != nil || resp.JSON202 == nil {
			return false
		}
		p.id, p.reference = resp.JSON202.ID, resp.JSON202.AccountReference
		return true
	})
	s.add(p)
	prompt, cancel := context.WithTimeout(ctx, 8*time.Second) // one prompt at a time; then the phone gives up looking
	defer cancel()
	until(prompt, func() bool {
		resp, err := c.Wallet.GetTopupWithResponse(prompt, p.id)
		return err == nil && resp.JSON200 != nil && ended(resp.JSON200.Status)
	})
}

func (s *storm) withdraw(ctx context.Context, c *journey.Customer, minor int64) {
	p := &payment{kind: "withdrawal", minor: minor, customer: c}
	key := uuid.NewString()
	until(ctx, func() bool {
		quote, err := c.WithdrawalQuote(ctx, minor)
		if err != nil {
			return false
		}
		approval, err := c.StepUpFor(ctx, "createWithdrawal", quote.ID)
		if err != nil {
			return false
		}
		made := false
		until(ctx, func() bool {
			resp, err := c.Banking.CreateWithdrawalWithResponse(ctx, &bankingclient.CreateWithdrawalParams{IdempotencyKey: key,
				StepUpToken: approval}, bankingclient.CreateWithdrawalRequest{WithdrawalQuoteID: quote.ID})
			switch {
			case err != nil, resp.StatusCode() >= 500, resp.StatusCode() == 409 && resp.JSON202 == nil && resp.StatusCode() != 404:
				return false
			case resp.JSON202 != nil:
				p.id, made = resp.JSON202.ID, true
			}
			return true
		})
		return made
	})
	s.add(p)
}

func (s *storm) add(p *payment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, p)
}

// kill kills wallet, banking and the ledger in turn, and starts each again.
func (s *storm) kill(ctx context.Context, over <-chan struct{}) {
	victims := []string{"wallet", "banking", "transactions"}
	for n := 0; s.o.killEvery > 0; n++ {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-time.After(s.o.killEvery):
		}
		victim := victims[n%len(victims)]
		began := time.Now()
		if err := errors.Join(s.w.Platform.KillService(victim), s.w.Platform.StartService(ctx, victim),
			s.w.Platform.WaitReady(ctx, victim)); err != nil {
			s.say("%s after its kill: %v", victim, err)
		}
		s.mu.Lock()
		s.recovery = append(s.recovery, time.Since(began).Round(10*time.Millisecond))
		s.mu.Unlock()
	}
}

// watch notes whether money was in doubt on the way.
func (s *storm) watch(ctx context.Context, over <-chan struct{}) {
	for {
		minor, err := s.balance(ctx, "rail.mpesa.in_doubt.KES")
		s.mu.Lock()
		s.doubted = s.doubted || err == nil && minor != 0
		s.mu.Unlock()
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// calm ends the storm.
func (s *storm) calm(ctx context.Context, all []*journey.Customer) error {
	err := s.w.Sandbox.SetStorm(ctx, control.Storm{})
	for _, c := range all {
		err = errors.Join(err, s.w.Sandbox.SetPhoneScript(ctx, c.Phone, control.Script{}))
	}
	return errors.Join(err, s.w.Platform.WaitReady(ctx, "wallet", "banking", "transactions"))
}

// wait waits until every payment has its end.
func (s *storm) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, endless)
	defer cancel()
	for _, p := range s.log {
		until(ctx, func() bool {
			status, ok := s.read(ctx, p)
			if ok {
				p.status = status
			}
			s.mu.Lock()
			s.doubted = s.doubted || status == "in_doubt"
			s.mu.Unlock()
			return ok && ended(status)
		})
	}
	until(ctx, func() bool { return s.booked(ctx) })
	return nil
}

func (s *storm) read(ctx context.Context, p *payment) (string, bool) {
	if p.kind == "topup" {
		resp, err := p.customer.Wallet.GetTopupWithResponse(ctx, p.id)
		if err == nil && resp.StatusCode() == 401 {
			_ = p.customer.Refresh(ctx)
		}
		if err != nil || resp.JSON200 == nil {
			return "", false
		}
		return resp.JSON200.Status, true
	}
	resp, err := p.customer.Banking.GetWithdrawalWithResponse(ctx, p.id)
	if err == nil && resp.StatusCode() == 401 {
		_ = p.customer.Refresh(ctx)
	}
	if err != nil || resp.JSON200 == nil {
		return "", false
	}
	return resp.JSON200.Status, true
}

// ended says whether a payment's state is one that it can stay in.
func ended(status string) bool {
	switch status {
	case "paid", "failed", "expired", "cancelled", "returned", "reversed":
		return true
	}
	return false
}

func longest(all []time.Duration) (most time.Duration) {
	for _, d := range all {
		most = max(most, d)
	}
	return most
}

// build makes the programs that are killed.
func build(ctx context.Context, dir string, services ...string) (map[string]string, error) {
	root, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return nil, fmt.Errorf("find the repository: %w", err)
	}
	out := map[string]string{}
	for _, name := range services {
		out[name] = filepath.Join(dir, name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", out[name], "./services/"+name+"/cmd/"+name)
		cmd.Dir = string(root[:len(root)-1])
		if text, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", name, err, text)
		}
	}
	return out, nil
}
