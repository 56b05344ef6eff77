package proxy

import (
	"strings"
	"testing"

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
