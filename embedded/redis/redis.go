// Package redis runs a Redis-protocol server inside this process, for development. It keeps nothing on disk:
// Redis holds counters and caches here, never truth.
package redis

import (
	"fmt"
	"net"
	"strconv"

	"github.com/alicebob/miniredis/v2"
)

// Server is a running server.
type Server struct{ mini *miniredis.Miniredis }

// Start listens on the loopback port; 0 picks a free one.
func Start(port int) (*Server, error) {
	mini := miniredis.NewMiniRedis()
	mini.ClockTTL(true) // without it no key ever expires
	if err := mini.StartAddr(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		return nil, fmt.Errorf("start the embedded Redis on port %d: %w; stop the program that uses the port, "+
			"or set SENDTIP_PORT_BASE, or give a server in SENDTIP_REDIS_URL", port, err)
	}
	return &Server{mini: mini}, nil
}

// URL is the address for SENDTIP_REDIS_URL.
func (s *Server) URL() string { return "redis://" + s.mini.Addr() + "/0" }

// Stop closes the server and every connection to it.
func (s *Server) Stop() { s.mini.Close() }
