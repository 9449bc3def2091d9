package app_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/rail"

	"github.com/sendtip/sendtip/services/wallet/internal/app"
	"github.com/sendtip/sendtip/services/wallet/internal/domain"
	"github.com/sendtip/sendtip/services/wallet/internal/testworld"
)

// TestPromptsThatFailCloseTheRail: when M-Pesa takes none of twenty prompts, no further one is begun for a minute, and then one in twenty.
// What payers do themselves closes nothing.
func TestPromptsThatFailCloseTheRail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		push, query string
		closes      bool
	}{"busy": {"busy", "", true}, "payers cancel": {"", "1032", false}, "payers are away": {"", "1037", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testworld.New(t)
			w.Mpesa.AnswerPush(c.push)
			w.Mpesa.AnswerQuery(c.query)
			for range rail.Enough {
				p := w.Person(1, 0)
				made := topup(t, w, p, 100)
				if made.Status == domain.TopupPrompted {
					w.Advance(time.Second)
					if _, err := w.App.QueryStk(t.Context(), made.ID); err != nil {
						t.Fatal(err)
					}
				}
				if got := read(t, w, p, made.ID); got.Status != domain.TopupFailed {
					t.Fatalf("%+v", got)
				}
			}
			if err := w.App.Rails.Judge(t.Context(), w.Pool); err != nil {
				t.Fatal(err)
			}
			p := w.Person(1, 0)
			in := app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(100)}
			_, err := w.App.CreateTopup(testworld.As(t.Context(), p), in)
			f, ok := fault.As(err)
			if closed := ok && f.Code == "rail_unavailable" && f.RetryAfter == rail.Rest; closed != c.closes || !closed && err != nil {
				t.Errorf("one more: %v", err)
			}
		})
	}
}

// TestRailSwitch: two people close the prompts and open them again; what was begun before is answered again.
func TestRailSwitch(t *testing.T) {
	t.Parallel()
	w := testworld.New(t)
	officer := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	maker, checker := w.User(officer(), scopes.AdminRails), w.User(officer(), scopes.AdminRailsApprove)
	p := w.Person(1, 0)
	begun := app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(100)}
	if _, err := w.App.CreateTopup(testworld.As(t.Context(), p), begun); err != nil {
		t.Fatal(err)
	}
	for _, off := range []bool{true, false} {
		asked, err := w.App.ProposeRailSwitch(maker, domain.OperationStk, off, "Announced maintenance.")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.App.Approvals.Approve(checker, w.Pool, asked.ID, asked.Digest); err != nil {
			t.Fatal(err)
		}
		if _, err := w.App.CreateTopup(testworld.As(t.Context(), p), begun); err != nil {
			t.Errorf("the same request again: %v", err)
		}
		_, err = w.App.CreateTopup(testworld.As(t.Context(), p), app.TopupInput{Key: key(), WalletID: p.WalletID, Amount: testworld.KES(100)})
		if errors.Is(err, rail.ErrUnavailable) != off {
			t.Errorf("switched off %t: %v", off, err)
		}
		all, err := w.App.ListRails(maker)
		if err != nil || len(all) != 1 || all[0].SwitchedOff != off {
			t.Errorf("%+v %v", all, err)
		}
	}
	if _, err := w.App.ListRails(testworld.As(t.Context(), p)); !errors.Is(err, fault.ErrForbidden) {
		t.Errorf("a customer: %v", err)
	}
}

// TestRailMark is what each event of a top-up shows of the rail.
func TestRailMark(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from    domain.TopupStatus
		event   domain.TopupEvent
		failure string
		want    string
	}{
		"paid":                     {domain.TopupPrompted, domain.EventPaid, "", "good"},
		"paid after it was lost":   {domain.TopupUnknown, domain.EventPaid, "", "good"},
		"paid after it had failed": {domain.TopupFailed, domain.EventPaid, "", "nothing"},
		"paid after it expired":    {domain.TopupExpired, domain.EventPaid, "", "nothing"},
		"answer lost":              {domain.TopupRequested, domain.EventLost, "", "bad"},
		"no result":                {domain.TopupPrompted, domain.EventSilent, "no_answer", "bad"},
		"given up":                 {domain.TopupUnknown, domain.EventSilent, "no_answer", "nothing"},
		"no funds":                 {domain.TopupPrompted, domain.EventDeclined, "insufficient_mpesa_funds", "nothing"},
		"wrong PIN":                {domain.TopupPrompted, domain.EventDeclined, "wrong_pin", "nothing"},
		"system error":             {domain.TopupPrompted, domain.EventDeclined, "try_later", "bad"},
		"refused":                  {domain.TopupRequested, domain.EventRefused, "declined_by_mpesa", "bad"},
		"no number":                {domain.TopupStored, domain.EventRefused, "phone_required", "nothing"},
		"sent":                     {domain.TopupStored, domain.EventSend, "", "nothing"},
	} {
		good, known := domain.RailMark(domain.Topup{Status: c.from}, c.event, c.failure)
		got := "nothing"
		if known && good {
			got = "good"
		} else if known {
			got = "bad"
		}
		if got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
