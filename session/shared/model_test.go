package shared

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/session/identity"
)

// The model: two processes, two upstreams and one session, whose home is "a". A search takes every order of a few steps, of these kinds:
//
//   - turns: a process serves a turn where it has the session, moves the session, or forgets it;
//   - the network: a batch reaches the stream or is lost on the way, an entry reaches a process once or twice, or a process reconnects;
//   - the stream: its oldest entry goes, or all go;
//   - the processes: one starts again, with or without what its maps knew;
//   - time: little passes at a turn, and once more than slack.
//
// From every state that is reached, the search lets the network deliver everything, and then both processes must agree.

var steps = flag.Int("steps", 5, "how many steps the search of TestModel takes; 6 take a minute")

const modelTTL = time.Hour

var modelKey = identity.Key{Hi: 1, Lo: 2}

// side is a process of the model.
type side struct {
	ledger *Ledger
	at     string // "" for nowhere
	used   int64
	now    *int64
	next   int // the entry of the stream that it reads next
}

func (s *side) Look(Subject) (at string, idle time.Duration, ok bool) {
	return s.at, time.Duration(*s.now-s.used) * time.Millisecond, s.at != ""
}

func (s *side) Place(p *Sighting) { s.at, s.used = p.At, *s.now-p.Age.Milliseconds() }

func (s *side) Drain(*Drain) {}

// arrival is a batch in the stream.
type arrival struct {
	Batch
	at int64
}

// world is a state of the model.
type world struct {
	now    int64
	sides  [2]*side
	stream []arrival
	first  int // the entries before it are gone
	starts uint64
	turns  int // steps that are left, by kind
	faults int
	pauses int
	path   []string
}

func newWorld() *world {
	w := &world{now: 1_000_000, turns: 3, faults: 2, pauses: 1}
	for i := range w.sides {
		w.sides[i] = &side{now: &w.now}
		w.start(i)
	}
	w.settle() // the questions of the start are answered
	w.stream, w.first = nil, 0
	for _, s := range w.sides {
		s.next = 0
	}
	return w
}

// start starts a process: its ledger is new, and reads the stream from the beginning.
func (w *world) start(i int) {
	w.starts++
	s := w.sides[i]
	s.ledger = NewLedger(w.starts, s, 10, modelTTL)
	w.readAgain(i)
}

// readAgain lets a process read the whole stream, as package store does after a start and after a gap.
func (w *world) readAgain(i int) {
	s := w.sides[i]
	s.ledger.Begin()
	for s.next = w.first; s.next < len(w.stream); {
		w.deliver(i, s.next)
	}
	s.ledger.CaughtUp(w.now)
	if s.at != "" && s.at != "a" {
		s.ledger.Changed(&Change{Sighting: Sighting{Subject: Subject{Key: modelKey}, At: s.at, Age: time.Duration(w.now-s.used) * time.Millisecond}}, w.now)
	}
}

func (w *world) deliver(i, entry int) {
	s, a := w.sides[i], &w.stream[entry]
	before := s.next
	s.next = max(s.next, entry+1)
	if !s.ledger.Received(&a.Batch, a.at, w.now) || entry < before {
		return
	}
	s.ledger.Check()
	for n := w.first; n < s.next; n++ {
		s.ledger.Received(&w.stream[n].Batch, w.stream[n].at, w.now)
	}
	s.ledger.CaughtUp(w.now)
}

// send takes what a process has to send; arrives is false for a batch that is lost.
func (w *world) send(i int, arrives bool) bool {
	var b Batch
	if !w.sides[i].ledger.Fill(&b, w.now) {
		return false
	}
	if arrives {
		w.stream = append(w.stream, arrival{b, w.now})
	}
	return true
}

// turn serves a turn of the session at a process. A process without the session serves it at home.
func (w *world) turn(i int, to string) {
	w.now++
	s := w.sides[i]
	if to == "" && s.at != "" {
		s.used = w.now
		return
	}
	if to == "" {
		to = "a"
	}
	s.at, s.used = to, w.now
	s.ledger.Changed(&Change{Sighting{Subject: Subject{Key: modelKey}, At: to}, to == "a"}, w.now)
}

func (w *world) forget(i int) {
	w.now++
	w.sides[i].at = ""
	w.sides[i].ledger.Changed(&Change{Sighting: Sighting{Subject: Subject{Key: modelKey}}}, w.now)
}

// steps returns the steps that can be taken.
func (w *world) steps() (all []string) {
	for i := range w.sides {
		p := fmt.Sprint(i)
		if w.turns > 0 {
			all = append(all, "turn "+p, "move "+p+" a", "move "+p+" b", "forget "+p)
		}
		if l := w.sides[i].ledger; len(l.queue) > 0 || l.gap.asks && l.gap.seq == 0 {
			all = append(all, "send "+p)
			if w.faults > 0 {
				all = append(all, "lose "+p)
			}
		}
		if w.sides[i].next < len(w.stream) && w.sides[i].next >= w.first {
			all = append(all, "deliver "+p)
		}
		if w.faults > 0 {
			all = append(all, "reconnect "+p, "restart "+p, "restore "+p)
			if w.sides[i].next > w.first {
				all = append(all, "repeat "+p)
			}
		}
	}
	if w.faults > 0 && w.first < len(w.stream) {
		all = append(all, "trim", "flush")
	}
	if w.pauses > 0 {
		all = append(all, "pause")
	}
	return all
}

