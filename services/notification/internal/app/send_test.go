package app_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/providers/africastalking"
	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func kes(minor int64) money.Money { return money.Money{Amount: minor, Currency: "KES"} }

func TestSendMessage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.queue(t, receipt())
	if wait := w.send(t, id); wait != 0 {
		t.Errorf("a sent message asks to be called again in %s", wait)
	}
	r := w.row(t, id)
	if r.state != "sent" || r.attempts != 1 || !strings.HasPrefix(r.providerID, "ATXid_") {
		t.Errorf("row is %+v", r)
	}
	got := w.inbox(t, phone)
	if len(got) != 1 || got[0].From != "SENDTIP" ||
		!strings.HasPrefix(got[0].Text, "SENDTIP: You received KES 1,000.00 on 23/11/2026 12:30.") {
		t.Fatalf("the phone has %+v", got)
	}
	var kept domain.Message
	if err := json.Unmarshal([]byte(w.stored(t, id)), &kept); err != nil || kept.Text != got[0].Text {
		t.Errorf("kept %q (%v), sent %q", kept, err, got[0].Text)
	}
	w.send(t, id) // the job runs again
	if got := w.inbox(t, phone); len(got) != 1 {
		t.Errorf("a repeated job sent %d messages", len(got))
	}
}

func TestSendMessageInTheCustomersLanguage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.peer.change(func(p *userPeer) { p.contacts.Language = "sw" })
	w.send(t, w.queue(t, receipt()))
	if got := w.inbox(t, phone); len(got) != 1 || !strings.HasPrefix(got[0].Text, "SENDTIP: Umepokea KES 1,000.00") {
		t.Errorf("the phone has %+v", got)
	}
}

func TestSendMessageRefused(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]struct {
		state  domain.State
		reason string
		wait   time.Duration
	}{
		"401": {domain.Failed, "risk_hold", 0}, "402": {domain.Failed, "invalid_sender", 0}, "403": {domain.Failed, "invalid_phone", 0},
		"404": {domain.Failed, "unsupported_number", 0}, "406": {domain.Failed, "opted_out", 0}, "409": {domain.Failed, "do_not_disturb", 0},
		"502": {domain.Failed, "rejected", 0}, "empty": {domain.Failed, "refused", 0},
		"405": {domain.Pending, "insufficient_balance", 15 * time.Second}, "407": {domain.Pending, "could_not_route", 15 * time.Second},
		"nobody": {domain.Pending, "refused", 15 * time.Second},
		"500":    {domain.Pending, "provider_error", 15 * time.Second}, "501": {domain.Pending, "gateway_error", 15 * time.Second},
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.script(t, control.Script{SMS: script})
			id := w.queue(t, receipt())
			if wait := w.send(t, id); wait != want.wait {
				t.Errorf("wait is %s, want %s", wait, want.wait)
			}
			w.mustBe(t, id, want.state, want.reason)
			failed := w.published(t, "notification.failed")
			if want.state == domain.Pending {
				if len(failed) != 0 {
					t.Errorf("published %v before the last attempt", failed)
				}
				w.script(t, control.Script{})
				w.send(t, id)
				if r := w.row(t, id); r.state != "sent" || r.reason != "" || r.attempts != 2 || len(w.inbox(t, phone)) != 1 {
					t.Errorf("after the repair: %+v", r)
				}
				return
			}
			if len(failed) != 1 || failed[0]["reason_code"] != want.reason || failed[0]["notification_id"] != id.String() ||
				failed[0]["user_id"] != w.peer.user.String() || failed[0]["channel"] != "sms" {
				t.Errorf("published %v", failed)
			}
			w.script(t, control.Script{})
			if w.send(t, id); len(w.inbox(t, phone)) != 0 {
				t.Error("a failed message was sent again")
			}
		})
	}
}

