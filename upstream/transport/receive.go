package transport

import (
	"bytes"
	"time"

	"tether/failure"
	"tether/http1"
	"tether/wire"
)

// Answer is a response head and the first bytes of its body, which were received with it. Both lie in the buffer given to
// Receive.
type Answer struct {
	http1.Head
	Rest []byte
}

const (
	// staleWithin is how soon after the request a reused connection must die to count as failure.Stale.
	staleWithin = time.Second

	// maxInterim bounds the interim answers (1xx) before an answer, maxInterimBytes all of them together.
	maxInterim      = 100
	maxInterimBytes = 64 << 10
)

// Receive reads the response head into buf, which bounds it, within limit of Send (or up to 1/16 more). It skips interim
// answers. Unless onInterim is nil, it is shown each of them, other than 100; the head is valid until onInterim returns. The error is
// failure.Stale, Cut, BadHead or HeadTimeout; after an error the connection is only fit to be closed.
func (c *Conn) Receive(buf []byte, limit time.Duration, onInterim func(*http1.Head)) (Answer, error) {
	a, err := c.ReceiveSwitch(buf, limit, onInterim)
	if a.Status == 101 { // the request did not ask for it
		return Answer{}, failure.BadHead
	}
	return a, err
}

// ReceiveSwitch is Receive for a request that asks for another protocol: a 101 is an answer then, and its Rest is the
// beginning of that protocol. After a 101 the connection is only fit to be closed.
func (c *Conn) ReceiveSwitch(buf []byte, limit time.Duration, onInterim func(*http1.Head)) (a Answer, err error) {
	if err := c.ReadWithin(c.sentAt, limit); err != nil {
		return a, failure.Cut
	}
	var n, seen int
	before := interims{show: onInterim}
	silent := true
	for {
		k, err := c.readOn(buf[n:])
		if k == 0 && err != nil {
			return a, c.failureOf(err, silent)
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
				return a, failure.BadHead
			}
			if a.Status >= 200 || a.Status == 101 {
				a.Rest = buf[size:n]
				return a, nil
			}
			if !before.take(&a.Head, size) {
				return a, failure.BadHead
			}
			n, seen = copy(buf, buf[size:n]), 0
		}
	}
}

// Begin takes the head of an answer out of the first bytes of it, and reports whether it could: Receive is for an answer whose head is not
// whole yet, is malformed, or is that of an interim answer or another protocol. The answer lies in p.
func (a *Answer) Begin(p []byte) bool {
	size, err := http1.ParseHead(p, 0, &a.Head)
	if err != nil || a.Status < 200 {
		return false
	}
	a.Rest = p[size:]
	return true
}

// Unread gives a copy of p, the first bytes of an answer, back to the connection: Receive begins with them.
func (c *Conn) Unread(p []byte) { c.early = bytes.Clone(p) }

// readOn reads what Unread gave back, and then from the connection.
func (c *Conn) readOn(b []byte) (int, error) {
	if len(c.early) == 0 {
		return c.Read(b)
	}
	n := copy(b, c.early)
	c.early = c.early[n:]
	return n, nil
}

// HeadLimit is when the head of the answer must be there, limit after Send.
func (c *Conn) HeadLimit(limit time.Duration) time.Time { return c.sentAt.Add(limit) }

// Lost is the kind of failure of an answer of which nothing has arrived when err ended the connection.
func (c *Conn) Lost(err error) failure.Kind { return c.failureOf(err, true) }

// interims are the interim answers before an answer.
type interims struct {
	count, bytes int
	show         func(*http1.Head) // may be nil
}

// take takes in one of size bytes, and reports whether there may be so many. A 100 is not shown: this side sends no Expect.
func (s *interims) take(h *http1.Head, size int) bool {
	s.bytes += size
	if s.count++; s.count > maxInterim || s.bytes > maxInterimBytes {
		return false
	}
	if s.show != nil && h.Status != 100 {
		shown := *h // a copy: otherwise every answer would be allocated
		s.show(&shown)
	}
	return true
}

// failureOf is the kind of a read error. silent tells that the server has sent no byte since the request.
func (c *Conn) failureOf(err error, silent bool) failure.Kind {
	switch {
	case wire.IsTimeout(err):
		return failure.HeadTimeout
	case c.reused && silent && time.Since(c.sentAt) < staleWithin:
		return failure.Stale
	}
	return failure.Cut
}
