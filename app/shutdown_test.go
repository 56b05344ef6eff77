package app

import (
	"fmt"
	"net"
	"testing"
	"time"

	"tether/config"
	"tether/sim"
	"tether/sim/fault"
)

// ready checks what /readyz says.
func (s *running) ready(want bool) {
	s.t.Helper()
	if got, status := s.get("/readyz", nil), map[bool]int{true: 200, false: 503}[want]; got != status {
		s.t.Errorf("/readyz says %d, want %d", got, status)
	}
}

// SIGTERM: tether is not ready any more, but serves on with Connection: close. Then it accepts no new connections, and
// requests in flight finish. Then it ends.
func TestShutdownInGoodOrder(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	s := startTether(t, func(c *config.Config) { c.Proxy.ShutdownDelay = 400 * time.Millisecond }, urls...)
	if res, _, err := post(t, s.addr, hello); err != nil || res.StatusCode != 200 || res.Close {
		t.Fatalf("%v, %v", res, err)
	}
	s.ready(true) // before that, no request is forwarded
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang, Times: 1}); err != nil {
		t.Fatal(err)
	}
	inFlight := make(chan error, 1)
	go func() {
		res, _, err := post(t, s.addr, hello)
		if err == nil && res.StatusCode != 200 {
			err = fmt.Errorf("status %d", res.StatusCode)
		}
		inFlight <- err
	}()
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	ended := make(chan struct{})
	go func() { s.stop(true); close(ended) }()
	s.logs.awaitLine(t, "shutting down: not ready any more, still serving")
	s.ready(false)
	if res, _, err := post(t, s.addr, hello); err != nil || res.StatusCode != 200 || !res.Close {
		t.Errorf("during the delay: %v, %v", res, err)
	}
	s.logs.awaitLine(t, "shutting down: requests in flight may finish")
	if c, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("a new connection after the delay")
		c.Close()
	}
	s.ready(false)
	if took := time.Since(started); took < 400*time.Millisecond {
		t.Errorf("no new connections after %v", took)
	}
	select {
	case <-ended:
		t.Fatal("ended with a request in flight")
	default:
	}
	sims[0].ClearFaults()
	if err := <-inFlight; err != nil {
		t.Errorf("the request in flight failed: %v", err)
	}
	<-ended
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	s := startTether(t, nil, urls...)
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		_, _, err := post(t, s.addr, hello)
		failed <- err
	}()
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { s.stop(false); close(ended) }()
	s.logs.awaitLine(t, "shutting down: requests in flight may finish")
	s.kill()
	if err := <-failed; err == nil {
		t.Error("a request was answered without an answer of the server")
	}
	<-ended
}

func TestShutdownTimeout(t *testing.T) {
	sims, urls := startSims(t, 1, sim.Config{})
	s := startTether(t, func(c *config.Config) { c.Proxy.ShutdownTimeout = 50 * time.Millisecond }, urls...)
	if err := sims[0].Inject(fault.Fault{Kind: fault.Hang}); err != nil {
		t.Fatal(err)
	}
	go post(t, s.addr, hello)
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Held == 1 }); err != nil {
		t.Fatal(err)
	}
	s.stop(false)
	if got := s.logs.FilterMessage("connections cut at shutdown").Len(); got != 1 {
		t.Errorf("%d such lines", got)
	}
	if err := sims[0].Await(t.Context(), func(l sim.Load) bool { return l.Requests == 0 }); err != nil {
		t.Error("the engine goes on computing")
	}
}
