package main

import (
	"testing"
	"time"
)

// A hung server is watched while it hangs, and works afterwards. A dead server is back in the end.
func TestIncidentsEnd(t *testing.T) {
	for name, incident := range map[string]func(w *world){"hang": hang, "death": death} {
		w := fleet(t, "hash")
		if err := w.resize(servers); err != nil {
			t.Fatal(err)
		}
		seen := false
		w.after(0, func() { incident(w) })
		w.after(60*time.Second, func() {
			s := w.servers[faulty]
			seen = w.watched == s && s.engine.frozen && s.up() || w.watched == nil && !s.up()
		})
		if err := w.clock.Run(nil); err != nil {
			t.Fatal(err)
		}
		if s := w.servers[faulty]; !seen || w.watched != nil || s.engine.frozen || !s.up() || w.clock.Now() != 90*time.Second {
			t.Errorf("%s: seen %t, now %v, %+v", name, seen, w.clock.Now(), s.engine)
		}
	}
}
