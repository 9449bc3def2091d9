package africastalking

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"
)

func setup(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return New(Config{BaseURL: server.URL, Username: "sandbox", APIKey: "key"})
}

func one(code int, status, id string) string {
	return fmt.Sprintf(`{"SMSMessageData":{"Message":"Sent to 1/1 Total Cost: KES 0.8000","Recipients":[{"statusCode":%d,
		"number":"+254711000000","status":%q,"cost":"KES 0.8000","messageId":%q}]}}`, code, status, id)
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
	want := SendResult{MessageID: "ATPid_SampleTxnId123", StatusCode: 101, Status: "Success", Accepted: true, Cost: "KES 0.8000",
		Outcome: Accepted}
	if err != nil || got != want {
		t.Fatalf("receipt = %+v, %v", got, err)
	}
	if form.Get("username") != "sandbox" || form.Get("to") != "+254711000000" || form.Get("message") != "Hi & bye + 1" ||
		form.Get("from") != "SENDTIP" || form.Get("bulkSMSMode") != "1" {
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
		if err != nil || got.Accepted != want.accepted || got.Retryable != want.retryable || (got.Outcome == Accepted) != want.accepted ||
			got.MessageID != "" {
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
		"sent to nobody": {201, answer("Sent to 0/1 Total Cost: 0", `"number":"+254711000000","cost":"0","messageId":"None"`),
			Refused, true, false},
		"sent to nobody, null":       {201, answer("sent to 0/1", `"statusCode":null,"status":null,"messageId":null`), Refused, true, false},
		"sent to nobody, new code":   {201, answer("Sent to 0/1", `"statusCode":777,"status":"New","messageId":"None"`), Refused, true, false},
		"sent to nobody, named":      {201, answer("Sent to 0/1", `"status":"InvalidPhoneNumber","messageId":"None"`), Refused, false, false},
		"sent to nobody, in passing": {201, answer("Sent to 0/1", `"status":"couldnotroute","messageId":"None"`), Refused, true, false},
		"sent to nobody, list empty": {201, `{"SMSMessageData":{"Message":"Sent to 0/1 Total Cost: 0","Recipients":[]}}`, Refused, true, false},
		"sent to nobody, with an id": {201, answer("Sent to 0/1", `"messageId":"ATXid_1"`), Unknown, false, true},
		"sent to one, list empty": {201, `{"SMSMessageData":{"Message":"Sent to 1/1 Total Cost: KES 0.8","Recipients":[]}}`, Unknown, false,
			true},
		"sent to one, without an id": {201, answer("Sent to 1/1", `"messageId":"None"`), Unknown, false, true},
		"ten of ten are not nobody":  {201, answer("Sent to 10/10", `"messageId":"None"`), Unknown, false, true},
		"no summary, no code":        {201, answer("", `"messageId":"None"`), Unknown, false, true},
	} {
		client := setup(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status); fmt.Fprint(w, c.body) })
		got, err := client.Send(t.Context(), Message{To: "+254711000000", Text: "x"})
		if got.Outcome != c.outcome || got.Retryable != c.retryable || (err != nil) != c.isError || got.Accepted {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func answer(message, recipient string) string {
	return fmt.Sprintf(`{"SMSMessageData":{"Message":%q,"Recipients":[{%s}]}}`, message, recipient)
}

// The message is out in each of these, whatever surrounds it.
func TestSendAcceptedInOtherWritings(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		answer("Sent to 1/1", `"statusCode":"101","messageId":"ATXid_1"`), answer("Sent to 1/1", `"statusCode":101.0,"messageId":"ATXid_1"`),
		answer("Sent to 1/1", `"status":"success","messageId":"ATXid_1"`), answer("Sent to 1/1 Total Cost: KES 0.8", `"messageId":"ATXid_1"`),
		answer("", `"statusCode":101,"status":{},"cost":{"a":1},"messageId":" ATXid_1 ","messageParts":[]`), "\ufeff" +
			one(102, "Queued", "ATXid_1"),
	} {
		if got, err := readAnswer(http.StatusCreated, []byte(body)); err != nil || !got.Accepted || got.Outcome != Accepted || got.Retryable ||
			got.MessageID != "ATXid_1" {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
	for _, id := range []string{"None", "none", "", `\u0000`, strings.Repeat("x", 129)} { // an id that no column could hold is none
		if got, err := readAnswer(http.StatusCreated, []byte(answer("Sent to 1/1", `"statusCode":101,"messageId":"`+id+`"`))); err != nil ||
			!got.Accepted || got.MessageID != "" {
			t.Errorf("%q: %+v, %v", id, got, err)
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
	form := url.Values{"id": {"ATXid_1"}, "status": {"Failed"}, "phoneNumber": {" 254711000000"}, "networkCode": {"63902"},
		"failureReason": {"UserIsInactive"}, "retryCount": {"2"}}
	want := DeliveryReport{ID: "ATXid_1", Status: "Failed", Final: true, Phone: "+254711000000", NetworkCode: "63902",
		FailureReason: "UserIsInactive", RetryCount: 2}
	if got, err := ParseDeliveryReport([]byte(form.Encode())); err != nil || got != want {
		t.Errorf("report = %+v, %v", got, err)
	}
	for status, final := range map[string]bool{"Sent": false, "Submitted": false, "Buffered": false, "Success": true, "Failed": true,
		"Rejected": true, "AbsentSubscriber": true, "Expired": true, "Novel": false} {
		got, err := ParseDeliveryReport([]byte(url.Values{"id": {"1"}, "status": {status}}.Encode()))
		if err != nil || got.Final != final || got.Delivered != (status == "Success") {
			t.Errorf("%s = %+v, %v", status, got, err)
		}
	}
	for _, body := range []string{"", "status=Sent", "id=1", "{}", `{"id":"1","status":"Sent"`, `{"id":{},"status":"Sent"}`, `[1]`,
		"id=%00&status=Sent", "\xff",
		"status=Sent&id=" + strings.Repeat("1", 129), "id=1&status=" + strings.Repeat("S", 65)} {
		if got, err := ParseDeliveryReport([]byte(body)); err == nil {
			t.Errorf("%q = %+v", body, got)
		}
	}
}

// What nobody needs may be anything, and so may the writing of what is needed.
func TestParseDeliveryReportIsTolerant(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]DeliveryReport{
		`{"id":"ATXid_1","status":"Success","retryCount":null}`:                  {Status: "Success", Final: true, Delivered: true},
		`{"id":"ATXid_1","status":"Success","retryCount":0.0}`:                   {Status: "Success", Final: true, Delivered: true},
		`{"id":"ATXid_1","status":"Success","networkCode":{},"phoneNumber":[1]}`: {Status: "Success", Final: true, Delivered: true},
		`{"ID":" ATXid_1 ","Status":"SUCCESS","networkcode":63902}`: {Status: "Success", Final: true, Delivered: true,
			NetworkCode: "63902"},
		"\ufeff{\"id\":\"ATXid_1\",\"status\":\"failed\",\"failureReason\":\"a\nb\"}": {Status: "Failed", Final: true, FailureReason: "a b"},
		"id=ATXid_1&status=success&retryCount=null":                                   {Status: "Success", Final: true, Delivered: true},
		"id=ATXid_1&status=Success&retryCount=0.0":                                    {Status: "Success", Final: true, Delivered: true},
		"id=ATXid_1&status=Success&retryCount=2.0": {Status: "Success", Final: true, Delivered: true,
			RetryCount: 2},
		"id=ATXid_1&status=Success&failureReason=%zz&x;y":       {Status: "Success", Final: true, Delivered: true},
		"\ufeffid=ATXid_1&Status=+absentsubscriber\r\n":         {Status: "AbsentSubscriber", Final: true},
		"id=ATXid_1%00&status=Sent%0A&phoneNumber=254711000000": {Status: "Sent", Phone: "+254711000000"},
		"id=ATXid_1&status=Teleported":                          {Status: "Teleported"},
	} {
		want.ID = "ATXid_1"
		if got, err := ParseDeliveryReport([]byte(body)); err != nil || got != want {
			t.Errorf("%q = %+v, %v", body, got, err)
		}
	}
}

func FuzzParseDeliveryReport(f *testing.F) {
	for _, seed := range []string{
		"id=ATXid_1&status=Success&phoneNumber=%2B254711000000", `{"id":"ATXid_1","status":"success","retryCount":null}`,
		"\ufeff{\"id\":1,\"status\":\"Sent\"}",
		"id=%00&status=%ff", `{"id":"\u0000","status":"\ud800"}`, "{",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ParseDeliveryReport(body)
		if err != nil {
			return
		}
		if got.ID == "" || got.Delivered && !got.Final || !utf8.ValidString(got.ID+got.Status) || strings.ContainsRune(got.ID+got.Status, 0) {
			t.Fatalf("accepted %+v", got)
		}
	})
}

func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{
		one(101, "Success", "ATXid_1"), `{"SMSMessageData":{"Message":"Sent to 0/1 Total Cost: 0","Recipients":[{"messageId":"None"}]}}`,
		`{"SMSMessageData":{"Recipients":{}}}`, "<html>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := readAnswer(http.StatusCreated, body)
		if (err != nil) != (got.Outcome == Unknown) || got.Accepted != (got.Outcome == Accepted) || got.Accepted && got.Retryable ||
			strings.ContainsRune(got.MessageID, 0) {
			t.Fatalf("%q: %+v, %v", body, got, err)
		}
	})
}
