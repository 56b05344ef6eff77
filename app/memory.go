package app

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the part of a container's memory that the Go runtime may take; the rest is for the kernel's
// buffers and what the runtime does not count.
const memoryShare = 0.9

// LimitMemory sets the runtime's memory limit from the container's, unless GOMEMLIMIT did, and gives it in bytes;
// outside of a container it is the host's memory.
func LimitMemory() int64 {
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare)) // no container, no limit
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	if total, err := memlimit.FromSystem(); err == nil {
		return int64(total)
	}
	return fallbackMemory
}

// fallbackMemory is taken for the memory limit where the host does not tell.
const fallbackMemory = 4 << 30
