package session

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tether/ring"
	"tether/session/balance"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
)

// simulated is a fleet under a number of callers, each of whom calls again as soon as it is answered, in simulated time.
type simulated struct {
	*fleet
	req     func(call int) Request
	answers func(u *upstream.Upstream) (status int, took time.Duration)
	ends    ends
	calls   int
	served  map[string]int // calls by upstream
}

// end is the end of a call.
type end struct {
	at     time.Time
	route  *Route
	status int
	took   time.Duration
}

type ends []end

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(v any)        { *e = append(*e, v.(end)) }
func (e *ends) Pop() any          { v := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return v }

func simulate(t *testing.T, upstreams int) *simulated {
	s := &simulated{fleet: newFleet(t, upstreams, nil), served: map[string]int{}}
	s.router.intN = rand.New(rand.NewPCG(1, 2)).IntN
	s.req = func(int) Request { return Request{} }
	return s
}

func (s *simulated) call() {
	r := s.start(s.req(s.calls))
	s.calls++
	u := r.Next(s.now)
	s.served[u.Name()]++
	status, took := s.answers(u)
	heap.Push(&s.ends, end{s.now.Add(took), r, status, took})
}

// run has n calls of so many callers, the first ones included.
func (s *simulated) run(callers, n int) {
	s.calls, s.served = 0, map[string]int{}
	for range callers - len(s.ends) {
		s.call()
	}
	for s.calls < n {
		e := heap.Pop(&s.ends).(end)
		s.now = e.at
		u := e.route.Last()
		e.route.Answered(e.status, s.now)
		if e.status >= 400 {
			e.route.Failed(e.took, s.now)
		} else {
			u.Answered(e.took)
		}
		e.route.End(s.now)
		s.call()
	}
}

// failing makes vllm-0 fail within a millisecond while failing is true. The others take about usual.
func failing(failing *bool, usual time.Duration) func(*upstream.Upstream) (int, time.Duration) {
	random := rand.New(rand.NewPCG(3, 4))
	return func(u *upstream.Upstream) (int, time.Duration) {
		if *failing && u.Name() == "vllm-0" {
			return 500, time.Millisecond
		}
		return 200, time.Duration((0.5 + random.Float64()) * float64(usual))
	}
}

// One of four upstreams fails at once. It gets no more calls without a session than the others, however long their answers take and
// however many callers there are. Without charges it gets 50 % of them, and of the surplus of a crowd.
func TestFailingFastEarnsNothing(t *testing.T) {
	requests := map[string]func(call int) Request{
		"no session": func(int) Request { return Request{} },
		"surplus":    func(int) Request { return Request{Key: testKey(1), Synthetic: true, Shared: true} },
	}
	for what, req := range requests {
		for _, callers := range []int{1, 4, 16, 256} {
			for _, usual := range []time.Duration{5 * time.Millisecond, time.Second, 30 * time.Second} {
				if what == "surplus" && callers < 16 {
					continue // no surplus
				}
				s := simulate(t, 4)
				always := true
				s.req, s.answers = req, failing(&always, usual)
				const calls = 4000
				if what == "surplus" { // the session itself is elsewhere
					s.router.pins.Bind(testKey(1), s.up("vllm-1").Ref(), true, s.now)
				}
				s.run(callers, calls)
				share := float64(s.served["vllm-0"]) / calls
				t.Logf("%s, %d callers, answers of %v: %.1f %% of the calls fail", what, callers, usual, 100*share)
				if share > 0.28 {
					t.Errorf("%s, %d callers, answers of %v: %.1f %% of the calls fail", what, callers, usual, 100*share)
				}
			}
		}
	}
}

// An upstream that has stopped failing has its share of the calls again soon.
func TestChargeIsForgotten(t *testing.T) {
	for _, usual := range []time.Duration{5 * time.Millisecond, 30 * time.Second} {
		s := simulate(t, 4)
		fails := true
		s.answers = failing(&fails, usual)
		s.run(32, 4000)
		fails = false
		began := s.now
		s.run(32, 400)
		s.run(32, 4000)
		if share := float64(s.served["vllm-0"]) / 4000; share < 0.23 || share > 0.27 {
			t.Errorf("answers of %v: a share of %.3f some %v after the end of the failures", usual, share, s.now.Sub(began))
		}
	}
}

// Upstreams that all fail share the calls evenly.
func TestAllFailAlike(t *testing.T) {
	s := simulate(t, 4)
	s.answers = func(*upstream.Upstream) (int, time.Duration) { return 500, time.Millisecond }
	s.run(16, 4000)
	for i := range 4 {
		if n := s.served[fmt.Sprint("vllm-", i)]; n < 900 || n > 1100 {
			t.Errorf("vllm-%d: %d of 4000 calls", i, n)
		}
	}
}

