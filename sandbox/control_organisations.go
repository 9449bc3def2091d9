package sandbox

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/daraja"
)

// organisationRoutes are the short codes' books, and what only an organisation can do.
func (s *Sandbox) organisationRoutes(api *http.ServeMux) {
	api.HandleFunc("GET /sandbox/organisations", s.listOrganisations)
	api.HandleFunc("GET /sandbox/organisations/{code}", s.withCode(func(w http.ResponseWriter, _ *http.Request, code string) {
		writeJSON(w, http.StatusOK, s.world.Organisation(code))
	}))
	api.HandleFunc("GET /sandbox/organisations/{code}/statement", s.withCode(s.getMovements))
	api.HandleFunc("GET /sandbox/organisations/{code}/statement.csv", s.withCode(s.getStatementFile))
	api.HandleFunc("PUT /sandbox/organisations/{code}/float", s.withCode(s.putFloat))
	api.HandleFunc("POST /sandbox/organisations/{code}/script", s.withCode(s.queueOrder))
	api.HandleFunc("DELETE /sandbox/initiator-lock", func(w http.ResponseWriter, _ *http.Request) {
		s.mpesa.UnlockInitiator()
		w.WriteHeader(http.StatusNoContent)
	})
	api.HandleFunc("GET /sandbox/storm", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.world.Storm()) })
	api.HandleFunc("PUT /sandbox/storm", s.putStorm)
	api.HandleFunc("GET /sandbox/certificate", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = io.WriteString(w, daraja.Certificate) // the caller hung up: nothing to do
	})
}

// withCode refuses short codes that there are not: each one that is asked for gets accounts.
func (s *Sandbox) withCode(next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		code := r.PathValue("code")
		if !s.mpesa.Knows(code) {
			refuse(w, http.StatusNotFound, errors.New("no such short code"))
			return
		}
		next(w, r, code)
	}
}

// listOrganisations shows the configured short codes, used or not, and the others that were used.
func (s *Sandbox) listOrganisations(w http.ResponseWriter, _ *http.Request) {
	s.world.Organisation(s.cfg.ShortCode)
	s.world.Organisation(s.cfg.B2CShortCode)
	writeList(w, s.world.Organisations())
}

func (s *Sandbox) getMovements(w http.ResponseWriter, r *http.Request, code string) {
	last, err := strconv.Atoi(r.URL.Query().Get("last"))
	if err != nil || last < 0 {
		last = 0
	}
	writeJSON(w, http.StatusOK, s.world.Movements(code, last))
}

func (s *Sandbox) putFloat(w http.ResponseWriter, r *http.Request, code string) {
	var in control.Float
	if !readJSON(w, r, &in) {
		return
	}
	for _, minor := range []*int64{in.UtilityMinor, in.WorkingMinor} {
		if minor != nil && (*minor < 0 || *minor > 1<<53-1) {
			refuse(w, http.StatusBadRequest, errors.New("utility_minor or working_minor is out of range"))
			return
		}
	}
	s.world.SetFloat(code, in)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) putStorm(w http.ResponseWriter, r *http.Request) {
	var in control.Storm
	if !readJSON(w, r, &in) {
		return
	}
	if err := in.Validate(); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	s.world.SetStorm(in)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) queueOrder(w http.ResponseWriter, r *http.Request, code string) {
	script, ok := readScript(w, r)
	if !ok {
		return
	}
	if err := s.world.QueueOrder(code, script); err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
