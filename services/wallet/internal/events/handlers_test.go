package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/uuid"

	userapi "github.com/sendtip/sendtip/generated/user/api"
	"github.com/sendtip/sendtip/kit/approve"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/events"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

func deliver(w *testworld.World, e event.Event) error { return w.Deliver(events.Handlers(w.App), e) }

func published(w *testworld.World, eventType string, data map[string]any) event.Event {
	return w.Event("sendtip.user.v1", eventType, data)
}

func verified(w *testworld.World, user uuid.UUID, tier int, version int64) event.Event {
	return published(w, "user.kyc_verified", map[string]any{"user_id": user, "tier": tier, "country": "KE", "version": version})
}

func status(w *testworld.World, user uuid.UUID, status string, tier int, version int64) event.Event {
	return published(w, "user.status_changed", map[string]any{"user_id": user, "status": status, "tier": tier, "version": version})
}

// standing is what user answers.
func standing(user uuid.UUID, status string, tier int32, version int64) userapi.Standing {
	return userapi.Standing{UserID: user, Status: status, Tier: tier, Country: "KE", Version: version}
}

// customer is what is stored: status, tier and version.
func customer(w *testworld.World, user uuid.UUID) string {
	return w.Text("SELECT coalesce((SELECT status || ' ' || tier || ' ' || version FROM customers WHERE user_id = $1), 'none')", user)
}

func confirmed(t *testing.T, w *testworld.World, user uuid.UUID, want string) {
	t.Helper()
	servicetest.Eventually(t, want, func() bool {
		return customer(w, user) == want &&
			w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.confirm_standing' AND state <> 'completed'") == 0
	})
}

func TestSameEventTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	e := status(w, p.UserID, "suspended", 1, 2)
	for range 2 {
		if err := deliver(w, e); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.confirm_standing'"); n != 1 {
		t.Errorf("%d questions", n)
	}
	if got := customer(w, p.UserID); got != "suspended 1 1" {
		t.Errorf("customer is %s", got)
	}
}

// TestForgedEventGrantsNothing is an adversary who can write to user's topic: a tier, the end of a suspension and a wallet come from user
// alone.
func TestForgedEventGrantsNothing(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	w.RunJobs()
	p, low, nobody := w.Person(1, 0), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	w.Users.Stand(standing(low, "active", 0, 1))
	w.Status(p.UserID, "suspended", 1, 2)
	for _, e := range []event.Event{
		verified(w, p.UserID, 3, 9), status(w, p.UserID, "active", 3, 10), verified(w, low, 2, 5), verified(w, nobody, 2, math.MaxInt64),
		published(w, "user.registered", map[string]any{"user_id": low}),
	} {
		if err := deliver(w, e); err != nil {
			t.Fatal(err)
		}
		if got := customer(w, p.UserID); got != "suspended 1 2" {
			t.Errorf("after %s at once: %s", e.Type, got)
		}
	}
	confirmed(t, w, p.UserID, "suspended 1 2")
	confirmed(t, w, low, "active 0 1")
	confirmed(t, w, nobody, "none")
	if n := w.Count("SELECT count(*) FROM wallets WHERE user_id <> $1", p.UserID); n != 0 {
		t.Errorf("%d wallets", n)
	}
	if got := w.Ledger.Maximum(p.WalletID); got != 10000000 {
		t.Errorf("maximum is %d", got)
	}
}

// TestForgedLossIsLifted is a loss that user does not confirm: it holds until the answer, whatever version it carries, and a later genuine
// change is heard.
func TestForgedLossIsLifted(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(2, 0)
	if err := deliver(w, status(w, p.UserID, "suspended", 0, math.MaxInt64)); err != nil {
		t.Fatal(err)
	}
	if got := customer(w, p.UserID); got != "suspended 0 1" {
		t.Errorf("at once: %s", got)
	}
	w.RunJobs()
	confirmed(t, w, p.UserID, "active 2 1")
	servicetest.Eventually(t, "the maximum comes back", func() bool { return w.Ledger.Maximum(p.WalletID) == 50000000 })
	w.Users.Stand(standing(p.UserID, "suspended", 1, 2))
	if err := deliver(w, status(w, p.UserID, "suspended", 1, 2)); err != nil {
		t.Fatal(err)
	}
	confirmed(t, w, p.UserID, "suspended 1 2")
	servicetest.Eventually(t, "the maximum follows", func() bool { return w.Ledger.Maximum(p.WalletID) == 10000000 })
}