// take takes a step.
func (w *world) take(step string) {
	w.path = append(slices.Clone(w.path), step)
	words := strings.Fields(step)
	i := 0
	if len(words) > 1 && words[1] == "1" {
		i = 1
	}
	s := w.sides[i]
	switch words[0] {
	case "turn":
		w.turns--
		w.turn(i, "")
	case "move":
		w.turns--
		w.turn(i, words[2])
	case "forget":
		w.turns--
		w.forget(i)
	case "send":
		w.send(i, true)
	case "deliver":
		w.deliver(i, s.next)
	case "pause":
		w.pauses--
		w.now += 3 * slack
	default:
		w.faults--
		w.fail(words[0], i)
	}
}

// fail takes a step that is a fault.
func (w *world) fail(step string, i int) {
	s := w.sides[i]
	switch step {
	case "lose":
		w.send(i, false)
	case "repeat":
		w.deliver(i, s.next-1)
	case "reconnect":
		s.ledger.Unsent()
	case "restart":
		s.at = ""
		w.start(i)
	case "restore": // with the maps that were saved
		w.start(i)
	case "trim":
		w.first++
	case "flush":
		w.first = len(w.stream)
	}
}

// copy copies the world.
func (w *world) copy() *world {
	c := *w
	c.stream = slices.Clone(w.stream)
	for i, s := range w.sides {
		n := *s
		n.now = &c.now
		l := *s.ledger
		l.local = &n
		l.names.all, l.names.used = slices.Clone(l.names.all), slices.Clone(l.names.used)
		l.names.numbers, l.names.free = maps.Clone(l.names.numbers), slices.Clone(l.names.free)
		part := modelKey.Lo % parts
		l.bindings[part] = maps.Clone(l.bindings[part]) // all others are empty
		l.queue, l.sent = slices.Clone(l.queue), slices.Clone(l.sent)
		l.news = map[identity.Key]*news{}
		for k, v := range s.ledger.news {
			one := *v
			l.news[k] = &one
		}
		l.drains = newDrains()
		n.ledger = &l
		c.sides[i] = &n
	}
	return &c
}

// state describes all that matters for what follows.
func (w *world) state() string {
	var b strings.Builder
	fmt.Fprint(&b, w.now, w.first, w.turns, w.faults, w.pauses)
	for _, a := range w.stream {
		fmt.Fprint(&b, a)
	}
	for _, s := range w.sides {
		l := s.ledger
		fmt.Fprint(&b, "|", s.at, s.used, s.next, l.id, l.seq, l.epoch, l.bindings[modelKey.Lo%parts], l.names.all, l.queue, l.sent, l.gap)
		for _, n := range l.news {
			fmt.Fprint(&b, *n)
		}
	}
	return b.String()
}

// settle lets everything be delivered, and returns what is wrong then.
func (w *world) settle() string {
	for range 20 {
		w.now += resendAfter
		busy := false
		for i, s := range w.sides {
			if s.next-1 < w.first && w.first > 0 { // the entry that it has read last is gone: as package store finds out
				w.readAgain(i)
			}
			for s.next < len(w.stream) {
				w.deliver(i, s.next)
				busy = true
			}
			s.ledger.Sweep(w.now)
			for w.send(i, true) {
				busy = true
			}
		}
		if !busy {
			return w.disagreement()
		}
	}
	return "they do not come to rest"
}

// disagreement returns in what the processes differ.
func (w *world) disagreement() string {
	var believes, holds [2]string
	for i, s := range w.sides {
		believes[i] = s.at
		if s.at == "" {
			believes[i] = "a" // home
		}
		if b, ok := s.ledger.get(modelKey, w.now); ok {
			holds[i] = fmt.Sprint(s.ledger.names.of(b.at), " ", b.used)
		}
		if len(s.ledger.news) > 0 {
			return fmt.Sprintf("process %d still has something under way", i)
		}
	}
	if believes[0] != believes[1] {
		return fmt.Sprintf("they believe %q", believes)
	}
	if holds[0] != holds[1] {
		return fmt.Sprintf("they hold %q", holds)
	}
	return ""
}

// Whatever happens, and in whatever order: once everything is delivered, both processes believe that the session is at the same upstream,
// and hold the same binding.
func TestModel(t *testing.T) {
	level, states := []*world{newWorld()}, 0
	for d := range *steps {
		seen, next := map[string]bool{}, []*world(nil)
		for _, w := range level {
			for _, step := range w.steps() {
				if d == 0 && strings.HasSuffix(step, "1") {
					continue // the processes are alike
				}
				n := w.copy()
				n.take(step)
				state := n.state()
				if seen[state] {
					continue
				}
				seen[state] = true
				states++
				if wrong := n.copy().settle(); wrong != "" {
					t.Fatalf("%s after %q", wrong, n.path)
				}
				next = append(next, n)
			}
		}
		t.Logf("after %d steps: %d states", d+1, len(next))
		level = next
	}
	t.Logf("%d states", states)
}
