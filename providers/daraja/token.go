package daraja

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sendtip/sendtip/providers/internal/wire"
)

// refreshMargin is how long before its end a token is replaced; Safaricom's tokens live an hour.
const refreshMargin = 5 * time.Minute

// tokenCache shares one token between all calls. The lock is a channel so that a caller whose context ends does not
// wait for another's slow refresh.
type tokenCache struct {
	now    func() time.Time
	fetch  func(context.Context) (string, time.Duration, error)
	flight chan struct{} // held by the one caller that refreshes

	mu      sync.Mutex
	token   string
	renewAt time.Time
}

func newTokenCache(now func() time.Time, fetch func(context.Context) (string, time.Duration, error)) *tokenCache {
	return &tokenCache{now: now, fetch: fetch, flight: make(chan struct{}, 1)}
}

func (t *tokenCache) current() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.token != "" && t.now().Before(t.renewAt)
}

func (t *tokenCache) get(ctx context.Context) (string, error) {
	if token, ok := t.current(); ok {
		return token, nil
	}
	select {
	case t.flight <- struct{}{}:
		defer func() { <-t.flight }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if token, ok := t.current(); ok { // somebody refreshed while this caller waited
		return token, nil
	}
	token, life, err := t.fetch(ctx)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	t.token, t.renewAt = token, t.now().Add(life-min(refreshMargin, life/10))
	t.mu.Unlock()
	return token, nil
}

// drop forgets the token that was refused, but not a newer one that another caller fetched meanwhile.
func (t *tokenCache) drop(refused string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == refused {
		t.token = ""
	}
}

func (c *Client) fetchToken(ctx context.Context) (string, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.cfg.BaseURL+"/oauth/v1/generate?grant_type=client_credentials", nil)
	if err != nil {
		return "", 0, err
	}
	req.SetBasicAuth(c.cfg.ConsumerKey, c.cfg.ConsumerSecret)
	body, err := c.do(req)
	if err != nil {
		return "", 0, err
	}
	var answer struct {
		AccessToken string    `json:"access_token"`
		ExpiresIn   wire.Text `json:"expires_in"` // "3599" in the documents, 3599 on the wire
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.AccessToken == "" {
		return "", 0, &Error{HTTPStatus: http.StatusOK, Message: "unreadable token answer"}
	}
	seconds, err := strconv.Atoi(string(answer.ExpiresIn))
	if err != nil || seconds <= 0 || seconds > 24*60*60 {
		seconds = 60 // a lifetime that makes no sense: use the token, but not for long
	}
	return answer.AccessToken, time.Duration(seconds) * time.Second, nil
}
