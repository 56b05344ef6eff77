package session

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tether/session/balance"
	"tether/upstream"
)

// The router's rules hold in every order in which things can happen. A search takes all steps in all orders, with two upstreams, two sessions
// and two requests at a time, on the real Router, session map and states of upstreams. interleaving_rules_test.go has the rules,
// interleaving_world_test.go the steps, and interleaving_canonical_test.go says which states are one.

// step is something that may happen to a world.
type step struct {
	name    string
	enabled func(*world) bool
	do      func(*world)

	request int  // that the step belongs to, -1 for none
	begins  bool // a request begins
	changes bool // it changes the world: requests alone do not
	byHand  bool // an operator moves or forgets session
	session int
}

// take lets a step happen, and judges it.
func (w *world) take(s *step) {
	var c *caller
	if s.request >= 0 {
		c = &w.requests[s.request]
	}
	before := [2]pinned{w.pinned(s.request, 0), w.pinned(s.request, 1)}
	s.do(w)
	if s.changes {
		w.changes++
	}
	for session := range before {
		after := w.pinOf(session)
		if after == nil {
			w.makers[session] = 0
		}
		w.judgeMove(s, session, c, before[session], after)
	}
	w.judgeStates()
}

// steps are all steps that may happen.
var steps = slices.Concat(ofRequests(), ofUpstreams(), ofOperators())

// ofRequests are the steps of both requests. A request begins in the first place that is free.
func ofRequests() (steps []*step) {
	for n := range 2 {
		add := func(name string, in phase, do func(w *world, n int)) {
			steps = append(steps, &step{
				name: fmt.Sprintf("%s %d", name, n), request: n, begins: in == absent, do: func(w *world) { do(w, n) },
				enabled: func(w *world) bool {
					return w.requests[n].phase == in && (in != absent || n == 0 || w.requests[0].phase != absent)
				},
			})
		}
		for session := range 2 {
			add(fmt.Sprintf("session %d begins", session), absent, func(w *world, n int) { w.begin(n, session) })
		}
		add("choose", begun, (*world).choose)
		add("answer", waiting, func(w *world, n int) { w.answer(n, 200) })
		add("end", passing, (*world).end)
		add("error", waiting, func(w *world, n int) { w.answer(n, 500); w.end(n) })
		add("refuse", waiting, (*world).refuse)
		add("die", waiting, (*world).die)
		add("leaving", waiting, (*world).leaving)
		add("client leaves", waiting, (*world).give)
	}
	return steps
}

// ofUpstreams are the changes of each upstream.
func ofUpstreams() (steps []*step) {
	for i := range 2 {
		add := func(name string, enabled func(w *world, b *belief) bool, do func(w *world, i int)) {
			steps = append(steps, &step{name: name + " " + worldNames[i], request: -1, changes: true, do: func(w *world) { do(w, i) }, enabled: func(w *world) bool {
				return enabled(w, w.beliefs[w.upstream(i)])
			}})
		}
		for h, name := range map[upstream.Health]string{upstream.Up: "up", upstream.Down: "down", upstream.TimedOut: "timed out"} {
			add(name, func(_ *world, b *belief) bool { return b != nil && (b.health != h || b.suspect) }, func(w *world, i int) { w.probe(i, h) })
		}
		for d, name := range [...]string{"undrain", "drain", "drain hard", "drain idle", "drain overdue"} {
			add(name, func(_ *world, b *belief) bool { return b != nil && b.drain != drainKind(d) }, func(w *world, i int) { w.drain(i, drainKind(d)) })
		}
		add("failed probe", func(_ *world, b *belief) bool { return b != nil && b.leaving && !b.confirmed }, (*world).failedProbe)
		add("expire", func(_ *world, b *belief) bool { return b != nil && b.leaving }, (*world).expire)
		add("another address of", func(_ *world, b *belief) bool { return b != nil }, (*world).readdress)
		add("remove", func(_ *world, b *belief) bool { return b != nil }, func(w *world, i int) { w.absent[i] = true; w.reload() })
		add("add", func(_ *world, b *belief) bool { return b == nil }, func(w *world, i int) { w.absent[i] = false; w.reload() })
	}
	slices.SortFunc(steps, func(x, y *step) int { return cmp.Compare(x.name, y.name) }) // a map has no order
	return steps
}

