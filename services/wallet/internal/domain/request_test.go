package domain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

func TestRequestMoves(t *testing.T) {
	t.Parallel()
	asked := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	end := asked.Add(domain.RequestLife)
	payment := uuid.New()
	open := domain.Request{Status: domain.RequestOpen, AskedAt: asked, CreatedAt: asked, ExpiresAt: end}
	with := func(change func(*domain.Request)) domain.Request {
		r := open
		change(&r)
		return r
	}
	paying := with(func(r *domain.Request) { r.TransferID = &payment })
	declined := with(func(r *domain.Request) { r.Status = domain.RequestDeclined })
	for name, c := range map[string]struct {
		r       domain.Request
		at      time.Time
		changes bool
		err     error
	}{
		"open":                    {open, end.Add(-time.Nanosecond), true, nil},
		"overdue":                 {open, end, false, domain.ErrRequestClosed},
		"being paid":              {paying, asked, false, domain.ErrRequestBeingPaid},
		"being paid, and overdue": {paying, end, false, domain.ErrRequestBeingPaid},
		"again":                   {declined, end, false, nil},
		"ended in another way":    {with(func(r *domain.Request) { r.Status = domain.RequestPaid }), asked, false, domain.ErrRequestClosed},
		"withdrawn, then overdue": {with(func(r *domain.Request) { r.Status = domain.RequestCancelled }), end, false, domain.ErrRequestClosed},
	} {
		if changes, err := c.r.MayClose(domain.RequestDeclined, c.at); changes != c.changes || !errors.Is(err, c.err) {
			t.Errorf("%s: %v, %v", name, changes, err)
		}
	}
	if err := declined.MayPay(asked); !errors.Is(err, domain.ErrRequestClosed) {
		t.Errorf("a declined one is paid: %v", err)
	}
	if err := open.MayPay(asked); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		r   domain.Request
		at  time.Time
		err error
	}{
		"in a day":     {open, asked.Add(domain.ReminderEvery), nil},
		"sooner":       {open, asked.Add(domain.ReminderEvery - time.Nanosecond), domain.ErrReminderTooSoon},
		"the third":    {with(func(r *domain.Request) { r.Reminders = 2 }), asked.Add(domain.ReminderEvery), nil},
		"the fourth":   {with(func(r *domain.Request) { r.Reminders = 3 }), asked.Add(domain.ReminderEvery), domain.ErrReminderLimit},
		"overdue":      {open, end, domain.ErrRequestClosed},
		"a paying one": {paying, asked.Add(domain.ReminderEvery), domain.ErrRequestBeingPaid},
	} {
		if err := c.r.MayRemind(c.at); !errors.Is(err, c.err) {
			t.Errorf("reminder %s: %v", name, err)
		}
	}
	if next := open.RemindAfter(); !next.Equal(asked.Add(domain.ReminderEvery)) || !declined.RemindAfter().IsZero() {
		t.Errorf("next %s", next)
	}
}

func TestOpenRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		total, toPayer int64
		err            error
	}{{19, 2, nil}, {20, 2, domain.ErrRequestLimit}, {3, 3, domain.ErrRequestLimitPayer}, {20, 3, domain.ErrRequestLimitPayer}} {
		if err := domain.CheckOpenRequests(c.total, c.toPayer); !errors.Is(err, c.err) {
			t.Errorf("%d, %d to one: %v", c.total, c.toPayer, err)
		}
	}
}

func TestRequestNotes(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"", "Lunch on Friday", "Kodi ya Novemba, asante!", "1.500 for two", strings.Repeat("ü", 80),
		"5.30pm? ok. Bye"} {
		if err := domain.CheckRequestNote(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{strings.Repeat("ü", 81), "see https://x", "go to evil.example", "bit.ly/abc", "www safe", "a\nb",
		"evil\u200b.co.ke",
		"evil\u3002com", "\u202egpj.moc", "tel://1", "bad\xff"} {
		if err := domain.CheckRequestNote(bad); !errors.Is(err, domain.ErrRequestNote) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
