package smileid

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestSignatureVector(t *testing.T) {
	t.Parallel()
	const want = "0POKT5b7aVSUinZENTWdYZhBuYmfHBUDFR/8cdh+DjQ="
	if got := Sign("test_api_key", "085", "2025-01-01T12:00:00.000Z"); got != want {
		t.Errorf("signature = %s", got)
	}
	c := New(Config{PartnerID: "085", APIKey: "test_api_key"})
	if !c.VerifySignature("2025-01-01T12:00:00.000Z", want) {
		t.Error("the right signature is refused")
	}
	for name, pair := range map[string][2]string{
		"other time": {"2025-01-01T12:00:00.001Z", want}, "no signature": {"2025-01-01T12:00:00.000Z", ""},
		"no time":   {"", Sign("test_api_key", "085", "")},
		"lost zero": {"2025-01-01T12:00:00.000Z", Sign("test_api_key", "85", "2025-01-01T12:00:00.000Z")},
	} {
		if c.VerifySignature(pair[0], pair[1]) {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := FormatTimestamp(time.Date(2025, 1, 1, 15, 0, 0, 0, time.FixedZone("EAT", 3*3600))); got != "2025-01-01T12:00:00.000Z" {
		t.Errorf("timestamp = %s", got)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]Category{
		"1012": Approved, "1013": Rejected, "1014": Invalid, "1015": Unavailable, "1016": Misconfig, "1020": Approved, "1021": Approved,
		"1022": Rejected, "1023": Rejected, "1210": Approved, "0810": Approved, "0811": Rejected, "0814": Provisional, "0907": Rejected,
		"0001": Invalid, "0903": Invalid, "0816": Review, "1099": Review, "": Review,
	} {
		if got := Classify(code); got != want {
			t.Errorf("%q = %s, want %s", code, got, want)
		}
	}
}

const documented = `{"JSONVersion":"1.0.0","SmileJobID":"0000001096","PartnerParams":{"user_id":"u1","job_id":"j1","job_type":5},
"ResultType":"ID Verification","ResultText":"ID Number Validated","ResultCode":"1012","IsFinalResult":"true",
"Actions":{"Verify_ID_Number":"Verified","Return_Personal_Info":"Returned"},"Country":"KE","IDType":"NATIONAL_ID",
"IDNumber":"00000000","ExpirationDate":"NaN-NaN-NaN","FullName":"some person","DOB":"1990-01-01","Photo":"Not Available",
"FullData":{"a":[1]},"signature":"s","timestamp":"2022-10-17T10:46:49.392Z"}`

func TestParseCallback(t *testing.T) {
	t.Parallel()
	got, err := ParseCallback([]byte(documented))
	if err != nil || got.JobID != "j1" || got.UserID != "u1" || got.Params["job_type"] != "5" || got.Category != Approved || !got.Final {
		t.Fatalf("documented sample = %+v, %v", got, err)
	}
	if got.ExpirationDate != "" || got.Photo != "" || got.FullName != "some person" || got.Actions["Verify_ID_Number"] != "Verified" {
		t.Errorf("placeholders: %+v", got)
	}
	if at, ok := got.SentAt(); !ok || !at.Equal(time.Date(2022, 10, 17, 10, 46, 49, 392e6, time.UTC)) {
		t.Errorf("sent at %v, %v", at, ok)
	}
	odd := strings.NewReplacer(`"IsFinalResult":"true"`, `"IsFinalResult":false`, `"1012"`, `1099`, `"Verified"`,
		`{"x":1}`).Replace(documented)
	if got, err := ParseCallback([]byte(odd)); err != nil || got.Final || got.Category != Review {
		t.Errorf("odd types = %+v, %v", got, err)
	}
	for name, body := range map[string]string{
		"not json": "x", "no job": strings.Replace(documented, `"job_id":"j1",`, "", 1),
		"no code": strings.Replace(documented, `"1012"`, `""`, 1),
	} {
		if got, err := ParseCallback([]byte(body)); err == nil {
			t.Errorf("%s = %+v", name, got)
		}
	}
}

func FuzzParseCallback(f *testing.F) {
	f.Add([]byte(documented))
	f.Fuzz(func(t *testing.T, body []byte) {
		if got, err := ParseCallback(body); err == nil && (got.JobID == "" || got.ResultCode == "") {
			t.Fatalf("accepted %+v", got)
		}
	})
}

func setup(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return New(Config{BaseURL: server.URL, PartnerID: "085", APIKey: "k"})
}

var lookup = Request{UserID: "u1", JobID: "j1", Country: "KE", IDType: "NATIONAL_ID", IDNumber: "12345670", FirstName: "Leo",
	LastName: "Joe", CallbackURL: "https://a.test/x", Params: map[string]string{"FullName": "X", "job_id": "not this"}}

func TestSubmitEnhancedKYC(t *testing.T) {
	t.Parallel()
	var body map[string]any
	c := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/async_id_verification" {
			_ = json.NewDecoder(r.Body).Decode(&body)
			fmt.Fprint(w, `{"success":true}`)
		}
	})
	if err := c.SubmitEnhancedKYC(t.Context(), lookup); err != nil {
		t.Fatal(err)
	}
	params := body["partner_params"].(map[string]any)
	if body["signature"] != Sign("k", "085", body["timestamp"].(string)) || body["partner_id"] != "085" || body["source_sdk"] != "rest_api" {
		t.Errorf("unsigned: %v", body)
	}
	if params["job_id"] != "j1" || params["job_type"] != 5.0 || params["FullName"] != "X" || body["id_number"] != "12345670" {
		t.Errorf("sent %v", body)
	}
	if _, sent := body["dob"]; sent {
		t.Error("an empty field was sent")
	}
	without := lookup
	without.CallbackURL = ""
	var e *Error
	if err := c.SubmitEnhancedKYC(t.Context(), without); !errors.As(err, &e) || !e.NotSent {
		t.Errorf("without callback: %v", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status                   int
		body                     string
		definite, exists, denied bool
	}{
		"job exists":   {400, `{"error":"Job already exists","code":"2215"}`, true, true, false},
		"unauthorized": {401, `{"error":"no","code":"2205"}`, true, false, true},
		"system error": {400, `{"error":"x","code":"2201"}`, false, false, false},
		"html 503":     {503, `<html>`, false, false, false},
		"200 refusal":  {200, `{"error":"Unsupported","code":"2413","success":false}`, false, false, false},
		"200 nonsense": {200, `<html>`, false, false, false},
	} {
		client := setup(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status); fmt.Fprint(w, c.body) })
		err := client.SubmitEnhancedKYC(t.Context(), lookup)
		var e *Error
		if !errors.As(err, &e) || e.Definite() != c.definite || JobExists(err) != c.exists || e.Unauthorized() != c.denied {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

func TestJobStatus(t *testing.T) {
	t.Parallel()
	answer := func(key, result string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"timestamp":"2025-01-01T12:00:00.000Z","signature":%q,"job_complete":%v,
				"job_success":"true","code":"2302","result":%s}`,
				Sign(key, "085", "2025-01-01T12:00:00.000Z"), result != `"No zip uploaded"`, result)
		}
	}
	got, err := setup(t, answer("k", documented)).JobStatus(t.Context(), "u1", "j1")
	if err != nil || !got.Complete || !got.Success || got.Result == nil || got.Result.ResultCode != "1012" {
		t.Errorf("complete = %+v, %v", got, err)
	}
	got, err = setup(t, answer("k", `"No zip uploaded"`)).JobStatus(t.Context(), "u1", "j1")
	if err != nil || got.Complete || got.Result != nil || got.Note != "No zip uploaded" {
		t.Errorf("incomplete = %+v, %v", got, err)
	}
	if got, err := setup(t, answer("other", documented)).JobStatus(t.Context(), "u1", "j1"); err == nil {
		t.Errorf("wrong signature accepted: %+v", got)
	}
}
