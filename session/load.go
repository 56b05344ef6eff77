package session

import (
	"time"

	"tether/upstream/load"
)

const (
	// unknownPace stands for the pace of upstreams that have not answered yet.
	unknownPace = 10 * time.Second
	// slowestPace bounds for how long a failure counts: answers may take hours.
	slowestPace = time.Minute
)

// Failed records that the attempt at the last upstream failed at now, after took, or that its answer is an error. A server that fails
// quickly has little to do, and would draw the requests that go by load. So the upstream is charged as if the attempt had taken
// as long as answers of the other upstreams of the model take. Nothing of the prompt is in its cache, and the session returns to where it
// was before the attempt, unless the client has been told that it moved: after the head of a good answer, which is cut later.
func (t *Route) Failed(took time.Duration, now time.Time) {
	pace, most := t.candidates.others(t.last)
	most.Requests++
	most.Tokens += float64(t.charged.Work)
	t.candidates.upstream(t.last).Fail(took, pace, t.charged.Work, most, now)
	t.charged.Void(now)
	if t.candidates.ref(t.last) == t.pin.to && !t.served {
		t.pin.forget(t.turn, now)
		if t.pin.moveBack(now) {
			tell(t)
		}
	}
}

// others returns the mean pace of the upstreams that may serve the model, besides those of upstream i's server, and the most that one of
// them has in flight and to compute. A charge beyond that would not change which upstream is taken, only for how long.
func (c *candidates) others(i int) (pace time.Duration, most load.Failures) {
	var sum time.Duration
	var known int64
	for j := range c.table.Members {
		m := &c.table.Members[j]
		if m.Server == c.table.Members[i].Server || !c.serves(j) {
			continue
		}
		most.Requests = max(most.Requests, float64(m.InFlight()))
		most.Tokens = max(most.Tokens, float64(m.Queue(c.now).Tokens))
		if p := m.Pace(); p > 0 {
			sum += min(p, slowestPace)
			known++
		}
	}
	if known == 0 {
		return unknownPace, most
	}
	return sum / time.Duration(known), most
}
