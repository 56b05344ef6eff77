// Package plan says which fault comes when. A plan follows from the seed alone, so that a run can be repeated.
//
// A server has one fault at a time. At most three servers have one at the same moment, so that there is always a server that can answer.
// tether itself has one fault at a time, too. kinds.go is tested in plan_test.go.
package plan

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Step is one fault.
type Step struct {
	At     time.Duration // from the beginning of the plan
	Kind   Kind
	Server int // -1 for faults of tether itself
	For    time.Duration
	Times  int // the number of requests that are struck; 0: all
	Arg    string
}

const (
	// mostStruck is the number of servers that may have a fault at the same moment.
	mostStruck = 3
	// gap is the mean time between two faults.
	gap = 2 * time.Second
	// lastRenewal is the part of the run after which tether's process is not replaced, so that the last one is measured for a while.
	lastRenewal = 0.6
)

// New makes the plan of a run over a number of servers. Each kind comes once before any comes twice.
func New(seed uint64, servers int, length time.Duration) (steps []Step) {
	p := planner{rng: rand.New(rand.NewPCG(seed, 0)), length: length, free: make([]time.Duration, servers)}
	for p.now = gap; p.now < length; p.now += gap/2 + time.Duration(p.rng.Int64N(int64(gap))) {
		if s, ok := p.next(); ok {
			steps = append(steps, s)
		}
	}
	return steps
}

type planner struct {
	rng    *rand.Rand
	length time.Duration
	now    time.Duration
	bag    []Kind          // the kinds that come before any comes again
	free   []time.Duration // by server: when its last fault is over
	tether time.Duration   // when the last fault of tether is over
}

// next takes the first kind of the bag that is possible now.
func (p *planner) next() (Step, bool) {
	if len(p.bag) == 0 {
		p.bag = Kinds()
		p.rng.Shuffle(len(p.bag), func(i, j int) { p.bag[i], p.bag[j] = p.bag[j], p.bag[i] })
	}
	for i, kind := range p.bag {
		if s, ok := p.step(kind); ok {
			p.bag = slices.Delete(p.bag, i, i+1)
			return s, true
		}
	}
	if p.late(p.bag) {
		p.bag = nil
	}
	return Step{}, false
}

// late reports whether the kinds are those that come no more in this run.
func (p *planner) late(bag []Kind) bool {
	return !slices.ContainsFunc(bag, func(k Kind) bool { return !traits[k].renewal })
}

func (p *planner) step(kind Kind) (Step, bool) {
	t := traits[kind]
	s := Step{At: p.now, Kind: kind, Server: -1, For: t.least}
	if t.most > t.least {
		s.For += time.Duration(p.rng.Int64N(int64(t.most - t.least)))
	}
	if t.times > 0 {
		s.Times = t.times/2 + p.rng.IntN(t.times/2+1)
	}
	if len(t.arguments) > 0 {
		s.Arg = t.arguments[p.rng.IntN(len(t.arguments))]
	}
	over := p.now + s.For + t.recovery
	late := t.renewal && p.now > time.Duration(lastRenewal*float64(p.length))
	if over > p.length || late {
		return Step{}, false
	}
	if t.ofTether {
		if p.tether > p.now {
			return Step{}, false
		}
		p.tether = over
		return s, true
	}
	return p.strike(s, over)
}

// strike chooses a server without a fault.
func (p *planner) strike(s Step, over time.Duration) (Step, bool) {
	var whole []int
	for i, until := range p.free {
		if until <= p.now {
			whole = append(whole, i)
		}
	}
	if len(p.free)-len(whole) >= mostStruck || len(whole) == 0 {
		return Step{}, false
	}
	s.Server = whole[p.rng.IntN(len(whole))]
	p.free[s.Server] = over
	return s, true
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
