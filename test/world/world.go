// Package world is a running platform with people of every kind, for programs that look at it from outside.
package world

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	gatewayclient "github.com/sendtip/sendtip/generated/gateway/client"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/services/transactions/check"
	"github.com/sendtip/sendtip/services/user"
	"github.com/sendtip/sendtip/test/ports"
)

// RatePolicies let one address do in a second what takes a person an hour.
const RatePolicies = "address=60000/60/10000,default=60000/60/10000,otp_address=60000/60/10000,lookup=60000/60/10000," +
	"step_up=60000/60/10000,payment=60000/60/10000,admin=60000/60/10000"

// World is the platform with its doors.
type World struct {
	journey.World
	Platform *platform.Platform
	Ports    platform.Ports
	Dir      string

	clock *clock.Clock
}

// Start runs a platform in the folder, with the real time.
func Start(ctx context.Context, dir string, log io.Writer) (*World, error) {
	return StartAt(ctx, dir, log, clock.New(0))
}

// StartAt is Start with a clock that the caller moves.
func StartAt(ctx context.Context, dir string, log io.Writer, c *clock.Clock) (*World, error) {
	return StartWith(ctx, dir, log, c, nil)
}

// StartWith is StartAt with options that the caller changes; change may be nil.
func StartWith(ctx context.Context, dir string, log io.Writer, c *clock.Clock, change func(*platform.Options)) (*World, error) {
	w := &World{Dir: dir, clock: c}
	var err error
	for range 5 { // another process may take a port between the look and the start
		w.Ports = ports.Free()
		o := platform.Options{Dir: dir, Ports: w.Ports, Log: log, Clock: c, Environ: map[string]string{"SENDTIP_RATE_POLICIES": RatePolicies}}
		if change != nil {
			change(&o)
		}
		w.Platform, err = platform.Start(ctx, o)
		if err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: 40 * time.Second}
	w.World = journey.World{Gateway: w.Platform.PublicURL(), Sandbox: control.New(w.Platform.SandboxURL(), client), HTTP: client,
		Now: c.Now, MakeAdmin: w.makeAdmin, CheckLedger: w.checkLedger}
	return w, nil
}

// Stop ends the platform and deletes what it kept.
func (w *World) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return errors.Join(w.Platform.Stop(ctx), platform.Remove(ctx, w.Dir))
}

func (w *World) checkLedger(ctx context.Context) (string, error) {
	pool, err := pg.Open(ctx, w.Platform.AdminURL("transactions"), pg.Options{MaxConns: 2})
	if err != nil {
		return "", err
	}
	defer pool.Close()
	violations, err := check.Check(ctx, pool)
	if err == nil && len(violations) > 0 {
		err = fmt.Errorf("the ledger is broken: %+v", violations)
	}
	return "every invariant holds", err
}

// makeAdmin does what `sendtip admin create` does.
func (w *World) makeAdmin(ctx context.Context, c *journey.Customer, breakGlass string) error {
	environ, err := platform.ServiceEnviron(w.Ports, w.Platform.Keys(), w.Platform.AdminURL("postgres"), w.Platform.Brokers(),
		map[string]string{"SENDTIP_CLOCK_OFFSET": w.clock.Offset().String()}, "user")
	if err != nil {
		return err
	}
	cfg, err := user.LoadConfig(environ)
	if err != nil {
		return err
	}
	c.UserID, err = user.CreateAdmin(ctx, cfg, user.Admin{Phone: c.Phone, Pin: c.PIN, Device: c.Device, BreakGlass: breakGlass})
	return err
}

// Customer is somebody verified, with a wallet and money.
func (w *World) Customer(ctx context.Context, name string, minor int64) (*journey.Customer, error) {
	c, err := w.NewCustomer(name)
	if err != nil {
		return nil, err
	}
	if err := w.Join(ctx, c); err != nil {
		return nil, fmt.Errorf("%s joins: %w", name, err)
	}
	return c, w.Fund(ctx, c, minor)
}

// Fund pays into a wallet.
func (w *World) Fund(ctx context.Context, c *journey.Customer, minor int64) error {
	if err := w.Sandbox.QueueScript(ctx, c.Phone, control.Script{STK: "pay", DelayMS: control.Int(0)}); err != nil {
		return err
	}
	id, err := c.TopUp(ctx, minor)
	if err != nil {
		return fmt.Errorf("top up: %w", err)
	}
	_, err = c.WaitTopUp(ctx, id, "paid")
	return err
}

// PartnerKey is an API key that may read prices.
func (w *World) PartnerKey(ctx context.Context, admin *journey.Customer) (string, error) {
	gateway, err := gatewayclient.NewClientWithResponses(w.Gateway, gatewayclient.WithHTTPClient(admin))
	if err != nil {
		return "", err
	}
	made, err := gateway.CreateAPIKeyWithResponse(ctx, &gatewayclient.CreateAPIKeyParams{IdempotencyKey: uuid.NewString()},
		gatewayclient.CreateAPIKeyRequest{Name: "Partner", Scopes: []string{scopes.TariffsRead}})
	if err != nil {
		return "", err
	}
	if made.JSON201 == nil || made.JSON201.Secret == nil {
		return "", fmt.Errorf("make a partner's key: %d", made.StatusCode())
	}
	return *made.JSON201.Secret, nil
}
