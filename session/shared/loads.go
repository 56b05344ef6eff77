package shared

import "time"

const (
	// LoadLife is how long the last report of a process counts.
	LoadLife = time.Second
	// maxDelay is how old a report may be when it arrives. The estimates of the store's clock differ by a second or two.
	maxDelay = 3 * time.Second
	// maxTellers bounds the processes whose reports count at a time.
	maxTellers = 256
)

// Loads adds up what other processes tell of the load that they have put on upstreams. The rule: the last report of each process counts,
// for LoadLife after it has arrived. So a report that is lost, repeated or out of order makes the sum old by one report, and a process that
// ends leaves nothing behind. All times are milliseconds of the store's clock, as the process estimates it. Loads is not safe for concurrent
// use.
type Loads struct {
	id      uint64
	tellers map[uint64]*teller
}

// teller is a process that has sent a report.
type teller struct {
	seq   uint64
	heard int64 // when the last report arrived
	loads []Load
}

// NewLoads returns the Loads of a process with a random id.
func NewLoads(id uint64) *Loads {
	return &Loads{id: id, tellers: map[uint64]*teller{}}
}

// Received notes a report. It reports false for one that does not count: one of this process itself, one that is not the latest of its
// process, or one that is late.
func (l *Loads) Received(r *Report, now int64) bool {
	if late := now - r.At; r.From == l.id || max(late, -late) > maxDelay.Milliseconds() {
		return false
	}
	t := l.tellers[r.From]
	switch {
	case t != nil && t.seq >= r.Seq:
		return false
	case t == nil && len(l.tellers) >= maxTellers:
		return false
	case t == nil:
		t = &teller{}
		l.tellers[r.From] = t
	}
	t.seq, t.heard, t.loads = r.Seq, now, append(t.loads[:0], r.Loads...)
	return true
}

// Sum returns the load of all processes whose last report counts, by upstream, and how many they are. It forgets the others.
func (l *Loads) Sum(now int64) (all map[uint64]Load, tellers int) {
	all = map[uint64]Load{}
	for id, t := range l.tellers {
		if silent := now - t.heard; silent < 0 || silent > LoadLife.Milliseconds() { // or the clock was set back
			delete(l.tellers, id)
			continue
		}
		for _, one := range t.loads {
			sum := all[one.Upstream]
			all[one.Upstream] = Load{one.Upstream, sum.Tokens + one.Tokens, sum.Requests + one.Requests}
		}
	}
	return all, len(l.tellers)
}
