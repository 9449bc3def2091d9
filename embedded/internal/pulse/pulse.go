// Package pulse notices that a server inside this process no longer answers. It has no process of its own whose end could be seen.
package pulse

import (
	"context"
	"io"
	"net"
	"time"
)

const (
	// every is how often a server is asked; misses in a row, each after at most patience, and it counts as dead. A busy machine answers late.
	every    = time.Second
	patience = 5 * time.Second
	misses   = 3
)

// Watch returns a channel that is closed when the server at addr is dead or stop is closed. The server must answer question with
// anything; each time on a new connection, since a listener may die while connections live on.
func Watch(stop <-chan struct{}, addr string, question []byte) <-chan struct{} {
	dead := make(chan struct{})
	go func() {
		defer close(dead)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for missed := 0; missed < misses; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if Ask(addr, question) == nil {
				missed = 0
			} else {
				missed++
			}
		}
	}()
	return dead
}

// Ask answers nil if the server at addr answers the question with anything.
func Ask(addr string, question []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(question); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}
