package app_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/sandbox/control"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// queueMail sends the SMS of a receipt and returns the id of its copy by e-mail.
func (w *world) queueMail(t *testing.T) uuid.UUID {
	t.Helper()
	w.peer.giveEmail()
	n := receipt()
	n.SourceEventID = uuid.Must(uuid.NewV7())
	w.send(t, w.queue(t, n))
	return w.find(t, n.SourceEventID, w.peer.user, domain.Email)
}

func (w *world) mails(t *testing.T) []control.Mail {
	t.Helper()
	mails, err := w.sms.Mails(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return mails
}

func TestSendEmail(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.queueMail(t)
	w.send(t, id)
	r := w.row(t, id)
	if r.state != "sent" || r.providerID != id.String()+"@sendtip.example" {
		t.Errorf("row is %+v", r)
	}
	got := w.mails(t)
	if len(got) != 1 || got[0].To[0] != email || got[0].From != "no-reply@sendtip.example" || got[0].Subject != "You received KES 1,000.00" {
		t.Fatalf("mails are %+v", got)
	}
	if text := strings.ReplaceAll(got[0].Text, "\r\n", "\n"); !strings.HasPrefix(text,
		"Hello Amina,\n\nYou have received money.\n\nAmount: KES 1,000.00\n") {
		t.Errorf("text is %q", text)
	}
	if w.send(t, id); len(w.mails(t)) != 1 {
		t.Error("a repeated job sent the mail again")
	}
	if logs := w.logs.String(); strings.Contains(logs, email) || strings.Contains(logs, "Amina") {
		t.Error("the log names the customer")
	}
	if dump := w.dump(t); strings.Contains(dump, email) || strings.Contains(dump, "Amina") {
		t.Error("the database shows the customer in clear")
	}
}

// The copy is queued once, however often the SMS is tried.
func TestSendEmailQueuedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.peer.giveEmail()
	w.script(t, control.Script{SMS: "500"})
	id := w.queue(t, receipt())
	w.send(t, id)
	w.send(t, id)
	if n := w.count(t, "SELECT count(*) FROM notifications WHERE channel = 'email'"); n != 1 {
		t.Errorf("%d mails are queued", n)
	}
	if n := w.count(t, "SELECT count(*) FROM river_job WHERE kind = 'notification.send_message'"); n != 2 {
		t.Errorf("%d jobs are queued", n)
	}
}

func TestSendEmailWithoutAddress(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.send(t, w.queue(t, receipt()))
	if n := w.count(t, "SELECT count(*) FROM notifications"); n != 1 {
		t.Errorf("%d messages for a customer without e-mail", n)
	}
	id := w.queueMail(t)
	w.peer.change(func(p *userPeer) { p.contacts.Email = nil })
	w.send(t, id)
	w.mustBe(t, id, domain.Failed, domain.ReasonNoAddress)
}

// A customer without a number that may be used reads the text in the app and in the mail; nothing is sent by SMS.
func TestSendMessageWithoutANumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.peer.giveEmail()
	w.peer.change(func(p *userPeer) { p.contacts.Phone = nil })
	id := w.queue(t, receipt())
	w.send(t, id)
	w.mustBe(t, id, domain.Failed, domain.ReasonNoAddress)
	if got := w.inbox(t, phone); len(got) != 0 {
		t.Errorf("sent by SMS: %+v", got)
	}
	if n := w.count(t, "SELECT count(*) FROM notifications WHERE channel = 'email' AND state = 'pending'"); n != 1 {
		t.Errorf("%d mails are queued", n)
	}
	if n := w.count(t, "SELECT count(*) FROM notifications WHERE channel = 'sms' AND message IS NOT NULL"); n != 1 {
		t.Error("the text is not kept for the app")
	}
}

func TestSendEmailOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server map[string]string // answer by command; "" cuts the connection
		state  domain.State
		reason string
		wait   time.Duration
	}{
		"refused sender":     {map[string]string{"MAIL": "550 5.7.1 no"}, domain.Failed, "mail_refused", 0},
		"refused recipient":  {map[string]string{"RCPT": "550 5.1.1 no such user"}, domain.Failed, "mail_refused", 0},
		"greylisted":         {map[string]string{"RCPT": "451 4.7.1 later"}, domain.Pending, "mail_deferred", 15 * time.Second},
		"refused content":    {map[string]string{".": "554 5.6.0 spam"}, domain.Failed, "mail_refused", 0},
		"deferred content":   {map[string]string{".": "452 4.3.1 full"}, domain.Pending, "mail_deferred", 15 * time.Second},
		"cut before content": {map[string]string{"RCPT": ""}, domain.Pending, "mail_server_unreachable", 15 * time.Second},
		"cut after content":  {map[string]string{".": ""}, domain.Unknown, "", 0},
		"cut after accepted": {map[string]string{"RSET": ""}, domain.Sent, "", 0},
		"cut at goodbye":     {map[string]string{"QUIT": ""}, domain.Sent, "", 0},
		"no greeting":        {map[string]string{"EHLO": "", "HELO": ""}, domain.Pending, "mail_server_unreachable", 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			id := w.queueMail(t)
			scripted := w.with(func(d *app.Deps) { d.Mail = w.mailer(t, smtpServer(t, c.server)) })
			wait, err := scripted.SendMessage(t.Context(), id)
			if err != nil || wait != c.wait {
				t.Errorf("wait %s (%v), want %s", wait, err, c.wait)
			}
			w.mustBe(t, id, c.state, c.reason)
		})
	}
}

// smtpServer answers each command with 250, except for those of the script.
func smtpServer(t *testing.T, script map[string]string) string {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serveSMTP(conn, script)
		}
	}()
	return l.Addr().String()
}

func serveSMTP(conn net.Conn, script map[string]string) {
	defer func() { _ = conn.Close() }()
	answer := func(text string) { _, _ = fmt.Fprintf(conn, "%s\r\n", text) }
	answer("220 test")
	in, content := bufio.NewScanner(conn), false
	for in.Scan() {
		line := in.Text()
		if content && line != "." {
			continue
		}
		verb, _, _ := strings.Cut(line, " ")
		text, scripted := script[verb]
		content = false
		switch {
		case scripted && text == "":
			return
		case scripted:
			answer(text)
		case verb == "DATA":
			content = true
			answer("354 go on")
		default:
			answer("250 ok")
		}
	}
}

func TestNewMailer(t *testing.T) {
	t.Parallel()
	for _, c := range []app.MailConfig{
		{Addr: "localhost", From: "a@b.example"}, {Addr: "localhost:smtp", From: "a@b.example"}, {Addr: "localhost:25", From: "nobody"},
	} {
		if _, err := app.NewMailer(c); err == nil || !strings.Contains(err.Error(), "SENDTIP_") {
			t.Errorf("%+v: %v does not name the setting", c, err)
		}
	}
}
