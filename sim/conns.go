package sim

import "net"

// track adds an accepted connection. One that comes when the life has died is reset, like those before it.
func (l *life) track(nc net.Conn) *conn {
	c := &conn{Conn: nc, life: l}
	l.mu.Lock()
	dead := l.dead
	if !dead {
		l.conns[c] = struct{}{}
	}
	l.mu.Unlock()
	if dead {
		c.reset()
	}
	l.srv.bell.ring()
	return c
}

func (l *life) untrack(c *conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.srv.bell.ring()
}

// open lists the connections of this moment.
func (l *life) open() []*conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	conns := make([]*conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	return conns
}

// add fills in what a life knows of the load.
func (l *life) add(load *Load) {
	l.mu.Lock()
	defer l.mu.Unlock()
	load.Requests, load.Held, load.Conns, load.Draining = l.requests, l.held, len(l.conns), l.draining
}

func (l *life) ending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}
