package proxy

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/failure"
	"tether/sim"
	simfault "tether/sim/fault"
	"tether/upstream"
)

// A replay counts as an attempt: with max_attempts 1 there is none.
func TestReplayCountsAsAnAttempt(t *testing.T) {
	for attempts, want := range map[int]int{1: 502, 2: 200} {
		s := newScript(t)
		r := newRig(t, []string{s.url()}, func(r *rig) { r.cfg.MaxAttempts = attempts })
		up := r.warm(s, "s-1")
		done := r.turn(post(chatPath, chat("x"), sid))
		up.request()
		up.Close()
		if want == 200 {
			fresh := s.next()
			fresh.request()
			fresh.send(ok("two"))
		}
		a := <-done
		if rec := r.recorded(2); a.StatusCode != want || rec.Attempts != attempts || rec.Replays != attempts-1 {
			t.Errorf("of %d: %d, %d attempts, %d replays", attempts, a.StatusCode, rec.Attempts, rec.Replays)
		}
	}
}

// A replay is on a fresh connection: if one idle connection is dead, others may be.
func TestReplayIsOnAFreshConnection(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	var kept []*rawConn
	var done []<-chan *answer
	for range 2 { // at the same time, so that there are two idle connections
		done = append(done, r.turn(post(chatPath, chat("x"), sid)))
		up := s.next()
		up.request()
		kept = append(kept, up)
	}
	for i, up := range kept {
		up.send(ok("warm"))
		<-done[i]
		r.recorded(i + 1)
	}
	again := r.turn(post(chatPath, chat("x"), sid))
	kept[1].request() // the last one in
	kept[1].Close()
	fresh := s.next()
	fresh.request()
	fresh.send(ok("two"))
	if a := <-again; a.body != "two" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
}

// A server that refuses because it shuts down has not begun to work: a death after that is the first one.
func TestShutdownAnswersAreNotDeaths(t *testing.T) {
	r, home := settled(t, 3, returnHome)
	home.SetHealth(upstream.Down, "test")
	r.want(r.chat("hello", sid), 200, "spilled")
	second := r.last().Upstream
	r.must(r.simOf(home).Inject(simfault.Fault{Kind: simfault.ShutdownText}))
	for _, kind := range []simfault.Kind{simfault.Reset, "503"} {
		r.cold() // home is no longer leaving after that
		r.must(r.simOf(second).Inject(simfault.Fault{Kind: kind, Times: 1}))
		r.want(r.chat("hello", sid), 200, "spilled")
		if rec := r.last(); rec.Attempts != 3 || rec.Upstream == second {
			t.Errorf("%s: %d attempts, the last at %s", kind, rec.Attempts, rec.Upstream.Name())
		}
	}
}

// If one server died and the others are unreachable, the client is told of the death: it must not try again by itself.
func TestDeathThenUnreachable(t *testing.T) {
	a, b, c := newScript(t), newScript(t), newScript(t)
	r := newRig(t, []string{a.url(), b.url(), c.url()})
	b.l.Close()
	c.l.Close()
	r.pin("s-1", r.up(0))
	done := r.turn(post(chatPath, chat("x"), sid))
	up := a.next()
	up.request()
	up.Close()
	got := <-done
	r.want(got, 502, "spilled")
	if got.Header.Get("X-Should-Retry") != "false" || !strings.Contains(got.body, faultDied.message) {
		t.Errorf("%v %s", got.Header, got.body)
	}
	if rec := r.recorded(1); rec.Attempts != 3 || rec.Reason != "upstream_died" {
		t.Errorf("%d attempts, %s", rec.Attempts, rec.Reason)
	}
}

