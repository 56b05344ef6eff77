package upstream

import (
	"context"
	"crypto/tls"
	"time"

	"tether/http1"
	"tether/wire"
)

// Failure is why an attempt at an upstream brought no answer. Its text holds no address.
type Failure uint8

const (
	// Refused says that nobody listens there.
	Refused Failure = iota + 1
	// Unreachable says that there was no connection in time, no route, or no such name.
	Unreachable
	// Insecure says that a server was there, but no TLS connection as the configuration wants it.
	Insecure
	// Exhausted says that this process or host is out of descriptors, ports or memory; the upstream was not tried.
	Exhausted
	// Stale says that a connection that was used before died without a byte of an answer, soon after the request
	// was written: the server had closed it meanwhile.
	Stale
	// Cut says that the connection was reset or closed before the response head was complete.
	Cut
	// BadHead says that the response head is malformed or too large.
	BadHead
	// HeadTimeout says that there was no complete response head within the limit.
	HeadTimeout
)

func (f Failure) Error() string {
	return [...]string{
		Refused: "connection refused", Unreachable: "no connection", Insecure: "no TLS connection", Exhausted: "out of descriptors, ports or memory",
		Stale: "idle connection closed by the server", Cut: "connection cut before the answer",
		BadHead: "malformed or too large response head", HeadTimeout: "no answer in time",
	}[f]
}

// Conn is a connection to a server, held by one request at a time: Pooled or Dial, Send, Receive, then Keep or
// Close, one of them on every way out.
type Conn struct {
	*wire.Conn
	server    *Server
	reused    bool
	idleSince time.Time

	sendErr error
	sending chan error // of sendAll, while it may still run
	sentAt  time.Time
}

// Answer is a response head and the first bytes of the body that came with it, both in the buffer given to Receive.
type Answer struct {
	http1.Head
	Rest []byte
}

// Pooled gives the idle connection that was used last, or nil.
func (s *Server) Pooled(now time.Time) *Conn {
	c := s.pool.get(now)
	if c != nil {
		c.reused = true
	}
	return c
}

// Dial opens a connection within timeout or until ctx ends. The Failure is Refused, Unreachable, Insecure or Exhausted.
func (s *Server) Dial(ctx context.Context, timeout time.Duration) (*Conn, error) {
	var secure *tls.Config
	if s.address.Secure {
		secure = s.Manners().TLS.Config()
	}
	conn, err := wire.Dial(ctx, s.address.Network, s.address.Dial, secure, timeout)
	if err == nil {
		return &Conn{Conn: conn, server: s}, nil
	}
	switch wire.TroubleOf(err) {
	case wire.Refused:
		return nil, Refused
	case wire.Exhausted:
		return nil, Exhausted
	case wire.Insecure:
		return nil, Insecure
	}
	return nil, Unreachable
}

// Body is what follows the head of a request, in up to three parts.
type Body [3][]byte

// Len is the length of the whole.
func (b *Body) Len() int { return len(b[0]) + len(b[1]) + len(b[2]) }

// sendInline is the body size up to which Send writes it all itself. A larger one may not fit in the sockets'
// buffers, and a server that answers before it has read it all must be heard.
const sendInline = 64 << 10

// Send writes a request at now. It does not fail: if the server is gone, or wants no more, Receive tells. head and
// body must stay untouched until Sent reports true, or Keep or Close returned.
func (c *Conn) Send(head []byte, body Body, now time.Time) {
	c.sendErr, c.sending, c.sentAt = nil, nil, now
	if body.Len() > sendInline {
		c.sending = make(chan error, 1)
		go c.sendAll(head, body, c.sending)
		return
	}
	c.sendErr = c.WriteAll(head, (*[3][]byte)(&body))
}

// sendAll is Send's goroutine for large bodies. It ends when all is written or the connection is closed.
func (c *Conn) sendAll(head []byte, body Body, done chan<- error) {
	done <- c.WriteAll(head, (*[3][]byte)(&body))
}

// Sent reports whether Send is through with head and body.
func (c *Conn) Sent() bool {
	if c.sending == nil {
		return true
	}
	select {
	case err := <-c.sending:
		c.sent(err)
		return true
	default:
		return false
	}
}

// SentWithin is Sent, and waits that long for it.
func (c *Conn) SentWithin(d time.Duration) bool {
	if c.Sent() {
		return true
	}
	select {
	case err := <-c.sending:
		c.sent(err)
		return true
	case <-time.After(d):
		return false
	}
}

func (c *Conn) sent(err error) { c.sendErr, c.sending = err, nil }

const (
	// staleWithin is how soon after the request a used connection must die to count as Stale.
	staleWithin = time.Second

	// maxInterim bounds the 1xx heads before an answer.
	maxInterim = 8
)

// Receive reads the response head into buf, which bounds it, within limit of Send (or up to 1/16 more). It skips
// interim answers. The error is Stale, Cut, BadHead or HeadTimeout, and the connection is then beyond use.
func (c *Conn) Receive(buf []byte, limit time.Duration) (Answer, error) {
	a, err := c.ReceiveSwitch(buf, limit)
	if a.Status == 101 { // nobody asked for it
		return Answer{}, BadHead
	}
	return a, err
}

// ReceiveSwitch is Receive for a request that asks for another protocol: a 101 is an answer then, and its Rest are the
// first bytes of that protocol. Such a connection is only fit to be closed.
func (c *Conn) ReceiveSwitch(buf []byte, limit time.Duration) (a Answer, err error) {
	if err := c.ReadWithin(c.sentAt, limit); err != nil {
		return a, Cut
	}
	var n, seen, interim int
	silent := true
	for {
		k, err := c.Read(buf[n:])
		if k == 0 && err != nil {
			return a, c.failure(err, silent)
		}
		silent = false
		n += k
		for {
			size, err := http1.ParseHead(buf[:n], seen, &a.Head)
			if err == http1.ErrMore && n < len(buf) {
				seen = n
				break
			}
			if err != nil {
				return a, BadHead
			}
			if a.Status >= 200 || a.Status == 101 {
				a.Rest = buf[size:n]
				return a, nil
			}
			if interim++; interim > maxInterim {
				return a, BadHead
			}
			n, seen = copy(buf, buf[size:n]), 0
		}
	}
}

func (c *Conn) failure(err error, silent bool) Failure {
	switch {
	case wire.IsTimeout(err):
		return HeadTimeout
	case c.reused && silent && time.Since(c.sentAt) < staleWithin:
		return Stale
	}
	return Cut
}

// Keep gives the connection back at now for the next request. The caller has read the answer to its end, and nothing
// behind it. A connection that cannot be used again is closed.
func (c *Conn) Keep(a *Answer, now time.Time) {
	if a.Close || !c.Sent() || c.sendErr != nil {
		c.Close()
		return
	}
	c.server.pool.put(c, now)
}

// Close closes the connection, which tells the server to stop working for it, and waits until Send is through.
func (c *Conn) Close() {
	c.Abort()
	if c.sending != nil {
		c.sent(<-c.sending)
	}
}
