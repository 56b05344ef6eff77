package main

import (
	"time"

	"tether/upstream"
)

// An incident begins with the measured part of a simulation. faulty is the number of the server that it happens to, unless it
// concerns all.
const faulty = 3

// bursts begins 64 conversations at once, twice a minute, beside those of the users.
func bursts(w *world) {
	for range 64 {
		w.send(w.newTalk(), func() {})
	}
	if _, to := w.measured(); w.sent < to {
		w.after(30*time.Second, func() { bursts(w) })
	}
}

// death takes a server away for a minute. It comes back with an empty cache.
func death(w *world) {
	w.after(30*time.Second, func() { kill(w, w.servers[faulty]) })
	w.after(90*time.Second, func() { revive(w.servers[faulty]) })
}

// hang stops a server for a minute, while it seems to be up. The server is watched after the 10 s that it takes to notice.
func hang(w *world) {
	s := w.servers[faulty]
	w.after(30*time.Second, func() { freeze(w, s) })
	w.after(40*time.Second, func() { w.watched = s })
	w.after(90*time.Second, func() { w.watched = nil; thaw(w, s) })
}

// slowdown makes a server three times slower for the rest of the time.
func slowdown(w *world) {
	s := w.servers[faulty]
	s.engine.slowness = 3
	w.after(10*time.Second, func() { w.watched = s })
}

// scaleOut adds a server.
func scaleOut(w *world) {
	if err := w.resize(len(w.servers) + 1); err != nil {
		panic("BUG: " + err.Error())
	}
}

// kill takes a server down. Its clients send their requests again at once.
func kill(w *world, s *server) {
	s.setHealth(upstream.Down)
	s.plans++
	for _, r := range s.engine.crash() {
		if r.unwritten == 0 {
			s.answered(r)
		}
		w.leave(r)
		r.admitted, r.unwritten = false, 0
		w.try(r)
	}
}

// revive brings a server up again.
func revive(s *server) { s.setHealth(upstream.Up) }

// freeze stops a server after its present step, until thaw. The server stays up.
func freeze(w *world, s *server) {
	s.engine.frozen = true
	if s.engine.cut(w.clock.Now()) {
		w.schedule(s, s.engine.end())
	}
}

// thaw lets a server go on.
func thaw(w *world, s *server) {
	s.engine.frozen = false
	w.begin(s)
}