// Every kind of failure, for every kind of request and whatever happened before. "given" is a request that one upstream has died over.
func TestVerdicts(t *testing.T) {
	const answer, next, same, over = "answer", "next", "same", "over"
	words := [...]string{relayAnswer: answer, retrySame: same, tryNext: next, fail: over}
	for k, want := range [failure.Count]struct{ plain, given, background, stored, replay string }{
		failure.None:        {answer, answer, answer, answer, answer},
		failure.Refused:     {next, next, next, next, next},
		failure.Unreachable: {next, next, next, next, next},
		failure.Insecure:    {next, next, next, next, next},
		failure.Exhausted:   {over, over, over, over, over},
		failure.Stale:       {same, same, same, same, next},
		failure.Cut:         {next, over, over, over, next},
		failure.BadHead:     {over, over, over, over, over},
		failure.HeadTimeout: {over, over, over, over, over},
		failure.Busy:        {next, answer, answer, answer, next},
		failure.Declined:    {next, answer, answer, answer, next},
		failure.Full:        {next, next, next, answer, next},
		failure.Leaving:     {next, next, next, answer, next},
		failure.ClientGone:  {over, over, over, over, over},
	} {
		k := failure.Kind(k)
		for _, c := range []struct {
			before attempts
			want   string
		}{
			{attempts{}, want.plain},
			{attempts{busy: true, count: 2}, want.plain},
			{attempts{given: true}, want.given},
			{attempts{given: true, died: true}, want.given},
			{attempts{background: true}, want.background},
			{attempts{onlyThere: true}, want.stored},
			{attempts{onlyThere: true, background: true}, want.stored},
			{attempts{replayed: true}, want.replay},
		} {
			t0 := c.before
			if got := words[t0.after(k)]; got != c.want {
				t.Errorf("%s after %+v: %s, want %s", k.Word(), c.before, got, c.want)
			}
			if k == failure.Declined || k == failure.Full || k == failure.Leaving {
				if t0.given != c.before.given {
					t.Errorf("%s after %+v counts as given", k.Word(), c.before)
				}
			}
		}
	}
}

// docs/ARCHITECTURE.md has a row for each kind of failure, with the fault and the state of the upstream.
func TestFailureTableIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	for k := range failure.Kind(failure.Count) {
		c := &consequences[k]
		gets, becomes := "the answer", ""
		if c.fault != nil {
			gets = fmt.Sprintf("%d `%s`", c.fault.status, c.fault.reason)
		}
		switch {
		case c.suspicion != "":
			becomes = "suspect "
		case c.leaving:
			becomes = "leaving "
		case c.full:
			becomes = "full "
		}
		row := regexp.MustCompile(fmt.Sprintf("(?m)^\\| `%s` \\| [^|]+ \\| %s \\| %s\\|$", k.Word(), gets, becomes))
		if !row.Match(text) {
			t.Errorf("no row %s", row)
		}
	}
}

// late reports whether a 503 came too late to be a refusal at the door: a busy machine makes it late.
func (r *Record) late() bool {
	return slices.ContainsFunc(r.Tries, func(t Try) bool { return t.Failure == failure.Busy })
}

// served sends n requests, one after another, and counts the answers by status and outcome. It counts the lates apart.
func (r *rig) served(n int, send func(i int) *answer) (counts map[string]int, lates int) {
	r.t.Helper()
	counts = map[string]int{}
	for i := range n {
		a := send(i)
		if rec := r.last(); rec.late() {
			lates++
			continue
		}
		counts[fmt.Sprint(a.StatusCode, " ", a.outcome())]++
	}
	return counts, lates
}

// Two of four servers refuse every request at the door, as vLLM's admission control does, or with a plain 503 at once. The others serve
// every session, and the pins stay. Only the certain refusals hand on background work.
//
// While a request had one further server, 8 of 60 new sessions, 12 of 40 pinned ones and 12 of 20 background calls failed.
func TestRefusalsAtTheDoor(t *testing.T) {
	for _, fault := range []simfault.Fault{{Kind: simfault.QueueFull}, {Kind: simfault.QueueFull, Arg: "tokens"}, {Kind: "503"}} {
		t.Run(string(fault.Kind)+fault.Arg, func(t *testing.T) {
			r := fleet(t, 4, sim.Config{})
			for i := range 2 {
				r.must(r.sims[i].Inject(fault))
			}
			want := func(what string, n int, want string, send func(i int) *answer) {
				t.Helper()
				got, lates := r.served(n, send)
				t.Logf("%s: %v", what, got)
				if got[want] != n-lates {
					t.Errorf("%s: %v, want %d %s", what, got, n-lates, want)
				}
			}
			want("new sessions", 60, "200 new", func(i int) *answer { return r.chat("hello", fmt.Sprint("X-Session-Id: new-", i)) })
			want("their second turns", 60, "200 pinned", func(i int) *answer { return r.chat("hello", fmt.Sprint("X-Session-Id: new-", i)) })
			want("pinned to a server that refuses", 40, "200 spilled", func(i int) *answer {
				id := fmt.Sprint("pinned-", i)
				r.pin(id, r.up(i%2))
				a := r.chat("hello", "X-Session-Id: "+id)
				if r.pinned(id) != r.up(i%2) {
					t.Error("the pin did not stay")
				}
				return a
			})
			if fault.Kind == simfault.QueueFull {
				want("background work", 20, "200 new", func(i int) *answer {
					return r.do("POST", "/v1/responses", `{"model":"tiny","input":"x","background":true}`, fmt.Sprint("X-Session-Id: background-", i))
				})
			}
		})
	}
}

