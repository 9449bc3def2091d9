// Package ports finds room for the platforms of tests.
package ports

import (
	"math/rand/v2"

	"github.com/sendtip/sendtip/cmd/sendtip/platform"
)

// Free are ports that nobody listens on at this moment. Another process may take one before the platform does: the caller tries again.
func Free() platform.Ports {
	for {
		p := platform.Ports{Base: 20000 + 400*rand.IntN(30)} // below 32768, where the kernel takes ports for outgoing connections
		if p.Free() == nil {
			return p
		}
	}
}
