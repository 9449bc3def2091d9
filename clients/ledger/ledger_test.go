package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/clients/ledger"
	transactionsclient "github.com/sendtip/sendtip/generated/transactions/client"
	"github.com/sendtip/sendtip/kit/call"
	"github.com/sendtip/sendtip/kit/fault"
)

const (
	reference   = "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e:post"
	transaction = "01937c5e-1111-7c1b-9d7e-3f6b2a1c0d4e"
	posted      = `{"outcomes":[{"reference":"` + reference + `","status":"posted","transaction_id":"` + transaction + `"}]}`
)

// post asks a ledger that answers as the test says.
func post(t *testing.T, timeout time.Duration, answer http.HandlerFunc) ledger.Answer {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	doer := call.NewClient(call.Config{GatewayURL: server.URL, Service: "test"})
	api, err := transactionsclient.NewClientWithResponses(server.URL, transactionsclient.WithHTTPClient(doer))
	if err != nil {
		t.Fatal(err)
	}
	return ledger.New(api, timeout).Post(t.Context(), transactionsclient.LedgerRequest{Reference: reference,
		Action: transactionsclient.LedgerActionPost, Type: "transfer", Channel: transactionsclient.ChannelInternal})
}

func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func ok(body string) http.HandlerFunc { return says(http.StatusOK, "application/json", body) }

func TestPosted(t *testing.T) {
	t.Parallel()
	var sent string
	a := post(t, 0, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = string(body)
		ok(posted)(w, r)
	})
	if !a.IsPosted() || a.IsRefused() || a.IsUnknown() || a.TransactionID() != uuid.MustParse(transaction) || a.Code() != "" ||
		a.Err() != nil {
		t.Errorf("answer is %+v", a)
	}
	if !strings.Contains(sent, reference) {
		t.Errorf("sent %s", sent)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"insufficient_funds", "over_maximum", "account_frozen", "books_differ", "a_code_of_tomorrow"} {
		a := post(t, 0, ok(`{"outcomes":[{"reference":"`+reference+`","status":"refused","code":"`+code+`"}]}`))
		if !a.IsRefused() || a.IsPosted() || a.IsUnknown() || a.Code() != code || a.TransactionID() != uuid.Nil || a.Err() != nil {
			t.Errorf("%s: answer is %+v", code, a)
		}
	}
}

// TestUnknown is every answer that is no outcome of this transaction: whatever it says, an earlier request may have posted.
func TestUnknown(t *testing.T) {
	t.Parallel()
	problem := `{"type":"about:blank","title":"No","status":400,"code":"insufficient_funds"}` // a code in a problem is no outcome either
	answers := map[string]http.HandlerFunc{
		"lost": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"half_a_body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", strconv.Itoa(len(posted)))
			_, _ = io.WriteString(w, posted[:len(posted)/2])
			panic(http.ErrAbortHandler)
		},
		"half_a_document":   ok(posted[:len(posted)/2]),
		"nothing":           ok(""),
		"no_outcomes":       ok(`{"outcomes":[]}`),
		"two_outcomes":      ok(strings.Replace(posted, "]", `,{"reference":"x","status":"refused","code":"over_maximum"}]`, 1)),
		"another_reference": ok(strings.Replace(posted, reference, "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4f:post", 1)),
		"no_transaction":    ok(`{"outcomes":[{"reference":"` + reference + `","status":"posted"}]}`),
		"no_code":           ok(`{"outcomes":[{"reference":"` + reference + `","status":"refused"}]}`),
		"empty_code":        ok(`{"outcomes":[{"reference":"` + reference + `","status":"refused","code":""}]}`),
		"another_status":    ok(strings.Replace(posted, `"posted"`, `"queued"`, 1)),
		"another_media":     says(http.StatusOK, "text/html", posted),
		"accepted":          says(http.StatusAccepted, "application/json", posted),
		"redirect":          says(http.StatusFound, "application/json", posted),
	}
	for status := 400; status <= 429; status++ {
		answers[fmt.Sprint("status_", status)] = says(status, "application/problem+json", problem)
	}
	for _, status := range []int{500, 501, 502, 503, 504} {
		answers[fmt.Sprint("status_", status)] = says(status, "application/problem+json", problem)
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := post(t, 0, answer)
			if !a.IsUnknown() || a.IsPosted() || a.IsRefused() || a.Err() == nil || errors.Is(a.Err(), ledger.ErrReused) {
				t.Errorf("answer is %+v", a)
			}
		})
	}
}

// TestUnknownReused: the ledger speaks of another transaction, and whoever asked must learn that this is not a matter of time.
func TestUnknownReused(t *testing.T) {
	t.Parallel()
	a := post(t, 0, ok(`{"outcomes":[{"reference":"`+reference+`","status":"refused","code":"reference_reused"}]}`))
	if !a.IsUnknown() || a.Code() != "" || !errors.Is(a.Err(), ledger.ErrReused) {
		t.Errorf("answer is %+v", a)
	}
}

// TestUnknownKeepsTheCause: what a caller passes on says whether to come back.
func TestUnknownKeepsTheCause(t *testing.T) {
	t.Parallel()
	a := post(t, 0, says(http.StatusServiceUnavailable, "application/problem+json", `{"code":"ledger_busy","detail":"Busy.","retry_after":1}`))
	if f, isFault := fault.As(a.Err()); !isFault || f.Code != "ledger_busy" || !call.IsUnknown(a.Err()) {
		t.Errorf("err is %v", a.Err())
	}
	release := make(chan struct{})
	defer close(release)
	a = post(t, time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	if !a.IsUnknown() || !errors.Is(a.Err(), context.DeadlineExceeded) {
		t.Errorf("without an answer in time: %+v", a)
	}
}

// TestZeroAnswer: an answer that nobody filled in must never count as an outcome.
func TestZeroAnswer(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]ledger.Answer{
		"zero": {}, "no_id": ledger.Posted(uuid.Nil), "no_code": ledger.Refused(""), "no_cause": ledger.Unknown(nil),
	} {
		if !a.IsUnknown() || a.IsPosted() || a.IsRefused() || a.Err() == nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
}