// Backoff grows, and the last attempt before the deadline ends in failure.
func TestSendMessageGivesUp(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.script(t, control.Script{SMS: "407"})
	id := w.queue(t, receipt())
	var waits []time.Duration
	for range 200 {
		wait := w.send(t, id)
		if wait == 0 {
			break
		}
		waits = append(waits, wait)
		w.wait(wait)
	}
	w.mustBe(t, id, domain.Failed, "could_not_route")
	if len(waits) < 40 || waits[1] != 30*time.Second || !slices.IsSorted(waits) || w.clock().Sub(start) >= 24*time.Hour {
		t.Errorf("%d waits over %s: %v", len(waits), w.clock().Sub(start), waits[:4])
	}
}

// A lost answer may hide a message that went out, so nothing is ever sent again.
func TestSendMessageLostAnswer(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"lose", "down"} {
		for _, kind := range []string{"receipt", "code"} {
			t.Run(script+"/"+kind, func(t *testing.T) {
				t.Parallel()
				w := setup(t)
				w.script(t, control.Script{SMS: script})
				n := receipt()
				if kind == "code" {
					n = otp(w)
				}
				id := w.queue(t, n)
				if wait := w.send(t, id); wait != 0 {
					t.Errorf("asks to be called again in %s", wait)
				}
				w.mustBe(t, id, domain.Unknown, "")
				before := len(w.inbox(t, phone))
				w.script(t, control.Script{})
				w.send(t, id)
				if after := len(w.inbox(t, phone)); after != before {
					t.Errorf("sent again: %d, then %d", before, after)
				}
				if failed := w.published(t, "notification.failed"); len(failed) != 0 {
					t.Errorf("an unknown outcome was published as failed: %v", failed)
				}
			})
		}
	}
}

// The process died between the commit of `sending` and the answer.
func TestSendMessageAfterACrash(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, n := range []app.Notice{receipt(), otp(w)} {
		id := w.queue(t, n)
		if _, err := w.db.Pool.Exec(t.Context(), "UPDATE notifications SET state = 'sending' WHERE id = $1", id); err != nil {
			t.Fatal(err)
		}
		w.send(t, id)
		w.mustBe(t, id, domain.Unknown, "")
		w.send(t, id)
	}
	if got := w.inbox(t, phone); len(got) != 0 {
		t.Errorf("sent %+v", got)
	}
}

func TestSendMessageConcurrently(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.queue(t, otp(w))
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := w.app.SendMessage(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := w.inbox(t, phone); len(got) != 1 {
		t.Errorf("the phone has %d messages", len(got))
	}
}

func TestSendMessageWithoutOwnParts(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter) bool{
		"unavailable": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"type":"about:blank","title":"Service Unavailable","status":503,"code":"unavailable","request_id":"r"}`))
			return true
		},
		"forbidden": func(w http.ResponseWriter) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"type":"about:blank","title":"Forbidden","status":403,"code":"forbidden","request_id":"r"}`))
			return true
		},
		"cut off": func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			for _, n := range []app.Notice{receipt(), otp(w)} {
				id := w.queue(t, n)
				w.peer.change(func(p *userPeer) { p.fail = fail })
				if _, err := w.app.SendMessage(t.Context(), id); err == nil {
					t.Error("no error, so the job would not come back")
				} else if strings.Contains(err.Error(), phone) {
					t.Errorf("the error names the recipient: %v", err)
				}
				w.mustBe(t, id, domain.Pending, "")
				w.peer.change(func(p *userPeer) { p.fail = nil })
				w.send(t, id)
				w.mustBe(t, id, domain.Sent, "")
			}
		})
	}
}

