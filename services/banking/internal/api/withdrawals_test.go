package api_test

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	bankingapi "github.com/sendtip/sendtip/generated/banking/api"
	"github.com/sendtip/sendtip/generated/scopes"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/openapi"

	"github.com/sendtip/sendtip/services/banking/internal/api"
	"github.com/sendtip/sendtip/services/banking/internal/testworld"
)

func setup(t *testing.T) (*testworld.World, *servicetest.API) {
	t.Helper()
	w := testworld.New(t)
	return w, w.API(openapi.FS, "banking.yaml", func(r chi.Router) { api.Mount(r, w.App) }, 0)
}

// TestWithdrawals: what a customer makes is what they read and list, and nobody else does.
func TestWithdrawals(t *testing.T) {
	t.Parallel()
	w, a := setup(t)
	p := w.Person(5000)
	who := "user:" + p.UserID.String()
	price := servicetest.Request{Who: who, Method: http.MethodPost, Path: "/v1/withdrawal-quotes",
		Body: `{"wallet_id":"` + p.WalletID.String() + `","amount":{"amount":100000,"currency":"KES"}}`}
	quote := servicetest.Decode[bankingapi.WithdrawalQuote](t, a.Do(price), http.StatusCreated)
	if quote.Total.Amount != 102300 || *quote.Phone != testworld.Own || *quote.RecipientName != "Amina W." || quote.Arrival != "minutes" {
		t.Errorf("%+v", quote)
	}
	made := w.Stored(p, 1000)
	get := servicetest.Request{Who: who, Method: http.MethodGet, Path: "/v1/withdrawals/" + made.ID.String()}
	got := servicetest.Decode[bankingapi.Withdrawal](t, a.Do(get), http.StatusOK)
	if got.Status != "stored" || got.Total.Amount != 102300 || *got.Phone != testworld.Own {
		t.Errorf("%+v", got)
	}
	all := a.Do(servicetest.Request{Who: who, Method: http.MethodGet, Path: "/v1/withdrawals"})
	list := servicetest.Decode[bankingapi.WithdrawalPage](t, all, http.StatusOK)
	if len(list.Data) != 1 || list.Data[0].ID != made.ID || list.NextCursor != nil {
		t.Errorf("%+v", list)
	}
	get.Who = "user:" + uuid.NewString()
	servicetest.Refused(t, a.Do(get), http.StatusNotFound, "not_found")
	cancel := servicetest.Request{Who: who, Method: http.MethodPost, Path: "/v1/withdrawals/" + made.ID.String() + "/cancellation"}
	if got := servicetest.Decode[bankingapi.Withdrawal](t, a.Do(cancel), http.StatusOK); got.Status != "cancelled" {
		t.Errorf("%+v", got)
	}
}

// TestFailureDoors: each way in which a request cannot be served is a problem.
func TestFailureDoors(t *testing.T) {
	t.Parallel()
	w, a := setup(t)
	p := w.Person(1)
	who, key := "user:"+p.UserID.String(), map[string]string{"Idempotency-Key": uuid.NewString()}
	post := func(path, body string) servicetest.Request {
		return servicetest.Request{Who: who, Method: http.MethodPost, Path: path, Body: body, Header: key}
	}
	get := func(who, path string) servicetest.Request {
		return servicetest.Request{Who: who, Method: http.MethodGet, Path: path}
	}
	for name, c := range map[string]struct {
		r      servicetest.Request
		status int
		code   string
	}{
		"nobody":                     {get("", "/v1/withdrawals"), http.StatusUnauthorized, "unauthenticated"},
		"no UUID":                    {get(who, "/v1/withdrawals/x"), http.StatusBadRequest, "invalid_request"},
		"strange place":              {get(who, "/v1/withdrawals?cursor=AAAA"), http.StatusUnprocessableEntity, "cursor_invalid"},
		"a customer among operators": {get(who, "/v1/banking/withdrawals?status=in_doubt"), http.StatusForbidden, "forbidden"},
		"not JSON":                   {post("/v1/withdrawals", "{"), http.StatusBadRequest, "invalid_request"},
		"a strange currency": {post("/v1/withdrawal-quotes",
			`{"wallet_id":"`+p.WalletID.String()+`","amount":{"amount":100000,"currency":"XXX"}}`), http.StatusBadRequest, "invalid_request"},
		"a forged address": {servicetest.Request{Method: http.MethodPost, Who: "provider:banking-br", Body: "{}",
			Path: "/v1/hooks/br/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/" + uuid.NewString()}, http.StatusNotFound, "not_found"},
	} {
		t.Run(name, func(t *testing.T) { servicetest.Refused(t, a.Do(c.r), c.status, c.code) })
	}
}

// TestMessagesAreTaken: Safaricom gets its 200 for whatever it sends to an address of ours, once or five times.
func TestMessagesAreTaken(t *testing.T) {
	t.Parallel()
	w, a := setup(t)
	p := w.Person(5000)
	made := w.Sent(p, 1000)
	token, request := testworld.At(w.Mpesa.Payments()[0]["ResultURL"])
	for range 5 {
		for path, body := range map[string]string{
			"": string(testworld.Success(made.ID, testworld.Conversation(1), "SKL1A2B3C5", 1000)), "/late": "not even JSON",
		} {
			rec := a.Do(servicetest.Request{Who: "provider:banking-br", Method: http.MethodPost, Body: body,
				Path: "/v1/hooks/br/" + token + "/" + request.String() + path})
			if got := servicetest.Decode[bankingapi.ProviderReceipt](t, rec, http.StatusOK); got.ResultDesc != "Accepted" {
				t.Errorf("%+v", got)
			}
		}
	}
	if n := w.Text("SELECT count(*) FROM provider_events"); n != "2" {
		t.Errorf("%s messages were kept", n)
	}
}

// TestReceiptsOfBothRails: people can say that a payment arrived, by either rail's receipt.
func TestReceiptsOfBothRails(t *testing.T) {
	t.Parallel()
	w, a := setup(t)
	made := w.InDoubt(w.Person(5000))
	settle := func(receipt string) servicetest.Request {
		return servicetest.Request{Who: "user:" + uuid.NewString(), Scopes: []string{scopes.AdminRails}, Method: http.MethodPost,
			Path: "/v1/banking/withdrawals/" + made.ID.String() + "/settlement",
			Body: `{"outcome":"paid","receipt":"` + receipt + `","evidence":"Statement, page 4.","reason":"The statement shows it."}`}
	}
	a.Do(settle("TRF_v5tip3zx8nna9o78"))
	servicetest.Refused(t, a.Do(settle("SKL1A2B3C5")), http.StatusConflict, "approval_waiting") // the one before was taken
}
