package proxy

import (
	"net/http"
	"testing"

	"tether/sim"
	simfault "tether/sim/fault"
	"tether/upstream"
)

// asksHealth are the requests that ask how tether is.
var asksHealth = [][2]string{{"GET", "/health"}, {"HEAD", "/health"}, {"GET", "/ping"}, {"HEAD", "/ping"}, {"POST", "/ping"}}

// healthSays fails the test unless every answer has the status and nothing else, and no server was asked.
func (r *rig) healthSays(t *testing.T, status int) {
	t.Helper()
	before := count(r.sims)
	for _, ask := range asksHealth {
		a := r.do(ask[0], ask[1], "", "X-Request-Id: r-1")
		if a.StatusCode != status || a.body != "" || a.ContentLength != 0 || a.outcome() != "none" || a.Header.Get("X-Request-Id") != "r-1" {
			t.Errorf("%s %s: %d %q, %v; want %d", ask[0], ask[1], a.StatusCode, a.body, a.Header, status)
		}
		if len(a.Header) != 4 { // with Content-Length and Date, and Connection is not among them
			t.Errorf("%s %s says too much: %v", ask[0], ask[1], a.Header)
		}
		if rec := r.last(); rec.Route != ask[1] || rec.Status != status || rec.Attempts != 0 {
			t.Errorf("%s %s: %+v", ask[0], ask[1], rec)
		}
	}
	if n := count(r.sims) - before; n > 0 {
		t.Errorf("the servers got %d requests", n)
	}
}

// The status is that of /readyz: before the first verdicts, with and without servers, and in a shutdown.
func TestHealth(t *testing.T) {
	verdicts := make(chan struct{})
	r := fleet(t, 2, sim.Config{}, func(r *rig) { r.verdicts, r.cfg.ExposeUpstream = verdicts, true })
	r.healthSays(t, 503)
	close(verdicts)
	r.healthSays(t, 200)
	r.up(0).SetHealth(upstream.Down, "test")
	r.healthSays(t, 200)
	r.up(1).SetHealth(upstream.Down, "test")
	r.healthSays(t, 503)
	r.up(1).SetHealth(upstream.TimedOut, "test") // requests are tried all the same
	r.up(0).SetHealth(upstream.TimedOut, "test")
	r.healthSays(t, 200)
	r.proxy.LastAnswers()
	r.healthSays(t, 503)
}

// A load balancer needs no key, and may have one that is wrong.
func TestHealthNeedsNoKey(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, keyed)
	r.healthSays(t, 200)
	for _, ask := range asksHealth {
		if a := r.do(ask[0], ask[1], "", "Authorization: Bearer wrong"); a.StatusCode != 200 {
			t.Errorf("%s %s with a wrong key: %d", ask[0], ask[1], a.StatusCode)
		}
	}
}

// As many requests as there may be are no reason to send clients elsewhere: tether is ready.
func TestHealthInFullUse(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxInFlight = 1 })
	r.must(r.sims[0].Inject(simfault.Fault{Kind: simfault.Hang}))
	c := r.dial()
	c.send(post(chatPath, chat("x")))
	r.awaitLoad(0, func(l sim.Load) bool { return l.Held == 1 })
	for _, ask := range asksHealth {
		if a := r.do(ask[0], ask[1], ""); a.StatusCode != 200 {
			t.Errorf("%s %s: %d", ask[0], ask[1], a.StatusCode)
		}
	}
}

// A body is not read: the connection ends with the answer.
func TestHealthWithABody(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	c := r.dial()
	c.send(post("/ping", "{}"))
	if a := c.receive(); a.StatusCode != 200 || !a.Close {
		t.Errorf("%d, closed: %v", a.StatusCode, a.Close)
	}
	c.ended()
}

// If the configuration exposes the servers' calls, the servers answer.
func TestHealthOfServers(t *testing.T) {
	for _, expose := range []string{"GET /health", "GET /*"} {
		r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.Expose = []string{expose} })
		if a := r.do("GET", "/health", ""); a.StatusCode != 200 || a.server() != "vllm-0" {
			t.Errorf("%s: %d from %q", expose, a.StatusCode, a.server())
		}
		if a := r.do("HEAD", "/health", ""); a.StatusCode != 200 || a.server() != "" {
			t.Errorf("%s: HEAD gets %d from %q", expose, a.StatusCode, a.server())
		}
		if a := r.do("PUT", "/health", ""); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: PUT gets %d, %v", expose, a.StatusCode, a.Header)
		}
	}
}
