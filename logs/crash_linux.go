package logs

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// crashSize is how much of a crash report a pipe should hold, in bytes: the most that Linux grants every user.
const crashSize = 1 << 20

// unblockCrashes replaces standard error, if it is a pipe, by another opening of the same pipe that does not block. Go's
// runtime stops the process while it writes the report of a crash, and would wait for the reader forever. Other processes
// that have the pipe do not notice. A Writer that finds the pipe full tries again.
func unblockCrashes() {
	var stat unix.Stat_t
	if unix.Fstat(unix.Stderr, &stat) != nil || stat.Mode&unix.S_IFMT != unix.S_IFIFO {
		return
	}
	again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", unix.Stderr), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil { // there is no /proc, or the pipe belongs to another user
		return
	}
	_, _ = unix.FcntlInt(uintptr(again), unix.F_SETPIPE_SZ, crashSize) // fails if the user has many large pipes
	_ = unix.Dup3(again, unix.Stderr, 0)
	_ = unix.Close(again)
}
