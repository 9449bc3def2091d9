package sandbox

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"regexp"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/providers/africastalking"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/sandbox/control"
)

func (b *bench) lookup(job, number string) smileid.Request {
	return smileid.Request{
		UserID: "u1", JobID: job, Country: "KE", IDType: "NATIONAL_ID", IDNumber: number, FirstName: "Amina", MiddleName: "N",
		LastName: "Wanjiku",
		DOB:      "1994-05-17", Gender: "F", Phone: phone, CallbackURL: b.hooks + "/v1/hooks/kc/token",
		Params: map[string]string{"FullName": "Nelson Mandela", "DOB": "1918-07-18"},
	}
}

func (b *bench) nextKYC(t *testing.T) smileid.Result {
	t.Helper()
	r := b.next(t)
	result, err := smileid.ParseCallback(r.body)
	if err != nil || r.path != "/v1/hooks/kc/token" {
		t.Fatalf("%s: %v: %s", r.path, err, r.body)
	}
	return result
}

func TestIDNumbers(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, c := range []struct {
		number, code, name, dob string
		category                smileid.Category
		final                   bool
	}{
		{"0", "1012", "Amina N Wanjiku", "1994-05-17", smileid.Approved, true},
		{"12345670", "1012", "Amina N Wanjiku", "1994-05-17", smileid.Approved, true},
		{"123456789", "1012", "Amina N Wanjiku", "1994-05-17", smileid.Approved, true},
		{"00000001", "1013", "", "", smileid.Rejected, true},
		{"00000002", "1014", "", "", smileid.Invalid, true},
		{"1234567890", "1014", "", "", smileid.Invalid, true},
		{"ABC", "1014", "", "", smileid.Invalid, true},
		{"00000003", "1015", "", "", smileid.Unavailable, true},
		{"00000004", "1012", "Nelson Mandela", "1918-07-18", smileid.Approved, true},
		{"00000005", "1012", "Zakayo Mbogori Ndirangu", "1961-12-12", smileid.Approved, true},
		{"00000006", "0814", "", "", smileid.Provisional, false},
		{"00000007", "1099", "", "", smileid.Review, true},
	} {
		job := "job-" + c.number
		if err := b.smile.SubmitEnhancedKYC(limit(t), b.lookup(job, c.number)); err != nil {
			t.Fatal(err)
		}
		got := b.nextKYC(t)
		if got.ResultCode != c.code || got.FullName != c.name || got.DOB != c.dob || got.Category != c.category || got.Final != c.final ||
			got.JobID != job || got.UserID != "u1" {
			t.Errorf("%s = %+v", c.number, got)
		}
		if !b.smile.VerifySignature(got.Timestamp, got.Signature) {
			t.Errorf("%s: the callback is not signed", c.number)
		}
		status, err := b.smile.JobStatus(limit(t), "u1", job)
		if err != nil || !status.Complete || status.Result == nil || status.Result.ResultCode != c.code || status.Success != (c.code == "1012") {
			t.Errorf("%s: status %+v, %v", c.number, status, err)
		}
	}
}

func TestSynchronousLookup(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	got, err := b.smile.Verify(limit(t), b.lookup("j", "00000000"))
	if err != nil || got.ResultCode != "1012" || got.FullName != "Amina N Wanjiku" {
		t.Errorf("%+v, %v", got, err)
	}
	b.none(t)
}

func TestJobIDsAreUnique(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if err := b.smile.SubmitEnhancedKYC(limit(t), b.lookup("j", "00000000")); err != nil {
		t.Fatal(err)
	}
	err := b.smile.SubmitEnhancedKYC(limit(t), b.lookup("j", "00000001"))
	if !smileid.JobExists(err) {
		t.Errorf("second submission: %v", err)
	}
	if got := b.nextKYC(t); got.ResultCode != "1012" {
		t.Errorf("result = %+v", got)
	}
	b.none(t)
}

