package warm

import (
	"sync"
	"time"
)

// Caches has what the turns of one model say about the caches of its servers. It is safe for concurrent use. The zero value knows nothing
// yet. It must not be copied.
type Caches struct {
	mu     sync.Mutex
	gaps   gaps
	warm   ledger
	losses losses
	alarm  alarm
	report Report // of the last look
}

// Report is the state of the caches of a model.
type Report struct {
	// Warm is the number of tokens in the last prompts of the conversations that had a turn within the last Within.
	Warm   int64
	Within time.Duration
	// Fit is the number of tokens that the caches of the model's servers hold together, 0 if unknown.
	Fit int64
	// Shortfall is the share of the tokens expected in the caches that the servers did not find there, 0..1, over about the last 30 s. It
	// is 0 if too few turns say something about it.
	Shortfall float64
	// Overrun is true while the servers lose prompts that are needed again. It begins above a shortfall of 10 %, and ends below 5 %.
	Overrun bool
}

// early is by how much a turn may begin before the one before it has ended: a client goes on as soon as it has the last event of a stream, and
// the end of the answer is noted after that. Turns that begin earlier are concurrent.
const early = 100 * time.Millisecond

// note notes a turn that follows the turn before; before.prompt is 0 if that is not remembered.
func (c *Caches) note(before *last, t *Turn) (expected int64, stayed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended := t.Ended.UnixMilli()
	if before.prompt > 0 {
		gap := time.Duration(t.Began.UnixMilli()-before.ended) * time.Millisecond
		if gap >= -early {
			gap = max(0, gap)
		}
		stayed = before.place == t.Place && gap >= 0 && gap <= c.gaps.lasting()
		c.gaps.add(gap)
		c.warm.add(before.ended, -int64(before.prompt), ended)
	}
	c.warm.add(ended, t.Prompt, ended)
	if !stayed {
		return 0, false
	}
	expected = min(int64(before.prompt), t.Prompt)
	if t.Cached >= 0 && t.Prompt >= int64(before.prompt) {
		c.losses.add(float64(expected), float64(t.Cached), float64(t.Prompt), ended)
	}
	return expected, true
}

// Look returns the state of the caches at now, if they hold fit tokens together; 0 if that is unknown. changed is true if they are overrun
// since this look, or no longer.
func (c *Caches) Look(fit int64, now time.Time) (r Report, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ms := now.UnixMilli()
	within := c.gaps.lasting()
	shortfall, turns := c.losses.shortfall(ms)
	changed = c.alarm.look(shortfall, turns)
	c.report = Report{
		Warm: c.warm.since(ms-within.Milliseconds(), ms), Within: within, Fit: fit,
		Shortfall: c.alarm.shown(shortfall, turns), Overrun: c.alarm.on,
	}
	return c.report, changed
}

// Report returns the state at the last look.
func (c *Caches) Report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.report
}
