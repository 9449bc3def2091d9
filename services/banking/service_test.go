package banking_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"

	"github.com/sendtip/sendtip/services/banking"
)

// TestNewConnectsToNothing: the service is made while all its dependencies are down, says that it is not ready, and answers nobody unknown.
func TestNewConnectsToNothing(t *testing.T) {
	t.Parallel()
	cfg := banking.Config{Common: servicetest.Common("postgres://nobody@127.0.0.1:1/none")}
	s, err := banking.New(t.Context(), cfg, service.Host{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ready(t.Context()); err == nil {
		t.Error("ready without a database")
	}
	rec := httptest.NewRecorder()
	s.Handler.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/withdrawals", http.NoBody))
	servicetest.Refused(t, rec, http.StatusUnauthorized, "unauthenticated")
}

// TestTimeScale: trials run faster than reality; production does not.
func TestTimeScale(t *testing.T) {
	t.Parallel()
	for env, refused := range map[string]bool{"development": false, "production": true} {
		_, err := banking.LoadConfig(map[string]string{"SENDTIP_ENV": env, "SENDTIP_TIME_SCALE": "60"})
		if (err != nil && strings.Contains(err.Error(), "SENDTIP_TIME_SCALE")) != refused {
			t.Errorf("%s: %v", env, err)
		}
	}
}
