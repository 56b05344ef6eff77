package traffic

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTimersAreOrdered(t *testing.T) {
	var h timers
	var pushed, popped []int64
	for range 1000 {
		due := rand.Int64N(500)
		pushed = append(pushed, due)
		h.push(timer{due: due})
		if rand.IntN(3) == 0 {
			least := h.pop().due
			for _, other := range h {
				if other.due < least {
					t.Fatalf("%d was popped before %d", least, other.due)
				}
			}
			popped = append(popped, least)
		}
	}
	for len(h) > 0 {
		popped = append(popped, h.pop().due)
	}
	slices.Sort(pushed)
	slices.Sort(popped)
	if !slices.Equal(pushed, popped) {
		t.Error("what was popped is not what was pushed")
	}
}
