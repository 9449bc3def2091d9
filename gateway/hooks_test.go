package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"

	kitauth "github.com/sendtip/sendtip/kit/auth"
)

const (
	hookToken = "KRUGKIDROVUWG2ZAMJZG653OEBTG66BA"
	hookPath  = "/v1/hooks/st/" + hookToken + "/" + transferID
)

func (w *world) trust(networks string) {
	if err := w.cfg.TrustedProxies.set(networks); err != nil {
		w.t.Fatal(err)
	}
}

// TestWebhookSource: what the identity token says of a message's source, with and without a proxy, listed and unlisted.
func TestWebhookSource(t *testing.T) {
	t.Parallel()
	behind := func(w *world) { w.trust("127.0.0.1/32,10.0.0.0/8") }
	list := func(all Pairs) func(*world) { return func(w *world) { w.cfg.WebhookSources = all } }
	for name, c := range map[string]struct {
		change    []func(*world)
		forwarded string
		want      string
	}{
		"nothing set, from here":                     {nil, "", kitauth.SourceStranger},
		"nothing set, Safaricom behind the proxy":    {[]func(*world){behind}, "196.201.214.200", kitauth.SourceKnown},
		"nothing set, two proxies":                   {[]func(*world){behind}, "196.201.212.69, 10.1.2.3", kitauth.SourceKnown},
		"nothing set, a neighbour of Safaricom":      {[]func(*world){behind}, "196.201.214.201", kitauth.SourceStranger},
		"a stranger writes Safaricom before himself": {[]func(*world){behind}, "196.201.214.200, 41.90.1.1", kitauth.SourceStranger},
		"a stranger writes it and there is no proxy": {nil, "196.201.214.200", kitauth.SourceStranger},
		"the proxy says nothing":                     {[]func(*world){behind}, "", kitauth.SourceStranger},
		"the proxy says nonsense":                    {[]func(*world){behind}, "unknown", kitauth.SourceStranger},
		"mapped into IPv6":                           {[]func(*world){behind}, "::ffff:196.201.214.200", kitauth.SourceKnown},
		"listed, from there":                         {[]func(*world){list(Pairs{{"st", "127.0.0.1/32"}})}, "", kitauth.SourceKnown},
		"listed, the published ones count no more": {[]func(*world){behind, list(Pairs{{"st", "1.2.3.4/32"}})}, "196.201.214.200",
			kitauth.SourceStranger},
		"another kind is listed, this is as published": {[]func(*world){behind, list(Pairs{{"ky", "1.2.3.4/32"}})}, "196.201.214.200",
			kitauth.SourceKnown},
		"the sandbox's address is not this machine's": {[]func(*world){list(Pairs{{"st", "127.0.0.2/32"}})}, "", kitauth.SourceStranger},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t, c.change...)
			a := ask{method: "POST", path: hookPath, body: `{}`}
			if c.forwarded != "" {
				a = a.with("X-Forwarded-For", c.forwarded)
			}
			if got := w.do(a); got.status != 201 {
				t.Fatalf("%d %s", got.status, got.body)
			}
			if p := w.wallet.last(t).principal; p.Source != c.want || p.Stranger() != (c.want != kitauth.SourceKnown) {
				t.Fatalf("source %q, want %q", p.Source, c.want)
			}
		})
	}
	w := setup(t)
	if got := w.do(w.transfer()); got.status != 201 || w.wallet.last(t).principal.Source != "" {
		t.Fatalf("a customer's request has the source %q", w.wallet.last(t).principal.Source)
	}
}

func (w *world) metric(name, label string) float64 {
	w.t.Helper()
	families, err := w.service.Registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == label {
				return m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("no metric %s %s", name, label)
	return 0
}

// TestOnlyStrangers: a gateway that does not know its proxy says so, once; wrong tokens alone say nothing.
func TestOnlyStrangers(t *testing.T) {
	t.Parallel()
	w := setup(t, func(w *world) { w.trust("127.0.0.1/32") })
	alarm := func() bool { return w.metric("gateway_webhook_only_strangers", "st") == 1 }
	said := func() int { return strings.Count(w.log.String(), "every webhook of this kind") }
	send := func(times int, from string) {
		for range times {
			w.do(ask{method: "POST", path: hookPath, body: `{}`}.with("X-Forwarded-For", from))
		}
	}
	w.wallet.script(reply(404, `{}`))
	send(10, "41.90.1.1")
	if alarm() || said() != 0 {
		t.Fatal("somebody who tries tokens raised the alarm")
	}
	w.wallet.script(reply(200, `{}`))
	send(10, "41.90.1.1")
	if !alarm() || said() != 1 || !strings.Contains(w.log.String(), "SENDTIP_TRUSTED_PROXIES") {
		t.Fatalf("alarm %t, said %d times", alarm(), said())
	}
	if n := strings.Count(w.log.String(), "webhook from an address"); n > 5 {
		t.Fatalf("%d lines of 20 strange messages", n)
	}
	send(1, "196.201.214.200")
	send(10, "41.90.1.1")
	if alarm() {
		t.Fatal("the alarm does not end, or comes a moment after the provider's own message")
	}
}

// TestHookPath: what cannot be an address of ours is refused before its body is read.
func TestHookPath(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for name, path := range map[string]string{
		"short token": "/v1/hooks/st/short/" + transferID, "long token": "/v1/hooks/st/" + strings.Repeat("A", 81) + "/" + transferID,
		"signs": "/v1/hooks/st/KRUGKIDROVUWG2Z-MJZG653OEBTG66BA/" + transferID, "no id": "/v1/hooks/st/" + hookToken + "/7",
		"nul": "/v1/hooks/st/KRUGKIDROVUWG2ZA%00/" + transferID,
	} {
		pr, pw := io.Pipe() // a body that never comes
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.public.URL+path, pr)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Expect", "100-continue")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = pw.Close()
		_ = resp.Body.Close()
		if resp.StatusCode != 404 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	if w.wallet.count() != 0 {
		t.Error("one reached the service")
	}
}
