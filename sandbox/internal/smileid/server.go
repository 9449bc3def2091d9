// Package smileid is the local counterpart of Smile ID's v1 API for Enhanced KYC: signatures in both directions, the
// documented last-digit behaviour, job status and callbacks.
//
// The last digit of the ID number decides, as in Smile ID's own sandbox for 0 to 4:
//
//	0, 8, 9  1012, the person who was submitted: first, middle and last name and date of birth as sent
//	1        1013 not found
//	2        1014 bad format (also any number that does not fit its type)
//	3        1015 authority down
//	4        1012 with the values that partner_params holds as top-level keys (FullName, DOB, Gender, ...)
//	5        1012, but another person: name and date of birth do not match what was sent
//	6        0814 provisional, never final
//	7        1099, a code that no document knows
package smileid

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// Options are the partner's credentials and the time that a job takes.
type Options struct {
	PartnerID string
	APIKey    string
	JobDelay  time.Duration
}

const (
	maxJobs      = 20_000
	maxBodyBytes = 256 << 10
)

// Server answers the Smile ID API. It is safe for concurrent use.
type Server struct {
	opt   Options
	world *world.World

	mu       sync.Mutex
	jobs     map[string]*job // by job_id
	order    []string
	sequence int
}

type job struct {
	userID string
	number string // SmileJobID
	in     request
	result map[string]any // nil while incomplete
}

// request is the body of a look-up.
type request struct {
	PartnerID   string         `json:"partner_id"`
	Signature   string         `json:"signature"`
	Timestamp   string         `json:"timestamp"`
	Country     string         `json:"country"`
	IDType      string         `json:"id_type"`
	IDNumber    string         `json:"id_number"`
	FirstName   string         `json:"first_name"`
	MiddleName  string         `json:"middle_name"`
	LastName    string         `json:"last_name"`
	DOB         string         `json:"dob"`
	Gender      string         `json:"gender"`
	Phone       string         `json:"phone_number"`
	CallbackURL string         `json:"callback_url"`
	Params      map[string]any `json:"partner_params"`
	UserID      string         `json:"user_id"` // job_status only
	JobID       string         `json:"job_id"`  // job_status only
}

func (r request) param(name string) string {
	s, _ := r.Params[name].(string)
	return s
}

// New returns a server.
func New(o Options, w *world.World) *Server {
	return &Server{opt: o, world: w, jobs: map[string]*job{}}
}

// Routes adds the API's paths.
func (s *Server) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/id_verification", s.guard(s.verify))
	mux.HandleFunc("POST /v1/async_id_verification", s.guard(s.verifyAsync))
	mux.HandleFunc("POST /v1/job_status", s.guard(s.jobStatus))
}

func (s *Server) guard(next func(http.ResponseWriter, request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in request
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes)).Decode(&in); err != nil {
			fail(w, http.StatusBadRequest, "2204", "Wrong data type")
			return
		}
		// The window is ours: the real service publishes none, but refuses stale timestamps.
		at, err := time.Parse(time.RFC3339Nano, in.Timestamp)
		fresh := err == nil && s.world.Now().Sub(at).Abs() < time.Hour
		if in.PartnerID != s.opt.PartnerID || !fresh || smileid.Sign(s.opt.APIKey, in.PartnerID, in.Timestamp) != in.Signature {
			fail(w, http.StatusUnauthorized, "2205", "You are not authorized to do that.")
			return
		}
		next(w, in)
	}
}