func TestJobsBeforeTheirResult(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.script(t, control.Script{KYCDelayMS: control.Int(600_000)})
	if err := b.smile.SubmitEnhancedKYC(limit(t), b.lookup("j", "00000000")); err != nil {
		t.Fatal(err)
	}
	for _, who := range [][2]string{{"u1", "j"}, {"u2", "j"}, {"u1", "other"}} {
		status, err := b.smile.JobStatus(limit(t), who[0], who[1])
		if err != nil || status.Complete || status.Result != nil || status.Note == "" {
			t.Errorf("%v: %+v, %v", who, status, err)
		}
	}
}

func TestSmileRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	stranger := smileid.New(smileid.Config{BaseURL: b.url, PartnerID: DefaultSmilePartnerID, APIKey: "wrong"})
	var e *smileid.Error
	if err := stranger.SubmitEnhancedKYC(limit(t), b.lookup("j", "00000000")); !errors.As(err, &e) || e.Code != "2205" || !e.Unauthorized() {
		t.Errorf("wrong key: %v", err)
	}
	bad := b.lookup("j", "00000000")
	bad.CallbackURL = "nowhere"
	if err := b.smile.SubmitEnhancedKYC(limit(t), bad); !errors.As(err, &e) || e.Code != "2213" || !e.Definite() {
		t.Errorf("no callback address: %v", err)
	}
	if err := b.smile.SubmitEnhancedKYC(limit(t), b.lookup("j", "00000000")); err != nil { // the job id is still free
		t.Error(err)
	}
}

func TestKYCCallbackScripts(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	set := func(mode string) {
		t.Helper()
		if err := b.control.SetPhoneScript(limit(t), phone, control.Script{KYCCallback: mode}); err != nil {
			t.Fatal(err)
		}
	}
	submit := func(job, number string) {
		t.Helper()
		if err := b.smile.SubmitEnhancedKYC(limit(t), b.lookup(job, number)); err != nil {
			t.Fatal(err)
		}
	}
	set("lose")
	submit("lost", "00000000")
	if d, err := b.control.WaitDelivery(limit(t), func(d control.Delivery) bool { return d.ID == "lost" }); err != nil || !d.Lost {
		t.Errorf("lose: %+v, %v", d, err)
	}
	b.none(t)
	if status, err := b.smile.JobStatus(limit(t), "u1", "lost"); err != nil || !status.Success {
		t.Errorf("lost job: %+v, %v", status, err)
	}
	set("duplicate")
	submit("twice", "00000000")
	first := b.nextKYC(t)
	for range 4 {
		if again := b.nextKYC(t); again.JobID != "twice" || again.Signature != first.Signature {
			t.Errorf("duplicate: %+v, %+v", first, again)
		}
	}
	set("forge")
	submit("forged", "00000001")
	got := b.nextKYC(t)
	if got.ResultCode != "1012" || b.smile.VerifySignature(got.Timestamp, got.Signature) {
		t.Errorf("forge: %+v", got)
	}
	if status, err := b.smile.JobStatus(limit(t), "u1", "forged"); err != nil || status.Result.ResultCode != "1013" {
		t.Errorf("the truth: %+v, %v", status, err)
	}
}

func TestSMS(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.SMSReportDelay = -1 })
	if err := b.control.SetSMSReportURL(limit(t), b.hooks+"/v1/hooks/dr/token"); err != nil {
		t.Fatal(err)
	}
	receipt, err := b.sms.Send(limit(t), africastalking.Message{To: phone, Text: "Your code is 123 456 & more", From: "SENDTIP"})
	if err != nil || receipt.StatusCode != 101 || !receipt.Accepted || receipt.Cost != "KES 0.8000" ||
		!strings.HasPrefix(receipt.MessageID, "ATXid_") {
		t.Fatalf("receipt = %+v, %v", receipt, err)
	}
	message, err := b.control.WaitSMS(limit(t), phone, func(m control.Message) bool { return strings.Contains(m.Text, "123 456") })
	if err != nil || message.From != "SENDTIP" || message.To != phone || message.Text != "Your code is 123 456 & more" {
		t.Errorf("inbox = %+v, %v", message, err)
	}
	for _, want := range []string{"Sent", "Success"} {
		report, err := africastalking.ParseDeliveryReport(b.next(t).body)
		if err != nil || report.ID != receipt.MessageID || report.Status != want || report.Phone != phone || report.NetworkCode != "99999" {
			t.Errorf("report = %+v, %v", report, err)
		}
	}
}