// ofOperators are the changes of sessions by hand, and time. A request that waits for its answer while time passes would make its upstream
// look hung, which is another story.
func ofOperators() (steps []*step) {
	for session := range 2 {
		for i := range 2 {
			steps = append(steps, &step{
				name: fmt.Sprintf("move session %d to %s", session, worldNames[i]), request: -1, changes: true, byHand: true, session: session,
				do: func(w *world) { w.router.Repin(w.keys[session], w.upstream(i), w.now) },
				enabled: func(w *world) bool {
					return w.upstream(i) != nil && w.pinOf(session) != nil && w.pinOf(session) != w.upstream(i)
				},
			})
		}
		steps = append(steps, &step{
			name: fmt.Sprintf("forget session %d", session), request: -1, changes: true, byHand: true, session: session,
			do:      func(w *world) { w.router.Forget(w.keys[session], w.now) },
			enabled: func(w *world) bool { return w.pinOf(session) != nil },
		})
	}
	return append(steps, &step{
		name: "pause", request: -1, changes: true, do: func(w *world) { w.now = w.now.Add(pause) },
		enabled: func(w *world) bool { return w.requests[0].phase != waiting && w.requests[1].phase != waiting },
	})
}

// search is an exhaustive search through the states of a world.
type search struct {
	rules    rules
	faults   sabotage
	changes  int // of the world on one way, at most
	requests int // on one way, at most
	states   int // at most, 0 for any number

	seen        map[string]int32
	from        []origin
	transitions int
	again       int // transitions to a state that was seen before
	problem     string
}

// origin is how a state was reached first: by a step after another state.
type origin struct {
	before int32
	step   int16
}

// run visits every state that can be reached, those with the shortest ways first, until it has seen enough states. It stops at the first
// problem.
func (s *search) run() {
	s.seen = map[string]int32{newWorld(s.rules, s.faults).canonical(): 0}
	s.from = []origin{{before: -1}}
	for at := 0; at < len(s.from) && s.problem == "" && !s.isEnough(); at++ {
		s.expand(s.way(int32(at)), int32(at))
	}
}

func (s *search) isEnough() bool { return s.states > 0 && len(s.from) >= s.states }

// possible are the steps that can happen to w.
func (s *search) possible(w *world) (possible []int16) {
	for i, step := range steps {
		if (!step.changes || w.changes < s.changes) && (!step.begins || w.begun < s.requests) && step.enabled(w) {
			possible = append(possible, int16(i))
		}
	}
	return possible
}

// expand takes every step that is possible at the end of a way.
func (s *search) expand(way []int16, at int32) {
	w := s.replay(way)
	for n, i := range s.possible(w) {
		if n > 0 {
			w = s.replay(way)
		}
		w.take(steps[i])
		s.transitions++
		longer := append(way, i)
		if len(w.problems) > 0 {
			s.problem = fmt.Sprintf("%s\nafter: %s", strings.Join(w.problems, "\n"), words(longer))
			return
		}
		key := w.canonical()
		first, known := s.seen[key]
		if !known {
			s.seen[key] = int32(len(s.from))
			s.from = append(s.from, origin{at, i})
			continue
		}
		if s.again++; s.again%compareEvery == 0 {
			s.compare(s.way(first), longer)
		}
	}
}

// compareEvery is how many ways to a known state there are for each that is compared with the first one.
const compareEvery = 500

// compare checks that two ways lead to one state: the same states follow. The requests may have changed their places.
func (s *search) compare(way, other []int16) {
	if !slices.Equal(s.successors(way), s.successors(other)) {
		s.problem = fmt.Sprintf("one state for two:\n%s\n%s", words(way), words(other))
	}
}

// successors are the states that follow the end of a way.
func (s *search) successors(way []int16) (states []string) {
	for _, i := range s.possible(s.replay(way)) {
		w := s.replay(append(way, i))
		states = append(states, w.canonical())
	}
	slices.Sort(states)
	return slices.Compact(states)
}

// way is the steps to a state.
func (s *search) way(at int32) (way []int16) {
	for ; s.from[at].before >= 0; at = s.from[at].before {
		way = append(way, s.from[at].step)
	}
	slices.Reverse(way)
	return way
}

