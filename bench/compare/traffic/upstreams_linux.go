package traffic

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Upstreams are cheap servers on 127.0.0.1, which share one thread.
type Upstreams struct {
	// Addrs are their addresses, HOST:PORT.
	Addrs []string
	loop  *loop

	answer  Answer
	json    []byte // the whole response
	event   []byte // a chunk with one event
	streams uint64 // begun so far
	skipped int    // events that were not sent because their connection accepted no bytes, or their time had passed
	failed  error  // the first connection that ended by an error
}

// StartUpstreams starts n upstreams. The caller calls Stop.
func StartUpstreams(n int) (*Upstreams, error) {
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	u := &Upstreams{loop: l, event: fmt.Appendf(nil, "%x\r\n%s\r\n", EventSize, newEvent())}
	for range n {
		fd, addr, err := listen()
		if err == nil {
			err = l.watch(fd, &door{u, fd})
		}
		if err != nil {
			return nil, err
		}
		u.Addrs = append(u.Addrs, addr)
	}
	go l.run()
	return u, nil
}

// Set sets the answer to the requests from now on.
func (u *Upstreams) Set(a Answer) {
	u.loop.do(func() {
		u.answer, u.json = a, plain("200 OK", completion(a.Size))
		u.skipped, u.streams = 0, 0
	})
}

// Skipped returns the number of events that were due since Set and were not sent, and the error of a connection, if any.
func (u *Upstreams) Skipped() (n int, err error) {
	u.loop.do(func() { n, err = u.skipped, u.failed })
	return n, err
}

// Stop closes all connections.
func (u *Upstreams) Stop() { u.loop.stop() }

// door is the listener of an upstream.
type door struct {
	*Upstreams
	fd int
}

func (d *door) ready() {
	for {
		fd, _, err := unix.Accept4(d.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			if err != unix.EAGAIN {
				d.failed = fmt.Errorf("accept: %w", err)
			}
			return
		}
		noDelay(fd)
		if err := d.loop.watch(fd, &served{u: d.Upstreams, socket: socket{loop: d.loop, fd: fd}}); err != nil {
			unix.Close(fd)
			d.failed = err
		}
	}
}

// served is a connection of an upstream.
type served struct {
	u *Upstreams
	socket
	request request
	left    int // events that the stream has left; negative without end
}

func (s *served) ready() {
	if err := s.flush(); err != nil {
		s.reset()
		return
	}
	b, open, err := s.receive()
	if err != nil || !open {
		s.reset()
		return
	}
	whole, err := s.request.take(b)
	if err != nil {
		s.u.failed = fmt.Errorf("an upstream received: %w", err)
		s.reset()
	} else if whole {
		s.respond(Now())
		s.request.next()
	}
}

// respond answers a request.
func (s *served) respond(now int64) {
	response := s.u.json
	switch path := string(s.request.path()); {
	case path == "/health":
		response = plain("200 OK", "{}")
	case path == "/v1/models":
		response = plain("200 OK", models)
	case string(s.request.head.text[:5]) != "POST ":
		response = plain("404 Not Found", "{}")
	case s.u.answer.Gap > 0:
		response = []byte(streamHead)
		s.left = s.u.answer.Events
		if s.left == 0 {
			s.left = -1
		}
		s.loop.at(now+s.phase(), s)
	}
	if s.send(response) != nil {
		s.reset()
	}
}

// phase returns when the first event of the next stream follows its head. The parts of the golden ratio cover the gap evenly, however many
// streams there are.
func (s *served) phase() int64 {
	s.u.streams++
	part := s.u.streams * 0x9E3779B97F4A7C15
	return int64(float64(part) / (1 << 63) / 2 * float64(s.u.answer.Gap))
}

// tick sends an event of the stream.
func (s *served) tick(due, now int64) {
	if s.fd < 0 || s.left == 0 {
		return
	}
	if gap := int64(s.u.answer.Gap); now-due > gap && gap > 0 {
		s.u.skipped += int((now - due) / gap)
		due += (now - due) / gap * gap
	}
	if len(s.unsent) > 0 {
		s.u.skipped++
	} else {
		stamp(s.u.event[len("f5\r\n"):], Now())
		s.left--
		if s.send(s.u.event) != nil || s.left == 0 && s.send([]byte("0\r\n\r\n")) != nil {
			s.reset()
			return
		}
	}
	if s.left != 0 {
		s.loop.at(due+int64(s.u.answer.Gap), s)
	}
}