// Six of eight servers are full, and a request has three attempts. A session that meets three of them gets 503. All that come after
// know these three, for a moment, and ask others.
//
// While every session asked the first three of its order, 58 of 120 failed, and failed again when they tried again.
func TestMostServersRefuse(t *testing.T) {
	r := fleet(t, 8, sim.Config{})
	for i := range 6 {
		r.must(r.sims[i].Inject(simfault.Fault{Kind: simfault.QueueFull}))
	}
	began := time.Now()
	got, _ := r.served(120, func(i int) *answer { return r.chat("hello", fmt.Sprint("X-Session-Id: new-", i)) })
	t.Logf("new sessions: %v", got)
	failed := 120 - got["200 new"]
	got, _ = r.served(40, func(i int) *answer {
		id := fmt.Sprint("pinned-", i)
		r.pin(id, r.up(i%6))
		return r.chat("hello", "X-Session-Id: "+id)
	})
	t.Logf("pinned to a server that refuses: %v", got)
	failed += 40 - got["200 spilled"]
	// Each failure needs three servers that are not known to be full.
	if most := 2 * (1 + int(time.Since(began)/(3*time.Second))); failed > most {
		t.Errorf("%d failed, want at most %d", failed, most)
	}
}

// If all servers refuse, the client gets the last refusal, and is asked to try again in a second.
func TestAllRefuse(t *testing.T) {
	for _, c := range []struct {
		fault simfault.Fault
		path  string
		body  string
		want  string
	}{
		{simfault.Fault{Kind: simfault.QueueFull}, chatPath, chat("x"), queueFullText},
		{simfault.Fault{Kind: simfault.QueueFull, Arg: "tokens"}, "/v1/messages", `{"model":"tiny","max_tokens":4,"messages":[{"role":"user","content":"x"}]}`, backlogFullText},
		{simfault.Fault{Kind: "503"}, chatPath, chat("x"), "scaling"},
	} {
		r, home := settled(t, 4)
		for _, s := range r.sims {
			r.must(s.Inject(c.fault))
		}
		before := count(r.sims)
		a := r.do("POST", c.path, c.body, sid)
		rec := r.last()
		if a.StatusCode != 503 || len(a.Header.Values("Retry-After")) != 1 || a.Header.Get("Retry-After") != "1" || !strings.Contains(a.body, c.want) {
			t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
		}
		if seen := count(r.sims) - before; !rec.late() && (rec.Attempts != 3 || seen != 3 || a.outcome() != "spilled" || r.pinned("s-1") != home) {
			t.Errorf("%s: %d attempts, %d servers, %s", c.fault.Kind, rec.Attempts, seen, a.outcome())
		}
	}
}

// A server that says itself when to try again is not corrected.
func TestRetryAfterOfTheServer(t *testing.T) {
	s := newScript(t)
	r := newRig(t, []string{s.url()})
	done := r.turn(post(chatPath, chat("x"), sid))
	up := s.next()
	up.request()
	up.send("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno")
	if a := <-done; a.StatusCode != 503 || strings.Join(a.Header.Values("Retry-After"), " ") != "7" || a.body != "no" {
		t.Errorf("%d %v %s", a.StatusCode, a.Header, a.body)
	}
}

// A 503 that comes late may be the end of work on the request. One further server gets the request, unless vLLM's words say that no
// work began.
func TestLateRefusals(t *testing.T) {
	for fault, want := range map[string]struct{ status, attempts int }{
		"slow=150ms, 503":        {503, 2},
		"slow=150ms, queue-full": {503, 3},
	} {
		r, _ := settled(t, 4)
		a := r.chat("hello", sid, "X-Sim-Fault: "+fault)
		if rec := r.last(); a.StatusCode != want.status || rec.Attempts != want.attempts {
			t.Errorf("%s: %d after %d attempts", fault, a.StatusCode, rec.Attempts)
		}
	}
}

// After a server died over a request, only a certain refusal lets the request go on.
func TestRefusalsAfterADeath(t *testing.T) {
	for second, want := range map[simfault.Kind]int{simfault.QueueFull: 200, "503": 503} {
		r, home := settled(t, 3, returnHome)
		home.SetHealth(upstream.Down, "test")
		r.want(r.chat("hello", sid), 200, "spilled")
		next := r.last().Upstream
		r.cold()
		r.must(r.simOf(home).Inject(simfault.Fault{Kind: simfault.Reset, Times: 1}))
		r.must(r.simOf(next).Inject(simfault.Fault{Kind: second}))
		r.want(r.chat("hello", sid), want, "spilled")
	}
}

