package proxy

import (
	"time"

	"tether/http1"
	"tether/wire"
)

// body is the whole body of a request, in memory that the budget is charged for.
type body struct {
	bytes   []byte    // while the body is read, the bytes in buf
	buf     *[]byte   // that bytes lies in, from bodyBuffers; nil where the body is part of the client's rest
	parts   []*[]byte // the full buffers before buf, of maxBodyBuffer each; none once the body is whole
	budget  *budget
	limits  *bodyLimits
	account *account
	rate    int64 // min_body_rate, in bytes a second
	paid    int64
}

// bodyTime is how long a client may take for a body of any size.
const bodyTime = 10 * time.Second

// read reads the body of the request whose head c has just read, of at most limit bytes. Memory is taken and paid for as
// bytes arrive, never by the length that was promised.
func (b *body) read(c *client, limit int64) *fault {
	g := c.guard
	switch {
	case g.Length > limit:
		return faultBodyTooLarge
	case c.hasBody():
		b.fromRest(c, int(g.Length))
		return nil
	}
	if g.Expect && c.send([]byte("HTTP/1.1 100 Continue\r\n\r\n")) != nil {
		return faultClientGone
	}
	read := b.readLength
	if g.Chunked {
		read = b.readChunks
	}
	if f := read(c, int(limit), time.Now()); f != nil {
		return f
	}
	b.concat()
	return nil
}

// hasBody reports whether the whole body of the request has arrived with its head.
func (c *client) hasBody() bool { return !c.guard.Chunked && c.guard.Length <= int64(len(c.rest)) }

// fromRest takes a body that arrived with its head. The budget is not charged: the client's connection has the buffer anyway.
func (b *body) fromRest(c *client, n int) {
	b.bytes, c.rest = c.rest[:n:n], c.rest[n:]
}

func (b *body) readLength(c *client, limit int, started time.Time) *fault {
	length := int(c.guard.Length)
	maxSize := max(length, min(limit, maxBodyBuffer)) // pooled buffers have few sizes
	if f := b.add(c.rest, maxSize); f != nil {
		return f
	}
	c.rest = nil
	for received := b.received(); received < length; received = b.received() {
		space, f := b.space(maxSize)
		if f != nil {
			return f
		}
		n, f := c.receiveBody(space[:min(len(space), length-received)], b.deadline(started))
		if f != nil {
			return f
		}
		b.bytes = b.bytes[:len(b.bytes)+n]
	}
	return nil
}

func (b *body) readChunks(c *client, limit int, started time.Time) *fault {
	var chunks http1.Chunks
	for {
		for len(c.rest) > 0 && !chunks.Done() {
			n, data, err := chunks.Next(c.rest)
			c.rest = c.rest[n:]
			if err != nil {
				return faultMalformedChunks
			}
			if b.received()+len(data) > limit {
				return faultBodyTooLarge
			}
			if f := b.add(data, limit); f != nil {
				return f
			}
		}
		if chunks.Done() {
			return nil
		}
		buf := c.restBuffer()
		n, f := c.receiveBody(buf, b.deadline(started))
		if f != nil {
			return f
		}
		c.rest = buf[:n]
	}
}

// receiveBody reads a part of a body from the socket.
func (c *client) receiveBody(b []byte, deadline time.Time) (int, *fault) {
	if c.readBefore(deadline, 0) != nil {
		return 0, faultClientGone
	}
	n, err := c.Read(b)
	switch {
	case n > 0:
		return n, nil
	case wire.IsTimeout(err):
		return 0, faultSlowBody
	}
	return 0, faultClientGone
}

// deadline is when a body that began to arrive at started must be whole. The time grows with the bytes that were received,
// never with those that were promised.
func (b *body) deadline(started time.Time) time.Time {
	return started.Add(timeFor(int64(b.received()), b.rate))
}

