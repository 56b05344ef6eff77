package sim

import (
	"net"
	"time"
)

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

// answer notes whether more of an answer is to be written to c.
func (l *life) answer(c *conn, more bool) {
	l.mu.Lock()
	c.answering = more
	l.mu.Unlock()
	l.srv.bell.ring()
}

// written waits until the answers of requests that have left their handlers are written to their ends, or for timeout.
func (l *life) written(timeout <-chan time.Time) {
	for {
		changed := l.srv.bell.next()
		if !l.answering() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			return
		}
	}
}

func (l *life) answering() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if c.answering {
			return true
		}
	}
	return false
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