// TestLaterQuestionHolds is two questions of which the first gets its answer last.
func TestLaterQuestionHolds(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	p := w.Person(1, 0)
	late := false
	w.Users.Before(func() {
		if late {
			return
		}
		late = true // the answer to this question is drawn up; now the customer is suspended, and that is asked and answered first
		w.Status(p.UserID, "suspended", 1, 2)
	})
	if err := w.App.ConfirmStanding(t.Context(), p.UserID); err != nil {
		t.Fatal(err)
	}
	if got := customer(w, p.UserID); got != "suspended 1 2" {
		t.Errorf("customer is %s", got)
	}
}

// TestRowsOfBefore are customers as the version before stored them, from events alone: one as user knows them, one with a forged tier and a
// version that no later event could pass, one whom user does not know.
func TestRowsOfBefore(t *testing.T) {
	t.Parallel()
	db, upgrade := testworld.Older(t, "00001_init.sql", "00002_claims.sql")
	honest, forged, nobody := uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7()), uuid.Must(uuid.NewV7())
	wallets := map[uuid.UUID]uuid.UUID{}
	for user, version := range map[uuid.UUID]int64{honest: 1, forged: math.MaxInt64, nobody: 3} {
		wallets[user] = uuid.Must(uuid.NewV7())
		if _, err := db.Pool.Exec(t.Context(), `INSERT INTO customers (user_id, status, status_version, tier, country, version, updated_at)
			VALUES ($1, 'active', -1, 3, 'KE', $2, $3)`, user, version, servicetest.Start); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Pool.Exec(t.Context(), `INSERT INTO wallets (id, user_id, currency, status, ledger_version, created_at, opened_at)
			VALUES ($1, $2, 'KES', 'open', $3, $4, $4)`, wallets[user], user, version, servicetest.Start); err != nil {
			t.Fatal(err)
		}
	}
	upgrade()
	w := testworld.On(t, db)
	w.Users.Stand(standing(honest, "active", 3, 1))
	w.Users.Stand(standing(forged, "active", 1, 1))
	w.RunJobs()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.App.ConfirmUnanswered(ctx) }()
	confirmed(t, w, forged, "active 1 1")
	servicetest.Eventually(t, "all are asked about", func() bool { return w.Count("SELECT count(*) FROM customers WHERE answered = 0") == 0 })
	servicetest.Eventually(t, "the maximum follows", func() bool { return w.Ledger.Maximum(wallets[forged]) == 10000000 })
	if a, b := customer(w, honest), customer(w, nobody); a != "active 3 1" || b != "active 3 3" {
		t.Errorf("honest %s, unknown %s", a, b)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := deliver(w, status(w, forged, "suspended", 1, 2)); err != nil || customer(w, forged) != "suspended 1 1" {
		t.Errorf("a later event: %v, %s", err, customer(w, forged))
	}
}

func TestUnusablePayloadsAreRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	id := uuid.NewString()
	for _, e := range []event.Event{
		published(w, "user.kyc_verified", map[string]any{"tier": 1, "country": "KE", "version": 1}),
		published(w, "user.kyc_verified", map[string]any{"user_id": id, "tier": 99, "country": "KE", "version": 1}),
		published(w, "user.kyc_verified", map[string]any{"user_id": id, "tier": 1, "country": "Kenya", "version": 1}),
		published(w, "user.status_changed", map[string]any{"user_id": id, "status": "dancing", "tier": 1, "version": 1}),
		{ID: uuid.Must(uuid.NewV7()), Type: "user.status_changed", Topic: "sendtip.user.v1", Key: id, Data: json.RawMessage(`[]`)},
	} {
		if err := deliver(w, e); !event.IsRefused(err) {
			t.Errorf("%s %s: %v", e.Type, e.Data, err)
		}
	}
	if n := w.Count("SELECT count(*) FROM customers"); n != 0 {
		t.Errorf("%d customers", n)
	}
}

