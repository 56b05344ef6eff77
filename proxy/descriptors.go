package proxy

import (
	"time"

	"tether/wire"
)

// ownDescriptors are kept back for what is neither a client nor its server: logs, listeners and pollers (a dozen), operators, and
// files that are read again.
const ownDescriptors = 32

// ConnectionsWithin returns MaxConnections, or how many connections of clients leave enough of the process's descriptors for other
// uses, if that is less. Each request in flight needs a second descriptor for its server, each server one for its probes and one for its
// metrics; there are clients that are refused with an answer; ownDescriptors are kept back. The result is at least 1.
func (c *Config) ConnectionsWithin(descriptors, servers int) int {
	left := descriptors - ownDescriptors - 2*servers - maxRefused(descriptors/2)
	return max(1, min(c.MaxConnections, max(left/2, left-c.MaxInFlight)))
}

// maxRefused bounds the connections that are refused with an answer at the same time, beside connections that are served. Further
// ones are closed.
func maxRefused(connections int) int { return max(8, min(64, connections/8)) }

// freeDescriptor reports whether the process has a free descriptor. If not, it closes the idle connections to servers. If there are
// none, it closes a client's connection without a whole request.
func freeDescriptor(p *Proxy) bool {
	return wire.HasDescriptor() || (p.registry.CloseIdle() || p.clients.displace()) && awaitDescriptor()
}

// closingTime bounds the wait for a descriptor that is closed. A loop closes one soon after its connection, when the kernel does not use it any
// more.
const closingTime = 20 * time.Millisecond

// awaitDescriptor reports true, at once or within closingTime: other requests may have taken the descriptor.
func awaitDescriptor() bool {
	for begun := time.Now(); !wire.HasDescriptor() && time.Since(begun) < closingTime; {
		time.Sleep(closingTime / 20)
	}
	return true
}
