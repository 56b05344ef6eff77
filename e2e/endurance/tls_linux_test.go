package endurance

import (
	"crypto/tls"
	"fmt"
	"sync"
	"testing"
	"time"

	"tether/sim"
	"tether/tlsfiles/tlstest"
)

// The memory of an idle connection under TLS is known: 1,000 clients connect at the same time and send nothing.
func TestEnduranceUnderTLS(t *testing.T) {
	const clients = 1000
	needDescriptors(t, 2*clients+500)
	s := sim.New(sim.Config{})
	if _, err := s.Start("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	authority := tlstest.NewAuthority(t)
	pair := authority.Issue(time.Hour, "127.0.0.1")
	p := newSide(t, 0, fmt.Sprintf("upstreams: [{ url: %q }]\ntls: { cert: %q, key: %q }\n", s.URL(), pair.Cert, pair.Key))
	before := p.resources()
	cfg := &tls.Config{RootCAs: authority.Pool, ServerName: "127.0.0.1"}
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c, err := tls.DialWithDialer(dialer(idleClients, i), "tcp", p.address, cfg)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = c.NetConn().Close() })
		})
	}
	all.Wait()
	p.await("tether_client_connections", func(n float64) bool { return n == clients })
	now := p.resources()
	t.Logf("memory: %d MiB before, %d MiB with %d idle connections, %d KiB each; %d MiB at most, %d KiB each",
		before.rss>>20, now.rss>>20, clients, (now.rss-before.rss)>>10/clients, now.peak>>20, (now.peak-before.rss)>>10/clients)
	if most := before.rss + secureMemory*clients; now.peak > most {
		t.Errorf("%d MiB of memory at most, want %d", now.peak>>20, most>>20)
	}
}
