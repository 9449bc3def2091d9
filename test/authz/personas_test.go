package authz

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	gatewayclient "github.com/sendtip/sendtip/generated/gateway/client"
	"github.com/sendtip/sendtip/generated/scopes"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/clock"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"
	"github.com/sendtip/sendtip/sandbox/control"
	platformworld "github.com/sendtip/sendtip/test/world"
)

// somebody is a persona with a credential.
type somebody struct {
	persona
	header  http.Header
	approve func(operation) (string, error) // of a user: approves the object of the table with the own PIN
}

// world is a running platform with a customer who has a row of every kind.
type world struct {
	*testing.T
	journey.World
	p       *platform.Platform
	clock   *clock.Clock
	people  []somebody
	objects map[string]string // by the places of the ownership table
	marks   []string          // what nobody else may read
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, clock: clock.New(0), objects: map[string]string{}}
	running, err := platformworld.StartAt(t.Context(), t.TempDir(), io.Discard, w.clock)
	w.must(err)
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	w.World, w.p = running.World, running.Platform
	return w
}

func (w *world) customer(name string) *journey.Customer {
	w.Helper()
	c, err := w.NewCustomer(name)
	w.must(err)
	w.must(w.Join(w.Context(), c))
	return c
}

func (w *world) add(p persona, header, value string) {
	s := somebody{persona: p, header: http.Header{}}
	if header != "" {
		s.header.Set(header, value)
	}
	w.people = append(w.people, s)
}

func (w *world) user(p persona, c *journey.Customer) {
	p.scheme = userAuth
	w.add(p, "Authorization", "Bearer "+c.Tokens.AccessToken)
	if p.dead {
		return
	}
	w.people[len(w.people)-1].approve = func(o operation) (string, error) {
		place := ownership[o.id].places()[0]
		id := uuid.MustParse(w.objects[strings.TrimPrefix(place, "/")])
		if place == "/quote_id" {
			return c.StepUp(context.Background(), id)
		}
		return c.StepUpFor(context.Background(), o.id, id)
	}
}

// gather makes everybody. Those whose credentials are dead come first: the clock moves past the life of a token before the others sign in.
func (w *world) gather() {
	w.Helper()
	expired, revoked, suspended := w.customer("Expired"), w.customer("Revoked"), w.customer("Suspended")
	customer, other, agent := w.customer("Amina"), w.customer("Brian"), w.customer("Chebet")
	w.clock.Set(w.clock.Offset() + 24*time.Hour) // no account is linked on a phone that is new
	for _, c := range []*journey.Customer{revoked, suspended, customer, other} {
		w.must(c.LogIn(w.Context()))
	}
	w.rows(customer, other)
	w.clock.Set(w.clock.Offset() + 11*time.Minute)

	w.role(agent, scopes.RoleAgent) // the agents service will give it
	for _, c := range []*journey.Customer{revoked, suspended, customer, other, agent} {
		w.must(c.LogIn(w.Context()))
	}
	signedOut, err := revoked.User.DeleteSessionWithResponse(w.Context())
	w.must(err)
	if signedOut.StatusCode() != http.StatusNoContent {
		w.Fatalf("sign out: %d", signedOut.StatusCode())
	}
	admins, err := w.MakeAdmins(w.Context())
	w.must(err)
	staff := map[string]*journey.Customer{scopes.RoleAdmin: admins[0]}
	for _, r := range []string{scopes.RoleSupport, scopes.RoleCompliance, scopes.RoleFinance, scopes.RoleConfig} {
		staff[r], err = w.Appoint(w.Context(), admins, "Staff", r)
		w.must(err)
	}
	suspension, err := staff[scopes.RoleCompliance].User.SuspendUserWithResponse(w.Context(), suspended.UserID,
		userclient.SuspensionRequest{Reason: "For the matrix."})
	w.must(err)
	if suspension.JSON200 == nil {
		w.Fatalf("suspend: %d %s", suspension.StatusCode(), suspension.Body)
	}
	w.dies(revoked)
	w.dies(suspended)
	w.asked(customer, admins, staff[scopes.RoleCompliance])
	unenrolled, err := w.NewCustomer("Unenrolled")
	w.must(err)
	w.must(w.Register(w.Context(), unenrolled))
	w.role(unenrolled, scopes.RoleAdmin)
	w.must(unenrolled.LogIn(w.Context()))

	w.add(persona{name: "nobody"}, "", "")
	w.user(persona{name: "the customer", role: scopes.RoleCustomer, owner: true}, customer)
	w.user(persona{name: "another customer", role: scopes.RoleCustomer}, other)
	w.user(persona{name: "an agent", role: scopes.RoleAgent}, agent)
	for r, c := range staff {
		w.user(persona{name: r, role: r}, c)
	}
	w.user(persona{name: "an admin without an authenticator", role: scopes.RoleStaff}, unenrolled)
	w.user(persona{name: "an expired token", role: scopes.RoleCustomer, dead: true}, expired)
	w.user(persona{name: "a revoked session", role: scopes.RoleCustomer, dead: true}, revoked)
	w.user(persona{name: "a suspended customer", role: scopes.RoleCustomer, dead: true}, suspended)
	w.partners(staff[scopes.RoleAdmin])
	for _, s := range openapi.Services() {
		key, err := w.p.Keys().Read(keys.Of(s.Name, keys.Service))
		w.must(err)
		w.add(persona{name: "the service " + s.Name, scheme: serviceKey, scopes: s.Scopes}, auth.ServiceKeyHeader, key)
	}
}

