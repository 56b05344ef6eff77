package upstream

import (
	"slices"
	"sync"
	"time"
)

// maxIdle is how long an idle connection is kept: vLLM's server closes them after 5 s, without a word, and a
// request that meets the close on its way fails.
const maxIdle = 4 * time.Second

// pool keeps the idle connections to one server; the last one in is the first one out, so that the others age
// and can go. It is bounded by the requests that were in flight within maxIdle.
type pool struct {
	mu      sync.Mutex
	idle    []*Conn // guarded by mu: oldest first
	retired bool    // guarded by mu: nothing is kept any more
}

// get takes the newest connection that is fit for use, or nil. Each is looked at first: a server that closed it, or
// that sent bytes nobody asked for, would cost the next request its answer, or give it another's.
func (p *pool) get(now time.Time) *Conn {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		if now.Sub(c.idleSince) < maxIdle && !c.Stale() {
			return c
		}
		c.Abort()
	}
}

func (p *pool) put(c *Conn, now time.Time) {
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

// reap closes what has idled too long.
func (p *pool) reap(now time.Time) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idleSince) >= maxIdle {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.mu.Unlock()
	closeAll(old)
}

// drop closes all that is idle.
func (p *pool) drop() {
	p.mu.Lock()
	all := p.idle
	p.idle = nil
	p.mu.Unlock()
	closeAll(all)
}

// retire closes all that is idle, now and from now on.
func (p *pool) retire() {
	p.mu.Lock()
	p.retired = true
	p.mu.Unlock()
	p.drop()
}

func closeAll(conns []*Conn) {
	for _, c := range conns {
		c.Abort()
	}
}
