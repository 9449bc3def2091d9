// Command transactions runs the transactions service alone.
package main

import (
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/transactions"
)

func main() { service.Main("transactions", transactions.LoadConfig, transactions.New) }