// A charge is measured by the upstreams of the same model, and not by other ranks of the same server.
func TestOthersServeTheModel(t *testing.T) {
	f := newFleet(t, 4, nil)
	f.specs[0].Ranks = 2
	for i := range f.specs {
		f.specs[i].Slot = ring.Unnumbered
	}
	f.apply()
	for _, m := range f.registry.Table().Members {
		m.SetHealth(upstream.Up, "test")
		m.SetModels(modelList("a"))
	}
	f.up("vllm-3").SetModels(modelList("b"))
	for name, pace := range map[string]time.Duration{"vllm-0@1": time.Hour, "vllm-1": 2 * time.Second, "vllm-2": 4 * time.Second, "vllm-3": time.Minute} {
		f.up(name).Answered(pace)
	}
	for _, name := range []string{"vllm-0@1", "vllm-2", "vllm-2", "vllm-3", "vllm-3", "vllm-3"} {
		f.up(name).Begin()
	}
	c := candidates{view: f.router.view.Load(), model: []byte("a")}
	if pace, most := c.others(0); pace != 3*time.Second || most.Requests != 2 {
		t.Errorf("model a: %v, %+v; want 3s, 2", pace, most)
	}
	c.model, c.modelKnown = []byte("b"), false
	if pace, most := c.others(0); pace != time.Minute || most.Requests != 3 {
		t.Errorf("model b: %v, %+v; want 1m, 3", pace, most)
	}
	c.model, c.modelKnown = []byte("b"), false
	if pace, _ := c.others(4); pace != unknownPace {
		t.Errorf("no other: %v, want %v", pace, unknownPace)
	}
}

// A prompt that an upstream refuses is not in its cache, and pushes no other prompt out: neither for its own session nor for others.
func TestRefusedPromptsLeaveNoTrace(t *testing.T) {
	f := newBusyFleet(t, 3, nil)
	k, other := f.homeOf(1), f.homeOf(1)
	other.Lo++
	ask := func(k identity.Key, tokens int64, status int) (*upstream.Upstream, int64, balance.Reason) {
		r := f.start(prompt(k, tokens))
		defer r.End(f.now)
		u := r.Next(f.now)
		work := r.charged.Work
		if status >= 400 {
			r.Failed(time.Millisecond, f.now)
		}
		r.Answered(status, f.now)
		return u, work, r.Away()
	}
	for _, k := range []identity.Key{k, other} {
		ask(k, 20_000, 200)
	}
	for range 3 {
		ask(k, 900_000, 400)
	}
	f.now = f.now.Add(time.Hour / 2) // the quick failures are forgotten
	for _, k := range []identity.Key{k, other} {
		if u, work, why := ask(k, 20_500, 200); u != f.up("vllm-1") || work != 500 || why != balance.Stayed {
			t.Errorf("the session goes to %s with %d tokens of work because of %q", name(u), work, why)
		}
	}
}

// The pin of a busy upstream's session stays, and with it what is known of its cache, if the upstream that it is to move to refuses it.
func TestRefusedMoveStays(t *testing.T) {
	f := newBusyFleet(t, 3, nil)
	members, k := f.registry.Table().Members, f.homeOf(1)
	pinned := members[1].Ref()
	turn := pins.Turn{Prompt: 19_000}
	f.router.pins.Bind(k, pinned, false, f.now)
	f.router.pins.Note(k, pinned, turn, true, f.now)
	f.owe(1, 200_000)
	r := f.start(prompt(k, 20_000))
	if u := r.Next(f.now); u == members[1].Upstream {
		t.Fatal("the session does not move")
	}
	r.Failed(time.Millisecond, f.now)
	r.Answered(400, f.now)
	if r.Outcome() != Spilled || r.Away() != balance.Busier {
		t.Errorf("%s because of %q", r.Outcome(), r.Away())
	}
	r.End(f.now)
	to, _ := f.router.pins.Peek(k, f.now)
	if last := f.router.pins.Last(k, to, f.now); to != pinned || last != turn {
		t.Errorf("the session is pinned to %v with %+v, want %v with %+v", to, last, pinned, turn)
	}
}

// A move that the client has been told of lasts, though the answer is cut later.
func TestMoveLastsThoughTheAnswerIsCut(t *testing.T) {
	f := newBusyFleet(t, 3, nil)
	members, k := f.registry.Table().Members, f.homeOf(1)
	f.router.pins.Bind(k, members[1].Ref(), false, f.now)
	f.router.pins.Note(k, members[1].Ref(), pins.Turn{Prompt: 19_000}, true, f.now)
	f.owe(1, 200_000)
	r := f.start(prompt(k, 20_000))
	u := r.Next(f.now)
	r.Answered(200, f.now)
	outcome := r.Outcome()
	r.Failed(time.Millisecond, f.now)
	r.End(f.now)
	to, _ := f.router.pins.Peek(k, f.now)
	if at := members[f.registry.Table().Index(to)].Upstream; outcome != Moved || u == members[1].Upstream || at != u {
		t.Errorf("%s to %s, and then pinned to %s", outcome, name(u), name(at))
	}
}