// TestSMSSender: a message that names no sender comes from the platform's name, and not from the gateway's.
func TestSMSSender(t *testing.T) {
	t.Parallel()
	for configured, want := range map[string]string{"": "SENDTIP", "PESAPAL": "PESAPAL"} {
		b := setup(t, func(c *Config) { c.SMSSender = configured })
		if _, err := b.sms.Send(limit(t), africastalking.Message{To: phone, Text: "x"}); err != nil {
			t.Fatal(err)
		}
		if all, err := b.control.Messages(limit(t), phone); err != nil || len(all) != 1 || all[0].From != want {
			t.Errorf("%+v, %v", all, err)
		}
	}
}

func TestSMSReportScripts(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string][]string{
		"success": {"Sent", "Success"}, "failed": {"Sent", "Failed"}, "rejected": {"Sent", "Rejected"},
		"duplicate": {"Sent", "Success", "Success"}, "sent": {"Sent"}, "json": {"Success"}, "lose": nil,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			if err := b.control.SetSMSReportURL(limit(t), b.hooks+"/x"); err != nil {
				t.Fatal(err)
			}
			b.script(t, control.Script{SMSReport: mode})
			receipt, err := b.sms.Send(limit(t), africastalking.Message{To: phone, Text: "x"})
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range want {
				report, err := africastalking.ParseDeliveryReport(b.next(t).body)
				if err != nil || report.Status != status || (report.FailureReason != "") != (status == "Failed" || status == "Rejected") {
					t.Errorf("report = %+v, %v", report, err)
				}
			}
			if _, err := b.control.WaitDelivery(limit(t),
				func(d control.Delivery) bool { return d.ID == receipt.MessageID && d.Lost == (mode == "lose") }); err != nil {
				t.Error(err)
			}
			b.none(t)
		})
	}
}

func TestSMSRefusals(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]struct {
		code    int
		outcome africastalking.Outcome
		inbox   int
	}{
		"100": {100, africastalking.Accepted, 1}, "102": {102, africastalking.Accepted, 1}, "401": {401, africastalking.Refused, 0},
		"405": {405, africastalking.Refused, 0}, "406": {406, africastalking.Refused, 0}, "500": {500, africastalking.Refused, 0},
		"empty": {0, africastalking.Refused, 0}, "nobody": {0, africastalking.Refused, 0}, "down": {0, africastalking.Unknown, 0},
		"lose": {0, africastalking.Unknown, 1},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			if err := b.control.SetPhoneScript(limit(t), phone, control.Script{SMS: mode}); err != nil {
				t.Fatal(err)
			}
			got, _ := b.sms.Send(limit(t), africastalking.Message{To: phone, Text: "x"})
			if got.StatusCode != want.code || got.Outcome != want.outcome {
				t.Errorf("receipt = %+v", got)
			}
			if inbox, err := b.control.Messages(limit(t), phone); err != nil || len(inbox) != want.inbox {
				t.Errorf("inbox = %+v, %v", inbox, err)
			}
		})
	}
	b := setup(t, nil)
	got, err := b.sms.Send(limit(t), africastalking.Message{To: "+12", Text: "x"})
	if err != nil || got.StatusCode != 403 || got.MessageID != "" {
		t.Errorf("bad number: %+v, %v", got, err)
	}
	got, err = b.sms.Send(limit(t), africastalking.Message{To: phone, Text: "x", From: "TWELVELETTER"})
	if err != nil || got.Outcome != africastalking.Refused || got.Status != "InvalidSenderId" {
		t.Errorf("bad sender: %+v, %v", got, err)
	}
	stranger := africastalking.New(africastalking.Config{BaseURL: b.url, Username: DefaultSMSUsername, APIKey: "wrong"})
	var e *africastalking.Error
	if _, err := stranger.Send(limit(t), africastalking.Message{To: phone, Text: "x"}); !errors.As(err, &e) || e.HTTPStatus != 401 ||
		e.Message != "The supplied authentication is invalid" {
		t.Errorf("wrong key: %v", err)
	}
}

