// Command user runs the user service alone.
package main

import (
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/user"
)

func main() { service.Main("user", user.LoadConfig, user.New) }
