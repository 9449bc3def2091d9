package jobs

import (
	"github.com/riverqueue/river/rivertype"

	"github.com/sendtip/sendtip/kit/clock"
)

// RiverTime is the clock as the client gives it to River.
func RiverTime(c *clock.Clock) rivertype.TimeGenerator { return riverTime{c} }
