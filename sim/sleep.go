package sim

import (
	"context"
	"net/http"
	"sync"

	"tether/sim/engine"
)

// sleep is the sleep of a server's engines. Its zero value is awake.
type sleep struct {
	mu   sync.Mutex
	over chan struct{} // guarded by mu; closed when the sleep ends, nil while awake
}

// begin puts the engines to sleep, if they are awake.
func (s *sleep) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over == nil {
		s.over = make(chan struct{})
	}
}

// end wakes the engines up, if they are asleep.
func (s *sleep) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		close(s.over)
		s.over = nil
	}
}

func (s *sleep) isOn() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over != nil
}

// wait waits until the engines are awake, or returns ctx's error.
func (s *sleep) wait(ctx context.Context) error {
	s.mu.Lock()
	over := s.over
	s.mu.Unlock()
	if over == nil {
		return nil
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Sleep puts the engines to sleep, as vLLM's POST /sleep does: the caches are lost, and requests wait until WakeUp. Requests that run
// continue, which a real vLLM aborts.
func (s *Server) Sleep() {
	old := s.memory.Load()
	old.sleep.begin()
	s.memory.Store(&memory{ranks: engine.NewRanks(s.cfg.Ranks, s.cfg.engine(), s.bell.ring), store: old.store, sleep: old.sleep})
}

// WakeUp ends Sleep.
func (s *Server) WakeUp() { s.memory.Load().sleep.end() }

// sleepRoutes are the calls of Config.SleepMode.
var sleepRoutes = map[string]route{
	"/sleep": post(func(a *answer) error {
		a.srv.Sleep()
		a.json(http.StatusOK, `{"status":"sleeping","level":1}`)
		return nil
	}),
	"/wake_up": post(func(a *answer) error {
		a.srv.WakeUp()
		a.json(http.StatusOK, `{"status":"awake","tags":null}`)
		return nil
	}),
	"/is_sleeping": get(func(a *answer) error {
		a.json(http.StatusOK, `{"is_sleeping":%t}`, a.srv.memory.Load().sleep.isOn())
		return nil
	}),
}