// TestRequestsEndWithTheRole: what somebody proposed is withdrawn when they are suspended or get a role that may not propose it. The late
// news of the role that they proposed by changes nothing.
func TestRequestsEndWithTheRole(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	role := func(name string) func(maker uuid.UUID) event.Event {
		return func(maker uuid.UUID) event.Event {
			return published(w, "user.role_changed", map[string]any{"user_id": maker, "role": name, "version": 3})
		}
	}
	for i, c := range []struct {
		name string
		of   func(maker uuid.UUID) event.Event
		want string
	}{
		{"suspended", func(maker uuid.UUID) event.Event { return status(w, maker, "suspended", 0, 2) }, approve.Withdrawn},
		{"other role", role("support"), approve.Withdrawn},
		{"reinstated", func(maker uuid.UUID) event.Event { return status(w, maker, "active", 0, 3) }, approve.Open},
		{"late news", role("finance"), approve.Open},
	} {
		maker := uuid.Must(uuid.NewV7())
		a, err := w.App.ProposeTax(w.User(maker, "admin:tariffs"), domain.TaxChange{Country: "KE", Tax: domain.TaxExcise, RatePPM: 200_000,
			EffectiveFrom: w.Now().Add(time.Duration(i+1) * time.Hour)}, "Finance Act")
		if err != nil {
			t.Fatal(err)
		}
		if err := deliver(w, c.of(maker)); err != nil {
			t.Fatal(err)
		}
		if state := w.Text("SELECT state FROM approvals WHERE id = $1", a.ID); state != c.want {
			t.Errorf("%s: the request is %s", c.name, state)
		}
	}
}

// TestNumberClaimed: from the event on nothing is paid by the number, also by a quote from before; what holds then is user's answer.
func TestNumberClaimed(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	from, to := w.Person(1, 1000), w.Person(1, 0)
	byPhone, err := w.App.CreateTransferQuote(testworld.As(t.Context(), from),
		app.QuoteInput{WalletID: from.WalletID, RecipientPhone: to.Phone, Amount: testworld.KES(10)})
	if err != nil {
		t.Fatal(err)
	}
	byWallet, err := w.App.CreateTransferQuote(testworld.As(t.Context(), from),
		app.QuoteInput{WalletID: from.WalletID, RecipientWalletID: &to.WalletID, Amount: testworld.KES(10)})
	if err != nil {
		t.Fatal(err)
	}
	claimed := published(w, "user.number_claimed", map[string]any{"user_id": to.UserID, "claim_id": uuid.New(), "version": 2,
		"release_at": w.Now().Add(time.Hour)})
	for range 2 {
		if err := deliver(w, claimed); err != nil {
			t.Fatal(err)
		}
	}
	w.Users.TakeNumber(to.UserID)
	pay := func(q uuid.UUID) error {
		_, err := w.App.CreateTransfer(w.Approve(testworld.As(t.Context(), from), q), app.TransferInput{Key: uuid.NewString(), QuoteID: q})
		return err
	}
	if err := pay(byPhone.ID); !errors.Is(err, domain.ErrRecipientInReview) {
		t.Errorf("a quote from before the claim: %v", err)
	}
	if _, err := w.App.CreateTransferQuote(testworld.As(t.Context(), from), app.QuoteInput{WalletID: from.WalletID, RecipientPhone: to.Phone,
		Amount: testworld.KES(10)}); !errors.Is(err, domain.ErrRecipientInReview) {
		t.Errorf("a quote for the number: %v", err)
	}
	if err := pay(byWallet.ID); err != nil { // names the person, not the number
		t.Errorf("a quote for the wallet: %v", err)
	}
	number := func() string { return w.Text("SELECT number FROM customers WHERE user_id = $1", to.UserID) }
	for said, want := range map[string]string{"none": "none", "on_holiday": "in_review", "in_review": "in_review", "held": "held"} {
		s := standing(to.UserID, "active", 1, 3)
		s.Number = &said
		w.Users.Stand(s)
		if err := w.App.ConfirmStanding(t.Context(), to.UserID); err != nil || number() != want {
			t.Errorf("user says %s: %s, %v", said, number(), err)
		}
	}
	w.Users.Stand(standing(to.UserID, "active", 1, 4)) // as a user service of before says nothing
	if err := w.App.ConfirmStanding(t.Context(), to.UserID); err != nil || number() != "held" {
		t.Errorf("user says nothing: %s, %v", number(), err)
	}
	if err := pay(byPhone.ID); err != nil {
		t.Errorf("a quote for a number that was kept: %v", err)
	}
	for _, eventType := range []string{"user.number_claim_closed", "user.number_changed", "user.recovered"} {
		somebody := uuid.New()
		if err := deliver(w, published(w, eventType, map[string]any{"user_id": somebody})); err != nil {
			t.Fatal(err)
		}
		if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.confirm_standing' AND args ->> 'user_id' = $1",
			somebody.String()); n != 1 {
			t.Errorf("after %s user is asked %d times", eventType, n)
		}
	}
	for _, eventType := range []string{"user.number_claimed", "user.number_claim_closed", "user.number_changed", "user.recovered"} {
		if err := deliver(w, published(w, eventType, map[string]any{})); err == nil {
			t.Errorf("%s about nobody was taken", eventType)
		}
	}
}
