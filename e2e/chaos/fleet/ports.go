//go:build linux

package fleet

import (
	"os"
	"sync/atomic"
)

// The ports of all processes.
const (
	firstPort = 12000
	lastPort  = 30000
)

// next is the next port to try. Runs side by side begin at different ports.
var next atomic.Int32

func init() { next.Store(int32(firstPort + os.Getpid()%150*100)) }
