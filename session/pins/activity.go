package pins

import (
	"time"

	"tether/upstream"
)

// MaxActive is the longest time that Active counts over.
const MaxActive = 5 * time.Minute

const (
	// period is the resolution of Active, in ticks.
	period = uint32(10 * time.Second / tick)
	// periods are more than MaxActive takes: the oldest one counts as a whole.
	periods = 32
)

// activity counts the pins by the period of their last use, for each seat of an upstream.
type activity struct {
	seats  []uses
	newest uint32 // the newest period
}

// uses counts the pins to one upstream. The period n is at n % periods.
type uses [periods]int32

// Active returns the number of pins of m to ref that were used within a time of at most MaxActive before now. It counts up to 10 s more.
func Active(m *Map, ref upstream.Ref, within time.Duration, now time.Time) (n int) {
	t := m.tick(now)
	since := t - min(t, uint32(within/tick))
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		if !s.retired(ref) && ref.Seat() < len(s.active.seats) {
			n += s.active.since(ref, since, t)
		}
		s.mu.Unlock()
	}
	return n
}

func (a *activity) since(ref upstream.Ref, since, now uint32) (n int) {
	a.advance(now)
	for at := since / period; at <= a.newest; at++ {
		n += int(a.seats[ref.Seat()][at%periods])
	}
	return n
}

// advance makes the period of now the newest one. It empties the places of the periods that have passed: the uses in them are too old.
func (a *activity) advance(now uint32) {
	at := now / period
	if at <= a.newest {
		return
	}
	for passed := min(at-a.newest, periods); passed > 0; passed-- {
		for seat := range a.seats {
			a.seats[seat][(at-passed+1)%periods] = 0
		}
	}
	a.newest = at
}

// note adds change to the count of the period in which the entry was last used, unless that period is too old.
func (a *activity) note(e *entry, change int32) {
	a.advance(e.used)
	if at := e.used / period; at+periods > a.newest {
		a.seats[e.ref.Seat()][at%periods] += change
	}
}