// asked is a recovery of the customer's account that two officers agreed on.
func (w *world) asked(c *journey.Customer, admins journey.Admins, maker *journey.Customer) {
	w.Helper()
	phone, err := w.NewCustomer("Phone")
	w.must(err)
	recovery, err := w.AskBack(w.Context(), c, phone)
	w.must(err)
	checker, err := w.Appoint(w.Context(), admins, "Staff", scopes.RoleCompliance)
	w.must(err)
	w.must(w.GiveBack(w.Context(), maker, checker, recovery))
	w.objects["recovery_id"], w.marks = recovery.ID.String(), append(w.marks, phone.Phone[1:])
}

// dies waits for the second in which gateways learn that a session has ended.
func (w *world) dies(c *journey.Customer) {
	w.Helper()
	servicetest.Eventually(w, "the gateway refuses a session that has ended", func() bool {
		resp, err := c.User.GetProfileWithResponse(w.Context())
		return err == nil && resp.StatusCode() == http.StatusUnauthorized
	})
}

// partners makes a partner's key with a scope, and one that has ended.
func (w *world) partners(admin *journey.Customer) {
	w.Helper()
	gateway, err := gatewayclient.NewClientWithResponses(w.Gateway, gatewayclient.WithHTTPClient(admin))
	w.must(err)
	for _, dead := range []bool{false, true} {
		made, err := gateway.CreateAPIKeyWithResponse(w.Context(), &gatewayclient.CreateAPIKeyParams{IdempotencyKey: uuid.NewString()},
			gatewayclient.CreateAPIKeyRequest{Name: "Partner", Scopes: []string{scopes.TariffsRead}})
		w.must(err)
		if made.JSON201 == nil {
			w.Fatalf("make a key: %d %s", made.StatusCode(), made.Body)
		}
		p := persona{name: "a partner", scheme: apiKey, scopes: []string{scopes.TariffsRead}, dead: dead}
		if dead {
			p.name = "a partner whose key was revoked"
			gone, err := gateway.RevokeAPIKeyWithResponse(w.Context(), made.JSON201.ID)
			w.must(err)
			if gone.StatusCode() >= 300 {
				w.Fatalf("revoke a key: %d", gone.StatusCode())
			}
			servicetest.Eventually(w, "the gateway refuses a revoked key", func() bool {
				r, err := http.NewRequestWithContext(w.Context(), http.MethodGet, w.Gateway+"/v1/wallets", nil)
				w.must(err)
				r.Header.Set("X-Api-Key", *made.JSON201.Secret)
				resp, err := w.HTTP.Do(r)
				return err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusUnauthorized
			})
		}
		w.add(p, "X-Api-Key", *made.JSON201.Secret)
	}
}

// rows gives the customer an object for each place of the ownership table.
func (w *world) rows(c, to *journey.Customer) {
	w.Helper()
	w.must(w.Sandbox.QueueScript(w.Context(), c.Phone, control.Script{STK: "pay", DelayMS: control.Int(0)}))
	topup, err := c.TopUp(w.Context(), 500_00)
	w.must(err)
	_, err = c.WaitTopUp(w.Context(), topup, "paid")
	w.must(err)
	priced, err := c.WithdrawalQuote(w.Context(), 20_00)
	w.must(err)
	withdrawn, err := c.Withdraw(w.Context(), 20_00)
	w.must(err)
	account, err := c.LinkBankAccount(w.Context(), "68", "0123456789")
	w.must(err)
	deposit, err := c.Deposit(w.Context(), 50_00, "page")
	w.must(err)
	sent, err := c.Send(w.Context(), to, 10_00)
	w.must(err)
	quote, err := c.Quote(w.Context(), to, 10_00)
	w.must(err)
	third, err := w.NewCustomer("Third") // whom c asks: the matrix asks as `to`, too, and a payer may read
	w.must(err)
	w.must(w.Join(w.Context(), third))
	asked, err := c.Ask(w.Context(), third, 10_00)
	w.must(err)
	received, err := to.Ask(w.Context(), c, 10_00)
	w.must(err)
	change, err := w.ChangeNumber(w.Context(), c)
	w.must(err)
	statement, err := c.Statement(w.Context())
	w.must(err)
	claim, err := w.ClaimNumber(w.Context(), c)
	w.must(err)
	w.objects = map[string]string{"withdrawal_quote_id": priced.ID.String(), "withdrawal_id": withdrawn.ID.String(),
		"bank_account_id": account.ID.String(), "id": uuid.NewString(),
		"payment_request_id": asked.ID.String(), "declinePaymentRequest payment_request_id": received.ID.String(),
		"deposit_id": deposit.ID.String(),
		"claim_id":   claim.String(), "recipient_phone": to.Phone, "payer_phone": to.Phone, "account_id": c.WalletID.String(),
		"wallet_id": c.WalletID.String(),
		"topup_id":  topup.String(), "transfer_id": sent.ID.String(), "kyc_id": c.KycID.String(), "quote_id": quote.JSON201.ID.String(),
		"transaction_id": statement[0].TransactionID.String(), "number_change_id": change.NumberChangeID.String()}
	w.marks = []string{deposit.ID.String(), withdrawn.ID.String(), c.UserID.String(), c.WalletID.String(), topup.String(), c.KycID.String(),
		c.Phone[1:], c.Email,
		c.DepositAccount,
		c.IDNumber, change.Phone[1:]}
}

// role sets a role that no door gives yet, or gives only with more than the persona has.
func (w *world) role(c *journey.Customer, role string) {
	w.Helper()
	conn, err := pgx.Connect(w.Context(), w.p.AdminURL("user"))
	w.must(err)
	defer func() { _ = conn.Close(w.Context()) }()
	_, err = conn.Exec(w.Context(), "UPDATE users SET role = $2 WHERE id = $1", c.UserID, role)
	w.must(err)
}
