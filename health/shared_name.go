package health

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// lookupIP is net.Resolver.LookupNetIP.
type lookupIP func(ctx context.Context, network, host string) ([]netip.Addr, error)

// warnOfSharedName warns of a name that stands for several servers: each connection may reach another server, and so another
// cache. The look-up may take up to the timeout, so no verdict waits for it.
func (p *prober) warnOfSharedName(ctx context.Context, timeout time.Duration) {
	address := p.server.Address()
	host, _, err := net.SplitHostPort(address.Dial)
	if address.Network != "tcp" || err != nil || net.ParseIP(host) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addrs, err := p.lookup(ctx, "ip", host)
	if err != nil {
		return
	}
	v4, v6 := 0, 0
	for _, a := range addrs {
		if a.Unmap().Is4() {
			v4++
		} else {
			v6++
		}
	}
	if v4 > 1 || v6 > 1 {
		p.warn("the name has several addresses: affinity behind it is a lottery, configure each server by itself")
	}
}
