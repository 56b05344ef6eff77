package traffic

import (
	"context"
	"time"
)

const (
	// opening is how many connections a load opens at a time.
	opening = 16
	// openLimit bounds the time until all connections of a load are open.
	openLimit = 60 * time.Second
)

// Clients run loads, on one thread.
type Clients struct{ loop *loop }

// NewClients starts the thread. The caller calls Stop.
func NewClients() (*Clients, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	go l.run()
	return &Clients{l}, nil
}

// Stop ends the thread and closes all connections.
func (c *Clients) Stop() { c.loop.stop() }

// Load is a running load. The caller calls Close.
type Load struct {
	plan     Plan
	loop     *loop
	template template
	session  int
	clients  []*client
	unbegun  int // connections that wait for their turn to open
	unopened int // connections that are not open
	opened   chan error
	idle     []*client // without a request, for plans with Every
	closed   bool
	counts   Counts
}

// Start begins a load, and returns when all its connections are open: their first responses have ended, or begun if they are endless.
func (c *Clients) Start(ctx context.Context, p Plan) (*Load, error) {
	l := &Load{plan: p, loop: c.loop, template: newTemplate(p), unbegun: p.Clients, unopened: p.Clients, opened: make(chan error, 1)}
	c.loop.do(func() {
		for range min(opening, p.Clients) {
			l.openNext()
		}
	})
	overdue := time.NewTimer(openLimit)
	defer overdue.Stop()
	var err error
	select {
	case err = <-l.opened:
	case <-overdue.C:
		err = errOverdue
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Reset begins to count anew.
func (l *Load) Reset() {
	l.loop.do(func() {
		c := &l.counts
		*c = Counts{Latencies: c.Latencies[:0], FirstBytes: c.FirstBytes[:0], Delays: c.Delays[:0], Failed: c.Failed, Failure: c.Failure}
	})
}

// Counts returns what was counted since Reset, and begins to count anew. Failed clients are counted since Start.
func (l *Load) Counts() (c Counts) {
	l.loop.do(func() {
		c = l.counts
		l.counts = Counts{Failed: c.Failed, Failure: c.Failure}
	})
	return c
}

// Close closes the connections.
func (l *Load) Close() {
	l.loop.do(func() {
		l.closed = true
		for _, c := range l.clients {
			if c.fd >= 0 {
				c.reset()
			}
		}
	})
}

// openNext opens the next connection, if one is left.
func (l *Load) openNext() {
	if l.unbegun == 0 || l.closed {
		return
	}
	l.unbegun--
	if err := l.newClient(); err != nil {
		l.unbegun = 0
		l.open(err)
	}
}

// open notes that a connection is open, or could not be opened.
func (l *Load) open(err error) {
	l.unopened--
	if err == nil && l.unopened > 0 {
		l.openNext()
		return
	}
	if err == nil && l.plan.Every > 0 {
		l.loop.at(Now(), l)
	}
	select {
	case l.opened <- err:
	default: // an error was told before
	}
}

// tick sends the next request of a plan with Every, on the connection that has been idle for the longest time.
func (l *Load) tick(due, now int64) {
	if l.closed {
		return
	}
	l.loop.at(max(due+int64(l.plan.Every), now-int64(time.Second)), l)
	if len(l.idle) == 0 {
		l.counts.Late++
		return
	}
	c := l.idle[0]
	l.idle = append(l.idle[:0], l.idle[1:]...)
	if c.fd >= 0 {
		c.ask(now)
	}
}

// nextRequest returns the request of the next session.
func (l *Load) nextRequest() []byte {
	l.session = (l.session + 1) % l.plan.Sessions
	return l.template.with(l.session)
}
