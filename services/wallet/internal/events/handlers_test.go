package events_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/event"

	"github.com/sendtip/sendtip/services/wallet/internal/events"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

func deliver(t *testing.T, w *testworld.World, e event.Event) error {
	t.Helper()
	return event.Dispatch(t.Context(), w.DB.Pool, "wallet", events.Handlers(w.App), e)
}

func published(t *testing.T, eventType string, data map[string]any) event.Event {
	t.Helper()
	e, err := event.New("sendtip.user.v1", eventType, uuid.NewString(), data)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSameEventTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	user := uuid.Must(uuid.NewV7())
	verified := published(t, "user.kyc_verified", map[string]any{"user_id": user, "tier": 1, "country": "KE", "version": 1})
	suspended := published(t, "user.status_changed", map[string]any{"user_id": user, "status": "suspended", "tier": 1, "version": 2})
	for range 2 {
		for _, e := range []event.Event{verified, suspended} {
			if err := deliver(t, w, e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := w.Count("SELECT count(*) FROM wallets WHERE user_id = $1", user); n != 1 {
		t.Errorf("%d wallets", n)
	}
	if n := w.Count("SELECT count(*) FROM river_job WHERE kind = 'wallet.open_account'"); n != 2 {
		t.Errorf("%d jobs, want one per event", n)
	}
	if s := w.Text("SELECT status || ' ' || country FROM customers WHERE user_id = $1", user); s != "suspended KE" {
		t.Errorf("customer is %s", s)
	}
}

// TestStatusBeforeIdentity is a customer who is suspended before the identity is verified: the wallet opens, the suspension stays.
func TestStatusBeforeIdentity(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	user := uuid.Must(uuid.NewV7())
	for _, e := range []event.Event{
		published(t, "user.status_changed", map[string]any{"user_id": user, "status": "suspended", "tier": 0, "version": 1}),
		published(t, "user.kyc_verified", map[string]any{"user_id": user, "tier": 2, "country": "KE", "version": 2}),
		published(t, "user.registered", map[string]any{"user_id": user}),
	} {
		if err := deliver(t, w, e); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.Text("SELECT status || ' ' || tier FROM customers WHERE user_id = $1", user); s != "suspended 2" {
		t.Errorf("customer is %s", s)
	}
}

// TestIdentityAfterNewerStatus is an identity that was set aside and comes back after a newer status: the wallet opens, the newer tier stays.
func TestIdentityAfterNewerStatus(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	user := uuid.Must(uuid.NewV7())
	for _, e := range []event.Event{
		published(t, "user.status_changed", map[string]any{"user_id": user, "status": "active", "tier": 2, "version": 5}),
		published(t, "user.kyc_verified", map[string]any{"user_id": user, "tier": 1, "country": "KE", "version": 4}),
	} {
		if err := deliver(t, w, e); err != nil {
			t.Fatal(err)
		}
	}
	if s := w.Text("SELECT status || ' ' || tier || ' ' || country || ' ' || version FROM customers WHERE user_id = $1", user); s != "active 2 KE 5" {
		t.Errorf("customer is %s", s)
	}
	if n := w.Count("SELECT count(*) FROM wallets WHERE user_id = $1", user); n != 1 {
		t.Errorf("%d wallets", n)
	}
}

func TestUnusablePayloadsAreRefused(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	id := uuid.NewString()
	for _, e := range []event.Event{
		published(t, "user.kyc_verified", map[string]any{"tier": 1, "country": "KE", "version": 1}),
		published(t, "user.kyc_verified", map[string]any{"user_id": id, "tier": 99, "country": "KE", "version": 1}),
		published(t, "user.kyc_verified", map[string]any{"user_id": id, "tier": 1, "country": "Kenya", "version": 1}),
		published(t, "user.status_changed", map[string]any{"user_id": id, "status": "dancing", "tier": 1, "version": 1}),
		{ID: uuid.Must(uuid.NewV7()), Type: "user.status_changed", Topic: "sendtip.user.v1", Key: id, Data: json.RawMessage(`[]`)},
	} {
		if err := deliver(t, w, e); !event.IsRefused(err) {
			t.Errorf("%s %s: %v", e.Type, e.Data, err)
		}
	}
	if n := w.Count("SELECT count(*) FROM customers"); n != 0 {
		t.Errorf("%d customers", n)
	}
}
