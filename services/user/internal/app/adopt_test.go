package app_test

import (
	"io/fs"
	"os"
	"regexp"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/pgtest"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
	"github.com/sendtip/sendtip/services/user/internal/testworld"
	usersql "github.com/sendtip/sendtip/sql/user"
)

// one reads one id.
func (w *world) one(query string, args ...any) uuid.UUID {
	w.Helper()
	var id uuid.UUID
	w.must(w.DB.Pool.QueryRow(w.Context(), query, args...).Scan(&id))
	return id
}

// adopted is a world on a database that had the first migration only and the rows of a service of that time, and its refresh token.
func adopted(t *testing.T) (w *world, refresh string) {
	t.Helper()
	first, err := fs.ReadFile(usersql.Migrations(), "00001_init.sql")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile("testdata/first.sql")
	if err != nil {
		t.Fatal(err)
	}
	db := pgtest.Open(t, "user", fstest.MapFS{"00001_init.sql": {Data: first}})
	if _, err := db.Pool.Exec(t.Context(), string(rows)); err != nil {
		t.Fatal(err)
	}
	if err := pg.Migrate(t.Context(), db.OwnerURL, usersql.Migrations()); err != nil {
		t.Fatalf("migrate with rows: %v", err)
	}
	db.Pool.Reset() // the statements that were prepared are of the old tables
	w = &world{t, testworld.On(t, db)}
	w.Advance(time.Date(2026, 11, 1, 9, 1, 0, 0, time.UTC).Sub(w.Now())) // to a minute after the rows were written
	return w, string(regexp.MustCompile(`rt_[\w-]+`).Find(rows))
}

// TestAdoption: what an earlier release left is served on: customers, devices, sessions, codes under way, locks, suspensions and
// verifications in each state.
func TestAdoption(t *testing.T) {
	t.Parallel()
	w, refresh := adopted(t)
	amina, err := w.App.LookupRecipient(w.service("users:lookup"), phone)
	w.must(err)
	if amina.Phone != phone || amina.Email != "amina@example.com" || amina.MaskedName() != "Amina W." || amina.Tier != 1 ||
		amina.Language != "en-KE" || amina.KycStatus != "verified" {
		t.Errorf("%+v", amina)
	}
	w.must(w.signIn(pin))
	_, err = w.refresh(refresh, device, "key-a")
	w.must(err)
	challenge := func(purpose string) uuid.UUID {
		return w.one("SELECT id FROM otp_challenges WHERE purpose = $1 AND consumed_at IS NULL", purpose)
	}
	login := challenge("login")
	_, err = w.App.CreateSession(w.anyone(),
		app.SessionInput{Phone: phone, Pin: pin, Device: "tablet-0123456789", ChallengeID: &login, Otp: w.code(login)})
	w.must(err)
	reset := challenge("pin_reset")
	w.must(w.App.CompletePinReset(w.anyone(),
		app.PinResetInput{ID: reset, Otp: w.code(reset), Pin: "8361", Device: device, IDNumber: "30112230"}))
	w.must(w.signIn("8361"))
	registration := challenge("registration")
	p, _, err := w.App.CompleteRegistration(w.anyone(),
		app.RegistrationInput{ID: registration, Otp: w.code(registration), Pin: pin, Device: device})
	w.must(err)
	if p.Phone != "+254712000005" || p.Language != "sw" {
		t.Errorf("%+v", p)
	}
	for range 3 {
		_, err = w.App.StartRegistration(w.anyone(), phone, "KE", "en")
		w.must(err)
	}
	_, err = w.App.StartRegistration(w.anyone(), phone, "KE", "en")
	w.want(err, domain.ErrOtpLimit)

	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: "+254712000003", Pin: pin, Device: device})
	w.want(err, domain.ErrPinLocked)
	if f, _ := fault.As(err); f.RetryAfter != 14*time.Minute {
		t.Errorf("the lock lasts %v more, want 14m", f.RetryAfter)
	}
	_, err = w.App.CreateSession(w.anyone(), app.SessionInput{Phone: "+254712000004", Pin: pin, Device: device})
	w.want(err, domain.ErrUserSuspended)
}

// TestAdoptedVerifications: open ones go on, and a document that verified somebody before verifies nobody else.
func TestAdoptedVerifications(t *testing.T) {
	t.Parallel()
	w, _ := adopted(t)
	admin := w.one("UPDATE users SET role = 'compliance' WHERE role = 'admin' RETURNING id") // an admin's own rights are others now
	operator := w.as(admin, uuid.New(), "admin:kyc")
	reviews, _, err := w.App.ListKycReviews(operator, domain.KycReview, page.Request{})
	w.must(err)
	if len(reviews) != 1 || reviews[0].Unreadable || reviews[0].Submitted.FullName() != "Amina Wanjiru" || reviews[0].Returned == nil ||
		reviews[0].Reason != domain.ReasonUnknown {
		t.Fatalf("%+v", reviews)
	}
	k, err := w.App.DecideKycReview(operator, app.DecisionInput{KycID: reviews[0].ID, Approve: true, Reason: "Seen the card"})
	w.must(err)
	if k.Status != "verified" {
		t.Errorf("%+v", k)
	}
	id := w.one("SELECT id FROM kyc_verifications WHERE status = 'pending'")
	user := w.one("SELECT user_id FROM kyc_verifications WHERE id = $1", id)
	if got := w.settled(customer{id: user, ctx: w.as(user, uuid.New(), "kyc")}, id); got.Status != "review" ||
		got.Reason != domain.ReasonDuplicate {
		t.Errorf("the document of a customer who was verified before: %+v", got)
	}
}

// TestAdoptedAdmin: an admin of an earlier release, who could be a customer as well, keeps neither the session nor a right until an
// authenticator is set up.
func TestAdoptedAdmin(t *testing.T) {
	t.Parallel()
	w, refresh := adopted(t)
	amina, err := w.App.LookupRecipient(w.service("users:lookup"), phone)
	w.must(err)
	id := w.one("UPDATE users SET role = 'admin' WHERE id = $1 RETURNING id", amina.ID)
	_, err = w.refresh(refresh, device, "key-a")
	w.want(err, domain.ErrRefreshInvalid)
	tokens, err := w.App.CreateSession(w.anyone(), app.SessionInput{Phone: phone, Pin: pin, Device: device})
	w.must(err)
	if scope, roles := w.rightsOf(tokens); scope != "profile totp" || roles != "[staff]" {
		t.Errorf("%s: %s %s", id, scope, roles)
	}
}
