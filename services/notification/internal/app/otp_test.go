package app_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func TestSendCode(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.peer.giveEmail()
	id := w.queue(t, otp(w))
	w.send(t, id)
	w.mustBe(t, id, domain.Sent, "")
	got := w.inbox(t, phone)
	if len(got) != 1 || !strings.Contains(got[0].Text, "sign-in code is "+code+", valid until 12:35") {
		t.Fatalf("the phone has %+v", got)
	}
	kept := w.stored(t, id)
	if strings.Contains(kept, code) || !strings.Contains(kept, domain.MaskedCode) {
		t.Errorf("kept %q", kept)
	}
	if n := w.count(t, "SELECT count(*) FROM notifications WHERE channel = 'email'"); n != 0 {
		t.Error("a code was queued for e-mail")
	}
	for _, secret := range []string{code, phone, hex.EncodeToString([]byte(code)), hex.EncodeToString([]byte(phone))} {
		if dump := w.dump(t) + w.logs.String(); strings.Contains(dump, secret) {
			t.Errorf("%s rests in the database or the log", secret)
		}
	}
}

// dump returns every row of every table as text.
func (w *world) dump(t *testing.T) string {
	t.Helper()
	rows, err := w.db.Pool.Query(t.Context(), `SELECT tablename FROM pg_tables
		WHERE CASE schemaname WHEN 'public' THEN has_table_privilege(format('public.%I', tablename), 'SELECT') ELSE false END`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, table := range tables {
		name := pgx.Identifier{table}.Sanitize()
		var text string
		if err := w.db.Pool.QueryRow(t.Context(), "SELECT coalesce(string_agg(x::text, chr(10)), '') FROM "+name+" x").Scan(&text); err != nil {
			t.Fatal(err)
		}
		b.WriteString(table + "\n" + text + "\n")
	}
	if !strings.Contains(b.String(), "notification.send_message") {
		t.Fatal("the dump misses the jobs")
	}
	return b.String()
}

func TestSendCodeTooLate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait   time.Duration
		change func(p *userPeer)
		state  domain.State
		reason string
	}{
		"just valid":     {5*time.Minute - time.Second, func(*userPeer) {}, domain.Sent, ""},
		"expired":        {5 * time.Minute, func(*userPeer) {}, domain.Failed, domain.ReasonExpired},
		"spent":          {0, func(p *userPeer) { p.challenge = uuid.Must(uuid.NewV7()) }, domain.Failed, domain.ReasonCodeUnavailable},
		"long forgotten": {10 * time.Minute, func(p *userPeer) { p.otp.ExpiresAt = start.Add(time.Hour) }, domain.Failed, domain.ReasonExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			id := w.queue(t, otp(w))
			w.wait(c.wait)
			w.peer.change(c.change)
			if wait := w.send(t, id); wait != 0 {
				t.Errorf("asks to be called again in %s", wait)
			}
			w.mustBe(t, id, c.state, c.reason)
			sent := 0
			if c.state == domain.Sent {
				sent = 1
			}
			if got := w.inbox(t, phone); len(got) != sent {
				t.Errorf("the phone has %d messages", len(got))
			}
		})
	}
}

// A passing refusal is tried again within seconds, and only while the code is of use.
func TestSendCodeRetries(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.script(t, control.Script{SMS: "501"})
	id := w.queue(t, otp(w))
	if wait := w.send(t, id); wait != 2*time.Second {
		t.Errorf("first wait is %s", wait)
	}
	w.wait(2 * time.Second)
	if wait := w.send(t, id); wait != 4*time.Second {
		t.Errorf("second wait is %s", wait)
	}
	w.wait(5 * time.Minute)
	w.send(t, id)
	w.mustBe(t, id, domain.Failed, domain.ReasonExpired)
}
