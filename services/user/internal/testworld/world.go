// Package testworld is what the tests of the user service stand on: its use cases on a real database, and the sandbox as Smile ID, whose
// callbacks arrive. Only tests import it.
package testworld

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
	usersql "github.com/sendtip/sendtip/sql/user"

	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/jobs"
)

// The customer of most tests, and the operator.
const (
	Phone         = "+254712345678"
	Pin           = "7294"
	Device        = "device-0123456789"
	OperatorPhone = "+254799000001"
	OperatorPin   = "5821"
)

// World is one test's.
type World struct {
	*servicetest.World
	App *app.App
	Box *control.Client // scripts Smile ID

	tb   testing.TB
	deps app.Deps
}

// New makes a world with an empty database.
func New(tb testing.TB) *World {
	tb.Helper()
	return On(tb, pgtest.Open(tb, "user", usersql.Migrations()))
}

// Unreachable makes a world whose database is not there.
func Unreachable(tb testing.TB) *World {
	tb.Helper()
	return On(tb, &pgtest.DB{AppURL: "postgres://user_app@127.0.0.1:1/user"})
}

// On makes a world on a database that has rows already.
func On(tb testing.TB, db *pgtest.DB) *World {
	tb.Helper()
	w := &World{World: servicetest.On(tb, "user", db, nil), tb: tb}
	keys, err := app.NewKeys(KeyPEM(tb))
	if err != nil {
		tb.Fatal(err)
	}
	hooks := httptest.NewServer(http.HandlerFunc(w.hook))
	tb.Cleanup(hooks.Close)
	box, err := sandbox.New(sandbox.Config{KYCDelay: -1})
	if err != nil {
		tb.Fatal(err)
	}
	server := httptest.NewServer(box.Handler())
	tb.Cleanup(server.Close)
	tb.Cleanup(box.Close) // first: callbacks end before the servers do
	w.Box = control.New(server.URL, nil)
	w.deps = app.Deps{
		Keys: keys, PublicURL: hooks.URL + "/",
		Smile: smileid.New(smileid.Config{BaseURL: server.URL, PartnerID: sandbox.DefaultSmilePartnerID, APIKey: sandbox.DefaultSmileAPIKey}),
	}
	if w.App, err = app.New(w.Parts, w.deps); err != nil {
		tb.Fatal(err)
	}
	jobs.Register(w.Workers, w.App)
	return w
}

// Rebuild makes the use cases again with something replaced, as a restart with other settings does; their metrics begin anew.
func (w *World) Rebuild(change func(p *service.Parts, d *app.Deps)) {
	w.tb.Helper()
	p := *w.Parts
	p.Registry = prometheus.NewRegistry()
	change(&p, &w.deps)
	a, err := app.New(&p, w.deps)
	if err != nil {
		w.tb.Fatal(err)
	}
	w.Parts, w.App = &p, a
}

// hook is where the sandbox calls back: the path of the contract, straight to the use case.
func (w *World) hook(rw http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) != 6 || strings.Join(parts[:4], "/") != "/v1/hooks/ky" {
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	body, err := io.ReadAll(r.Body)
	id, parseErr := uuid.Parse(parts[5])
	if err = errors.Join(err, parseErr); err == nil {
		err = w.App.ReceiveKycCallback(r.Context(), parts[4], id, body)
	}
	if err != nil {
		rw.WriteHeader(http.StatusInternalServerError)
	}
}

// Staff makes a member of staff as two admins leave one: with a role, and without an authenticator.
func (w *World) Staff(phone, role string) uuid.UUID {
	w.tb.Helper()
	id, err := w.App.CreateAdmin(w.tb.Context(), app.AdminInput{Phone: phone, Pin: OperatorPin, Device: Device, BreakGlass: "a test"})
	if err == nil {
		_, err = w.DB.Pool.Exec(w.tb.Context(), "UPDATE users SET role = $2 WHERE id = $1", id, role)
	}
	if err != nil {
		w.tb.Fatal(err)
	}
	return id
}

// Settle works a submission's job by hand until there is nothing left to do.
func (w *World) Settle(kyc uuid.UUID) {
	w.tb.Helper()
	for tries, deadline := 0, time.Now().Add(10*time.Second); time.Now().Before(deadline); tries++ {
		again, err := w.App.AdvanceKyc(w.tb.Context(), kyc, tries)
		if err != nil {
			w.tb.Fatal(err)
		}
		if again == 0 {
			return
		}
	}
	w.tb.Fatal("no decision")
}

// KeyPEM is a new signing key.
func KeyPEM(tb testing.TB) string {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}
