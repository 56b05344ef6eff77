package health

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tether/sim"
	"tether/upstream"
)

// A name with several addresses makes a warning; one address of each IP version does not.
func TestSharedName(t *testing.T) {
	for _, c := range []struct {
		name      string
		addresses []string
		err       error
		want      bool
	}{
		{"two", []string{"10.0.0.1", "10.0.0.2"}, nil, true},
		{"two, as IPv6", []string{"::ffff:10.0.0.1", "::ffff:10.0.0.2"}, nil, true},
		{"two of IPv6", []string{"2001:db8::1", "2001:db8::2"}, nil, true},
		{"one", []string{"10.0.0.1"}, nil, false},
		{"one of each", []string{"10.0.0.1", "2001:db8::1"}, nil, false},
		{"unknown", nil, &net.DNSError{IsNotFound: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var addresses []netip.Addr
			for _, a := range c.addresses {
				addresses = append(addresses, netip.MustParseAddr(a))
			}
			warnings := 0
			p := alone(t, "http://vllm.test:8000")
			p.hooks.Warned = func(*upstream.Server, string) { warnings++ }
			p.lookup = func(_ context.Context, network, host string) ([]netip.Addr, error) {
				if network != "ip" || host != "vllm.test" {
					t.Errorf("asked for %s %s", network, host)
				}
				return addresses, c.err
			}
			p.warnOfSharedName(t.Context(), time.Second)
			if (warnings == 1) != c.want {
				t.Errorf("%d warnings", warnings)
			}
		})
	}
}

// The look-up for the warning delays no verdict, and is made once.
func TestSharedNameWarnsAfterTheVerdict(t *testing.T) {
	s := startSim(t, sim.Config{})
	w := watch(t, quick())
	asked := make(chan upstream.Health, 100)
	w.monitor.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		asked <- w.up(0).State().Health()
		return []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}, nil
	}
	w.apply(strings.Replace(s.URL(), "127.0.0.1", "localhost", 1))
	timeout := time.After(patience)
	select {
	case h := <-asked:
		if h != upstream.Up {
			t.Error("looked up before the first verdict")
		}
	case <-timeout:
		t.Fatal("never looked up")
	}
	select {
	case text := <-w.warnings:
		if !strings.Contains(text, "lottery") {
			t.Error(text)
		}
	case <-timeout:
		t.Fatal("never warned")
	}
	s.Kill()
	w.await(w.up(0), upstream.Down)
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	w.await(w.up(0), upstream.Up)
	if len(asked) > 0 {
		t.Error("looked up again")
	}
}
