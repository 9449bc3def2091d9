package e2e_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/cmd/sendtip/journey"
	"github.com/sendtip/sendtip/cmd/sendtip/keys"
	notificationclient "github.com/sendtip/sendtip/generated/notification/client"
	"github.com/sendtip/sendtip/kit/config"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/services/notification"
)

// notifications walks the whole list in small pages.
func notifications(t testing.TB, c *journey.Customer) []notificationclient.Notification {
	t.Helper()
	limit := int32(3)
	params := &notificationclient.ListNotificationsParams{Limit: &limit}
	var all []notificationclient.Notification
	for {
		resp, err := c.Notification.ListNotificationsWithResponse(t.Context(), params)
		if err != nil || resp.JSON200 == nil {
			t.Fatalf("list notifications: %v %v", resp, err)
		}
		all = append(all, resp.JSON200.Data...)
		if resp.JSON200.NextCursor == nil {
			return all
		}
		params.Cursor = resp.JSON200.NextCursor
	}
}

// inbox is the customer's SMS from SENDTIP in the sandbox's phone, without M-Pesa's own.
func (w *world) inbox(t testing.TB, c *journey.Customer) []control.Message {
	t.Helper()
	all, err := w.Sandbox.Messages(t.Context(), c.Phone)
	if err != nil {
		t.Fatal(err)
	}
	var ours []control.Message
	for _, m := range all {
		if strings.HasPrefix(m.Text, "SENDTIP:") {
			ours = append(ours, m)
		}
	}
	return ours
}

// TestNotificationList: a customer sees the own messages as they were sent, each once, newest first, and never a code.
func TestNotificationList(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Brian", 0)
	code := digits.FindString(w.sms(t, amina, "code"))
	if _, err := amina.Send(t.Context(), brian, 250_00); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"kyc_verified sms": true, "wallet_opened sms": true, "topup_succeeded sms": true, "transfer_sent sms": true,
		"kyc_verified email": true, "wallet_opened email": true, "topup_succeeded email": true, "transfer_sent email": true}
	eventually(t, "every SMS to be delivered and every mail to be sent", func() bool {
		done := 0
		for _, n := range notifications(t, amina) {
			if n.Channel == "sms" && n.State == "delivered" || n.Channel == "email" && n.State == "sent" {
				done++
			}
		}
		return done == len(want)
	})
	all := notifications(t, amina)
	texts := map[string]bool{}
	for _, m := range w.inbox(t, amina) {
		texts[m.Text] = true
	}
	for i, n := range all {
		kind := n.Type + " " + n.Channel
		if !want[kind] {
			t.Errorf("%s is in the list twice, or for no reason", kind)
		}
		delete(want, kind)
		if n.Text == nil || strings.Contains(*n.Text, code) {
			t.Errorf("%s has no text, or shows the code", kind)
			continue
		}
		if n.Channel == "sms" && !texts[*n.Text] {
			t.Errorf("%s shows a text that was not sent: %q", kind, *n.Text)
		}
		if i > 0 && n.CreatedAt.After(all[i-1].CreatedAt) {
			t.Errorf("%s is younger than the one before it", kind)
		}
	}
	for _, n := range notifications(t, brian) {
		if n.Type == "transfer_sent" || n.Type == "topup_succeeded" {
			t.Errorf("Brian sees Amina's %s", n.Type)
		}
	}
}

// TestSwahili: a customer who chose Swahili gets Swahili by SMS and by e-mail.
func TestSwahili(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina, brian := w.customer(t, "Amina", 500_00), w.customer(t, "Zuhura", 0)
	if err := brian.SetLanguage(t.Context(), "sw"); err != nil {
		t.Fatal(err)
	}
	if _, err := amina.Send(t.Context(), brian, 30_00); err != nil {
		t.Fatal(err)
	}
	w.sms(t, brian, "Umepokea KES 30.00 tarehe")
	w.sms(t, amina, "30.00", "sent")
	if _, err := w.Sandbox.WaitMail(t.Context(), func(m control.Mail) bool {
		return strings.EqualFold(strings.Join(m.To, ","), brian.Email) && strings.Contains(m.Subject, "Umepokea KES 30.00")
	}); err != nil {
		t.Fatal(err)
	}
}

// TestDeliveryReports: a report that comes twice, and a failure that comes after success, change nothing.
func TestDeliveryReports(t *testing.T) {
	t.Parallel()
	w := shared(t)
	amina := w.customer(t, "Amina", 0)
	if err := w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{SMSReport: "duplicate"}); err != nil {
		t.Fatal(err)
	}
	w.fund(t, amina, 60_00)
	eventually(t, "the receipt to arrive", func() bool {
		return slices.ContainsFunc(notifications(t, amina), func(n notificationclient.Notification) bool {
			return n.Type == "topup_succeeded" && n.State == "delivered"
		})
	})
	id := query[string](t, w, "notification",
		"SELECT coalesce(max(provider_message_id), '') FROM notifications WHERE user_id = $1 AND template = 'topup_succeeded' "+
			"AND channel = 'sms'", amina.UserID)
	state := func() string {
		return query[string](t, w, "notification", "SELECT coalesce((SELECT state FROM notifications WHERE provider_message_id = $1), '')", id)
	}
	eventually(t, "both reports of success", func() bool {
		all, err := w.Sandbox.Deliveries(t.Context())
		n := 0
		for _, d := range all {
			if d.Kind == "sms_report" && d.ID == id && d.Status == http.StatusOK {
				n++
			}
		}
		return err == nil && n == 3 && state() == "delivered" // the first says Sent
	})
	const stored = "SELECT count(*)::int FROM delivery_reports WHERE provider_message_id = $1 AND status = $2 AND judged_at IS NOT NULL"
	if n := query[int](t, w, "notification", stored, id, "Success"); n != 1 {
		t.Errorf("the same report twice is stored %d times", n)
	}

	w.report(t, url.Values{"id": {id}, "status": {"Failed"}, "failureReason": {"DeliveryFailure"}, "phoneNumber": {amina.Phone}})
	eventually(t, "the late failure to be judged", func() bool { return query[int](t, w, "notification", stored, id, "Failed") == 1 })
	if s := state(); s != "delivered" {
		t.Errorf("a delivered message became %s", s)
	}
	var seen []string
	for _, n := range notifications(t, amina) {
		if n.Type == "topup_succeeded" && n.Channel == "sms" {
			seen = append(seen, n.State)
		}
	}
	if len(seen) != 1 || seen[0] != "delivered" {
		t.Errorf("the customer sees %v", seen)
	}
	if n := len(w.inbox(t, amina)); n != 4 {
		t.Errorf("%d SMS, want code, identity, wallet and top-up", n)
	}
}

// report posts a delivery report as the SMS gateway would, to the address that only it knows.
func (w *world) report(t testing.TB, form url.Values) {
	t.Helper()
	kek, err := w.p.Keys().Read(keys.Of("notification", keys.KEK))
	if err != nil {
		t.Fatal(err)
	}
	path, err := notification.ReportPath(notification.Config{Common: config.Common{KEK: config.NewSecret(kek)}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.p.PublicURL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("report: %d", resp.StatusCode)
	}
}
