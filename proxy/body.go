package proxy

import (
	"sync"
	"time"

	"tether/http1"
	"tether/wire"
)

// body is a request's body: all of it, in memory, and paid for.
type body struct {
	bytes  []byte    // while it is read, what lies in room
	room   *[]byte   // what bytes is a part of, from bodyRooms; nil where it is part of the connection's rest
	full   []*[]byte // the rooms before, of maxPooled each; none once it is whole
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

// read reads the body of the request whose head c has just read, of at most limit bytes. Memory is taken and paid for as
// bytes arrive, never by the length that was promised.
func (b *body) read(c *conn, limit int64) *fault {
	g := &c.guard
	switch {
	case g.Length > limit:
		return errBodyTooLarge
	case !g.Chunked && g.Length <= int64(len(c.rest)):
		b.fromRest(c, int(g.Length))
		return nil
	}
	if g.Expect && c.send([]byte("HTTP/1.1 100 Continue\r\n\r\n")) != nil {
		return errClientLeft
	}
	read := b.readLength
	if g.Chunked {
		read = b.readChunks
	}
	if f := read(c, int(limit), time.Now()); f != nil {
		return f
	}
	b.join()
	return nil
}

// fromRest takes a body that came with its head. It is free: its memory is the connection's, whatever becomes of the request.
func (b *body) fromRest(c *conn, n int) {
	b.bytes, c.rest = c.rest[:n:n], c.rest[n:]
}

func (b *body) readLength(c *conn, limit int, started time.Time) *fault {
	length := int(c.guard.Length)
	most := max(length, min(limit, maxPooled)) // there are few sizes of pooled rooms
	if f := b.put(c.rest, most); f != nil {
		return f
	}
	c.rest = nil
	for come := b.come(); come < length; come = b.come() {
		space, f := b.space(most)
		if f != nil {
			return f
		}
		n, f := c.readBody(space[:min(len(space), length-come)], started, come)
		if f != nil {
			return f
		}
		b.bytes = b.bytes[:len(b.bytes)+n]
	}
	return nil
}

func (b *body) readChunks(c *conn, limit int, started time.Time) *fault {
	var chunks http1.Chunks
	for {
		for len(c.rest) > 0 && !chunks.Done() {
			n, data, err := chunks.Next(c.rest)
			c.rest = c.rest[n:]
			if err != nil {
				return errMalformedChunks
			}
			if b.come()+len(data) > limit {
				return errBodyTooLarge
			}
			if f := b.put(data, limit); f != nil {
				return f
			}
		}
		if chunks.Done() {
			return nil
		}
		room := c.restRoom()
		n, f := c.readBody(room, started, b.come())
		if f != nil {
			return f
		}
		c.rest = room[:n]
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

// come is how much of the body is there while it is read.
func (b *body) come() int { return len(b.full)*maxPooled + len(b.bytes) }

// put adds data to a body that comes to most at the most.
func (b *body) put(data []byte, most int) *fault {
	for len(data) > 0 {
		space, f := b.space(most)
		if f != nil {
			return f
		}
		n := copy(space, data)
		b.bytes, data = b.bytes[:len(b.bytes)+n], data[n:]
	}
	return nil
}

// space gives what is free in the room, or in the next one where that is full.
func (b *body) space(most int) ([]byte, *fault) {
	if len(b.bytes) == cap(b.bytes) {
		if f := b.grow(most - len(b.full)*maxPooled); f != nil {
			return nil, f
		}
	}
	return b.bytes[len(b.bytes):cap(b.bytes)], nil
}

// grow takes a larger room for what is in the full one, of at most that size; or another one behind it, once it is among the
// largest of the pooled ones. So no body takes more than 1 MiB beyond what came, however large it is, nor is copied over and over.
func (b *body) grow(most int) *fault {
	if len(b.bytes) == maxPooled {
		return b.further(min(maxPooled, most-maxPooled))
	}
	size := min(max(firstRoom, len(b.bytes)*roomGrowth), most)
	if f := b.pay(size - len(b.bytes)); f != nil {
		return f
	}
	room := takeRoom(size)
	n := copy(*room, b.bytes)
	freeRoom(b.room)
	b.room, b.bytes = room, (*room)[:n]
	return nil
}

// further takes another room behind the full one.
func (b *body) further(size int) *fault {
	if f := b.pay(size); f != nil {
		return f
	}
	b.full = append(b.full, b.room)
	b.room = takeRoom(size)
	b.bytes = (*b.room)[:0]
	return nil
}

// join puts a body that is whole, and in several rooms, into one. Its memory is paid for once, though for that moment it is
// there twice: a body that is all that may be there could not be read otherwise.
func (b *body) join() {
	if len(b.full) == 0 {
		return
	}
	whole := make([]byte, 0, b.come())
	for i, room := range b.full {
		whole = append(whole, *room...)
		freeRoom(room)
		b.full[i] = nil
	}
	whole = append(whole, b.bytes...)
	freeRoom(b.room)
	b.bytes, b.room, b.full = whole, &whole, nil
	b.refund(b.paid - int64(len(whole)))
}

func takeRoom(size int) *[]byte {
	if pool := poolOf(size); pool != nil {
		if room, ok := pool.Get().(*[]byte); ok {
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
	if pool := poolOf(len(*room)); pool != nil {
		pool.Put(room)
	}
}

// poolOf gives the pool of rooms of a size, nil where there is none.
func poolOf(size int) *sync.Pool {
	pooled := firstRoom
	for class := range bodyRooms {
		if size == pooled {
			return &bodyRooms[class]
		}
		pooled *= roomGrowth
	}
	return nil
}

func (b *body) pay(n int) *fault {
	f := b.budget.take(b.holder, int64(n))
	if f == nil {
		b.paid += int64(n)
	}
	return f
}

func (b *body) refund(n int64) {
	if n > 0 {
		b.budget.give(b.holder, n)
		b.paid -= n
	}
}

// held reports whether there is memory to give back.
func (b *body) held() bool { return b.room != nil || b.paid > 0 }

// free gives the memory back. It may be called more than once.
func (b *body) free() {
	b.refund(b.paid)
	for _, room := range b.full {
		freeRoom(room)
	}
	freeRoom(b.room)
	b.bytes, b.room, b.full = nil, nil, nil
}
