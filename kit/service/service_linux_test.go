package service_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"syscall"
	"testing"

	"github.com/sendtip/sendtip/kit/service"
)

// TestDeadListener: a server that ends by itself takes the others with it, and the service ends: half of one must not look alive.
func TestDeadListener(t *testing.T) {
	t.Parallel()
	s := &service.Service{Name: "test", Listen: free(t), OpsListen: free(t), Handler: http.NotFoundHandler()}
	s.Loops = []service.Loop{{Name: "ends the listener", Run: func(ctx context.Context) error {
		deafen(t, s.Listen)
		<-ctx.Done()
		return nil
	}}}
	if err := service.Run(t.Context(), s, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("it ended without an error")
	}
}

// deafen ends the listener of this process at an address from outside, as the system would.
func deafen(t *testing.T, addr string) {
	for fd := range 1024 {
		name, err := syscall.Getsockname(fd)
		if err != nil {
			continue
		}
		listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if in, ok := name.(*syscall.SockaddrInet4); ok && err == nil && listens == 1 && fmt.Sprintf("127.0.0.1:%d", in.Port) == addr {
			if err := syscall.Shutdown(fd, syscall.SHUT_RDWR); err != nil {
				t.Error(err)
			}
			return
		}
	}
	t.Errorf("nothing listens on %s", addr)
}
