package client

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

// Local returns a client of the admin listener on this host whose configured address is listen.
func Local(listen string) (*Client, error) {
	addrs, err := loopback(listen)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return dialFirst(ctx, addrs) }
	return newClient(&url.URL{Scheme: "http", Host: addrs[0]}, "", dial), nil
}

// loopback returns the addresses on which a listener on listen answers this host, the likeliest first.
func loopback(listen string) ([]string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, err
	}
	if port == "0" {
		return nil, fmt.Errorf("admin.listen: %q is another port at every start, want a fixed one", listen)
	}
	ip, err := netip.ParseAddr(host)
	const v4, v6 = "127.0.0.1", "::1"
	var hosts []string
	switch {
	case host == "":
		hosts = []string{v4, v6}
	case err != nil || !ip.IsUnspecified(): // a name, or one address
		hosts = []string{host}
	case ip.Is4():
		hosts = []string{v4}
	default: // such a listener takes IPv4 too, and a container may have no other loopback
		hosts = []string{v6, v4}
	}
	for i, h := range hosts {
		hosts[i] = net.JoinHostPort(h, port)
	}
	return hosts, nil
}

// dialFirst connects to the first of addrs that accepts; the error is that of the likeliest address, the first.
func dialFirst(ctx context.Context, addrs []string) (net.Conn, error) {
	var first error
	for _, addr := range addrs {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			return c, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}
