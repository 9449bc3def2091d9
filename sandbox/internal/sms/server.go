// Package sms is the local counterpart of Africa's Talking's messaging API: texts land in the simulated handsets, and
// delivery reports are posted as forms.
package sms

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// Options are the application's credentials and where reports go at first.
type Options struct {
	Username    string
	APIKey      string
	Sender      string // of messages that name none; the shared short name of the account
	ReportURL   string
	ReportDelay time.Duration // before each report
}

const (
	maxBodyBytes  = 256 << 10
	maxRecipients = 100
)

var statusTexts = map[int]string{
	100: "Processed", 101: "Success", 102: "Queued", 401: "RiskHold", 402: "InvalidSenderId", 403: "InvalidPhoneNumber",
	404: "UnsupportedNumberType", 405: "InsufficientBalance", 406: "UserInBlacklist", 407: "CouldNotRoute",
	409: "DoNotDisturbRejection", 500: "InternalServerError", 501: "GatewayError", 502: "RejectedByGateway",
}

var (
	e164     = regexp.MustCompile(`^\+[1-9]\d{7,14}$`)
	senderID = regexp.MustCompile(`^[A-Za-z0-9 _.-]{1,11}$`)
)

// Server answers the messaging API. It is safe for concurrent use.
type Server struct {
	opt   Options
	world *world.World

	mu        sync.Mutex
	reportURL string
	sequence  int
}

// New returns a server.
func New(o Options, w *world.World) *Server {
	return &Server{opt: o, world: w, reportURL: o.ReportURL}
}

// SetReportURL changes where reports go; "" turns them off.
func (s *Server) SetReportURL(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reportURL = address
}

// Routes adds the API's path.
func (s *Server) Routes(mux *http.ServeMux) { mux.HandleFunc("POST /version1/messaging", s.send) }

type recipient struct {
	StatusCode int    `json:"statusCode,omitempty" xml:"statusCode,omitempty"`
	Number     string `json:"number" xml:"number"`
	Status     string `json:"status" xml:"status"`
	Cost       string `json:"cost" xml:"cost"`
	MessageID  string `json:"messageId" xml:"messageId"`
}

type answer struct {
	XMLName xml.Name `json:"-" xml:"AfricasTalkingResponse"`
	Data    struct {
		Message    string
		Recipients []recipient `xml:"Recipients>Recipient"`
	} `json:"SMSMessageData" xml:"SMSMessageData"`
}

func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
	if err := r.ParseForm(); err != nil || r.PostForm.Get("message") == "" || r.PostForm.Get("to") == "" {
		plain(w, http.StatusBadRequest, "Request is missing required form field")
		return
	}
	form := r.PostForm
	keyOK := subtle.ConstantTimeCompare([]byte(r.Header.Get("apiKey")), []byte(s.opt.APIKey)) == 1
	if !keyOK || form.Get("username") != s.opt.Username {
		plain(w, http.StatusUnauthorized, "The supplied authentication is invalid")
		return
	}
	numbers := strings.Split(form.Get("to"), ",")
	if len(numbers) > maxRecipients {
		plain(w, http.StatusBadRequest, "Too many recipients")
		return
	}
	var out answer
	out.Data.Recipients = []recipient{}
	if from := form.Get("from"); from != "" && !senderID.MatchString(from) {
		out.Data.Message = "InvalidSenderId"
		s.write(w, r, out)
		return
	}
	sent, lost := 0, false
	for _, number := range numbers {
		to := strings.TrimSpace(number)
		script := s.world.ScriptFor(to)
		switch script.SMS {
		case "down":
			plain(w, http.StatusInternalServerError, "Internal Server Error")
			return
		case "empty":
			out.Data.Message = "InvalidSenderId"
			continue
		case "lose":
			lost = true
		}
		one := s.deliver(to, form.Get("from"), form.Get("message"), script)
		if one.StatusCode >= 100 && one.StatusCode < 200 {
			sent++
		}
		out.Data.Recipients = append(out.Data.Recipients, one)
	}
	if lost {
		panic(http.ErrAbortHandler) // the message is out, the answer never arrives
	}
	if out.Data.Message == "" {
		cost := sent * 8000 // KES 0.8000 each
		out.Data.Message = fmt.Sprintf("Sent to %d/%d Total Cost: KES %d.%04d", sent, len(numbers), cost/10_000, cost%10_000)
	}
	s.write(w, r, out)
}

// deliver decides one recipient's status, fills the inbox and starts the reports.
func (s *Server) deliver(to, from, text string, script control.Script) recipient {
	if script.SMS == "nobody" {
		return recipient{Number: to, Cost: "0", MessageID: "None"}
	}
	code := 101
	if n, err := strconv.Atoi(script.SMS); err == nil {
		code = n
	}
	if !e164.MatchString(to) {
		code = 403
	}
	if code >= 200 {
		return recipient{StatusCode: code, Number: to, Status: statusTexts[code], Cost: "0", MessageID: "None"}
	}
	if from == "" {
		from = s.opt.Sender
	}
	s.mu.Lock()
	s.sequence++
	id := fmt.Sprintf("ATXid_%d_%s", s.sequence, strconv.FormatInt(s.world.Now().UnixNano(), 36))
	address := s.reportURL
	s.mu.Unlock()
	s.world.Deliver(to, from, text)
	if address != "" {
		s.world.Go(func(ctx context.Context) { s.report(ctx, address, id, to, script) })
	}
	return recipient{StatusCode: code, Number: to, Status: statusTexts[code], Cost: "KES 0.8000", MessageID: id}
}

// report posts Sent and then the final status, in order.
func (s *Server) report(ctx context.Context, address, id, to string, script control.Script) {
	steps := []url.Values{{"status": {"Sent"}}}
	success := url.Values{"status": {"Success"}}
	switch script.SMSReport {
	case "lose":
		s.world.Lose("sms_report", id)
		return
	case "sent":
	case "failed":
		steps = append(steps, url.Values{"status": {"Failed"}, "failureReason": {"DeliveryFailure"}})
	case "rejected":
		steps = append(steps, url.Values{"status": {"Rejected"}, "failureReason": {"UserInBlackList"}})
	case "duplicate":
		steps = append(steps, success, success)
	case "json":
		steps = []url.Values{{"status": {"success"}}}
	default:
		steps = append(steps, success)
	}
	delay := world.MS(script.SMSReportDelayMS, s.opt.ReportDelay)
	for _, form := range steps {
		if !world.Pause(ctx, delay) {
			return
		}
		form.Set("id", id)
		form.Set("phoneNumber", to)
		form.Set("networkCode", "99999") // the sandbox's network
		contentType, body := "application/x-www-form-urlencoded", []byte(form.Encode())
		if script.SMSReport == "json" {
			contentType, body = "application/json", asJSON(form)
		}
		s.world.Post(ctx, world.Callback{Kind: "sms_report", ID: id, URL: address, ContentType: contentType, Body: body})
	}
}

// asJSON writes a report as gateways in between do, with a field that says nothing.
func asJSON(form url.Values) []byte {
	out := map[string]any{"retryCount": nil}
	for name := range form {
		out[name] = form.Get(name)
	}
	body, _ := json.Marshal(out) // strings and nil only
	return body
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, out answer) {
	if !strings.Contains(r.Header.Get("Accept"), "application/json") { // XML unless asked otherwise
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusCreated)
		_ = xml.NewEncoder(w).Encode(out)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(out) // the caller hung up: nothing to do
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
