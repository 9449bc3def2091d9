package edge

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientAddress is the peer's, or, if the peer is a trusted proxy, the last address of X-Forwarded-For that no trusted proxy has.
func (g *Gateway) clientAddress(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap()
	if !g.trusted(address) {
		return address
	}
	hops := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, hop := range slices.Backward(hops) {
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return address
		}
		if address = next.Unmap(); !g.trusted(address) {
			return address
		}
	}
	return address
}

func (g *Gateway) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(g.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// addressKey is what limits count: a household has one IPv4 address, or a /64 of IPv6.
func addressKey(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// addressKey of an exchange is made once: each part of a large body asks for it.
func (x *exchange) addressKey() string {
	if x.addressName == "" {
		x.addressName = addressKey(x.address)
	}
	return x.addressName
}
