package proxy

import (
	"net/netip"
	"testing"
)

// A proxy is recognized however its address is written.
func TestPrefixes(t *testing.T) {
	for _, c := range []struct{ configured, in, out string }{
		{"10.0.0.0/8", "10.1.2.3", "11.0.0.0"},
		{"10.1.2.3/8", "10.0.0.0", "11.0.0.0"},
		{"10.1.2.3", "10.1.2.3", "10.1.2.4"},
		{"::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"},
		{"::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"},
		{"2001:db8::/32", "2001:db8::1", "2001:db9::1"},
	} {
		p, err := parsePrefix(c.configured)
		if err != nil || !p.Contains(netip.MustParseAddr(c.in)) || p.Contains(netip.MustParseAddr(c.out)) {
			t.Errorf("%s: %v, %v", c.configured, p, err)
		}
	}
}
