package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/daraja"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

const (
	maxControlBytes = 64 << 10
	maxPhonesShown  = 500
)

// controlRoutes adds the API behind the page and package control. A web page elsewhere that a developer has open must
// not be able to drive it, so requests from another origin are refused.
func (s *Sandbox) controlRoutes(mux *http.ServeMux) {
	api := http.NewServeMux()
	api.HandleFunc("GET /sandbox/script", s.getScript)
	api.HandleFunc("PUT /sandbox/script", s.putScript)
	api.HandleFunc("GET /sandbox/phones", s.listPhones)
	api.HandleFunc("GET /sandbox/phones/{msisdn}", withPhone(s.getPhone))
	api.HandleFunc("GET /sandbox/phones/{msisdn}/messages", withPhone(s.listMessages))
	api.HandleFunc("GET /sandbox/phones/{msisdn}/prompt", withPhone(s.getPrompt))
	api.HandleFunc("POST /sandbox/phones/{msisdn}/answer", withPhone(s.answerPrompt))
	api.HandleFunc("PUT /sandbox/phones/{msisdn}/script", withPhone(s.putPhoneScript))
	api.HandleFunc("POST /sandbox/phones/{msisdn}/script", withPhone(s.queueScript))
	api.HandleFunc("PUT /sandbox/phones/{msisdn}/balance", withPhone(s.putBalance))
	api.HandleFunc("POST /sandbox/c2b", s.payC2B)
	api.HandleFunc("POST /sandbox/forgeries", s.forge)
	api.HandleFunc("GET /sandbox/statement", s.getStatement)
	s.organisationRoutes(api)
	s.paystackRoutes(api)
	api.HandleFunc("GET /sandbox/mails", func(w http.ResponseWriter, _ *http.Request) { writeList(w, s.world.Mails()) })
	api.HandleFunc("GET /sandbox/deliveries", func(w http.ResponseWriter, _ *http.Request) { writeList(w, s.world.Deliveries()) })
	api.HandleFunc("PUT /sandbox/sms-report-url", s.putReportURL)
	api.HandleFunc("DELETE /sandbox/tokens", func(w http.ResponseWriter, _ *http.Request) {
		s.mpesa.RevokeTokens()
		w.WriteHeader(http.StatusNoContent)
	})
	api.HandleFunc("GET /sandbox/healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.Handle("/sandbox/", s.ownHost(http.NewCrossOriginProtection().Handler(api)))
}

// ownHost lets in who asks for an address, for a name without dots (this machine, a container) or for the configured one. A page
// elsewhere can point its own name at this machine; its requests are then of the same origin, and it could read messages with codes.
func (s *Sandbox) ownHost(next http.Handler) http.Handler {
	configured := ""
	if u, err := url.Parse(s.cfg.PublicURL); err == nil {
		configured = u.Hostname()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := (&url.URL{Host: r.Host}).Hostname()
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ".") && host != configured {
			refuse(w, http.StatusForbidden, errors.New("this name is not the sandbox's: ask for its address, or set SENDTIP_SANDBOX_URL"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func withPhone(next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		msisdn, err := world.Number(r.PathValue("msisdn"))
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		next(w, r, msisdn)
	}
}

func (s *Sandbox) getScript(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.world.Script())
}

func (s *Sandbox) putScript(w http.ResponseWriter, r *http.Request) {
	if script, ok := readScript(w, r); ok {
		s.world.SetScript(script)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Sandbox) putPhoneScript(w http.ResponseWriter, r *http.Request, msisdn string) {
	if script, ok := readScript(w, r); ok {
		s.world.SetPhoneScript(msisdn, script)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Sandbox) queueScript(w http.ResponseWriter, r *http.Request, msisdn string) {
	script, ok := readScript(w, r)
	if !ok {
		return
	}
	if err := s.world.QueueScript(msisdn, script); err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) listPhones(w http.ResponseWriter, _ *http.Request) {
	phones := s.world.Phones(maxPhonesShown)
	for i := range phones {
		phones[i].Prompt = s.mpesa.Prompt(phones[i].Msisdn)
	}
	writeList(w, phones)
}

func (s *Sandbox) getPhone(w http.ResponseWriter, _ *http.Request, msisdn string) {
	phone := s.world.Phone(msisdn)
	phone.Prompt = s.mpesa.Prompt(msisdn)
	writeJSON(w, http.StatusOK, phone)
}

func (s *Sandbox) listMessages(w http.ResponseWriter, _ *http.Request, msisdn string) {
	writeList(w, s.world.Messages(msisdn))
}

func (s *Sandbox) getPrompt(w http.ResponseWriter, _ *http.Request, msisdn string) {
	writeJSON(w, http.StatusOK, map[string]*control.Prompt{"prompt": s.mpesa.Prompt(msisdn)})
}

func (s *Sandbox) answerPrompt(w http.ResponseWriter, r *http.Request, msisdn string) {
	var in control.Answer
	if !readJSON(w, r, &in) {
		return
	}
	result, err := s.mpesa.Answer(msisdn, in)
	switch {
	case errors.Is(err, daraja.ErrNoPrompt):
		refuse(w, http.StatusConflict, err)
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
	default:
		writeJSON(w, http.StatusOK, result)
	}
}

func (s *Sandbox) putBalance(w http.ResponseWriter, r *http.Request, msisdn string) {
	var in struct {
		BalanceMinor *int64 `json:"balance_minor"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	if in.BalanceMinor == nil || *in.BalanceMinor < 0 || *in.BalanceMinor > 1<<53-1 {
		refuse(w, http.StatusBadRequest, errors.New("balance_minor is missing or out of range"))
		return
	}
	s.world.SetBalance(msisdn, *in.BalanceMinor)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) payC2B(w http.ResponseWriter, r *http.Request) {
	var in control.C2BPayment
	if !readJSON(w, r, &in) {
		return
	}
	msisdn, err := world.Number(in.Msisdn)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	in.Msisdn = msisdn
	entry, err := s.mpesa.PayC2B(r.Context(), in)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	writeJSON(w, http.StatusOK, entry)
}

func (s *Sandbox) forge(w http.ResponseWriter, r *http.Request) {
	var in control.Forgery
	if !readJSON(w, r, &in) {
		return
	}
	msisdn, err := world.Number(in.Msisdn)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	in.Msisdn = msisdn
	forged, err := s.mpesa.Forge(r.Context(), in)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err)
		return
	}
	writeJSON(w, http.StatusOK, forged)
}

func (s *Sandbox) getStatement(w http.ResponseWriter, r *http.Request) {
	out := s.world.Statement()
	if last, err := strconv.Atoi(r.URL.Query().Get("last")); err == nil && last >= 0 && last < len(out.Data) {
		out.Data = out.Data[len(out.Data)-last:]
	}
	writeJSON(w, http.StatusOK, out)
}

func (s *Sandbox) putReportURL(w http.ResponseWriter, r *http.Request) {
	var in struct{ URL string }
	if !readJSON(w, r, &in) {
		return
	}
	u, err := url.Parse(in.URL)
	if err != nil || (in.URL != "" && (u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"))) {
		refuse(w, http.StatusBadRequest, errors.New("url is not an absolute http address"))
		return
	}
	s.sms.SetReportURL(in.URL)
	w.WriteHeader(http.StatusNoContent)
}

func readScript(w http.ResponseWriter, r *http.Request) (control.Script, bool) {
	var script control.Script
	if !readJSON(w, r, &script) {
		return script, false
	}
	if err := script.Validate(); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return script, false
	}
	return script, true
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBytes))
	decoder.DisallowUnknownFields() // a misspelt field would otherwise be a script that does nothing
	if err := decoder.Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, errors.New("body is not the expected JSON"))
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, map[string]string{"error": err.Error()})
}

func writeList[T any](w http.ResponseWriter, list []T) {
	writeJSON(w, http.StatusOK, map[string][]T{"data": list})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller hung up: nothing to do
}
