// Command notification runs the notification service alone.
package main

import (
	"github.com/sendtip/sendtip/kit/service"

	"github.com/sendtip/sendtip/services/notification"
)

func main() { service.Main("notification", notification.LoadConfig, notification.New) }
