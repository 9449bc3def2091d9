// Command banking runs the banking service alone.
package main

import (
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/banking"
)

func main() { service.Main("banking", banking.LoadConfig, banking.New) }
