package platform

import (
	"fmt"
	"net"
	"strconv"

	"github.com/sendtip/sendtip/openapi"
)

// DefaultPortBase is the base of all ports; SENDTIP_PORT_BASE moves them together.
const DefaultPortBase = 8000

// Ports names every port of a platform as an offset of one base.
type Ports struct{ Base int }

// offsets of the services; an operations listener stands 100 (200 for the gateway) above.
var offsets = func() map[string]int {
	out := map[string]int{}
	for _, s := range openapi.Services() {
		out[s.Name] = s.Port - DefaultPortBase
	}
	return out
}()

// Of returns a service's HTTP port.
func (p Ports) Of(service string) int { return p.Base + offsets[service] }

// Ops returns a service's operations port: health, readiness, metrics.
func (p Ports) Ops(service string) int {
	if service == "gateway" {
		return p.Base + 280
	}
	return p.Of(service) + 100
}

// Internal is the gateway's listener for services.
func (p Ports) Internal() int { return p.Base + 90 }

// Postgres is the embedded cluster's port.
func (p Ports) Postgres() int { return p.Base + 132 }

// Kafka is the embedded broker's port.
func (p Ports) Kafka() int { return p.Base + 192 }

// Redis is the embedded server's port.
func (p Ports) Redis() int { return p.Base + 179 }

// Sandbox is the port of the providers' counterparts and the phone page.
func (p Ports) Sandbox() int { return p.Base + 180 }

// SMTP is the port of the sandbox's mail sink.
func (p Ports) SMTP() int { return p.Base + 125 }

// all lists each port with what it is for.
func (p Ports) all() map[int]string {
	out := map[int]string{p.Internal(): "gateway, internal", p.Postgres(): "PostgreSQL", p.Kafka(): "Kafka", p.Redis(): "Redis",
		p.Sandbox(): "sandbox", p.SMTP(): "sandbox mail"}
	for s := range offsets {
		out[p.Of(s)] = s
		out[p.Ops(s)] = s + ", operations"
	}
	return out
}

// Check answers nil if every port is one.
func (p Ports) Check() error {
	for port := range p.all() {
		if p.Base < 1 || port > 65535 {
			return fmt.Errorf("SENDTIP_PORT_BASE (--port-base) must be from 1 to %d", 65535-p.highest())
		}
	}
	return nil
}

// highest is the largest offset.
func (p Ports) highest() (offset int) {
	for port := range p.all() {
		offset = max(offset, port-p.Base)
	}
	return offset
}

// Free answers nil if nothing listens on any of the ports, else an error that names the port.
func (p Ports) Free() error {
	for port, what := range p.all() {
		l, err := net.Listen("tcp", loopback(port))
		if err != nil {
			return fmt.Errorf("port %d (%s) is in use: stop the program that uses it, or set SENDTIP_PORT_BASE (now %d)", port, what, p.Base)
		}
		_ = l.Close()
	}
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
