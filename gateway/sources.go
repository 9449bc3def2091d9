package gateway

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// safaricom are the addresses that Safaricom's portal lists for callbacks, and two more that were seen in integrations. STK, C2B and the
// results of payouts come from them. Smile ID and Africa's Talking publish none.
var safaricom = []string{
	"196.201.214.200", "196.201.214.206", "196.201.214.207", "196.201.214.208", "196.201.213.114", "196.201.213.44",
	"196.201.212.127", "196.201.212.128", "196.201.212.129", "196.201.212.132", "196.201.212.136", "196.201.212.138", "196.201.212.74",
	"196.201.212.69",
}

// paystack are the addresses that Paystack's documentation lists for webhooks, test and live. They are signed as well.
var paystack = []string{"52.31.139.75", "52.49.173.169", "52.214.14.220"}

// sources are where each kind of hook should come from: as configured, else as the provider has published. A kind of which nobody has said
// anything is absent: all of its messages come from strangers, which is no alarm.
func (c Config) sources() (map[string][]netip.Prefix, error) {
	out := map[string][]netip.Prefix{}
	for _, p := range c.WebhookSources {
		network, err := netip.ParsePrefix(p.value)
		if err != nil {
			return nil, fmt.Errorf("SENDTIP_WEBHOOK_SOURCES: %s: a network such as 196.201.214.0/24 is expected", p.Name)
		}
		out[p.Name] = append(out[p.Name], network)
	}
	for kind, published := range map[string][]string{"st": safaricom, "cb": safaricom, "br": safaricom, "wr": safaricom, "bp": paystack} {
		if _, configured := out[kind]; configured {
			continue
		}
		for _, text := range published {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, err
			}
			out[kind] = append(out[kind], netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return out, nil
}

// checkNetworks refuses lists that would believe everybody: a message from a known source is money.
func (c Config) checkNetworks() error {
	everybody := func(p netip.Prefix) bool { return p.Bits() == 0 }
	if slices.ContainsFunc(c.TrustedProxies, everybody) {
		return errors.New("SENDTIP_TRUSTED_PROXIES must not hold the whole Internet: anybody could then write any address into X-Forwarded-For")
	}
	all, err := c.sources()
	if err != nil {
		return err
	}
	for kind, networks := range all {
		if slices.ContainsFunc(networks, everybody) {
			return fmt.Errorf("SENDTIP_WEBHOOK_SOURCES: %s must not hold the whole Internet: who knows an address of ours could then make money",
				kind)
		}
	}
	for _, origin := range c.AllowedOrigins {
		if c.Common.Production() && !strings.HasPrefix(origin, "https://") {
			return fmt.Errorf("SENDTIP_ALLOWED_ORIGINS: %s: https is needed in production", origin)
		}
	}
	return nil
}

// Origins is a list of web origins, separated by commas.
type Origins []string

// UnmarshalText reads the list. An origin is scheme, host and port, exactly as a browser sends it; there is no wildcard.
func (o *Origins) UnmarshalText(text []byte) error {
	for item := range strings.SplitSeq(string(text), ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		u, err := url.Parse(item)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Scheme+"://"+u.Host != item ||
			strings.Contains(u.Host, "*") {
			return errors.New("a list of origins such as https://app.example.com is expected, without path and without *")
		}
		*o = append(*o, item)
	}
	return nil
}
