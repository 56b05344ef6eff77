package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tether/session"
	"tether/units"
	"tether/wire/loop"
)

// Config is the proxy part of the configuration.
type Config struct {
	// MaxAttempts bounds the attempts for one request, replays on fresh connections included, 1..16.
	MaxAttempts int `yaml:"max_attempts"`
	// ConnectTimeout bounds a connect to an upstream, 10ms..1m.
	ConnectTimeout time.Duration `yaml:"connect_timeout"`
	// HeadTimeout bounds the wait for a response head, queueing and prefill included, 1s..24h.
	HeadTimeout time.Duration `yaml:"head_timeout"`
	// IdleTimeout bounds the silence within an answer, or of both sides of a WebSocket, 1s..24h. Nothing bounds their total
	// time.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// SSEKeepalive is how long an event stream may be silent until its client gets a comment, 1s..1h and less than IdleTimeout. 0: it gets none.
	SSEKeepalive time.Duration `yaml:"sse_keepalive"`
	// ClientIdleTimeout is how long a client's connection may be idle between requests, 1s..24h.
	ClientIdleTimeout time.Duration `yaml:"client_idle_timeout"`
	// ClientWriteTimeout is how long a client may take nothing of its answer, or its WebSocket, before it is cut, 1s..1h.
	ClientWriteTimeout time.Duration `yaml:"client_write_timeout"`
	// MaxHeader bounds a request head, 1KiB..1MiB.
	MaxHeader units.Bytes `yaml:"max_header"`
	// MaxHeaders bounds the fields of a request head, 10..10000.
	MaxHeaders int `yaml:"max_headers"`
	// MaxBody bounds a request body, 1KiB..16GiB.
	MaxBody units.Bytes `yaml:"max_body"`
	// MaxBodyTotal bounds the request bodies that are buffered at a time; at least MaxBody.
	MaxBodyTotal units.Share `yaml:"max_body_total"`
	// MinBodyRate is how fast a request body must arrive after its first 10 s, in bytes a second, 1KiB..1GiB.
	MinBodyRate units.Bytes `yaml:"min_body_rate"`
	// MaxInFlight bounds the requests in flight, 1..1000000.
	MaxInFlight int `yaml:"max_in_flight"`
	// MaxConnections bounds the clients' connections, 1..1000000. See ConnectionsWithin.
	MaxConnections int `yaml:"max_connections"`
	// MaxConnectionsPerAddress bounds the connections of one address, of IPv6 one network of 64 bits, 0..1000000; 0 is no bound.
	// Trusted proxies may have more.
	MaxConnectionsPerAddress int `yaml:"max_connections_per_address"`
	// ShutdownDelay is how long tether goes on serving after SIGTERM, while /readyz says that it is not ready, 0s..1h.
	ShutdownDelay time.Duration `yaml:"shutdown_delay"`
	// ShutdownTimeout is how long requests in flight may take to finish after that, 0s..24h.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout"`
	// Engine serves the clients: auto, uring, epoll or go, as in loop.Engines. It belongs to the listener, not to the proxy.
	Engine string `yaml:"engine"`
	// Loops is the number of event loops, 0..64; 0 is one for each two processors. It belongs to the listener too.
	Loops int `yaml:"loops"`
	// Handover is the path of a Unix socket at which a new process takes over the listeners; if empty, none can.
	Handover string `yaml:"handover"`
	// TrustedProxies are the addresses whose X-Forwarded-* are believed: CIDRs or single addresses.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// CORSOrigins are the origins whose pages may read answers in a browser, or "*" for all.
	CORSOrigins []string `yaml:"cors_origins"`
	// Expose has further paths to forward, "GET /version", or prefixes, "POST /custom/*"; without affinity.
	Expose []string `yaml:"expose"`
	// ExposeUpstream names the upstream of each answer in X-Tether-Upstream.
	ExposeUpstream bool `yaml:"expose_upstream"`
}

