// Package replicas finds out whether this process is one of several that share the conversations of one fleet but not their pins:
// behind a load balancer that does not look at sessions, say. Such processes must place by the ring alone, because each of them would make
// its own exceptions from the ring, and a conversation would have a cache on several servers.
//
// It looks at follow-ups: requests that go on after an answer that this process would have passed on if it were alone. These are the
// second turn of a conversation, and any turn that names a stored response. Of R processes that get requests at random, each has passed on
// 1/R of the answers, whatever the length of the conversations: a share of (R-1)/R of its follow-ups are strange to it, at least half.
//
// A process that is alone finds follow-ups strange whose answer is older than its start, or than session.ttl. At t after the start they
// are the part of all follow-ups whose client paused for longer than t: of chats in which half of the pauses are longer than two minutes,
// and one in seven longer than ten (log-normal, sigma 1.5), a seventh after ten minutes. So nothing counts in the first ten minutes.
// Second turns alone count, not all later ones: of 50 turns of an agent one at each replica is strange, and old chats that are
// taken up again have many turns.
//
// It is wrong in these cases, and errs to the side of the ring, which works alone and in company: most clients send examples of one question and
// one answer before every conversation, each under an id of its own; most conversations pause for longer than session.ttl after the first
// answer; session.max is too small, so that pins are evicted before the second turn. It does not see replicas between which a balancer divides
// clients or sessions. Then pins are not divided either. Nor does it see ids that each turn of a conversation changes.
//
// Package session tells it of each follow-up, and asks it where placement is auto.
package replicas

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// settling is the time after the start, and after a loss of pins, in which strange follow-ups are expected.
	settling = 10 * time.Minute
	// halfLife is the time in which the weight of a follow-up halves.
	halfLife = 15 * time.Minute
	// enough is the least weight of the follow-ups for a verdict. If one in seven is strange, more than suspicious of 40 are by chance in
	// 14 of a million samples (binomial distribution).
	enough = 40
	// suspicious is the share of strange follow-ups above which this process is not alone. It lies between what pauses explain,
	// 1/7, and 1/2 of two replicas.
	suspicious = 0.4
	// cleared is the share below which a process that was suspicious is alone again. It lies so far below that verdicts do not alternate.
	cleared = suspicious / 3
)

// Evidence is what the follow-ups so far say, each with a weight that halves in halfLife. The zero value is of a process that has
// started long ago, and has seen none.
type Evidence struct {
	// Since is when the process started, or lost pins.
	Since time.Time
	// Known and Strange are the weights at At.
	Known, Strange float64
	At             time.Time
	// Suspected is the verdict.
	Suspected bool
}

// Share is the share of strange follow-ups, 0 without any.
func (e *Evidence) Share() float64 {
	if sum := e.Known + e.Strange; sum > 0 {
		return e.Strange / sum
	}
	return 0
}

// With returns the evidence and the verdict after another follow-up at now.
func (e Evidence) With(known bool, now time.Time) Evidence {
	if now.Sub(e.Since) < settling {
		return e
	}
	fade := math.Exp2(-max(0, now.Sub(e.At)).Seconds() / halfLife.Seconds())
	e.Known, e.Strange, e.At = e.Known*fade, e.Strange*fade, now
	if known {
		e.Known++
	} else {
		e.Strange++
	}
	switch share := e.Share(); {
	case e.Known+e.Strange < enough:
	case share > suspicious:
		e.Suspected = true
	case share < cleared:
		e.Suspected = false
	}
	return e
}

// Detector keeps the evidence of one process. It is safe for concurrent use.
type Detector struct {
	suspected atomic.Bool // the verdict of evidence

	mu       sync.Mutex
	evidence Evidence                            // guarded by mu
	onChange func(suspected bool, share float64) // guarded by mu; nil for none
}

// NewDetector returns the detector of a process that starts at now.
func NewDetector(now time.Time) *Detector { return &Detector{evidence: Evidence{Since: now}} }

// OnChange calls changed with every change of the verdict from now on, and with the share of strange follow-ups, on the goroutine of the
// request that made the difference. It must not block, and not call the detector.
func (d *Detector) OnChange(changed func(suspected bool, share float64)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onChange = changed
}

// Note notes a follow-up at now: known if this process has passed on what it follows.
func (d *Detector) Note(known bool, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.evidence.Suspected
	d.evidence = d.evidence.With(known, now)
	if d.evidence.Suspected == before {
		return
	}
	d.suspected.Store(!before)
	if d.onChange != nil {
		d.onChange(!before, d.evidence.Share())
	}
}

// Lost notes that pins were lost at now: their conversations are strange for a while, as after a start. The verdict stays.
func (d *Detector) Lost(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.evidence = Evidence{Since: now, Suspected: d.evidence.Suspected}
}

// Suspected reports whether this process is one of several that do not share pins, as far as it has seen.
func (d *Detector) Suspected() bool { return d.suspected.Load() }

// Evidence returns what the detector has seen.
func (d *Detector) Evidence() Evidence {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.evidence
}
