// Command gateway runs the gateway alone.
package main

import (
	"github.com/sendtip/sendtip/gateway"
	"github.com/sendtip/sendtip/kit/service"
)

func main() { service.Main("gateway", gateway.LoadConfig, gateway.New) }
