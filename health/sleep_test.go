package health

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"tether/sim"
	"tether/upstream"
)

// A server that sleeps is down with its own reason, and comes back when it wakes up, though /health is 200 all the time.
func TestSleepingServerIsDown(t *testing.T) {
	s := startSim(t, sim.Config{SleepMode: true})
	s.Sleep()
	cfg := quick()
	cfg.Rise, cfg.Fall = 100, 100 // sleep needs no second probe, and neither does its end
	w := watch(t, cfg, s.URL())
	w.ready()
	u := w.up(0)
	for range 3 {
		w.await(u, upstream.Down)
		if _, reason := u.Since(); reason != "it is asleep or paused" {
			t.Errorf("reason %q", reason)
		}
		s.WakeUp()
		w.await(u, upstream.Up)
		if !u.Models().Has([]byte("tiny")) {
			t.Errorf("awake with the models %v", u.Models().All())
		}
		s.Sleep()
	}
}

// A server without the path is asked once, and once more after it was down.
func TestServersWithoutSleepAreAskedOnce(t *testing.T) {
	s := startSim(t, sim.Config{Record: 1000})
	w := watch(t, quick(), s.URL())
	u := w.up(0)
	asked := func() (health, sleep int) {
		for _, seen := range s.Requests() {
			switch seen.Path {
			case "/health":
				health++
			case sleepPath:
				sleep++
			}
		}
		return health, sleep
	}
	probed := func(n int) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if s.Await(ctx, func(sim.Load) bool { health, _ := asked(); return health >= n }) != nil {
			t.Fatal("probed too seldom")
		}
	}
	w.await(u, upstream.Up)
	probed(5)
	if _, n := asked(); n != 1 {
		t.Errorf("asked %d times whether it sleeps, want once", n)
	}
	s.Kill()
	w.await(u, upstream.Down)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	w.await(u, upstream.Up)
	before, _ := asked()
	probed(before + 3)
	if _, n := asked(); n < 2 || n > 4 { // once for each of the probes that brought it up
		t.Errorf("asked %d times whether it sleeps", n)
	}
}

// Where a sleeping server does not say whether it still sleeps, what it said last counts. An answer that makes no sense says nothing.
func TestSleepIsRemembered(t *testing.T) {
	var answer atomic.Pointer[http.HandlerFunc]
	set := func(h http.HandlerFunc) { answer.Store(&h) }
	status := func(n int) http.HandlerFunc { return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(n) } }
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s) }
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == sleepPath {
			(*answer.Load())(w, r)
		}
	}))
	defer s.Close()
	p := alone(t, s.URL)
	for i, step := range []struct {
		answer http.HandlerFunc
		want   result
	}{
		{text(`<html>`), succeeded},
		{text(`{"is_sleeping":"yes"}`), succeeded},
		{status(500), succeeded},
		{text(`{"is_sleeping":true}`), asleep},
		{status(500), asleep},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, asleep},
		{text(`{}`), succeeded},
		{text(`{"is_sleeping":true}`), asleep},
		{status(404), succeeded},
		{text(`{"is_sleeping":true}`), succeeded}, // not asked any more
	} {
		set(step.answer)
		if got := p.probe(t.Context(), &defaults); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
}
