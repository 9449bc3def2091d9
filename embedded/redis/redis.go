// Package redis runs a Redis-protocol server inside this process, for development. It keeps nothing on disk:
// Redis holds counters and caches here, never truth.
package redis

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sendtip/sendtip/embedded/internal/pulse"
)

// tick is how often keys age. The server's own clock (ClockTTL) walks over all keys at each command, which costs more than the command.
const tick = 250 * time.Millisecond

// ping is refused without the password, which is an answer too.
var ping = []byte("*1\r\n$4\r\nPING\r\n")

// Server is a running server.
type Server struct {
	mini     *miniredis.Miniredis
	listener net.Listener
	stop     chan struct{}
	done     <-chan struct{}
	once     sync.Once
}

// Start listens on the loopback port; 0 picks a free one. Who connects must know the password; an empty one lets everybody in.
func Start(port int, password string) (*Server, error) {
	mini := miniredis.NewMiniRedis()
	if password != "" {
		mini.RequireAuth(password)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("start the embedded Redis on port %d: %w; stop the program that uses the port, "+
			"or set SENDTIP_PORT_BASE, or give a server in SENDTIP_REDIS_URL", port, err)
	}
	first, err := mini.Dial() // starts it without a listener of its own
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the embedded Redis: %w", err), listener.Close())
	}
	_ = first.Close() // nothing was asked
	s := &Server{mini: mini, listener: listener, stop: make(chan struct{})}
	server := mini.Server()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed; should it be anything else, done tells
			}
			server.ServeConn(guard(conn))
		}
	}()
	s.done = pulse.Watch(s.stop, listener.Addr().String(), ping)
	go s.age()
	return s, nil
}

// age lets keys expire: without it none ever does.
func (s *Server) age() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			now := time.Now()
			s.mini.FastForward(now.Sub(last))
			last = now
		}
	}
}

// URL is the address for SENDTIP_REDIS_URL.
func (s *Server) URL() string { return "redis://" + s.listener.Addr().String() + "/0" }

// Done is closed when the server was stopped or does not answer any more.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop closes the server and every connection to it.
func (s *Server) Stop() {
	s.once.Do(func() {
		close(s.stop)
		_ = s.listener.Close() // nobody else closes it
		s.mini.Close()
	})
}
