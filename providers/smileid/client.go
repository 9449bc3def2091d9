// Package smileid speaks Smile ID's v1 API: Enhanced KYC submissions, job status and callbacks. It owns wire shapes
// only: which result makes a customer verified is decided by the caller.
package smileid

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// Hosts of Smile ID's two environments; each has its own API key.
const (
	SandboxURL    = "https://testapi.smileidentity.com"
	ProductionURL = "https://api.smileidentity.com"
)

// maxAnswerBytes leaves room for the base64 photo of an authority (about 1.5 MB).
const maxAnswerBytes = 2 << 20

// jobTypeEnhancedKYC is Smile ID's number for Enhanced KYC.
const jobTypeEnhancedKYC = 5

// Config is what a client needs. PartnerID keeps its leading zeros: they are part of what is signed.
type Config struct {
	BaseURL   string // host without /v1
	PartnerID string
	APIKey    string
	HTTP      *http.Client     // nil: a client with a time-out of 20 s
	Now       func() time.Time // nil: the real time
}

// Client calls Smile ID for one partner. It is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
}

// New returns a client.
func New(cfg Config) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now //nolint:forbidigo // for tools; a service gives its clock
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	return &Client{cfg: cfg, http: wire.Client(cfg.HTTP)}
}

// Sign computes the v1 signature over timestamp, partner id and "sid_request". The key is used as raw bytes.
func Sign(apiKey, partnerID, timestamp string) string {
	mac := hmac.New(sha256.New, []byte(apiKey))
	mac.Write([]byte(timestamp + partnerID + "sid_request"))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// FormatTimestamp writes t as Smile ID's samples do: UTC, milliseconds, Z.
func FormatTimestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// VerifySignature reports whether signature belongs to the received timestamp, in constant time. It proves only that
// the sender knows the API key: payload and age are not covered. Check the age with Result.SentAt, match the job, and
// read decisions of weight again through JobStatus.
func (c *Client) VerifySignature(timestamp, signature string) bool {
	want := Sign(c.cfg.APIKey, c.cfg.PartnerID, timestamp)
	return timestamp != "" && hmac.Equal([]byte(want), []byte(signature))
}

// Request is one Enhanced KYC look-up. JobID is the idempotency key: one per attempt, chosen by us.
type Request struct {
	UserID      string
	JobID       string
	Country     string // ISO 3166-1 alpha-2
	IDType      string // for example NATIONAL_ID
	IDNumber    string
	FirstName   string
	MiddleName  string
	LastName    string
	DOB         string // YYYY-MM-DD
	Gender      string // M or F
	Phone       string
	CallbackURL string            // required by SubmitEnhancedKYC
	Params      map[string]string // further partner_params, echoed in results
}

func (c *Client) body(r Request) (map[string]any, error) {
	if r.UserID == "" || r.JobID == "" || r.Country == "" || r.IDType == "" || r.IDNumber == "" {
		return nil, &Error{NotSent: true, Code: "invalid_request", Message: "a required field is missing"}
	}
	params := make(map[string]any, len(r.Params)+3)
	for k, v := range r.Params {
		params[k] = v
	}
	params["user_id"], params["job_id"], params["job_type"] = r.UserID, r.JobID, jobTypeEnhancedKYC
	body := c.signed()
	body["partner_params"] = params
	for key, value := range map[string]string{
		"country": r.Country, "id_type": r.IDType, "id_number": r.IDNumber, "first_name": r.FirstName,
		"middle_name": r.MiddleName, "last_name": r.LastName, "dob": r.DOB, "gender": r.Gender,
		"phone_number": r.Phone, "callback_url": r.CallbackURL,
	} {
		if value != "" {
			body[key] = value
		}
	}
	return body, nil
}

func (c *Client) signed() map[string]any {
	stamp := FormatTimestamp(c.cfg.Now())
	return map[string]any{
		"partner_id": c.cfg.PartnerID, "source_sdk": "rest_api", "source_sdk_version": "1.0.0",
		"timestamp": stamp, "signature": Sign(c.cfg.APIKey, c.cfg.PartnerID, stamp),
	}
}

// SubmitEnhancedKYC starts a look-up; the result comes by callback or JobStatus. An error with JobExists means that an
// earlier attempt arrived: poll. Any other error that is not Definite leaves that open: submit again under the same
// JobID, or poll.
func (c *Client) SubmitEnhancedKYC(ctx context.Context, r Request) error {
	if r.CallbackURL == "" {
		return &Error{NotSent: true, Code: "invalid_request", Message: "callback_url is missing"}
	}
	body, err := c.body(r)
	if err != nil {
		return err
	}
	raw, err := c.post(ctx, "/v1/async_id_verification", body)
	if err != nil {
		return err
	}
	var answer struct{ Success wire.Text }
	if err := json.Unmarshal(raw, &answer); err != nil || strings.EqualFold(string(answer.Success), "false") {
		return &Error{HTTPStatus: http.StatusOK, Message: "answer without success"}
	}
	return nil
}

// Verify runs a look-up and waits for the authority. Prefer SubmitEnhancedKYC: it survives an authority's outage.
func (c *Client) Verify(ctx context.Context, r Request) (Result, error) {
	body, err := c.body(r)
	if err != nil {
		return Result{}, err
	}
	raw, err := c.post(ctx, "/v1/id_verification", body)
	if err != nil {
		return Result{}, err
	}
	result, err := ParseCallback(raw)
	if err != nil {
		return Result{}, err
	}
	if !c.VerifySignature(result.Timestamp, result.Signature) {
		return Result{}, errBadSignature
	}
	return result, nil
}

// JobStatus is the state of a job. Result is nil until there is one; Note then holds Smile ID's sentence.
type JobStatus struct {
	Complete bool
	Success  bool
	Code     string
	Note     string
	Result   *Result
}

// JobStatus asks for a job. An answer whose signature does not verify is an error.
func (c *Client) JobStatus(ctx context.Context, userID, jobID string) (JobStatus, error) {
	body := c.signed()
	body["user_id"], body["job_id"], body["image_links"], body["history"] = userID, jobID, false, false
	raw, err := c.post(ctx, "/v1/job_status", body)
	if err != nil {
		return JobStatus{}, err
	}
	var answer struct {
		Timestamp, Signature string
		JobComplete          wire.Text `json:"job_complete"`
		JobSuccess           wire.Text `json:"job_success"`
		Code                 wire.Text
		Result               json.RawMessage
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return JobStatus{}, &Error{HTTPStatus: http.StatusOK, Message: "unreadable answer"}
	}
	if !c.VerifySignature(answer.Timestamp, answer.Signature) {
		return JobStatus{}, errBadSignature
	}
	out := JobStatus{
		Complete: strings.EqualFold(string(answer.JobComplete), "true"),
		Success:  strings.EqualFold(string(answer.JobSuccess), "true"), Code: string(answer.Code),
	}
	if len(answer.Result) == 0 || json.Unmarshal(answer.Result, &out.Note) == nil { // a sentence, while there is no result
		return out, nil
	}
	result, err := ParseCallback(answer.Result)
	if err != nil {
		return JobStatus{}, err
	}
	out.Result = &result
	return out, nil
}

var errBadSignature = &Error{HTTPStatus: http.StatusOK, Message: "signature of the answer does not verify"}

func (c *Client) post(ctx context.Context, path string, body any) ([]byte, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, &Error{NotSent: true, Err: fmt.Errorf("encode: %w", err)}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.BaseURL+path, bytes.NewReader(encoded))
	if err != nil {
		return nil, &Error{NotSent: true, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req) //nolint:bodyclose // wire.ReadBody reads it to its limit and closes it
	if err != nil {
		return nil, &Error{NotSent: wire.NeverSent(err), Err: err}
	}
	raw, err := wire.ReadBody(resp, maxAnswerBytes)
	if err != nil {
		return nil, &Error{HTTPStatus: resp.StatusCode, Message: "unreadable answer", Err: err}
	}
	if resp.StatusCode == http.StatusOK {
		var refused struct{ Error, Code wire.Text }
		if json.Unmarshal(raw, &refused) == nil && refused.Error != "" {
			return nil, &Error{HTTPStatus: resp.StatusCode, Code: string(refused.Code), Message: wire.Scrub(string(refused.Error))}
		}
		return raw, nil
	}
	var refused struct{ Error, Code wire.Text }
	_ = json.Unmarshal(raw, &refused) // gateways in between answer HTML: the status alone counts then
	return nil, &Error{HTTPStatus: resp.StatusCode, Code: string(refused.Code), Message: wire.Scrub(string(refused.Error))}
}

// Error is every failure of a call. HTTPStatus is 0 when no answer came; Code is Smile ID's four digits.
type Error struct {
	HTTPStatus int
	Code       string
	Message    string
	NotSent    bool  // the request never left
	Err        error // the transport's error, if any
}

// Error describes the failure without identity numbers.
func (e *Error) Error() string {
	return wire.Describe("smileid", e.HTTPStatus, e.Code, e.Message, e.Err)
}

// Unwrap returns the transport's error.
func (e *Error) Unwrap() error { return e.Err }

// JobExists reports code 2215: a job with this JobID was accepted before.
func (e *Error) JobExists() bool { return e.Code == "2215" }

// Definite reports that the job was certainly not started by this call. System errors (2201, 2301, 2401), 5xx answers
// and broken connections are not definite.
func (e *Error) Definite() bool {
	switch e.Code {
	case "2201", "2301", "2401":
		return false
	}
	return e.NotSent || (e.HTTPStatus >= 400 && e.HTTPStatus < 500 && e.HTTPStatus != http.StatusRequestTimeout)
}

// Unauthorized reports a wrong key, signature or environment (2205, 2405): a matter for the operator.
func (e *Error) Unauthorized() bool {
	return e.Code == "2205" || e.Code == "2405" || e.HTTPStatus == http.StatusUnauthorized
}

// JobExists reports that err says that the job was accepted before.
func JobExists(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.JobExists()
}