// Default returns the configuration for keys that are not set.
func Default() Config {
	return Config{
		MaxAttempts: 3, ConnectTimeout: 2 * time.Second, HeadTimeout: 30 * time.Minute, IdleTimeout: 10 * time.Minute,
		ClientIdleTimeout: 2 * time.Minute, ClientWriteTimeout: 30 * time.Second,
		MaxHeader: 16 * units.KiB, MaxHeaders: 100, MaxBody: 64 * units.MiB, MaxBodyTotal: units.Share{Percent: 25},
		MinBodyRate: 64 * units.KiB,
		MaxInFlight: 10_000, MaxConnections: 20_000,
		ShutdownDelay: 5 * time.Second, ShutdownTimeout: 10 * time.Minute,
		Engine:         loop.EngineAuto,
		TrustedProxies: []string{}, CORSOrigins: []string{}, Expose: []string{},
	}
}

// Validate reports every problem: the key below proxy, and what is wrong with its value. memory is the process's memory limit in
// bytes, for shares of it.
func (c *Config) Validate(memory int64, report func(key, problem string)) {
	count := func(key string, n, low, high int) {
		if n < low || n > high {
			report(key, fmt.Sprintf("%d, want %d..%d", n, low, high))
		}
	}
	span := func(key string, d, low, high time.Duration) {
		if d < low || d > high {
			report(key, fmt.Sprintf("%v, want %v..%v", d, low, high))
		}
	}
	size := func(key string, b, low, high units.Bytes) {
		if b < low || b > high {
			report(key, fmt.Sprintf("%v, want %v..%v", b, low, high))
		}
	}
	const day = 24 * time.Hour
	count("max_attempts", c.MaxAttempts, 1, session.MaxTries)
	span("connect_timeout", c.ConnectTimeout, 10*time.Millisecond, time.Minute)
	span("head_timeout", c.HeadTimeout, time.Second, day)
	span("idle_timeout", c.IdleTimeout, time.Second, day)
	if d := c.SSEKeepalive; d != 0 && (d < time.Second || d > time.Hour || d >= c.IdleTimeout) {
		report("sse_keepalive", fmt.Sprintf("%v, want 1s..1h and less than idle_timeout (%v), or 0 for none", d, c.IdleTimeout))
	}
	span("client_idle_timeout", c.ClientIdleTimeout, time.Second, day)
	span("client_write_timeout", c.ClientWriteTimeout, time.Second, time.Hour)
	size("max_header", c.MaxHeader, units.KiB, units.MiB)
	count("max_headers", c.MaxHeaders, 10, 10_000)
	size("max_body", c.MaxBody, units.KiB, 16*units.GiB)
	if total := units.Bytes(c.MaxBodyTotal.Of(memory)); total < c.MaxBody {
		report("max_body_total", fmt.Sprintf("%v (%d MiB), want at least max_body (%v)", c.MaxBodyTotal, total/units.MiB, c.MaxBody))
	}
	size("min_body_rate", c.MinBodyRate, units.KiB, units.GiB)
	count("max_in_flight", c.MaxInFlight, 1, 1_000_000)
	count("max_connections", c.MaxConnections, 1, 1_000_000)
	count("max_connections_per_address", c.MaxConnectionsPerAddress, 0, 1_000_000)
	span("shutdown_delay", c.ShutdownDelay, 0, time.Hour)
	span("shutdown_timeout", c.ShutdownTimeout, 0, day)
	if !slices.Contains(loop.Engines, c.Engine) {
		report("engine", fmt.Sprintf("%q, want one of %s", c.Engine, strings.Join(loop.Engines, ", ")))
	}
	count("loops", c.Loops, 0, 64)
	if len(c.Handover) > maxSocketPath {
		report("handover", fmt.Sprintf("%d bytes, want at most %d", len(c.Handover), maxSocketPath))
	}
	for i, s := range c.TrustedProxies {
		if _, err := parsePrefix(s); err != nil {
			report(fmt.Sprintf("trusted_proxies[%d]", i), fmt.Sprintf("%q, want an address or a CIDR such as 10.0.0.0/8", s))
		}
	}
	checkOrigins(c.CORSOrigins, report)
	for i, s := range c.Expose {
		if _, err := parseExposed(s); err != nil {
			report(fmt.Sprintf("expose[%d]", i), err.Error())
		}
	}
}

// maxSocketPath is the length of the path of a Unix socket, in bytes: 103 on macOS, 107 on Linux.
const maxSocketPath = 103

func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		if mapped := p.Addr(); mapped.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(mapped.Unmap(), p.Bits()-96) // addresses are compared as IPv4
		}
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return a.Unmap().Prefix(a.Unmap().BitLen())
}
