package proxy

import "testing"

// All that tether holds when every client has a request in flight fits into its descriptors.
func TestConnectionsWithin(t *testing.T) {
	for _, c := range []struct{ descriptors, servers, inFlight, configured, want int }{
		{1 << 20, 4, 10_000, 20_000, 20_000},
		{30_104, 4, 10_000, 20_000, 20_000},
		{30_103, 4, 10_000, 20_000, 19_999}, // at most 10,000 of the clients have a connection to a server
		{20_000, 4, 10_000, 20_000, 9948},
		{1024, 4, 10_000, 20_000, 460},
		{1024, 4, 100, 20_000, 820},
		{100, 4, 10_000, 20_000, 26},
		{100, 4, 10_000, 20, 20},
		{10, 4, 10_000, 20_000, 1},
	} {
		cfg := Config{MaxConnections: c.configured, MaxInFlight: c.inFlight}
		got := cfg.ConnectionsWithin(c.descriptors, c.servers)
		if got != c.want {
			t.Errorf("%d descriptors, %d servers, %d requests in flight, %d connections: %d, want %d", c.descriptors, c.servers, c.inFlight, c.configured, got, c.want)
		}
		if most := got + min(got, c.inFlight) + maxRefused(got) + 2*c.servers; got > 1 && most > c.descriptors-ownDescriptors {
			t.Errorf("%d connections need up to %d of %d descriptors", got, most, c.descriptors)
		}
	}
}
