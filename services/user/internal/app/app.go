// Package app holds the use cases of customers, sessions and identity verification: who may do it, which rule applies, which
// rows, audit entries, jobs and events change together.
package app

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	userdb "github.com/sendtip/sendtip/generated/user/db"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

const topic = "sendtip.user.v1"

// Purposes of blind indexes. They are part of stored data: never change one.
const (
	indexPhone    = "phone"
	indexDevice   = "device"
	indexIdentity = "identity"
	indexLimit    = "limit"
)

// Deps are what the use cases need besides the parts of every service.
type Deps struct {
	Keys      *Keys           // nil for tools that issue no token
	Smile     *smileid.Client // nil for tools that verify nobody
	PublicURL string          // where Smile ID reaches our webhooks
}

// App runs the use cases. It is safe for concurrent use.
type App struct {
	*service.Parts
	Deps
	q         *userdb.Queries
	idem      *idem.Store
	pages     *page.Pager
	callbacks *hook.Hook
	hashing   chan struct{} // argon2id takes 19 MiB and a core each: a flood must queue, not exhaust the machine
	dummyPin  string
	metrics   metrics

	// Approvals are the changes that need two people.
	Approvals *approve.Desk
}

// New returns the use cases on the parts of the service. It computes one PIN hash, to compare with when a phone is unknown.
func New(p *service.Parts, d Deps) (*App, error) {
	d.PublicURL = strings.TrimRight(d.PublicURL, "/")
	a := &App{Parts: p, Deps: d, q: userdb.New(), idem: idem.New(p.Sealer, p.Now), pages: page.New(p.Sealer),
		hashing: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), metrics: newMetrics(p.Registry)}
	a.callbacks = hook.New(kycCallbacks, p.Sealer, p.Pool, p.Jobs, a.metrics.callbacksRefused)
	a.Approvals = approve.New(approve.Config{Service: "user", Sealer: p.Sealer, Now: p.Now, Actions: a.actions()})
	nobody := make([]byte, 16)
	if _, err := rand.Read(nobody); err != nil {
		return nil, fmt.Errorf("random: %w", err)
	}
	var err error
	a.dummyPin, err = a.hashPin(context.Background(), string(nobody)) // no PIN has these bytes, so nothing matches
	return a, err
}

// ahead is how many microseconds the database's time must be moved to be ours.
func (a *App) ahead() int64 { return a.Clock.Offset().Microseconds() }

func newID() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("new id: %w", err)
	}
	return id, nil
}

func (a *App) publish(ctx context.Context, tx pgx.Tx, kind string, key uuid.UUID, data any) error {
	e, err := event.New(topic, kind, key.String(), a.Now(), data)
	if err != nil {
		return err
	}
	return outbox.Append(ctx, tx, e)
}

// open reads a sealed text; an absent one is "".
func (a *App) open(purpose string, id uuid.UUID, sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	plain, err := a.Sealer.Open(purpose+":"+id.String(), sealed)
	if err != nil {
		return "", fmt.Errorf("open %s: %w", purpose, err)
	}
	return string(plain), nil
}

func (a *App) seal(purpose string, id uuid.UUID, plain string) ([]byte, error) {
	sealed, err := a.Sealer.Seal(purpose+":"+id.String(), []byte(plain))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return sealed, nil
}

// findByPhone returns nil when nobody has the phone.
func (a *App) findByPhone(ctx context.Context, db userdb.DBTX, phone string) (*userdb.User, error) {
	u, err := a.q.FindUserByPhone(ctx, db, a.Sealer.Indexes(indexPhone, phone))
	if pg.IsNoRows(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find user: %w", err)
	}
	return &u, nil
}

// profile opens what is sealed of a user.
func (a *App) profile(u userdb.User) (domain.Profile, error) {
	p := domain.Profile{
		ID: u.ID, Country: u.Country, Language: u.Language, Role: u.Role, Status: u.Status, KycStatus: u.KycStatus,
		Tier: u.Tier, Version: u.Version, CreatedAt: u.CreatedAt.UTC(),
	}
	var err error
	if p.Phone, err = a.open("user.phone", u.ID, u.PhoneSealed); err != nil {
		return p, err
	}
	if p.Email, err = a.open("user.email", u.ID, u.EmailSealed); err != nil {
		return p, err
	}
	names, err := a.open("user.name", u.ID, u.NameSealed)
	if err != nil {
		return p, err
	}
	p.FirstName, p.LastName, _ = strings.Cut(names, "\n")
	return p, nil
}
