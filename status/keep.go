package status

import (
	"time"

	"tether/session"
	"tether/upstream"
)

// past is what is kept of the past of an upstream, or of all together.
type past struct {
	recently recently
	sampled  counts // at the last sample
	line     series[sample]
}

// sample is what was counted in the 10 seconds before at.
type sample struct {
	at               time.Time
	requests, errors uint32
	outcomes         [session.Spilled + 1]uint32
}

// show returns s as a page shows it.
func (s *sample) show() Sample {
	shown := Sample{At: s.at, Outcomes: make(map[string]uint32, len(s.outcomes))}
	for o, n := range s.outcomes {
		shown.Outcomes[session.Outcome(o).String()] = n
	}
	return shown
}

// sample adds a sample.
func (p *past) sample(now time.Time, sum *counts) {
	d := sum.since(&p.sampled)
	s := sample{at: now, requests: uint32(d.requests), errors: uint32(d.errors)}
	for o, n := range d.outcomes {
		s.outcomes[o] = uint32(n)
	}
	p.line.add(s)
	p.sampled = *sum
}

// keepLocked keeps the past up to now: moves, marks and samples. It forgets upstreams that were removed. c.mu is held.
func (c *Collector) keepLocked(now time.Time) {
	c.bursts.note(c.moves.take(now), now, &c.events)
	mark, sample := now.Sub(c.marked) >= markEvery, now.Sub(c.taken) >= sampleEvery
	if !mark && !sample {
		return
	}
	keep := func(t *tally, p *past) {
		sum := t.load()
		if mark {
			p.recently.note(now, &sum)
		}
		if sample {
			p.sample(now, &sum)
		}
	}
	keep(&c.all, &c.past)
	stays := map[*upstream.Upstream]bool{}
	for _, m := range c.deps.Registry.Table().Members {
		stays[m.Upstream] = true
		w := c.of(m.Upstream)
		keep(&w.tally, w.past)
	}
	for i := range c.each {
		if w := c.each[i].Load(); w != nil && !stays[w.upstream] {
			c.each[i].CompareAndSwap(w, nil)
		}
	}
	if mark {
		c.marked = now
	}
	if sample {
		c.taken = now
	}
}

// recentEvents is how long a snapshot repeats an event, so that a page that misses a snapshot misses no event.
const recentEvents = 10 * time.Second

// snapshotLocked returns the snapshot of now. c.mu is held.
func (c *Collector) snapshotLocked(now time.Time) Snapshot {
	d := &c.deps
	inForce, why := d.Router.Placement()
	tokens := tokensOf(d.Fates, now)
	sum := c.all.load()
	minute, _ := c.past.recently.minute(now, &sum)
	moment, seconds := c.past.recently.moment(now, &sum)
	s := Snapshot{
		At: now, Version: d.Version, Started: c.started, Placement: string(inForce), PlacementWhy: why,
		Sessions: d.Pins.Stats().Pins, MaxSessions: d.Pins.Max(),
		Rate: rate(moment.requests, seconds), Minute: figures(&minute, &tokens.all.minute), Total: figures(&sum, &tokens.all.total), Upstreams: []Upstream{},
		Moves: append([]Move{}, c.moves.shown...), Events: c.events.after(now.Add(-recentEvents)), Pages: c.Pages(),
	}
	s.Connections, s.InFlight = d.Clients()
	last := c.past.line.last()
	s.Sample = last.show()
	members := d.Registry.Table().Members
	for i := range members {
		m := &members[i]
		u, of := view(m, d.Pins, now), tokens.each[m.Name()]
		w := c.of(m.Upstream)
		sum := w.load()
		minute, _ := w.past.recently.minute(now, &sum)
		moment, seconds := w.past.recently.moment(now, &sum)
		u.Minute, u.Rate = figures(&minute, &of.minute), rate(moment.requests, seconds)
		last := w.past.line.last()
		u.Sample = [2]uint32{last.requests, last.errors}
		s.Upstreams = append(s.Upstreams, u)
	}
	return s
}

// historyLocked returns the last 15 minutes. c.mu is held.
func (c *Collector) historyLocked() History {
	h := History{Every: sampleEvery.Seconds(), Samples: []Sample{}, Upstreams: map[string]Line{}, Events: c.events.after(time.Time{})}
	for _, s := range c.past.line.all() {
		h.Samples = append(h.Samples, s.show())
	}
	for _, m := range c.deps.Registry.Table().Members {
		l := Line{Requests: []uint32{}, Errors: []uint32{}}
		for _, s := range c.of(m.Upstream).past.line.all() {
			l.Requests, l.Errors = append(l.Requests, s.requests), append(l.Errors, s.errors)
		}
		h.Upstreams[m.Name()] = l
	}
	return h
}
