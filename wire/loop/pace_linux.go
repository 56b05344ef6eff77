package loop

import (
	"time"
	_ "unsafe" // for the name of yield
)

// pace says when a loop gives its processor of the Go scheduler up. A loop keeps it while it waits, unless it rests.
type pace struct {
	active  time.Time // when the loop last had work
	yielded time.Time // when the loop last yielded
}

// restTime is for how long an idle loop keeps its processor of the Go scheduler. It gives the processor up for a longer wait, which
// makes the next wake-up dearer: the scheduler takes the processor away after 20 us and looks for work for it.
const restTime = 20 * time.Millisecond

// yieldTime is the time between two yields, and bounds a wait that the scheduler does not know of. The scheduler interrupts a goroutine
// after 10 ms without a yield, and wakes another thread to look for work: that is dearer than a yield.
const yieldTime = 4 * time.Millisecond

// rests reports at now whether the loop gives its processor up for the next wait. worked says that it just had work.
func (p *pace) rests(now time.Time, worked bool) bool {
	if worked {
		p.active = now
	}
	return now.Sub(p.active) >= restTime
}

// yields reports at now whether the loop must yield, and takes it that the loop does.
func (p *pace) yields(now time.Time) bool {
	if now.Sub(p.yielded) < yieldTime {
		return false
	}
	p.yielded = now
	return true
}

// yield lets the other goroutines of the same processor run, and wakes no thread, unlike runtime.Gosched. Package runtime promises to keep the
// name for other modules.
//
//go:linkname yield runtime.goyield
func yield()