func (s *search) replay(way []int16) *world {
	w := newWorld(s.rules, s.faults)
	for _, i := range way {
		w.take(steps[i])
	}
	return w
}

func words(way []int16) string {
	var words []string
	for _, i := range way {
		words = append(words, steps[i].name)
	}
	return strings.Join(words, ", ")
}

var allRules = []rules{{Stay, balance.Home}, {Home, balance.Home}, {Stay, balance.Load}, {Home, balance.Load}}

// bounds limit a search: how often the world changes on one way, how many requests begin there, and how many states are visited, 0 for all.
type bounds struct{ changes, requests, states int }

// searched are the bounds of the searches. The first two visit all states.
var searched = []bounds{{changes: 2, requests: 1}, {changes: 0, requests: 2}, {changes: 1, requests: 2, states: 15_000}}

// No session is stuck on an upstream that cannot serve it, and none moves without a reason, in whatever order things happen.
// TETHER_TEST_CHANGES, TETHER_TEST_REQUESTS and TETHER_TEST_STATES are the bounds of another search, the last of searched if they are unset:
// TETHER_TEST_STATES=0 alone visits all states with one change and two requests.
func TestInterleavings(t *testing.T) {
	if raceDetector {
		t.Skip("make test runs it without the race detector, which it does not serve: it is one goroutine")
	}
	last := searched[len(searched)-1]
	other := bounds{limitOf(t, "TETHER_TEST_CHANGES", last.changes), limitOf(t, "TETHER_TEST_REQUESTS", last.requests), limitOf(t, "TETHER_TEST_STATES", last.states)}
	all := searched
	if other != last {
		all = []bounds{other}
	}
	for _, limit := range all {
		for _, r := range allRules {
			t.Run(fmt.Sprintf("%s with %d changes and %d requests", r.String(), limit.changes, limit.requests), func(t *testing.T) {
				t.Parallel()
				searchAll(t, r, limit)
			})
		}
	}
}

func searchAll(t *testing.T, r rules, limit bounds) {
	t.Helper()
	began := time.Now()
	s := &search{rules: r, changes: limit.changes, requests: limit.requests, states: limit.states}
	s.run()
	if s.problem != "" {
		t.Error(s.problem)
	}
	t.Logf("%d states, %d transitions in %v", len(s.from), s.transitions, time.Since(began).Round(time.Millisecond))
	if s.isEnough() {
		t.Logf("there are more states; all ways of up to %d steps are seen", len(s.way(int32(len(s.from)-1)))-1)
	}
}

// limitOf is the number in an environment variable, or the default.
func limitOf(t *testing.T, variable string, limit int) int {
	if text := os.Getenv(variable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			t.Fatalf("%s: %q, want 0 or more", variable, text)
		}
		limit = n
	}
	return limit
}

// The search finds what is broken on purpose.
func TestInterleavingsFindMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		rules  rules
		faults sabotage
		want   string
	}{
		"pins that do not move":          {allRules[0], sabotage{keepMoved: true}, "stays pinned to a, which is up, suspect"},
		"pins that stray":                {allRules[0], sabotage{strayPins: true}, "and its session is pinned to"},
		"pins of removed upstreams":      {allRules[0], sabotage{keepPins: true}, "is pinned to an upstream that is not configured"},
		"a hard drain that is a drain":   {allRules[0], sabotage{shyDrain: true}, "is up, draining, want up, draining hard"},
		"refusals that the router skips": {allRules[0], sabotage{forgetful: true}, "stays pinned to"},
		"probes that change nothing":     {allRules[0], sabotage{deafHealth: true}, "is up, want down"},
		"a rule that is another":         {rules{Home, balance.Home}, sabotage{wrongRule: true}, "stays pinned to"},
		"a rule that forbids all moves":  {rules{Stay, balance.Load}, sabotage{wrongRule: true}, "without a reason"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &search{rules: c.rules, faults: c.faults, changes: 2, requests: 3, states: 20_000}
			s.run()
			if !strings.Contains(s.problem, c.want) {
				t.Fatalf("found %q, want %q", s.problem, c.want)
			}
			t.Logf("after %d states: %s", len(s.from), s.problem)
		})
	}
}
