//go:build !failpoints

package app

// failpoint does nothing: the build tag failpoints makes it end the process, for the tests of crashes.
func failpoint(string) {}

// failpointArmed says no: points that change the order of steps are only for the tests of crashes.
func failpointArmed(string) bool { return false }
