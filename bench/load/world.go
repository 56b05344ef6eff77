package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"tether/bench/simtime"
	"tether/ring"
	"tether/upstream"
	"tether/upstream/load"
)

// world is one simulation: conversations, a policy, and servers, in simulated time. One goroutine runs it, event by event,
// so that equal seeds give equal results.
type world struct {
	setup
	hardware hardware
	policy   policy
	seed     uint64
	random   *rand.Rand
	begun    time.Time
	clock    simtime.Clock
	tethers  []*tether
	ring     *ring.Ring // of the servers, as the real router has it
	servers  []*server

	queue   []conversation // to be begun
	talks   int            // begun so far
	blocks  block          // named so far
	sent    int            // requests
	ended   int            // requests
	watched *server        // the result counts the new conversations there, nil for none
	result  result
}

// setup describes a simulation.
type setup struct {
	conversations []conversation
	// atFirst is the number of servers at the beginning.
	atFirst int
	// users is the number of users, who each have one conversation after another. Without users, turns are sent at their
	// recorded times, speed times as fast.
	users int
	speed float64
	// turns is the number of turns after which no other turn is sent. The result counts a part of them: see measured.
	turns int
	// oneCache gives all servers one cache.
	oneCache bool
	// impatient users send the next turn as soon as the answer is written.
	impatient bool
	// incident happens when the measured part begins. It may be nil.
	incident func(w *world)
}

// measured returns the first turn that the result counts, and the first turn after those that it counts. At the beginning all
// conversations are young, and at the end the load goes down.
func (s *setup) measured() (from, to int) { return s.turns * 4 / 10, s.turns * 95 / 100 }

func newWorld(s setup, h hardware, c contender, seed uint64) (*world, error) {
	w := &world{
		setup: s, hardware: h, policy: c.policy, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), begun: time.Now(), queue: s.conversations,
	}
	for range max(1, c.replicas) {
		t, err := newTether(c.routing, h.rate, w.random.IntN)
		if err != nil {
			return nil, err
		}
		w.tethers = append(w.tethers, t)
	}
	if err := w.resize(s.atFirst); err != nil {
		return nil, err
	}
	share(w, c.shares)
	return w, nil
}

// resize sets the number of servers, which must not shrink.
func (w *world) resize(servers int) error {
	known := len(w.servers)
	var slots []ring.Slot
	for k, t := range w.tethers {
		members, err := t.resize(servers)
		if err != nil {
			return err
		}
		for n := known; n < len(members); n++ {
			m := &members[n]
			m.SaidLoad(load.EngineLoad{KVCapacity: int64(w.hardware.capacity), At: w.time()})
			if k == 0 {
				w.addServer(m.Upstream)
			}
			w.servers[n].seen = append(w.servers[n].seen, m.Upstream)
		}
		if k > 0 {
			continue
		}
		for _, m := range members {
			slots = append(slots, ring.Slot{Name: m.Name(), Number: m.Slot, Weight: m.Weight})
		}
	}
	var err error
	w.ring, err = ring.New(slots)
	return err
}

// addServer adds a server, which the first tether sees as u.
func (w *world) addServer(u *upstream.Upstream) {
	s := &server{Upstream: u, engine: newEngine(w.hardware), number: len(w.servers)}
	if w.oneCache && s.number > 0 {
		s.engine.cache = w.servers[0].engine.cache
	}
	w.servers = append(w.servers, s)
}

// run runs the simulation. Its error says that a request did not end, or ended more than once.
func (w *world) run() (*result, error) {
	if w.users == 0 {
		w.replay()
	}
	for range w.users {
		w.after(w.firstDelay(), w.nextTalk)
	}
	if err := w.clock.Run(w.pass); err != nil {
		return nil, err
	}
	if w.ended != w.sent {
		return nil, fmt.Errorf("%d requests were sent, and %d ended", w.sent, w.ended)
	}
	return &w.result, nil
}

