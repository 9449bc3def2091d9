package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
	"github.com/sendtip/sendtip/services/user/internal/testworld"
)

const (
	phone  = testworld.Phone
	pin    = testworld.Pin
	device = testworld.Device
)

// world is the use cases with the callers that their tests want.
type world struct {
	*testing.T
	*testworld.World
}

func setup(t *testing.T) *world {
	t.Helper()
	return &world{t, testworld.New(t)}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// want fails unless err is the fault.
func (w *world) want(err, fault error) {
	w.Helper()
	if !errors.Is(err, fault) {
		w.Fatalf("got %v, want %v", err, fault)
	}
}

// anyone is who comes without a token.
func (w *world) anyone() context.Context { return w.As("anonymous") }

func (w *world) as(user, session uuid.UUID, scopes ...string) context.Context {
	return auth.With(w.Context(), auth.Principal{Subject: "user:" + user.String(), SessionID: session.String(), Scopes: scopes,
		Operation: "test"})
}

func (w *world) service(scopes ...string) context.Context { return w.As("service:wallet", scopes...) }

// code fetches a challenge's code as the notification service does.
func (w *world) code(id uuid.UUID) string {
	w.Helper()
	c, err := w.App.TakeOtp(w.service("users:otp"), id)
	w.must(err)
	return c.Code
}

// wrong returns a code that is not the right one.
func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// customer is a registered customer with a session.
type customer struct {
	id     uuid.UUID
	phone  string
	tokens app.Tokens
	ctx    context.Context
}

func (w *world) register(phone string) customer {
	w.Helper()
	c, err := w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.must(err)
	p, t, err := w.App.CompleteRegistration(w.anyone(), app.RegistrationInput{ID: c.ID, Otp: w.code(c.ID), Pin: pin, Device: device})
	w.must(err)
	return customer{id: p.ID, phone: phone, tokens: t, ctx: w.as(p.ID, t.SessionID, "profile", "kyc")}
}

// officer is a compliance officer.
func (w *world) officer() (uuid.UUID, context.Context) {
	w.Helper()
	id := w.Staff(testworld.OperatorPhone, scopes.RoleCompliance)
	return id, w.as(id, uuid.New(), "admin:kyc", "admin:users")
}

// events returns the types of the outbox's events, oldest first, and the data of the last one.
func (w *world) events() (types []string, last map[string]any) {
	w.Helper()
	for _, e := range w.Published() {
		types, last = append(types, e.Type), nil
		w.must(json.Unmarshal(e.Data, &last))
	}
	return types, last
}

// everything is the number of rows that a use case may have left, to show that a refusal leaves none.
func (w *world) everything() int {
	w.Helper()
	return w.Count(`SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM devices) + (SELECT count(*) FROM sessions)
		+ (SELECT count(*) FROM refresh_tokens) + (SELECT count(*) FROM revocations) + (SELECT count(*) FROM kyc_verifications)
		+ (SELECT count(*) FROM kyc_callbacks) + (SELECT count(*) FROM otp_challenges) + (SELECT count(*) FROM outbox)
		+ (SELECT count(*) FROM audit_log) + (SELECT count(*) FROM idempotency_keys) + (SELECT count(*) FROM river_job)`)
}

// begin opens a transaction that ends with the test, if not before: the pool would wait for it for ever.
func (w *world) begin() pgx.Tx {
	w.Helper()
	tx, err := w.DB.Pool.Begin(w.Context())
	w.must(err)
	w.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(w.Context())) })
	return tx
}

// tally counts how many errors are nil, and how many are the fault.
func tally(errs []error, fault error) (ok, refused int) {
	for _, err := range errs {
		switch {
		case err == nil:
			ok++
		case errors.Is(err, fault):
			refused++
		}
	}
	return ok, refused
}

func quoted(quote uuid.UUID) domain.StepUpSubject { return domain.StepUpSubject{QuoteID: &quote} }