func TestSMSAnswersXMLUnlessAsked(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	req, _ := http.NewRequestWithContext(limit(t), http.MethodPost, b.url+"/version1/messaging",
		strings.NewReader("username=sandbox&to=%2B254712345678&message=x"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Apikey", DefaultSMSAPIKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 201 || !strings.HasPrefix(string(body), "<AfricasTalkingResponse><SMSMessageData>") ||
		!strings.Contains(string(body), "<statusCode>101</statusCode>") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestMails(t *testing.T) {
	t.Parallel()
	s, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	web, mails := listen(t), listen(t)
	done := make(chan error, 1)
	go func() { done <- s.Serve(t.Context(), web, mails) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	body := strings.Join([]string{
		"From: SENDTIP <no-reply@sendtip.test>", "To: amina@example.test", "Subject: =?utf-8?q?Karibu_=E2=9C=93?=", "MIME-Version: 1.0",
		`Content-Type: multipart/alternative; boundary="b"`, "", "--b", "Content-Type: text/plain; charset=utf-8",
		"Content-Transfer-Encoding: quoted-printable", "", "Your code is =31=32=33.", "--b", "Content-Type: text/html; charset=utf-8",
		"Content-Transfer-Encoding: base64", "", "PGI+SGk8L2I+", "--b--", "",
	}, "\r\n")
	auth := smtp.PlainAuth("", "any", "thing", "127.0.0.1")
	if err := smtp.SendMail(mails.Addr().String(), auth, "no-reply@sendtip.test", []string{"amina@example.test"}, []byte(body)); err != nil {
		t.Fatal(err)
	}
	client := control.New("http://"+web.Addr().String(), nil)
	got, err := client.WaitMail(limit(t), func(m control.Mail) bool { return m.To[0] == "amina@example.test" })
	if err != nil || got.Subject != "Karibu ✓" || got.Text != "Your code is 123." || got.HTML != "<b>Hi</b>" ||
		got.From != "no-reply@sendtip.test" || got.At.IsZero() {
		t.Errorf("mail = %+v, %v", got, err)
	}
	if err := smtp.SendMail(mails.Addr().String(), nil, "a@x.test", []string{"b@x.test"}, []byte("no header at all")); err != nil {
		t.Fatal(err)
	}
	if got, err := client.WaitMail(limit(t), func(m control.Mail) bool { return m.To[0] == "b@x.test" }); err != nil || got.Text == "" {
		t.Errorf("broken mail = %+v, %v", got, err)
	}
}

func TestScriptsAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, s := range []control.Script{
		{STK: "payy"}, {STK: "code:"}, {STKAnswer: "x"}, {Query: "x"}, {Callback: "x"}, {KYCCallback: "x"}, {SMS: "999"}, {SMSReport: "x"},
		{DelayMS: control.Int(-1)}, {CallbackDelayMS: control.Int(1 << 40)},
	} {
		for name, err := range map[string]error{
			"global": b.control.SetScript(limit(t), s), "phone": b.control.SetPhoneScript(limit(t), phone, s),
			"queue": b.control.QueueScript(limit(t), phone, s),
		} {
			if err == nil || !strings.Contains(err.Error(), "http 400") {
				t.Errorf("%s %+v: %v", name, s, err)
			}
		}
	}
	req, _ := http.NewRequestWithContext(limit(t), http.MethodPut, b.url+"/sandbox/script", strings.NewReader(`{"stkk":"pay"}`))
	if status := b.do(t, req, nil); status != 400 {
		t.Errorf("misspelt field: %d", status)
	}
	req, _ = http.NewRequestWithContext(limit(t), http.MethodPut, b.url+"/sandbox/script", strings.NewReader(`{"stk":"pay"}`))
	req.Header.Set("Origin", "https://evil.example")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if status := b.do(t, req, nil); status != 403 {
		t.Errorf("another site: %d", status)
	}
	if _, err := b.control.Phone(limit(t), "12"); err == nil {
		t.Error("a short number was taken")
	}
}

// A page whose own name leads to this machine is of the sandbox's origin, as far as a browser can tell.
func TestNamesOfOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for host, want := range map[string]int{"127.0.0.1:8180": 200, "[::1]:8180": 200, "localhost:8180": 200, "sandbox:8180": 200,
		"evil.example:8180": 403, "evil.example": 403} {
		req, _ := http.NewRequestWithContext(limit(t), http.MethodGet, b.url+"/sandbox/phones/254712345678/messages", nil)
		req.Host = host
		if status := b.do(t, req, nil); status != want {
			t.Errorf("%s: %d, want %d", host, status, want)
		}
	}
}

// page fetches a part of the web page.
func (b *bench) page(t *testing.T, path string) string {
	t.Helper()
	req, _ := http.NewRequestWithContext(limit(t), http.MethodGet, b.url+path, nil)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestPage(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for path, kind := range map[string]string{
		"/": "text/html", "/phone/254712345678": "text/html", "/assets/app.css": "text/css", "/assets/index.js": "text/javascript",
		"/paystack": "text/html", "/paystack/checkout/x": "text/html",
		"/assets/paystack.js": "text/javascript", "/assets/checkout.js": "text/javascript",
		"/assets/phone.js": "text/javascript", "/organisation/600997": "text/html", "/assets/organisation.js": "text/javascript",
	} {
		req, _ := http.NewRequestWithContext(limit(t), http.MethodGet, b.url+path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), kind) ||
			!strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %d %v %v", path, resp.StatusCode, resp.Header, err)
		}
		for _, outside := range []string{"http://", "https://", "style=", "onclick="} { // nothing that the policy would block
			if strings.Contains(string(body), outside) {
				t.Errorf("%s holds %s", path, outside)
			}
		}
	}
	// The right PIN stands where it is typed, so that no screen is too small for it.
	if !regexp.MustCompile(`(?s)<form id="prompt".*<input id="pin".*<b>1234</b>.*</form>.*<aside`).MatchString(b.page(t,
		"/phone/254712345678")) {
		t.Error("the prompt does not name the PIN")
	}
	// every time is Nairobi's, whatever the browser's zone
	for _, path := range []string{"/assets/phone.js", "/assets/index.js", "/assets/organisation.js", "/assets/paystack.js"} {
		times := 0
		for line := range strings.Lines(b.page(t, path)) {
			if strings.Contains(line, "toLocaleTimeString") || strings.Contains(line, "toLocaleDateString") ||
				strings.Contains(line, "new Date(at).") {
				times++
				if !strings.Contains(line, `timeZone: "Africa/Nairobi"`) {
					t.Errorf("%s: %s", path, line)
				}
			}
		}
		if times == 0 {
			t.Errorf("%s shows no time", path)
		}
	}
	if _, err := b.sms.Send(limit(t), africastalking.Message{To: phone, Text: "x"}); err != nil {
		t.Fatal(err)
	}
	b.push(t)
	phones, err := b.control.Phones(limit(t))
	if err != nil || len(phones) != 1 || phones[0].Msisdn != phone || phones[0].Messages != 1 || phones[0].Prompt == nil ||
		phones[0].Name == "" {
		t.Errorf("phones = %+v, %v", phones, err)
	}
}
