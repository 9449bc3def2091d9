package daraja

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const maxTokens = 1000

// tokens are the access tokens handed out, until they expire.
type tokens struct {
	life time.Duration
	now  func() time.Time

	mu    sync.Mutex
	until map[string]time.Time
}

func newTokens(life time.Duration, now func() time.Time) *tokens {
	return &tokens{life: life, now: now, until: map[string]time.Time{}}
}

func (t *tokens) issue() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for token, until := range t.until {
		if len(t.until) >= maxTokens || !t.now().Before(until) {
			delete(t.until, token)
		}
	}
	token := (rand.Text() + rand.Text())[:28] // 28 characters, as observed
	t.until[token] = t.now().Add(t.life)
	return token
}

func (t *tokens) valid(header string) bool {
	token, ok := strings.CutPrefix(header, "Bearer ")
	t.mu.Lock()
	defer t.mu.Unlock()
	return ok && t.now().Before(t.until[token])
}

// RevokeTokens makes all access tokens invalid.
func (s *Server) RevokeTokens() {
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	clear(s.tokens.until)
}

func (s *Server) generateToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // what a proxy kept would be somebody else's token (RFC 6749, section 5.1)
	w.Header().Set("Pragma", "no-cache")
	key, secret, ok := r.BasicAuth()
	switch {
	case r.Method != http.MethodGet:
		fail(w, http.StatusMethodNotAllowed, "405.001", "Method Not Allowed")
	case r.URL.Query().Get("grant_type") != "client_credentials":
		fail(w, http.StatusBadRequest, "400.008.02", "Invalid grant type passed")
	case !ok || !same(key, s.opt.ConsumerKey) || !same(secret, s.opt.ConsumerSecret):
		fail(w, http.StatusBadRequest, "400.008.01", "Invalid Authentication passed")
	default:
		write(w, http.StatusOK, map[string]string{
			"access_token": s.tokens.issue(), "expires_in": strconv.Itoa(int(s.opt.TokenLife.Seconds())),
		})
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