// timeFor returns how long a body may take in total once received bytes have arrived, at rate bytes a second. It counts in
// whole seconds: bytes times time.Second would overflow a Duration at 8.6 GiB.
func timeFor(received, rate int64) time.Duration {
	return bodyTime + time.Duration(received/rate)*time.Second
}

// received is how much of the body has arrived, while it is read.
func (b *body) received() int { return len(b.parts)*maxBodyBuffer + len(b.bytes) }

// add adds data to a body of at most maxSize bytes.
func (b *body) add(data []byte, maxSize int) *fault {
	for len(data) > 0 {
		space, f := b.space(maxSize)
		if f != nil {
			return f
		}
		n := copy(space, data)
		b.bytes, data = b.bytes[:len(b.bytes)+n], data[n:]
	}
	return nil
}

// space returns the free end of the buffer. A full buffer grows first.
func (b *body) space(maxSize int) ([]byte, *fault) {
	if len(b.bytes) == cap(b.bytes) {
		if f := b.grow(maxSize - len(b.parts)*maxBodyBuffer); f != nil {
			return nil, f
		}
	}
	return b.bytes[len(b.bytes):cap(b.bytes)], nil
}

// grow moves the content of a full buffer to a larger one, of at most maxSize bytes. A buffer of the largest pooled size becomes a part
// instead, and a new one follows it. So no body takes more than 1 MiB beyond what was received, however large it is, and none is
// copied over and over.
func (b *body) grow(maxSize int) *fault {
	if len(b.bytes) == maxBodyBuffer {
		return b.addPart(min(maxBodyBuffer, maxSize-maxBodyBuffer))
	}
	size := min(max(firstBodyBuffer, len(b.bytes)*bodyBufferGrowth), maxSize)
	if f := b.pay(size - len(b.bytes)); f != nil {
		return f
	}
	buf := takeBodyBuffer(size)
	n := copy(*buf, b.bytes)
	freeBodyBuffer(b.buf)
	b.buf, b.bytes = buf, (*buf)[:n]
	return nil
}

// addPart makes the full buffer a part, and takes a new one of size bytes.
func (b *body) addPart(size int) *fault {
	if f := b.pay(size); f != nil {
		return f
	}
	b.parts = append(b.parts, b.buf)
	b.buf = takeBodyBuffer(size)
	b.bytes = (*b.buf)[:0]
	return nil
}

// concat copies the parts of a whole body into one buffer. The budget is charged once although both copies exist for a moment;
// otherwise a body as large as the whole budget could never be read.
func (b *body) concat() {
	if len(b.parts) == 0 {
		return
	}
	whole := make([]byte, 0, b.received())
	for i, part := range b.parts {
		whole = append(whole, *part...)
		freeBodyBuffer(part)
		b.parts[i] = nil
	}
	whole = append(whole, b.bytes...)
	freeBodyBuffer(b.buf)
	b.bytes, b.buf, b.parts = whole, &whole, nil
	b.refund(b.paid - int64(len(whole)))
}

func (b *body) pay(n int) *fault {
	f := b.budget.take(b.account, int64(n), b.limits)
	if f == nil {
		b.paid += int64(n)
	}
	return f
}

func (b *body) refund(n int64) {
	if n > 0 {
		b.budget.give(b.account, n)
		b.paid -= n
	}
}

// held reports whether there is memory to give back.
func (b *body) held() bool { return b.buf != nil || b.paid > 0 }

// free gives the memory back. It may be called more than once.
func (b *body) free() {
	b.refund(b.paid)
	for _, part := range b.parts {
		freeBodyBuffer(part)
	}
	freeBodyBuffer(b.buf)
	b.bytes, b.buf, b.parts = nil, nil, nil
}

// lend leaves b and the head of an attempt to the goroutine that still sends them, and returns the function that frees them.
func lend(b *body, a *attempt) (release func()) {
	lent := *b
	lent.budget.hold(lent.account)
	*b, a.head = body{}, nil
	return func() {
		lent.free()
		lent.budget.release(lent.account)
	}
}
