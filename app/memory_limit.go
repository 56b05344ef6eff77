package app

import (
	"math"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the share of a container's memory that the Go runtime may use. The rest is for the kernel's buffers and
// for memory that the runtime does not count.
const memoryShare = 0.9

// LimitMemory sets the runtime's memory limit to a share of the container's, unless GOMEMLIMIT sets one, and returns the
// limit in bytes. Without a container it returns the host's memory.
func LimitMemory() int64 {
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare)) // fails without a container: then there is no limit
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	if total, err := memlimit.FromSystem(); err == nil {
		return int64(total)
	}
	return fallbackMemory
}

// fallbackMemory is the memory limit where the host's memory is unknown, in bytes.
const fallbackMemory = 4 << 30
