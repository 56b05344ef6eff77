package shared

import "time"

const (
	// LoadLife is how long the last report of a process counts.
	LoadLife = time.Second
	// maxLate is by how much a report may arrive later than those of its process usually do.
	maxLate = time.Second
	// catchUp is what each report adds to what is usual, so that a clock that stood still for 10 s is followed in 500 reports.
	catchUp = 20 * time.Millisecond
	// tellerLife is how long a process is remembered after its last report, and maxTellers bounds how many are.
	tellerLife = time.Minute
	maxTellers = 256
)

// Loads adds up what other processes tell of the load that they have put on upstreams. The rule: the last report of each process counts,
// for LoadLife after it has arrived. So a report that is lost, late, repeated or out of order makes the sum old by one report, and a process
// that ends leaves nothing behind. now is milliseconds of this process's own clock, which never goes back; it is compared with no other clock:
// a report is late if more time has passed here than at its process. Loads is not safe for concurrent use.
type Loads struct {
	id      uint64
	tellers map[uint64]*teller
}

// teller is a process that has sent a report.
type teller struct {
	seq   uint64
	heard int64 // when the last report arrived that counts
	ahead int64 // what this process's clock is ahead of the other one's, with the least delay of a report
	loads []Load
}

// NewLoads returns the Loads of a process with a random id.
func NewLoads(id uint64) *Loads {
	return &Loads{id: id, tellers: map[uint64]*teller{}}
}

// Received notes a report. It reports false for one that does not count: one of this process itself, one that is not the latest of its
// process, or one that is late.
func (l *Loads) Received(r *Report, now int64) bool {
	t := l.tellers[r.From]
	switch {
	case r.From == l.id, t != nil && t.seq >= r.Seq, t == nil && len(l.tellers) >= maxTellers:
		return false
	case t == nil:
		t = &teller{ahead: now - r.At}
		l.tellers[r.From] = t
	}
	late := now - r.At - t.ahead
	t.ahead += min(late, catchUp.Milliseconds())
	if t.seq = r.Seq; late > maxLate.Milliseconds() {
		return false
	}
	t.heard, t.loads = now, append(t.loads[:0], r.Loads...)
	return true
}

// Sum returns the load of all processes whose last report counts, by upstream, and how many they are.
func (l *Loads) Sum(now int64) (all map[uint64]Load, tellers int) {
	all = map[uint64]Load{}
	for id, t := range l.tellers {
		switch silent := now - t.heard; {
		case silent > tellerLife.Milliseconds():
			delete(l.tellers, id)
			continue
		case silent > LoadLife.Milliseconds():
			continue
		}
		tellers++
		for _, one := range t.loads {
			sum := all[one.Upstream]
			all[one.Upstream] = Load{one.Upstream, sum.Tokens + one.Tokens, sum.Requests + one.Requests}
		}
	}
	return all, tellers
}
