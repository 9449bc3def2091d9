package paystack

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/sendtip/sendtip/providers/paystack"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// The retry schedule of live mode: every 3 minutes for the first 4 tries, then hourly up to 72 h.
const (
	quickTries  = 4
	quickPause  = 3 * time.Minute
	slowPause   = time.Hour
	hourlyTries = 72
)

// pauseAfter is the time between a try, counted from 1, and the next one; 0 after the last.
func pauseAfter(try int) time.Duration {
	switch {
	case try < quickTries:
		return quickPause
	case try < quickTries+hourlyTries:
		return slowPause
	}
	return 0
}

// SetWebhookURL sets where webhooks go; none if empty.
func (s *Server) SetWebhookURL(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhookURL = address
}

// announce sends an event as a script says, until it is taken. Callers hold mu; the body is written now, whatever happens later.
func (s *Server) announce(script control.PaystackScript, event, ref string, data map[string]any) {
	address := s.webhookURL
	if address == "" {
		return
	}
	way := script.Webhook
	shown := data
	switch way {
	case "lose":
		s.world.Lose(event, ref)
		return
	case "alter":
		shown = tenfold(data)
	case "other_domain":
		shown = maps.Clone(data)
		shown["domain"] = map[string]string{paystack.Test: paystack.Live, paystack.Live: paystack.Test}[s.domain]
	}
	body := eventBody(event, shown)
	callback := world.Callback{Kind: event, ID: ref, URL: address, ContentType: "application/json", Body: body,
		Header: signed(s.opt.SecretKey, body)}
	delay := world.MS(script.WebhookDelayMS, 0)
	if way == "delay" && script.WebhookDelayMS == nil {
		delay = s.world.Scaled(lateBy)
	}
	forged := callback
	forged.Kind, forged.Stranger, forged.Body = "forgery", true, eventBody(event, tenfold(data))
	forged.Header = signed("sk_test_not_the_key", forged.Body)
	if way == "bad_signature" {
		callback.Header = signed("sk_test_not_the_key", body)
	}
	s.world.Go(func(ctx context.Context) {
		if !world.Pause(ctx, delay) {
			return
		}
		if way == "forge" {
			s.world.Post(ctx, forged)
		}
		if way == "duplicate" {
			s.world.PostCopies(ctx, callback, world.Copies-1)
		}
		s.deliver(ctx, callback)
	})
}

// deliver sends a webhook until it is answered with 200, or given up.
func (s *Server) deliver(ctx context.Context, c world.Callback) {
	for try := 1; ; try++ {
		if status, _ := s.world.Post(ctx, c); status == http.StatusOK {
			return
		}
		pause := pauseAfter(try)
		if pause == 0 || !world.Pause(ctx, s.world.Scaled(pause)) {
			return
		}
	}
}

// tenfold is an event over ten times the amount.
func tenfold(data map[string]any) map[string]any {
	out := maps.Clone(data)
	for _, name := range []string{"amount", "refund_amount"} {
		switch amount := data[name].(type) {
		case int64:
			out[name] = amount * 10
		case string:
			n, _ := strconv.ParseInt(amount, 10, 64) // our own text
			out[name] = strconv.FormatInt(n*10, 10)
		}
	}
	return out
}

func eventBody(event string, data map[string]any) []byte {
	raw, err := json.Marshal(map[string]any{"event": event, "data": data})
	if err != nil {
		panic(err) // only maps and texts of our own are encoded
	}
	return raw
}

func signed(key string, body []byte) http.Header {
	return http.Header{http.CanonicalHeaderKey(paystack.SignatureHeader): {paystack.Sign(key, body)}}
}
