package traffic

import "time"

var origin = time.Now()

// Now returns the time of the monotonic clock in nanoseconds since the process began.
func Now() int64 { return int64(time.Since(origin)) }