// open registers the job, or answers why it cannot.
func (s *Server) open(w http.ResponseWriter, in request) *job {
	id, user := in.param("job_id"), in.param("user_id")
	if id == "" || user == "" || in.Country == "" || in.IDType == "" || in.IDNumber == "" {
		fail(w, http.StatusBadRequest, "2213", "Missing required parameters")
		return nil
	}
	if kind, ok := in.Params["job_type"].(float64); !ok || kind != 5 {
		fail(w, http.StatusBadRequest, "2212", "Invalid job type")
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs[id] != nil {
		fail(w, http.StatusBadRequest, "2215", "Job already exists for the given job_id")
		return nil
	}
	if len(s.order) >= maxJobs {
		for _, old := range s.order[:maxJobs/10] {
			delete(s.jobs, old)
		}
		s.order = append(s.order[:0:0], s.order[maxJobs/10:]...)
	}
	s.sequence++
	j := &job{userID: user, number: fmt.Sprintf("%010d", s.sequence), in: in}
	s.jobs[id], s.order = j, append(s.order, id)
	return j
}

func (s *Server) finish(j *job) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	j.result = result(j.in, j.number)
	return s.signed(j.result)
}

// signed returns a copy with timestamp and signature of now.
func (s *Server) signed(body map[string]any) map[string]any {
	out := make(map[string]any, len(body)+2)
	for k, v := range body {
		out[k] = v
	}
	stamp := smileid.FormatTimestamp(s.world.Now())
	out["timestamp"], out["signature"] = stamp, smileid.Sign(s.opt.APIKey, s.opt.PartnerID, stamp)
	return out
}

func (s *Server) verify(w http.ResponseWriter, in request) {
	if j := s.open(w, in); j != nil {
		write(w, http.StatusOK, s.finish(j))
	}
}

func (s *Server) verifyAsync(w http.ResponseWriter, in request) {
	u, err := url.Parse(in.CallbackURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		fail(w, http.StatusBadRequest, "2213", "Missing required parameter callback_url")
		return
	}
	j := s.open(w, in)
	if j == nil {
		return
	}
	script := s.world.ScriptFor("")
	if number, err := world.Number(in.Phone); err == nil {
		script = s.world.ScriptFor(number)
	}
	s.world.Go(func(ctx context.Context) {
		if world.Pause(ctx, world.MS(script.KYCDelayMS, s.opt.JobDelay)) {
			s.callBack(ctx, j, s.finish(j), script)
		}
	})
	write(w, http.StatusOK, map[string]any{"success": true})
}

func (s *Server) callBack(ctx context.Context, j *job, body map[string]any, script control.Script) {
	id := j.in.param("job_id")
	switch script.KYCCallback {
	case "lose":
		s.world.Lose("kyc", id)
		return
	case "forge":
		forge(body)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		s.world.Log().ErrorContext(ctx, "encode callback", "err", err)
		return
	}
	callback := world.Callback{Kind: "kyc", ID: id, URL: j.in.CallbackURL, ContentType: "application/json", Body: raw}
	copies := 1
	if script.KYCCallback == "duplicate" {
		copies = world.Copies
	}
	s.world.PostCopies(ctx, callback, copies)
}

// forge makes what somebody without the key could send: the opposite result under a wrong signature.
func forge(body map[string]any) {
	if body["ResultCode"] == "1012" {
		body["ResultCode"], body["ResultText"] = "1013", "ID Number Not Found"
	} else {
		body["ResultCode"], body["ResultText"] = "1012", "ID Number Validated"
	}
	body["signature"] = smileid.Sign("not the key", "000", body["timestamp"].(string))
}

func (s *Server) jobStatus(w http.ResponseWriter, in request) {
	s.mu.Lock()
	j := s.jobs[in.JobID]
	body := map[string]any{"job_complete": false, "job_success": false, "code": "2302", "result": "No zip uploaded"}
	if j != nil && j.userID == in.UserID && j.result != nil {
		body["job_complete"], body["job_success"] = true, j.result["ResultCode"] == "1012"
		body["result"] = s.signed(j.result)
	}
	out := s.signed(body)
	s.mu.Unlock()
	write(w, http.StatusOK, out)
}

func fail(w http.ResponseWriter, status int, code, message string) {
	write(w, status, map[string]any{"error": message, "code": code, "success": false})
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller hung up: nothing to do
}
