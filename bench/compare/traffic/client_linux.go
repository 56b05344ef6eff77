package traffic

import (
	"crypto/tls"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// client is a connection of a load.
type client struct {
	*Load
	socket
	tls       *tls.Conn // nil without TLS
	response  response
	isOpen    bool  // its first response has begun, for an endless stream, or ended
	asked     int64 // when the request under way was sent; 0 without a request
	answering bool  // a byte of the response has arrived
}

var errClosed = errors.New("the proxy closed the connection")

// newClient begins to connect. With TLS it returns once the handshake is done.
func (l *Load) newClient() error {
	fd, err := connect(l.plan.Addr)
	if err != nil {
		return err
	}
	c := &client{Load: l, socket: socket{loop: l.loop, fd: fd}}
	if l.plan.Events {
		c.response.events.delays = &l.counts.Delays
	}
	if err := l.loop.watch(fd, c); err != nil {
		unix.Close(fd)
		return err
	}
	l.clients = append(l.clients, c)
	if l.plan.TLS {
		if err := c.shake(); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
	}
	c.ask(Now())
	return nil
}

// ask sends the next request of the load. A request that is sent before the connection is there waits in unsent.
func (c *client) ask(now int64) {
	c.asked, c.answering = now, false
	var err error
	if c.tls != nil {
		_, err = c.tls.Write(c.nextRequest())
	} else {
		err = c.send(c.nextRequest())
	}
	if err != nil {
		c.fail(err)
	}
}

func (c *client) ready() {
	if c.fd < 0 {
		return // an earlier event of the same wait ended it
	}
	if err := c.flush(); err != nil {
		c.fail(err)
		return
	}
	for more := true; more && c.fd >= 0; {
		more = c.read() && c.tls != nil
	}
}

// read takes what has arrived, and returns whether it was anything. With TLS, more may have been decrypted.
func (c *client) read() bool {
	receive := c.receive
	if c.tls != nil {
		receive = c.receiveTLS
	}
	b, open, err := receive()
	if err == nil && !open {
		err = errClosed
	}
	if err != nil {
		c.fail(err)
		return false
	}
	if len(b) > 0 {
		c.take(b, Now())
	}
	return len(b) > 0
}

// take reads received bytes.
func (c *client) take(b []byte, now int64) {
	if !c.answering {
		c.answering = true
		c.counts.FirstBytes = append(c.counts.FirstBytes, now-c.asked)
	}
	before := c.response.events.count
	whole, err := c.response.take(b, now)
	c.counts.Events += c.response.events.count - before
	if err == nil && whole {
		err = c.check()
	}
	switch {
	case err != nil:
		c.fail(err)
	case whole:
		c.answered(now)
	case c.plan.Endless && !c.isOpen:
		c.isOpen = true
		c.open(nil)
	}
}

// check reports a response that ended too early.
func (c *client) check() error {
	if c.asked == 0 {
		return errSurplus
	}
	if c.response.size != c.plan.Size {
		return fmt.Errorf("a response has %d bytes, want %d", c.response.size, c.plan.Size)
	}
	return nil
}

// answered counts a response and goes on.
func (c *client) answered(now int64) {
	c.counts.Requests++
	c.counts.Latencies = append(c.counts.Latencies, now-c.asked)
	c.response.next()
	c.asked = 0
	if !c.isOpen {
		c.isOpen = true
		c.open(nil)
	}
	switch {
	case c.plan.Every > 0:
		c.idle = append(c.idle, c)
	case !c.plan.Once:
		c.ask(now)
	}
}

// fail ends the client.
func (c *client) fail(err error) {
	if c.fd < 0 {
		return
	}
	c.counts.Failed++
	c.counts.Failure = err
	c.reset()
	if !c.isOpen {
		c.open(err)
	}
}
