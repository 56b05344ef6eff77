package logs

import (
	"os/signal"
	"syscall"
)

// Harden makes the process independent of who reads its standard output and standard error: it outlives readers that
// leave, and a crash ends it even if its standard error is not read.
func Harden() {
	signal.Ignore(syscall.SIGPIPE) // else Go ends a process that writes to a broken pipe on descriptor 1 or 2
	unblockCrashes()
}
