package domain

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestReleaseUpToMaximum: both sides of what there is room for, which is the maximum less the balance that counts, whatever else is on
// hold.
func TestReleaseUpToMaximum(t *testing.T) {
	t.Parallel()
	limit := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		account  Account // of which 30 are held above the maximum
		released int64
		code     string
	}{
		"no room":               {Account{Credits: 130, PendingDebits: 30, Maximum: limit(100)}, 0, "no_room"},
		"above a lower maximum": {Account{Credits: 130, PendingDebits: 30, Maximum: limit(60)}, 0, "no_room"},
		"room for one":          {Account{Credits: 130, Debits: 1, PendingDebits: 30, Maximum: limit(100)}, 1, ""},
		"room for a part":       {Account{Credits: 130, Debits: 20, PendingDebits: 30, Maximum: limit(100)}, 20, ""},
		"beside another hold":   {Account{Credits: 130, Debits: 20, PendingDebits: 30 + 15, Maximum: limit(100)}, 20, ""},
		"room for all":          {Account{Credits: 130, Debits: 30, PendingDebits: 30, Maximum: limit(100)}, 30, ""},
		"room for more":         {Account{Credits: 130, Debits: 90, PendingDebits: 30, Maximum: limit(100)}, 30, ""},
		"no maximum":            {Account{Credits: 130, PendingDebits: 30}, 30, ""},
		"frozen":                {Account{Credits: 130, Debits: 20, PendingDebits: 30, Maximum: limit(100), Status: Frozen}, 20, ""},
		"nothing is allowed":    {Account{Credits: 30, PendingDebits: 30, Maximum: limit(0)}, 0, "no_room"},
		"closed":                {Account{Credits: 130, Debits: 20, PendingDebits: 30, Maximum: limit(100), Status: Closed}, 0, "account_closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.account.ID, c.account.NormalSide, c.account.OverCap, c.account.Minimum = alice, Credit, 30, limit(0)
			s := state(c.account)
			s.Holds = map[uuid.UUID]HoldState{bob: {ID: bob, AccountID: alice, Currency: "KES", Amount: 40, Captured: 10, Reason: HoldOverCap,
				Status: HoldActive}}
			d := Decide(s, []Request{{TransactionID: bank, Reference: "r", Body: Body{Action: ActionRelease, HoldID: bob, UpToMaximum: true}}})
			o := d.Outcomes[0]
			if o.Code != c.code || o.Released != c.released || o.Unstored() != (c.code == "no_room") {
				t.Fatalf("%+v, want %d released, %q", o, c.released, c.code)
			}
			if c.code != "" {
				return
			}
			a, h := d.Accounts[0], d.Holds[0]
			if a.OverCap != 30-c.released || a.PendingDebits != c.account.PendingDebits-c.released || h.Released != c.released ||
				d.Transactions[0].HoldDelta != -c.released {
				t.Errorf("%+v %+v %+v", a, h, d.Transactions[0])
			}
		})
	}
}

// TestExpiryPassed: a hold ends after it begins, and it begins no earlier than the last time of its accounts.
func TestExpiryPassed(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0).UTC()
	for name, c := range map[string]struct {
		expires time.Time
		last    time.Time // of the account
		code    string
	}{
		"the epoch":                    {time.Unix(0, 0), time.Time{}, "expiry_passed"},
		"the year 1":                   {time.Time{}, time.Time{}, "expiry_passed"},
		"now":                          {now, time.Time{}, "expiry_passed"},
		"a microsecond later":          {now.Add(time.Microsecond), time.Time{}, ""},
		"before the account's last":    {now.Add(time.Minute), now.Add(time.Hour), "expiry_passed"},
		"after the account's last":     {now.Add(2 * time.Hour), now.Add(time.Hour), ""},
		"the last moment of all times": {latest, time.Time{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := state(Account{ID: alice, NormalSide: Credit, Credits: 9, LastRecordedAt: c.last}, Account{ID: bob, NormalSide: Credit})
			s.Now = now
			d := Decide(s, []Request{{TransactionID: bank, Reference: "r",
				Body: Body{Action: ActionHold, ExpiresAt: &c.expires, Postings: []Posting{posting(alice, bob, 5)}}}})
			if d.Outcomes[0].Code != c.code || c.code == "" && !d.NewHolds[0].ExpiresAt.Equal(c.expires) {
				t.Errorf("%+v, want %q", d, c.code)
			}
		})
	}
}