// firstDelay returns when a user begins: the users begin over the time that a conversation takes on average, so that their
// first prompts do not arrive all at once. Impatient users begin at once.
func (w *world) firstDelay() time.Duration {
	if w.impatient {
		return 0
	}
	var all time.Duration
	for _, c := range w.conversations {
		for _, t := range c {
			all += t.think + nominal(&t)
		}
	}
	return time.Duration(w.random.Float64() * float64(all) / float64(len(w.conversations)))
}

func (w *world) after(d time.Duration, do func()) {
	w.clock.After(d, func() error { do(); return nil })
}

func (w *world) time() time.Time { return w.begun.Add(w.clock.Now()) }

// pass adds to the load of the servers for the time d.
func (w *world) pass(d time.Duration) {
	for _, s := range w.servers {
		s.busy += float64(s.requests()) * d.Seconds()
	}
}

// newTalk begins a conversation. After the last one, the first one begins again, under another key.
func (w *world) newTalk() *talk {
	if len(w.queue) == 0 {
		w.queue = w.conversations
	}
	t := &talk{turns: w.queue[0], key: w.tethers[0].keyOf(w.seed, w.talks)}
	w.queue = w.queue[1:]
	w.talks++
	return t
}

// nextTalk begins the next conversation of a user.
func (w *world) nextTalk() { w.send(w.newTalk(), w.nextTalk) }

// replay schedules all turns at their recorded times.
func (w *world) replay() {
	for range w.conversations {
		t := w.newTalk()
		for _, turn := range t.turns {
			w.after(time.Duration(float64(turn.at)/w.speed), func() { w.send(t, nil) })
		}
	}
}

// send sends the next turn of a talk. With users it sends the later turns as well, and calls then when the talk has ended.
func (w *world) send(t *talk, then func()) {
	if w.sent == w.turns {
		return
	}
	switch from, to := w.measured(); w.sent {
	case from:
		w.result.begin(w)
		if w.incident != nil {
			w.after(0, func() { w.incident(w) })
		}
	case to:
		w.result.end(w)
	}
	r := &request{turn: &t.turns[t.n], talk: t, n: w.sent, sent: w.clock.Now()}
	w.sent++
	t.n++
	r.blocks = t.extend(r.turn, func() block { w.blocks++; return w.blocks })
	t.blocks = r.blocks
	r.done = func() {
		switch {
		case w.users == 0:
		case t.n == len(t.turns):
			then()
		case w.impatient:
			w.send(t, then)
		default:
			w.after(t.turns[t.n].think, func() { w.send(t, then) })
		}
	}
	w.try(r)
}

// try sends a request to a server.
func (w *world) try(r *request) {
	s, t := w.policy(w, r), r.talk
	w.result.placed(w, r, s)
	s.place(r)
	t.last, t.prompt = s, r.prompt
	switch now := w.clock.Now(); {
	case s.engine.add(r, now):
		w.schedule(s, s.engine.end())
	case s.engine.steps == 0:
		w.begin(s)
	}
}

// begin lets a server go on with what it has.
func (w *world) begin(s *server) {
	if end, ok := s.engine.plan(w.clock.Now()); ok {
		w.schedule(s, end)
	}
}

// schedule lets the steps of a server end at a time.
func (w *world) schedule(s *server, end time.Duration) {
	s.plans++
	plan := s.plans
	w.after(end-w.clock.Now(), func() {
		if plan == s.plans {
			w.finish(s)
		}
	})
}

// finish ends the steps of a server.
func (w *world) finish(s *server) {
	first, done := s.engine.finish()
	for _, r := range first {
		s.answered(r)
		if r.route != nil {
			r.route.Answered(200, w.time())
			r.route.Generated(w.time())
		}
		w.result.answered(w, r)
	}
	for _, r := range done {
		w.leave(r)
		w.ended++
		r.done()
	}
	w.begin(s)
}

// leave ends the attempt of a request.
func (w *world) leave(r *request) {
	if r.route == nil {
		r.to.End()
		return
	}
	r.route.End(w.time())
	r.route = nil
}
