//go:build failpoints

package app

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// failpointEnv names the point at which the process ends itself, and at which hit of it: `after_claim:3`.
const failpointEnv = "SENDTIP_FAILPOINT"

// The test that starts this process sets both; nothing changes them afterwards but the hits.
var (
	failpointName, failpointLeft = armedPoint(os.Getenv(failpointEnv))
	failpointHits                atomic.Int64
)

func armedPoint(setting string) (string, int64) {
	name, count, counted := strings.Cut(setting, ":")
	if !counted {
		return name, 1
	}
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		panic(failpointEnv + " is <point>:<hit>, not " + setting)
	}
	return name, n
}

// failpoint ends the process as kill -9 does, if this is the point and the hit.
func failpoint(name string) {
	if name != failpointName || failpointHits.Add(1) != failpointLeft {
		return
	}
	fmt.Fprintln(os.Stderr, "failpoint", name) // so that the test knows that it was this and nothing else
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment, in which nothing more must be done here
}

// failpointArmed says whether the process is to end at the point.
func failpointArmed(name string) bool { return name == failpointName }
