package edge

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sendtip/sendtip/gateway/internal/auth"
)

// webhookSource finds out whether a message comes from where its provider sends. It does not block: providers change their addresses
// without notice and do not repeat; the owner decides what a stranger's word is worth.
func (g *Gateway) webhookSource(x *exchange) error {
	kind := hookKind(x.end.op.Path)
	x.caller = auth.Caller{Subject: "provider:" + x.end.op.Service + "-" + kind}
	networks, listed := g.Sources[kind]
	for _, p := range networks {
		x.known = x.known || p.Contains(x.address)
	}
	if listed && !x.known {
		g.Metrics.strange(kind)
		g.sampled.WarnContext(x.r.Context(), "webhook from an address that is not the provider's", "request_id", x.id, "route", x.template(),
			"address", x.address.String())
	}
	return nil
}

func hookKind(path string) string {
	return strings.SplitN(strings.TrimPrefix(path, "/v1/hooks/"), "/", 2)[0]
}

// limitStrangers counts webhooks by address unless they come from where the provider is known to send: a busy provider has few
// addresses, and a refused callback is money that waits.
func (g *Gateway) limitStrangers(x *exchange) error {
	if x.known {
		return nil
	}
	return g.limitAddress(x)
}

// checkHookPath refuses before the body what no address of ours looks like. It answers as the owner does to a wrong token.
func checkHookPath(x *exchange) error {
	if !x.end.plan.Path(x.entry, &x.params) {
		return ErrNoRoute
	}
	return nil
}

const (
	// fewStrangers is how many accepted messages of strangers in a row are no accident.
	fewStrangers = 3
	// quietAfter is how long a provider's own address silences the alarm.
	quietAfter = 10 * time.Minute
	// repeatAlarm is how often the alarm is repeated in the log.
	repeatAlarm = time.Hour
)

// senderWatch notes where the messages come from that their owners accept, so the path's token was right. When all of them come from
// strangers, the gateway stands behind a proxy that it was not told of, or the provider has moved: payments then wait to be confirmed.
type senderWatch struct {
	mu sync.Mutex
	of map[string]*sender
}

type sender struct {
	strangers   int
	known, said time.Time
}

// seen notes one message and answers whether all lately came from strangers, and whether that is to be said now.
func (w *senderWatch) seen(kind string, known bool, now time.Time) (all, say bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.of[kind]
	if k == nil {
		k = &sender{}
		w.of[kind] = k
	}
	if known {
		k.strangers, k.known = 0, now
		return false, false
	}
	k.strangers++
	all = k.strangers >= fewStrangers && (k.known.IsZero() || now.Sub(k.known) >= quietAfter)
	if say = all && (k.said.IsZero() || now.Sub(k.said) >= repeatAlarm); say {
		k.said = now
	}
	return all, say
}

// noteSource is called when the owner has answered.
func (g *Gateway) noteSource(ctx context.Context, x *exchange) {
	kind := hookKind(x.end.op.Path)
	if _, listed := g.Sources[kind]; !listed || x.w.Status >= http.StatusMultipleChoices {
		return
	}
	all, say := g.senders.seen(kind, x.known, g.Now())
	g.Metrics.onlyStrangers(kind, all)
	if say {
		g.Log.WarnContext(ctx, "every webhook of this kind comes from addresses that are not the provider's: if a proxy stands before the "+
			"gateway, name it in "+
			"SENDTIP_TRUSTED_PROXIES; if the provider has new addresses, list them in SENDTIP_WEBHOOK_SOURCES",
			"hook", kind, "address", x.address.String(), "forwarded", len(x.r.Header["X-Forwarded-For"]) > 0)
	}
}