// A full server's conversations are served elsewhere for the moment. If all are full, clients are asked to try again, in the form of
// their API.
func TestMaxInFlightOfUpstreams(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, func(r *rig) { r.spec = func(s *upstream.Spec) { s.MaxInFlight = 1 } })
	first := r.chat("x", sid)
	home := r.pinned("s-1")
	r.want(first, 200, "new")
	r.await(0, "requests in flight", func() int { return int(r.proxy.InFlight()) })
	for _, s := range r.sims {
		r.must(s.Inject(simfault.Fault{Kind: simfault.Hang}))
	}
	one := r.dial()
	one.send(post(chatPath, chat("x"), sid))
	r.await(1, "requests held at home", func() int { return int(home.InFlight()) })
	other := r.up(0)
	if other == home {
		other = r.up(1)
	}
	two := r.dial()
	two.send(post(chatPath, chat("x"), sid))
	r.await(1, "requests held elsewhere", func() int { return int(other.InFlight()) })
	for path, body := range map[string]string{
		chatPath:       `{"error":{"message":"All model servers have as many requests as they may have.","type":"overloaded_error","param":null,"code":503}}`,
		"/v1/messages": `{"type":"error","error":{"type":"overloaded_error","message":"All model servers have as many requests as they may have."}}`,
	} {
		a := r.do("POST", path, chat("y"), sid)
		if a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || a.body != body {
			t.Errorf("%s: %d, Retry-After %q, %s", path, a.StatusCode, a.Header.Get("Retry-After"), a.body)
		}
		if reason := r.last().Reason; reason != "upstreams_full" {
			t.Errorf("reason %q", reason)
		}
	}
	for _, s := range r.sims {
		s.ClearFaults()
	}
	r.want(one.receive(), 200, "pinned")
	r.want(two.receive(), 200, "spilled")
	r.await(0, "requests in flight", func() int { return int(r.proxy.InFlight()) })
	r.want(r.chat("x", sid), 200, "pinned")
	if r.pinned("s-1") != home {
		t.Error("the pin moved")
	}
}

// A server that refuses connections, beside one that is full, is no reason to give up: the client is asked to try again.
func TestFullBesideRefusing(t *testing.T) {
	r := fleet(t, 2, sim.Config{}, func(r *rig) {
		r.spec = func(s *upstream.Spec) {
			if s.Name == "vllm-1" {
				s.MaxInFlight = 1
			}
		}
	})
	r.sims[0].Kill()
	if !r.up(1).TakePlace() {
		t.Fatal("no place")
	}
	a := r.chat("x")
	if a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || r.last().Reason != "upstreams_full" {
		t.Errorf("%d, %s", a.StatusCode, r.last().Reason)
	}
	r.up(1).LeavePlace()
	r.want(r.chat("x"), 200, "new")
}

// However many requests arrive at once, and although those for a dead server go to the others, no server has more than its limit.
func TestUpstreamLimitUnderLoad(t *testing.T) {
	const limit, many = 3, 60
	r := fleet(t, 3, sim.Config{}, func(r *rig) { r.spec = func(s *upstream.Spec) { s.MaxInFlight = limit } })
	r.sims[0].Kill() // health has not noticed
	for _, s := range r.sims[1:] {
		r.must(s.Inject(simfault.Fault{Kind: simfault.Hang}))
	}
	statuses := make(chan int, many)
	for n := range many {
		go func() {
			a, err := r.try("POST", chatPath, chat(fmt.Sprint("conversation ", n)))
			if err != nil {
				t.Error(err)
				statuses <- 0
				return
			}
			statuses <- a.StatusCode
		}()
	}
	for range many - 2*limit { // the others are held
		if s := <-statuses; s != 503 {
			t.Errorf("status %d, want 503", s)
		}
	}
	for i := range r.sims[1:] { // those that have a place may still be on their way
		r.awaitLoad(i+1, func(l sim.Load) bool { return l.Held >= limit })
		if held := r.sims[i+1].Load().Held; held != limit {
			t.Errorf("server %d has %d requests, want %d", i+1, held, limit)
		}
	}
	for _, s := range r.sims[1:] {
		s.ClearFaults()
	}
	for range 2 * limit {
		if s := <-statuses; s != 200 {
			t.Errorf("status %d within the limit, want 200", s)
		}
	}
	for n := range many {
		if rec := r.recorded(n + 1); rec.Status == 503 && rec.Reason != "upstreams_full" {
			t.Errorf("503 because of %s", rec.Reason)
		}
	}
}