// TestFailedAttemptsAreSpaced: what failed before anything was sent is tried again by the rule of what it does, also after many attempts;
// River's own waits grow to days.
func TestFailedAttemptsAreSpaced(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.peer.change(func(p *userPeer) { p.fail = func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) } })
	w.queue(t, receipt())
	w.queue(t, otp(w))
	if err := w.app.ReceiveSmsReport(t.Context(), w.token(), form("ATXid_1", "Success", "")); err != nil {
		t.Fatal(err)
	}
	w.exec(t, "UPDATE delivery_reports SET body = 'unreadable'")
	w.exec(t, "UPDATE river_job SET attempt = 899")
	w.work()
	servicetest.Eventually(t, "all have failed", func() bool {
		return w.count(t, "SELECT count(*) FROM river_job WHERE state = 'retryable' AND attempt = 900") == 3
	})
	for _, c := range []struct {
		queue string
		after time.Duration
	}{{app.QueueCodes, 10 * time.Second}, {app.QueueMessages, 5 * time.Minute}, {app.QueueReports, 5 * time.Minute}} {
		if n := w.count(t, "SELECT count(*) FROM river_job WHERE queue = $1 AND scheduled_at = $2", c.queue, w.clock().Add(c.after)); n != 1 {
			t.Errorf("%s: not tried again after %s", c.queue, c.after)
		}
	}
}

func TestSendMessageUnknownRecipient(t *testing.T) {
	t.Parallel()
	w := setup(t)
	n := receipt()
	n.RecipientID = uuid.Must(uuid.NewV7())
	id := w.queue(t, n)
	w.send(t, id)
	w.mustBe(t, id, domain.Failed, domain.ReasonRecipientUnknown)
}

