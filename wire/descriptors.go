package wire

import (
	"math"

	"golang.org/x/sys/unix"
)

// DescriptorLimit returns how many descriptors the process may have. Go has raised the soft limit to the hard one at its start.
func DescriptorLimit() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int(limit.Cur)
}

// HasDescriptor reports whether the process can open another descriptor now.
func HasDescriptor() bool {
	fd, err := unix.Open("/", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_ = unix.Close(fd) // it was only tried
	}
	return err != unix.EMFILE && err != unix.ENFILE
}
