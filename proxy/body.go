package proxy

import (
	"sync"
	"time"

	"tether/http1"
	"tether/wire"
)

// body is a request's body: all of it, in memory, and paid for.
type body struct {
	bytes  []byte
	room   *[]byte // what bytes is a part of, from bodyRooms; nil where it is part of the connection's rest
	budget *budget
	holder *holder
	paid   int64
}

// bodyRooms keep the buffers of bodies by size: 16 KiB, 64 KiB, 256 KiB, 1 MiB. Larger ones are left to the
// collector.
var bodyRooms [4]sync.Pool

const (
	firstRoom  = 16 << 10
	roomGrowth = 4
	maxPooled  = 1 << 20
)

// What a client may take for a body: some time, and more for its length.
const (
	bodyTime = 10 * time.Second
	bodyRate = 64 << 10 // bytes a second
)

// read reads the body of the request whose head c has just read. Memory is taken and paid for as bytes arrive,
// never by the length that was promised.
func (b *body) read(c *conn, max int64) *fault {
	g := &c.guard
	switch {
	case g.Length > max:
		return errBodyTooLarge
	case !g.Chunked && g.Length <= int64(len(c.rest)):
		return b.fromRest(c, int(g.Length))
	}
	if g.Expect && c.send([]byte("HTTP/1.1 100 Continue\r\n\r\n")) != nil {
		return errClientLeft
	}
	started := time.Now()
	if g.Chunked {
		return b.readChunks(c, max, started)
	}
	return b.readLength(c, int(g.Length), started)
}

// fromRest takes a body that came with its head.
func (b *body) fromRest(c *conn, n int) *fault {
	if f := b.pay(int64(n)); f != nil {
		return f
	}
	b.bytes, c.rest = c.rest[:n:n], c.rest[n:]
	return nil
}

func (b *body) readLength(c *conn, length int, started time.Time) *fault {
	if f := b.grow(firstRoom, length); f != nil {
		return f
	}
	n := copy(b.bytes[:cap(b.bytes)], c.rest)
	b.bytes, c.rest = b.bytes[:n], c.rest[n:]
	for len(b.bytes) < length {
		if len(b.bytes) == cap(b.bytes) {
			if f := b.grow(cap(b.bytes)*roomGrowth, length); f != nil {
				return f
			}
		}
		n, f := c.readBody(b.bytes[len(b.bytes):min(cap(b.bytes), length)], started, len(b.bytes))
		if f != nil {
			return f
		}
		b.bytes = b.bytes[:len(b.bytes)+n]
	}
	return nil
}

func (b *body) readChunks(c *conn, max int64, started time.Time) *fault {
	var chunks http1.Chunks
	for {
		for len(c.rest) > 0 && !chunks.Done() {
			n, data, err := chunks.Next(c.rest)
			c.rest = c.rest[n:]
			if err != nil {
				return errMalformedChunks
			}
			if int64(len(b.bytes)+len(data)) > max {
				return errBodyTooLarge
			}
			if want := len(b.bytes) + len(data); want > cap(b.bytes) {
				if f := b.grow(want, int(max)); f != nil {
					return f
				}
			}
			b.bytes = append(b.bytes, data...)
		}
		if chunks.Done() {
			return nil
		}
		if c.room == nil {
			c.room = restRooms.Get().(*[]byte)
		}
		n, f := c.readBody(*c.room, started, len(b.bytes))
		if f != nil {
			return f
		}
		c.rest = (*c.room)[:n]
	}
}

// readBody reads part of a body from the socket. Time is bought by what has come, never by what was promised.
func (c *conn) readBody(b []byte, started time.Time, come int) (int, *fault) {
	if c.readBefore(started.Add(timeFor(come)), 0) != nil {
		return 0, errClientLeft
	}
	n, err := c.Client.Read(b)
	switch {
	case n > 0:
		return n, nil
	case wire.IsTimeout(err):
		return 0, errSlowBody
	}
	return 0, errClientLeft
}

// timeFor is how long a body may take of which that many bytes came: in whole seconds, for 16 GiB of bytes times the nanoseconds of
// a second are more than a Duration holds.
func timeFor(come int) time.Duration { return bodyTime + time.Duration(come/bodyRate)*time.Second }

// grow makes room for want bytes at least, and keeps what is there. Beyond the pooled sizes it takes no more than
// most.
func (b *body) grow(want, most int) *fault {
	class, size := 0, firstRoom
	for size < want {
		class, size = class+1, size*roomGrowth
	}
	if size > maxPooled {
		size = max(min(size, most), want)
	}
	if f := b.pay(int64(size) - b.paid); f != nil {
		return f
	}
	room := takeRoom(class, size)
	n := copy(*room, b.bytes)
	freeRoom(b.room)
	b.room, b.bytes = room, (*room)[:n]
	return nil
}

func takeRoom(class, size int) *[]byte {
	if class < len(bodyRooms) {
		if room, ok := bodyRooms[class].Get().(*[]byte); ok {
			return room
		}
	}
	room := make([]byte, size)
	return &room
}

func freeRoom(room *[]byte) {
	if room == nil {
		return
	}
	size := firstRoom
	for class := range bodyRooms {
		if len(*room) == size {
			bodyRooms[class].Put(room)
		}
		size *= roomGrowth
	}
}

func (b *body) pay(n int64) *fault {
	f := b.budget.take(b.holder, n)
	if f == nil {
		b.paid += n
	}
	return f
}

// held reports whether there is memory to give back.
func (b *body) held() bool { return b.room != nil || b.paid > 0 }

// free gives the memory back. It may be called more than once.
func (b *body) free() {
	if b.paid > 0 {
		b.budget.give(b.holder, b.paid)
	}
	freeRoom(b.room)
	b.bytes, b.room, b.paid = nil, nil, 0
}
