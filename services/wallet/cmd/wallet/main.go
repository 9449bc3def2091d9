// Command wallet runs the wallet service alone.
package main

import (
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/wallet"
)

func main() { service.Main("wallet", wallet.LoadConfig, wallet.New) }
