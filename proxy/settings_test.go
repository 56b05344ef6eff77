package proxy

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/session/identity"
	"tether/sim"
	"tether/units"
)

// use replaces the settings by those of the rig, as changed by change.
func (r *rig) use(change func(*Settings)) {
	r.t.Helper()
	s := Settings{Config: r.cfg, Identifier: r.ids, Keys: r.keys}
	change(&s)
	r.must(r.proxy.Use(s))
}

// The next request has the new settings, on a connection that is open as well.
func TestUse(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	c := r.dial()
	turn := func(text string, want int) *answer {
		t.Helper()
		c.send(text)
		a := c.receive()
		if a.StatusCode != want {
			t.Fatalf("%d, want %d", a.StatusCode, want)
		}
		return a
	}
	version := "GET /version HTTP/1.1\r\nHost: a\r\n"
	turn(version+"\r\n", 404)
	r.use(func(s *Settings) { s.Config.Expose, s.Config.ExposeUpstream = []string{"GET /version"}, true })
	if a := turn(version+"\r\n", 200); a.Header.Get("X-Tether-Upstream") != "vllm-0" {
		t.Errorf("upstream %q", a.Header.Get("X-Tether-Upstream"))
	}

	r.use(func(s *Settings) { s.Config.TrustedProxies = []string{"127.0.0.1"} })
	turn(post(chatPath, chat("x"), "X-Forwarded-Host: front.example"), 200)
	if got := r.sims[0].Requests()[1].Header.Get("X-Forwarded-Host"); got != "front.example" {
		t.Errorf("the trusted proxy's X-Forwarded-Host is %q", got)
	}

	r.use(func(s *Settings) {
		s.Config.MaxHeaders = 10
		cfg := identity.Default()
		cfg.Sources = []string{"header:X-Conversation"}
		ids, err := identity.NewIdentifier(&cfg, &r.models, nil)
		r.must(err)
		s.Identifier = ids
	})
	a := turn(post(chatPath, chat("x"), sid, "X-Conversation: c-1"), 200)
	if id := a.Header.Get("X-Session-Id"); id != "c-1" {
		t.Errorf("session %q", id)
	}
	turn(version+strings.Repeat("X: y\r\n", 20)+"\r\n", 431)
}

// A connection that is open takes no larger heads than its parser has a buffer for; a new one does.
func TestUseOfLargerHeads(t *testing.T) {
	r := fleet(t, 1, sim.Config{}, func(r *rig) { r.cfg.MaxHeader = 4 * units.KiB })
	large := post(chatPath, chat("x"), "X-Large: "+strings.Repeat("x", 8<<10))
	open := r.dial()
	open.send(post(chatPath, chat("x")))
	open.receive()
	r.use(func(s *Settings) { s.Config.MaxHeader = 64 * units.KiB })
	fresh := r.dial()
	for want, c := range map[int]*rawConn{431: open, 200: fresh} {
		c.send(large)
		if a := c.receive(); a.StatusCode != want {
			t.Errorf("%d, want %d", a.StatusCode, want)
		}
	}
}

// Settings that are wrong replace nothing.
func TestUseOfWrongSettings(t *testing.T) {
	r := fleet(t, 1, sim.Config{})
	before := r.proxy.settings.Load()
	for _, change := range []func(*Config){
		func(c *Config) { c.Expose = []string{"version"} },
		func(c *Config) { c.TrustedProxies = []string{"10.0.0.0/99"} },
	} {
		s := Settings{Config: r.cfg, Identifier: r.ids}
		change(&s.Config)
		if r.proxy.Use(s) == nil || r.proxy.settings.Load() != before {
			t.Error("wrong settings are in use")
		}
	}
}

// Settings are swapped under load, and each request has one of them as a whole.
func TestUseUnderLoad(t *testing.T) {
	r := fleet(t, 2, sim.Config{})
	var all sync.WaitGroup
	stop := make(chan struct{})
	for n := range 4 {
		c := r.dial()
		all.Go(func() {
			for turn := 0; ; turn++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("s-%d-%d", n, turn)
				if _, err := c.Write([]byte(post(chatPath, chat("hello"), "X-Session-Id: "+id, "X-Other-Id: other-"+id))); err != nil {
					t.Error(err)
					return
				}
				a, err := c.answered()
				if err != nil || a.StatusCode != 200 {
					t.Errorf("%d, %v", a.StatusCode, err)
					return
				}
				// The two settings differ in both: where the id is found, and whether the upstream is named.
				got, named := a.Header.Get("X-Session-Id"), a.Header.Get("X-Tether-Upstream") != ""
				if want := map[bool]string{true: "other-" + id, false: id}[named]; got != want {
					t.Errorf("session %s, upstream named: %v", got, named)
				}
			}
		})
	}
	cfg := identity.Default()
	cfg.Sources = []string{"header:X-Other-Id"}
	other, err := identity.NewIdentifier(&cfg, &r.models, nil)
	r.must(err)
	for n := 0; n < 200; n++ {
		r.use(func(s *Settings) {
			if n%2 == 0 {
				s.Identifier, s.Config.ExposeUpstream, s.Config.MaxAttempts = other, true, 5
			}
		})
		<-time.After(time.Millisecond) // so that requests run under each
	}
	close(stop)
	all.Wait()
}