// No input may keep a job for ever: what can never be sent ends with its deadline, and a person is told.
func TestSendMessageThatCannotBeRendered(t *testing.T) {
	t.Parallel()
	for name, row := range map[string][2]string{
		"facts that do not fit": {"transfer_received", `{"amount":"much"}`}, "unknown template": {"of_another_release", `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			id := uuid.Must(uuid.NewV7())
			if _, err := w.db.Pool.Exec(t.Context(),
				`INSERT INTO notifications (id, source_event_id, recipient_id, user_id, channel, template, params, occurred_at, created_at, updated_at)
				VALUES ($1, $1, $2, $2, 'sms', $3, $4, $5, $5, $5)`, id, w.peer.user, row[0], row[1], w.clock()); err != nil {
				t.Fatal(err)
			}
			w.wait(24*time.Hour - time.Microsecond)
			if _, err := w.app.SendMessage(t.Context(), id); err == nil || w.alarms(t, "message_never_sent") != 0 {
				t.Errorf("before the deadline: %v, %d alarms", err, w.alarms(t, "message_never_sent"))
			}
			w.wait(time.Microsecond)
			if wait := w.send(t, id); wait != 0 || w.alarms(t, "message_never_sent") != 1 {
				t.Errorf("at the deadline: wait %s, %d alarms", wait, w.alarms(t, "message_never_sent"))
			}
			w.mustBe(t, id, domain.Failed, domain.ReasonExpired)
		})
	}
}

// Text that PostgreSQL cannot hold must not keep an event from being applied, nor reach a phone.
func TestQueueMessagesWithControlCharacters(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.queue(t, app.Notice{Template: domain.DepositReceived,
		Params: domain.Params{Reference: uuid.NewString(), Amount: kes(100), Receipt: "SK\x00L1\n2"}})
	w.send(t, id)
	if got := w.inbox(t, phone); len(got) != 1 || !strings.HasSuffix(got[0].Text, "Receipt SKL12.") {
		t.Errorf("the phone has %+v", got)
	}
}

// A gateway that gives one id twice must not make the second message unknown.
func TestSendMessageProviderIDTwice(t *testing.T) {
	t.Parallel()
	w := setup(t)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusCreated)
		_, _ = rw.Write([]byte(`{"SMSMessageData":{"Message":"Sent to 1/1","Recipients":[{"statusCode":101,"messageId":"ATXid_1"}]}}`))
	}))
	t.Cleanup(srv.Close)
	same := w.with(func(d *app.Deps) {
		d.SMS = africastalking.New(africastalking.Config{BaseURL: srv.URL})
	})
	for want := range 2 {
		id := w.queue(t, receipt())
		if wait, err := same.SendMessage(t.Context(), id); err != nil || wait != 0 {
			t.Errorf("wait %s, %v", wait, err)
		}
		w.mustBe(t, id, domain.Sent, "")
		if n := w.alarms(t, "provider_id_reused"); n != want {
			t.Errorf("%d alarms", n)
		}
	}
}

func TestSendMessageTooLate(t *testing.T) {
	t.Parallel()
	w := setup(t)
	onTime, late := w.queue(t, receipt()), w.queue(t, receipt())
	w.wait(24*time.Hour - time.Nanosecond)
	w.send(t, onTime)
	w.mustBe(t, onTime, domain.Sent, "")
	w.wait(time.Nanosecond)
	w.send(t, late)
	w.mustBe(t, late, domain.Failed, domain.ReasonExpired)
	if got := w.inbox(t, phone); len(got) != 1 {
		t.Errorf("the phone has %d messages", len(got))
	}
}

// A wrong key is ours to repair: nothing went out, and the message waits.
func TestSendMessageWrongCredentials(t *testing.T) {
	t.Parallel()
	w := setup(t)
	bad := w.with(func(d *app.Deps) {
		d.SMS = africastalking.New(africastalking.Config{BaseURL: w.smsURL, Username: "sandbox", APIKey: "wrong"})
	})
	id := w.queue(t, receipt())
	wait, err := bad.SendMessage(t.Context(), id)
	if err != nil || wait != 15*time.Second {
		t.Errorf("wait %s, %v", wait, err)
	}
	w.mustBe(t, id, domain.Pending, "http_unauthorized")
	if !strings.Contains(w.logs.String(), "SENDTIP_AT_API_KEY") {
		t.Error("the log does not say what to repair")
	}
	w.send(t, id)
	w.mustBe(t, id, domain.Sent, "")
}

func TestSendMessageGatewayUnreachable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	closed := listen(t)
	address := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	gone := w.with(func(d *app.Deps) { d.SMS = africastalking.New(africastalking.Config{BaseURL: "http://" + address}) })
	id := w.queue(t, receipt())
	if wait, err := gone.SendMessage(t.Context(), id); err != nil || wait == 0 {
		t.Errorf("wait %s, %v", wait, err)
	}
	w.mustBe(t, id, domain.Pending, "provider_unreachable")
}

func TestSendMessageAcceptedWithoutID(t *testing.T) {
	t.Parallel()
	w := setup(t)
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusCreated)
		_, _ = rw.Write([]byte(
			`{"SMSMessageData":{"Message":"Sent","Recipients":[{"statusCode":102,"number":"+254711000111","status":"Queued","cost":"0",
				"messageId":"None"}]}}`))
	}))
	t.Cleanup(srv.Close)
	unnamed := w.with(func(d *app.Deps) { d.SMS = africastalking.New(africastalking.Config{BaseURL: srv.URL}) })
	id := w.queue(t, receipt())
	if wait, err := unnamed.SendMessage(t.Context(), id); err != nil || wait != 0 {
		t.Errorf("wait %s, %v", wait, err)
	}
	w.mustBe(t, id, domain.Sent, "")
}

// TestSendMessageNamesTheOtherSide: a request shows who asks as others see them, asked for at the last moment; nobody's name is stored.
func TestSendMessageNamesTheOtherSide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ masked, want string }{
		"verified": {"Amina W.", "SENDTIP: Amina W. asks you for KES 1,000.00."},
		"nameless": {"", "SENDTIP: A customer asks you for KES 1,000.00."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			n := receipt()
			w.peer.change(func(p *userPeer) {
				n.Params.OtherID = p.user
				if c.masked != "" {
					p.contacts.MaskedName = &c.masked
				}
			})
			n.Template, n.Params.Until = domain.RequestReceived, n.OccurredAt.Add(time.Hour)
			w.send(t, w.queue(t, n))
			if got := w.inbox(t, phone); len(got) != 1 || !strings.HasPrefix(got[0].Text, c.want) {
				t.Errorf("the phone has %+v", got)
			}
		})
	}
}
