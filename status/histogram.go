package status

import (
	"math"
	"math/bits"
	"time"
)

// The buckets of a histogram of times begin at a millisecond, and each ends at the fourth root of two times its beginning: the last one
// begins at 3.6 minutes. A percentile is at most 9 % off.
const (
	buckets      = 72
	perDoubling  = 4
	firstBuckets = float64(time.Millisecond)
)

// histogram counts times.
type histogram [buckets]uint32

// bucketBegins has the least time of each bucket. Times below a millisecond are in bucket 0, too.
var bucketBegins = func() (begins [buckets]time.Duration) {
	for i := range begins {
		begins[i] = time.Duration(math.Ceil(firstBuckets * math.Exp2(float64(i)/perDoubling)))
	}
	return begins
}()

// bucketOf returns the bucket of a time.
func bucketOf(d time.Duration) int {
	doublings := bits.Len64(uint64(max(d, 0) / time.Millisecond))
	i := min(doublings*perDoubling, buckets) - 1
	for i > 0 && d < bucketBegins[i] {
		i--
	}
	return max(i, 0)
}

// quantile returns the time that the share q of the counted times does not exceed, in the middle of its bucket; 0 without times.
func (h *histogram) quantile(q float64) time.Duration {
	var all uint64
	for _, n := range h {
		all += uint64(n)
	}
	if all == 0 {
		return 0
	}
	rank, seen := uint64(math.Ceil(q*float64(all))), uint64(0)
	for i, n := range h {
		if seen += uint64(n); seen >= rank {
			return time.Duration(firstBuckets * math.Exp2((float64(i)+0.5)/perDoubling))
		}
	}
	panic("BUG: the buckets count less than their sum")
}
