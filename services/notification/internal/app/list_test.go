package app_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/kit/auth"
	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/pg"
	"github.com/sendtip/sendtip/kit/seal"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func as(ctx context.Context, subject string, scopes ...string) context.Context {
	return auth.With(ctx, auth.Principal{Subject: subject, Scopes: scopes})
}

func TestListNotifications(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.peer.giveEmail()
	var queued []uuid.UUID
	for range 4 {
		queued = append(queued, w.queue(t, receipt()))
	}
	w.send(t, queued[3])
	w.send(t, w.queue(t, otp(w)))
	stranger := receipt()
	stranger.RecipientID = uuid.Must(uuid.NewV7())
	w.queue(t, stranger)

	ctx := as(t.Context(), "user:"+w.peer.user.String(), "profile")
	var got []uuid.UUID
	in := page.Request{Limit: new(int32(2))}
	for pages := 0; ; pages++ {
		items, next, err := w.app.ListNotifications(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range items {
			got = append(got, i.ID)
			if i.Template != domain.TransferReceived {
				t.Errorf("listed %+v", i)
			}
		}
		if next == nil {
			if pages != 2 {
				t.Errorf("%d pages", pages+1)
			}
			other := as(t.Context(), "user:"+uuid.NewString(), "profile")
			if _, _, err := w.app.ListNotifications(other, in); !errors.Is(err, page.ErrCursor) {
				t.Errorf("somebody else's cursor: %v", err)
			}
			break
		}
		in.Cursor = next
	}
	slices.Reverse(queued)
	if len(got) != 5 || !slices.Equal(got[1:], queued) { // the newest is the copy by e-mail
		t.Errorf("listed %v, want a mail and %v", got, queued)
	}
	items, _, err := w.app.ListNotifications(ctx, page.Request{})
	if err != nil || len(items) != 5 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	if i := items[1]; i.State != domain.Sent || i.SentAt == nil || i.Text != w.inbox(t, phone)[0].Text || i.Subject != "" {
		t.Errorf("the sent message is shown as %+v", i)
	}
	if i := items[2]; i.State != domain.Pending || i.SentAt != nil || i.Text != "" {
		t.Errorf("the waiting message is shown as %+v", i)
	}
}

// TestListNotificationsWithALostText: a text that cannot be opened is missing from its own row only, and a person learns of it.
func TestListNotificationsWithALostText(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var queued []uuid.UUID
	for range 3 {
		queued = append(queued, w.queue(t, receipt()))
		w.send(t, queued[len(queued)-1])
	}
	other, err := seal.New(bytes.Repeat([]byte{9}, seal.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Seal("notification.message:"+queued[1].String(), []byte(`{"Text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	damaged, err := w.sealer.Seal("notification.message:"+queued[1].String(), []byte(`{"Text":"half","Subject":7}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx := as(t.Context(), "user:"+w.peer.user.String(), "profile")
	// of another key, damaged inside, of another row, cut off
	for i, lost := range [][]byte{foreign, damaged, w.row(t, queued[0]).message, {1}} {
		if n := w.exec(t, "UPDATE notifications SET message = $1 WHERE id = $2", lost, queued[1]); n != 1 {
			t.Fatalf("%d rows changed", n)
		}
		items, next, err := w.app.ListNotifications(ctx, page.Request{})
		if err != nil || next != nil || len(items) != 3 {
			t.Fatalf("%d items, %v", len(items), err)
		}
		for _, item := range items {
			if item.State != domain.Sent || item.SentAt == nil || (item.Text == "") != (item.ID == queued[1]) {
				t.Errorf("listed %+v", item)
			}
		}
		if n := w.alarms(t, "lost_text"); n != i+1 {
			t.Errorf("%d alarms", n)
		}
	}
	if !strings.Contains(w.logs.String(), queued[1].String()) {
		t.Error("the log does not name the message")
	}
}

func TestListNotificationsMaximumPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	err := pg.InTx(t.Context(), w.db.Pool, func(tx pgx.Tx) error {
		for range 105 {
			n := receipt()
			n.RecipientID, n.SourceEventID, n.OccurredAt = w.peer.user, uuid.Must(uuid.NewV7()), start
			if err := w.app.QueueMessages(t.Context(), tx, []app.Notice{n}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := as(t.Context(), "user:"+w.peer.user.String(), "profile")
	items, next, err := w.app.ListNotifications(ctx, page.Request{Limit: new(int32(page.MaxSize))})
	if err != nil || len(items) != 100 || next == nil {
		t.Errorf("%d items, next %v, %v", len(items), next, err)
	}
}

func TestListNotificationsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, c := range map[string]struct {
		subject string
		scope   string
		cursor  string
		want    *fault.Error
	}{
		"no scope":    {"user:" + w.peer.user.String(), "wallet:read", "", fault.ErrForbidden},
		"a partner":   {"partner:" + w.peer.user.String(), "profile", "", fault.ErrForbidden},
		"nobody":      {"anonymous", "", "", fault.ErrForbidden},
		"bad cursor":  {"user:" + w.peer.user.String(), "profile", "AAAA", page.ErrCursor},
		"not base64":  {"user:" + w.peer.user.String(), "profile", "!!!!", page.ErrCursor},
		"old cursor":  {"user:" + w.peer.user.String(), "profile", "AZN8XopAfBudfj9rKhwNTg", page.ErrCursor},
		"bad user id": {"user:me", "profile", "", fault.ErrForbidden},
	} {
		in := page.Request{}
		if c.cursor != "" {
			in.Cursor = &c.cursor
		}
		if _, _, err := w.app.ListNotifications(as(t.Context(), c.subject, c.scope), in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
