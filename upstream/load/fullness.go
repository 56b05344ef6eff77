package load

import (
	"sync/atomic"
	"time"
)

// Fullness knows whether a server said that it is full. The zero value is of a server that never did. It must not be copied.
type Fullness struct {
	said atomic.Int64 // Unix ns of the last time, 0 for never
}

// fullFor is how long a server counts as full after it said so: longer than the second after which its clients are asked to try
// again, so that they find another one.
const fullFor = 3 * time.Second

// SaidFull notes that the server refused a request at now because its queue is full.
func (f *Fullness) SaidFull(now time.Time) { f.said.Store(now.UnixNano()) }

// Full reports whether the server said that it is full, a moment before now.
func (f *Fullness) Full(now time.Time) bool {
	said := f.said.Load()
	return said != 0 && now.UnixNano()-said < int64(fullFor)
}
