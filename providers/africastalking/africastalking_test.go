package africastalking

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func setup(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return New(Config{BaseURL: server.URL, Username: "sandbox", APIKey: "key"})
}

func one(code int, status, id string) string {
	return fmt.Sprintf(`{"SMSMessageData":{"Message":"Sent to 1/1 Total Cost: KES 0.8000","Recipients":[{"statusCode":%d,"number":"+254711000000","status":%q,"cost":"KES 0.8000","messageId":%q}]}}`, code, status, id)
}

func TestSend(t *testing.T) {
	t.Parallel()
	var form url.Values
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/version1/messaging" || r.Header.Get("Apikey") != "key" || r.Header.Get("Accept") != "application/json" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = r.ParseForm()
		form = r.PostForm
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, one(101, "Success", "ATPid_SampleTxnId123"))
	})
	got, err := c.Send(t.Context(), Message{To: "+254711000000", Text: "Hi & bye + 1", From: "SENDTIP"})
	want := Receipt{MessageID: "ATPid_SampleTxnId123", StatusCode: 101, Status: "Success", Accepted: true, Cost: "KES 0.8000", Outcome: Accepted}
	if err != nil || got != want {
		t.Fatalf("receipt = %+v, %v", got, err)
	}
	if form.Get("username") != "sandbox" || form.Get("to") != "+254711000000" || form.Get("message") != "Hi & bye + 1" || form.Get("from") != "SENDTIP" || form.Get("bulkSMSMode") != "1" {
		t.Errorf("sent %v", form)
	}
}

func TestStatusTable(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]struct{ accepted, retryable bool }{
		100: {true, false}, 101: {true, false}, 102: {true, false}, 401: {}, 402: {}, 403: {}, 404: {}, 405: {false, true}, 406: {},
		407: {false, true}, 409: {}, 500: {false, true}, 501: {false, true}, 502: {},
	} {
		got, err := readAnswer(http.StatusCreated, []byte(one(code, "x", "None")))
		if err != nil || got.Accepted != want.accepted || got.Retryable != want.retryable || (got.Outcome == Accepted) != want.accepted || got.MessageID != "" {
			t.Errorf("%d = %+v, %v", code, got, err)
		}
	}
}

func TestSendOutcomes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status    int
		body      string
		outcome   Outcome
		retryable bool
		isError   bool
	}{
		"no recipients":     {201, `{"SMSMessageData":{"Message":"InvalidSenderId","Recipients":[]}}`, Refused, false, false},
		"wrong key":         {401, `The supplied authentication is invalid`, Refused, false, true},
		"malformed":         {400, `Bad`, Refused, false, true},
		"do not disturb":    {409, `x`, Refused, false, true},
		"too many":          {429, `x`, Refused, true, true},
		"server error":      {500, `x`, Unknown, false, true},
		"request time-out":  {408, `x`, Unknown, false, true},
		"unreadable":        {201, `<html>`, Unknown, false, true},
		"other json":        {201, `{}`, Unknown, false, true},
		"undocumented code": {201, one(777, "New", "x"), Unknown, false, true},
	} {
		client := setup(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status); fmt.Fprint(w, c.body) })
		got, err := client.Send(t.Context(), Message{To: "+254711000000", Text: "x"})
		if got.Outcome != c.outcome || got.Retryable != c.retryable || (err != nil) != c.isError || got.Accepted {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestSendWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	c := setup(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	got, err := c.Send(t.Context(), Message{To: "+254711000000", Text: "x"})
	var e *Error
	if got.Outcome != Unknown || !errors.As(err, &e) || strings.Contains(err.Error(), "254711") {
		t.Errorf("broken connection: %+v, %v", got, err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	got, err = New(Config{BaseURL: server.URL}).Send(t.Context(), Message{To: "+254711000000", Text: "x"})
	if got.Outcome != Refused || !got.Retryable || err == nil {
		t.Errorf("no connection: %+v, %v", got, err)
	}
	for _, m := range []Message{{To: "0711000000", Text: "x"}, {To: "+254711000000,+254711000001", Text: "x"}, {To: "+254711000000"}} {
		if got, err := c.Send(t.Context(), m); err == nil || got.Outcome != Refused {
			t.Errorf("bad message: %+v, %v", got, err)
		}
	}
}

func TestParseDeliveryReport(t *testing.T) {
	t.Parallel()
	form := url.Values{"id": {"ATXid_1"}, "status": {"Failed"}, "phoneNumber": {" 254711000000"}, "networkCode": {"63902"}, "failureReason": {"UserIsInactive"}, "retryCount": {"2"}}
	want := DeliveryReport{ID: "ATXid_1", Status: "Failed", Final: true, Phone: "+254711000000", NetworkCode: "63902", FailureReason: "UserIsInactive", RetryCount: 2}
	if got, err := ParseDeliveryReport(form); err != nil || got != want {
		t.Errorf("report = %+v, %v", got, err)
	}
	for status, final := range map[string]bool{"Sent": false, "Submitted": false, "Buffered": false, "Success": true, "Failed": true, "Rejected": true, "AbsentSubscriber": true, "Expired": true, "Novel": false} {
		got, err := ParseDeliveryReport(url.Values{"id": {"1"}, "status": {status}})
		if err != nil || got.Final != final || got.Delivered != (status == "Success") {
			t.Errorf("%s = %+v, %v", status, got, err)
		}
	}
	for name, form := range map[string]url.Values{"no id": {"status": {"Sent"}}, "no status": {"id": {"1"}}, "bad count": {"id": {"1"}, "status": {"Sent"}, "retryCount": {"x"}}} {
		if got, err := ParseDeliveryReport(form); err == nil {
			t.Errorf("%s = %+v", name, got)
		}
	}
}

func FuzzParseDeliveryReport(f *testing.F) {
	f.Add("id=ATXid_1&status=Success&phoneNumber=%2B254711000000")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		if got, err := ParseDeliveryReport(form); err == nil && (got.ID == "" || (got.Delivered && !got.Final)) {
			t.Fatalf("accepted %+v", got)
		}
	})
}
