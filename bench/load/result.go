package main

import (
	"slices"
	"time"
)

// result is what a simulation measured, in its middle part.
type result struct {
	from, to time.Duration
	turns    int
	moved    int             // turns that went to another server than the turn before
	waits    []time.Duration // for the first token, sorted at the end
	found    int             // prompt tokens that were cached
	kept     int             // prompt tokens that a server with all of the conversation would have cached
	work     []float64       // prompt tokens that each server computed
	busy     []float64       // requests in flight on each server, integrated over time
	new      int             // new conversations, while a server is watched
	newThere int             // those on the watched server
}

func (m *result) begin(w *world) {
	m.from = w.clock.Now()
	m.work, m.busy = w.totals()
}

func (m *result) end(w *world) {
	m.to = w.clock.Now()
	work, busy := w.totals()
	for i := range m.work { // servers that were added since count from the beginning
		work[i], busy[i] = work[i]-m.work[i], busy[i]-m.busy[i]
	}
	m.work, m.busy = work, busy
}

// totals returns what the servers have computed, and their load, so far.
func (w *world) totals() (work, busy []float64) {
	for _, s := range w.servers {
		work, busy = append(work, float64(s.engine.computed)), append(busy, s.busy)
	}
	return work, busy
}

func (w *world) isMeasured(r *request) bool {
	from, to := w.measured()
	return r.n >= from && r.n < to
}

// placed counts a request that goes to s.
func (m *result) placed(w *world, r *request, s *server) {
	last := r.talk.last
	if w.watched != nil && last == nil {
		m.new++
		if s == w.watched {
			m.newThere++
		}
	}
	if w.isMeasured(r) && last != nil && last != s {
		m.moved++
	}
}

// answered counts a request whose first token is there.
func (m *result) answered(w *world, r *request) {
	if r.begun || !w.isMeasured(r) {
		return
	}
	r.begun = true
	m.turns++
	m.waits = append(m.waits, w.clock.Now()-r.sent)
	m.found += r.found
	m.kept += min(r.kept, r.prompt-1)
}

// rate returns the turns a second.
func (m *result) rate() float64 { return float64(m.turns) / (m.to - m.from).Seconds() }

// figures are a result in the numbers of the tables.
type figures struct {
	hits           float64 // per cent of the ideal
	work, inFlight float64 // of the busiest server, relative to the mean
	mean           float64 // wait for the first token, in seconds, like the next three
	p50, p90, p99  float64
	moved          float64 // turns per 1,000
	newThere       float64 // per cent of the new conversations that went to the watched server
}

func (m *result) figures() figures {
	slices.Sort(m.waits)
	var sum time.Duration
	for _, d := range m.waits {
		sum += d
	}
	at := func(share float64) float64 { return m.waits[int(share*float64(len(m.waits)-1))].Seconds() }
	return figures{
		hits: 100 * float64(m.found) / float64(max(1, m.kept)), work: overMean(m.work), inFlight: overMean(m.busy),
		mean: sum.Seconds() / float64(len(m.waits)), p50: at(0.5), p90: at(0.9), p99: at(0.99),
		moved: 1000 * float64(m.moved) / float64(m.turns), newThere: 100 * float64(m.newThere) / float64(max(1, m.new)),
	}
}

// overMean returns the greatest number relative to the mean.
func overMean(all []float64) float64 {
	var sum float64
	for _, x := range all {
		sum += x
	}
	return slices.Max(all) * float64(len(all)) / sum
}

// median returns the median of each figure.
func median(all []figures) (m figures) {
	of := func(get func(*figures) *float64) {
		var values []float64
		for i := range all {
			values = append(values, *get(&all[i]))
		}
		slices.Sort(values)
		*get(&m) = values[len(values)/2]
	}
	for _, get := range []func(*figures) *float64{
		func(f *figures) *float64 { return &f.hits }, func(f *figures) *float64 { return &f.work },
		func(f *figures) *float64 { return &f.inFlight }, func(f *figures) *float64 { return &f.mean },
		func(f *figures) *float64 { return &f.p50 }, func(f *figures) *float64 { return &f.p90 },
		func(f *figures) *float64 { return &f.p99 }, func(f *figures) *float64 { return &f.moved },
		func(f *figures) *float64 { return &f.newThere },
	} {
		of(get)
	}
	return m
}
