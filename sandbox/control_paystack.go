package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/sendtip/sendtip/sandbox/control"
)

// maxPaystackShown bounds the lists of payments and payouts.
const maxPaystackShown = 200

// paystackRoutes adds what drives the simulated Paystack.
func (s *Sandbox) paystackRoutes(api *http.ServeMux) {
	api.HandleFunc("GET /sandbox/paystack/script", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.pay.Script())
	})
	api.HandleFunc("PUT /sandbox/paystack/script", s.paystackScript(func(_ *http.Request, in control.PaystackScript) error {
		s.pay.SetScript(in)
		return nil
	}))
	api.HandleFunc("POST /sandbox/paystack/script", s.paystackScript(func(_ *http.Request, in control.PaystackScript) error {
		return s.pay.QueueScript(in)
	}))
	api.HandleFunc("PUT /sandbox/paystack/references/{reference}/script",
		s.paystackScript(func(r *http.Request, in control.PaystackScript) error {
			return s.pay.SetReferenceScript(r.PathValue("reference"), in)
		}))
	api.HandleFunc("PUT /sandbox/paystack/accounts/{account}/script", s.paystackScript(func(r *http.Request, in control.PaystackScript) error {
		return s.pay.SetAccountScript(r.PathValue("account"), in)
	}))
	api.HandleFunc("GET /sandbox/paystack/statement", func(w http.ResponseWriter, r *http.Request) {
		out := s.pay.Statement()
		if last, err := strconv.Atoi(r.URL.Query().Get("last")); err == nil && last >= 0 && last < len(out.Data) {
			out.Data = out.Data[len(out.Data)-last:]
		}
		writeJSON(w, http.StatusOK, out)
	})
	api.HandleFunc("GET /sandbox/paystack/payments", func(w http.ResponseWriter, _ *http.Request) {
		writeList(w, s.pay.Payments(maxPaystackShown))
	})
	api.HandleFunc("GET /sandbox/paystack/payouts", func(w http.ResponseWriter, _ *http.Request) {
		writeList(w, s.pay.Payouts(maxPaystackShown))
	})
	api.HandleFunc("GET /sandbox/paystack/checkouts/{code}", s.getCheckout)
	api.HandleFunc("POST /sandbox/paystack/references/{reference}/answer", s.answerPaystack)
	api.HandleFunc("POST /sandbox/paystack/references/{reference}/dispute", s.disputePaystack)
	api.HandleFunc("POST /sandbox/paystack/refunds/{id}", s.endPaystackRefund)
	api.HandleFunc("PUT /sandbox/paystack/balance", s.putPaystackBalance)
	api.HandleFunc("PUT /sandbox/paystack/webhook-url", s.putWebhookURL)
}

func (s *Sandbox) paystackScript(set func(*http.Request, control.PaystackScript) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in control.PaystackScript
		if !readJSON(w, r, &in) {
			return
		}
		if err := in.Validate(); err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		if err := set(r, in); err != nil {
			refuse(w, http.StatusConflict, err)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Sandbox) getCheckout(w http.ResponseWriter, r *http.Request) {
	payment, ok := s.pay.Checkout(r.PathValue("code"))
	if !ok {
		refuse(w, http.StatusNotFound, errors.New("no such page"))
		return
	}
	writeJSON(w, http.StatusOK, payment)
}

func (s *Sandbox) answerPaystack(w http.ResponseWriter, r *http.Request) {
	var in struct{ Action string }
	if !readJSON(w, r, &in) {
		return
	}
	payment, err := s.pay.Answer(r.PathValue("reference"), in.Action)
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	writeJSON(w, http.StatusOK, payment)
}

func (s *Sandbox) disputePaystack(w http.ResponseWriter, r *http.Request) {
	var in control.PaystackDispute
	if !readJSON(w, r, &in) {
		return
	}
	if err := s.pay.Dispute(r.PathValue("reference"), in); err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) endPaystackRefund(w http.ResponseWriter, r *http.Request) {
	var in struct{ Action string }
	if !readJSON(w, r, &in) {
		return
	}
	if err := s.pay.EndRefund(r.PathValue("id"), in.Action); err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

func (s *Sandbox) putPaystackBalance(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Currency     string
		BalanceMinor *int64 `json:"balance_minor"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	if !currencyCode.MatchString(in.Currency) || in.BalanceMinor == nil || *in.BalanceMinor < 0 || *in.BalanceMinor > 1<<53-1 {
		refuse(w, http.StatusBadRequest, errors.New("currency or balance_minor is missing or out of range"))
		return
	}
	s.pay.SetBalance(in.Currency, *in.BalanceMinor)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Sandbox) putWebhookURL(w http.ResponseWriter, r *http.Request) {
	var in struct{ URL string }
	if !readJSON(w, r, &in) {
		return
	}
	if in.URL != "" && !absolute(in.URL) {
		refuse(w, http.StatusBadRequest, errors.New("url is not an absolute http address"))
		return
	}
	s.pay.SetWebhookURL(in.URL)
	w.WriteHeader(http.StatusNoContent)
}

// absolute reports whether callbacks can be sent to an address.
func absolute(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}
