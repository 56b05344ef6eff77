package transport

import (
	"context"
	"crypto/tls"
	"maps"
	"slices"
	"sync"
	"time"

	"tether/failure"
	"tether/wire"
)

// maxIdle is how long an idle connection is kept: vLLM's server closes idle connections after 5 s, without a word, and a
// request that crosses that close fails.
const maxIdle = 4 * time.Second

// Pool holds the idle connections to one server. The last one in is the first one out, so that the others age and can be
// closed. The number of idle connections is bounded by the requests that were in flight within maxIdle. The zero Pool is
// empty and ready for use; it must not be copied.
type Pool struct {
	mu      sync.Mutex
	idle    []*Conn            // guarded by mu: oldest first
	open    map[*Conn]struct{} // guarded by mu: all connections that Dial made and that are not closed; nil before the first one
	retired bool               // guarded by mu: no connection is kept any more
	cut     bool               // guarded by mu: no connection is opened any more
}

// Dial opens a connection to a within timeout or until ctx ends, and speaks TLS on it as secure says, nil for none. The error is
// failure.Refused, Unreachable, Insecure or Exhausted. The connection is not idle: it enters the pool with Keep.
func (p *Pool) Dial(ctx context.Context, a Address, secure *tls.Config, timeout time.Duration) (*Conn, error) {
	conn, err := wire.Dial(ctx, a.Network, a.Dial, secure, timeout)
	if err != nil {
		return nil, err
	}
	c := &Conn{Conn: conn, pool: p}
	if !p.add(c) {
		c.Abort()
		return nil, failure.Refused
	}
	return c, nil
}

// add enters an open connection, and reports false after Cut.
func (p *Pool) add(c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut {
		return false
	}
	if p.open == nil {
		p.open = map[*Conn]struct{}{}
	}
	p.open[c] = struct{}{}
	return true
}

// remove takes out a connection that is closed.
func (p *Pool) remove(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

// Taker is who takes a connection out of a Pool. The zero Taker is a goroutine without a client.
type Taker struct {
	Client *wire.Client // that asks: the connection is near it, as wire.Conn.Near says
	OnLoop bool         // the caller is the thread of the client's loop
}

// TakeIdle takes the newest connection out of the pool that t can use, or returns nil. A
// candidate of which nothing is known is peeked at first: a connection that the server closed would cost the next request
// its answer, and one on which unasked bytes arrived would give it the wrong answer.
func (p *Pool) TakeIdle(now time.Time, t Taker) *Conn {
	for {
		c := p.takeNewest(t.Client)
		if c == nil {
			return nil
		}
		if now.Sub(c.idleSince) < maxIdle && !c.Stale(t.OnLoop) {
			c.reused = true
			return c
		}
		c.Abort()
	}
}

func (p *Pool) takeNewest(near *wire.Client) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if c := p.idle[i]; c.Near(near) {
			p.idle = slices.Delete(p.idle, i, i+1)
			return c
		}
	}
	return nil
}

func (p *Pool) put(c *Conn, now time.Time) {
	c.idleSince = now
	p.mu.Lock()
	keep := !p.retired
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.Abort()
	}
}

// Reap closes the connections that have been idle for too long at now.
func (p *Pool) Reap(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idleSince) >= maxIdle {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.mu.Unlock()
	abortAll(old)
}

// CloseIdle closes all idle connections, and reports whether there were any.
func (p *Pool) CloseIdle() bool {
	p.mu.Lock()
	all := p.idle
	p.idle = nil
	p.mu.Unlock()
	abortAll(all)
	return len(all) > 0
}

// Retire closes all idle connections, and every connection that is to be kept from now on.
func (p *Pool) Retire() {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
	p.CloseIdle()
}

// Cut closes all connections, those in use included, and every connection that is opened from now on. It returns how many were open.
func (p *Pool) Cut() int {
	p.Retire()
	p.mu.Lock()
	p.cut = true
	all := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	abortAll(all)
	return len(all)
}

func abortAll(conns []*Conn) {
	for _, c := range conns {
		c.Abort()
	}
}
