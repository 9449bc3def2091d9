package api_test

import (
	"net/http"
	"testing"

	"github.com/sendtip/sendtip/services/user/internal/testworld"
)

// TestLimitUnreachable: what cannot be counted is not done, and the caller is told to come back: without a database, and where only the
// counters do not answer.
func TestLimitUnreachable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.register(phone)
	calls := []call{
		anonymous("POST", "/v1/sessions", map[string]any{"phone": phone, "pin": pin, "device_id": device}),
		anonymous("POST", "/v1/registrations", map[string]any{"phone": "+254712000001", "country": "KE", "language": "en"}),
		anonymous("POST", "/v1/login-challenges", map[string]any{"phone": phone, "device_id": device}),
		anonymous("POST", "/v1/pin-resets", map[string]any{"phone": phone, "device_id": device}),
	}
	refused := func(w *world) {
		t.Helper()
		for _, c := range calls {
			if a := w.expect(c, http.StatusServiceUnavailable, "unavailable"); a.header.Get("Retry-After") == "" {
				t.Errorf("%s: 503 without Retry-After", c.path)
			}
		}
	}
	refused(serve(t, testworld.Unreachable(t)))

	rows := func() int {
		t.Helper()
		return w.Count("SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM otp_challenges) + (SELECT count(*) FROM pin_attempts)")
	}
	before := rows()
	tx, err := w.Connect(w.DB.AdminURL).Begin(t.Context())
	w.must(err)
	_, err = tx.Exec(t.Context(), "LOCK TABLE limit_counts IN ACCESS EXCLUSIVE MODE")
	w.must(err)
	refused(w)
	w.must(tx.Rollback(t.Context()))
	if after := rows(); after != before {
		t.Errorf("%d rows of requests that were not counted", after-before)
	}
	w.expect(calls[0], http.StatusCreated, "")
}
