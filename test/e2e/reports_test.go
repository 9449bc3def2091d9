package e2e_test

import (
	"bytes"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
	"github.com/sendtip/sendtip/sandbox/control"
)

// TestDeliveryReportsOfAnyType: gateways in between write a report under whatever media type they like, or none. Each is taken, and what is
// readable counts.
func TestDeliveryReportsOfAnyType(t *testing.T) {
	t.Parallel()
	w := shared(t)
	address, err := platform.ReportURL(w.p.PublicURL(), w.p.Keys())
	if err != nil {
		t.Fatal(err)
	}
	amina := w.customer(t, "Amina", 0)
	if err := w.Sandbox.SetPhoneScript(t.Context(), amina.Phone, control.Script{SMSReport: "lose"}); err != nil {
		t.Fatal(err)
	}
	form := func(id string) string {
		return url.Values{"id": {id}, "status": {"Success"}, "phoneNumber": {amina.Phone}, "networkCode": {"63902"}}.Encode()
	}
	json := func(id string) string {
		return `{"id":"` + id + `","status":"success","retryCount":null,"phoneNumber":"` + amina.Phone + `"}`
	}
	for name, c := range map[string]struct {
		contentType []string
		body        func(id string) string
	}{
		"a form":               {[]string{"application/x-www-form-urlencoded"}, form},
		"a form, with charset": {[]string{"application/x-www-form-urlencoded; charset=UTF-8"}, form},
		"a form as text":       {[]string{"text/plain"}, form}, "a form as bytes": {[]string{"application/octet-stream"}, form},
		"a form as JSON":    {[]string{"application/json"}, form},
		"a form of no type": {nil, form}, "a form of an odd type": {[]string{";;"}, form},
		"a form of two types": {[]string{"text/plain", "application/json"}, form},
		"JSON":                {[]string{"application/json"}, json}, "JSON as text": {[]string{"text/plain;charset=utf-8"}, json},
		"JSON as a form":  {[]string{"application/x-www-form-urlencoded"}, json},
		"JSON of no type": {nil, json}, "JSON as XML": {[]string{"application/xml"}, json},
	} {
		paid := w.deposit(t, amina, amina.DepositAccount, 1_00)
		w.sms(t, amina, paid.Receipt)
		var id uuid.UUID
		eventually(t, "the message about "+paid.Receipt, func() bool {
			id = query[uuid.UUID](t, w, "notification",
				`SELECT coalesce((SELECT id FROM notifications WHERE recipient_id = $1 AND channel = 'sms' AND state = 'sent'
				ORDER BY id DESC LIMIT 1), '00000000-0000-0000-0000-000000000000')`, amina.UserID)
			return id != uuid.Nil && query[string](t, w, "notification", "SELECT template FROM notifications WHERE id = $1",
				id) == "deposit_received"
		})
		provider := query[string](t, w, "notification", "SELECT provider_message_id FROM notifications WHERE id = $1", id)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader([]byte(c.body(provider))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Content-Type"] = c.contentType // as it is: an empty list sends none
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", name, resp.StatusCode)
			continue
		}
		eventually(t, "the message to be delivered after a report as "+name, func() bool {
			return query[string](t, w, "notification", "SELECT state FROM notifications WHERE id = $1", id) == "delivered"
		})
	}
}
