package loop

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// recorder is a driver that tells the test what it gets.
type recorder struct {
	conn     Driven
	received chan []byte
	ended    chan error
	drained  chan bool
	refused  chan error
	hold     bool // after each part
}

func drive(s *Socket, limit time.Time) *recorder {
	r := newRecorder(s)
	s.Drive(r, limit, false)
	return r
}

func newRecorder(s *Socket) *recorder {
	return &recorder{conn: s, received: make(chan []byte, 1000), ended: make(chan error, 10), drained: make(chan bool, 10), refused: make(chan error, 10)}
}

func (r *recorder) Received(_ time.Time, p []byte) {
	if r.hold {
		r.conn.Hold()
	}
	r.received <- bytes.Clone(p)
}

func (r *recorder) Ended(_ time.Time, err error) { r.ended <- err }

func (r *recorder) Drained(time.Time) { r.drained <- true }

func (r *recorder) Refused(_ time.Time, err error) { r.refused <- err }

// onLoop runs f on the thread of the loop of s, which has no driver.
func onLoop(t *testing.T, s *Socket, f func(now time.Time)) {
	t.Helper()
	o := &once{s: s, f: f, done: make(chan bool, 1)}
	s.Drive(o, time.Unix(1, 0), false)
	wait(t, o.done)
}

// ignoring is a driver that does nothing. Other drivers embed it.
type ignoring struct{}

func (ignoring) Received(time.Time, []byte) {}
func (ignoring) Ended(time.Time, error)     {}
func (ignoring) Drained(time.Time)          {}
func (ignoring) Refused(time.Time, error)   {}

// once is a driver that runs f when its limit has passed.
type once struct {
	ignoring
	s    *Socket
	f    func(now time.Time)
	done chan bool
}

func (o *once) Ended(now time.Time, _ error) {
	o.s.Release()
	o.f(now)
	o.done <- true
}

func wait[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("nothing happens")
	}
	return v
}

func TestReceived(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		peer.Write([]byte("before")) // its edge goes to no driver
		r := drive(s, time.Time{})
		if got := wait(t, r.received); string(got) != "before" {
			t.Errorf("received %q", got)
		}
		peer.Write([]byte("after"))
		if got := wait(t, r.received); string(got) != "after" {
			t.Errorf("received %q", got)
		}
		peer.Write([]byte("end"))
		peer.CloseWrite()
		if got := wait(t, r.received); string(got) != "end" {
			t.Errorf("received %q", got)
		}
		if err := wait(t, r.ended); err != io.EOF {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestReset(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		r := drive(s, time.Time{})
		peer.SetLinger(0)
		peer.Close()
		if err := wait(t, r.ended); err == nil || err == io.EOF {
			t.Errorf("ended with %v", err)
		}
	})
}

// More than one read's worth arrives part by part, and nothing is lost.
func TestLargeAmount(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		r := drive(s, time.Time{})
		sent := bytes.Repeat([]byte("0123456789abcdef"), 40<<10)
		go func() { peer.Write(sent); peer.CloseWrite() }()
		var got []byte
		for len(got) < len(sent) {
			got = append(got, wait(t, r.received)...)
		}
		if !bytes.Equal(got, sent) {
			t.Error("the bytes differ")
		}
		wait(t, r.ended)
	})
}

func TestHold(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		r := drive(s, time.Time{})
		r.hold = true
		peer.Write([]byte("one"))
		wait(t, r.received)
		peer.Write([]byte("two"))
		other, o := onSameLoop(t, s)
		d := drive(o, time.Time{})
		other.Write([]byte("x")) // its event comes after that of two
		wait(t, d.received)
		if len(r.received) != 0 {
			t.Error("received while held")
		}
		onLoop(t, idle(t, s), func(time.Time) { s.Resume() })
		if got := wait(t, r.received); string(got) != "two" {
			t.Errorf("received %q", got)
		}
	})
}

func TestLimit(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, s := connected(t, engine, 1)
		started := time.Now()
		r := drive(s, started.Add(100*time.Millisecond))
		if err := wait(t, r.ended); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(started) < 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(started))
		}
	})
}

// What the kernel does not take is sent in order as the peer reads.
func TestPush(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		r := drive(s, time.Time{})
		onLoop(t, idle(t, s), func(time.Time) {
			s.Push(sent[:1000])
			s.Push(sent[1000 : len(sent)/2])
			if !s.Sending() {
				t.Error("nothing is sent")
			}
		})
		if err := wait(t, r.refused); err != nil {
			t.Errorf("refused: %v", err)
		}
		onLoop(t, idle(t, s), func(time.Time) { s.Push(sent[len(sent)/2:]) })
		if len(r.drained) > 0 {
			t.Error("all is sent to a peer that reads nothing")
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("the bytes differ (%v)", err)
		}
		wait(t, r.drained)
		onLoop(t, idle(t, s), func(time.Time) {
			if s.Sending() {
				t.Error("something is sent")
			}
		})
	})
}

// A driver that does not ask whether it is sending is not told that all is sent.
func TestDrainedIfAsked(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		r := drive(s, time.Time{})
		for _, asks := range []bool{false, true} {
			onLoop(t, idle(t, s), func(time.Time) {
				s.Push([]byte("x"))
				if asks && !s.Sending() {
					t.Error("nothing is sent")
				}
			})
			expectByte(t, peer)
			onLoop(t, idle(t, s), func(time.Time) {}) // the loop has learned of the send
			if told := len(r.drained) > 0; told != asks {
				t.Errorf("asked: %v, told: %v", asks, told)
			}
		}
	})
}

func expectByte(t *testing.T, peer *net.TCPConn) {
	t.Helper()
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
		t.Error(err)
	}
}

// What is pushed to many sockets while events are handled arrives whole and in order, more than the outbox holds included.
func TestPushToMany(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, s := connected(t, engine, 1)
		const sockets, rounds = maxPushed + 10, 2 + 2*outboxSize/maxDeferred/maxPushed
		peers, all, told := make([]*net.TCPConn, sockets), make([]*Socket, sockets), make([]*recorder, sockets)
		for i := range all {
			peers[i], all[i] = onSameLoop(t, s)
			told[i] = drive(all[i], time.Time{})
		}
		var want []byte
		onLoop(t, s, func(time.Time) {
			for n := range rounds {
				part := bytes.Repeat([]byte{byte(n)}, 1+n*maxDeferred/(rounds/2)) // up to twice as long as what is copied
				want = append(want, part...)
				for _, o := range all {
					o.Push(part)
				}
			}
			for _, o := range all {
				o.Sending() // so that Drained follows
			}
			left := all[0].Release() // as an exchange that leaves the loop
			go all[0].Write(left)
		})
		for i, peer := range peers {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("socket %d: the bytes differ (%v)", i, err)
			}
			if i > 0 {
				wait(t, told[i].drained)
			}
		}
		if len(told[0].drained) != 0 {
			t.Error("a driver is told after Release")
		}
	})
}

// The driver of a connection that is gone is told once that nothing can be sent.
func TestPushFails(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		peer.SetLinger(0)
		peer.Close()
		r := drive(s, time.Time{})
		wait(t, r.ended) // the reset has arrived
		onLoop(t, idle(t, s), func(time.Time) { s.Push([]byte("x")) })
		if err := wait(t, r.refused); err == nil {
			t.Error("the kernel takes the rest later")
		}
	})
}

func TestReleaseGivesUnsentBytes(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		drive(s, time.Time{})
		var rest []byte
		onLoop(t, idle(t, s), func(time.Time) {
			s.Push(sent[:100])
			s.Push(sent[100:])
			rest = s.Release()
		})
		go s.Write(rest)
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("the bytes differ (%v)", err)
		}
	})
}

// A connection that is closed while it is driven tells its driver, held or not.
func TestCloseTellsDriver(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		for _, held := range []bool{false, true} {
			_, s := connected(t, engine, 1)
			if held {
				s.Hold()
			}
			r := drive(s, time.Time{})
			s.Close()
			if err := wait(t, r.ended); err != net.ErrClosed {
				t.Errorf("held %v: ended with %v", held, err)
			}
		}
		_, s := connected(t, engine, 1)
		s.Close()
		if err := wait(t, drive(s, time.Time{}).ended); err != net.ErrClosed {
			t.Errorf("closed before: ended with %v", err)
		}
	})
}

func TestHungUp(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		loops := running(t, engine, 1)
		l, a := listen(t, loops)
		peer := dial(t, l)
		left := make(chan bool, 10)
		accepted, err := a.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s, err := accepted.Socket(func() { left <- true })
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		peer.Write([]byte("unread"))
		peer.CloseWrite()
		wait(t, left)
	})
}

func TestNoisy(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, s := connected(t, engine, 1)
		for s.Noisy() { // an event of the connect
			continue
		}
		peer.Write([]byte("unasked"))
		for deadline := time.Now().Add(patience); !s.Noisy(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no noise")
			}
		}
	})
}

// A connection of Go's poller goes on on a loop.
func TestJoin(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, s := connected(t, engine, 1)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conn := dial(t, l)
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		peer.Write([]byte("before"))
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		joined, err := s.Join(conn, raw)
		if err != nil {
			t.Fatal(err)
		}
		if joined.Home() != s.Home() {
			t.Error("it is on another loop")
		}
		r := drive(joined, time.Time{})
		if got := wait(t, r.received); string(got) != "before" {
			t.Errorf("received %q", got)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the former connection writes: %v", err)
		}
		joined.Close()
		if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the peer sees %v", err)
		}
	})
}

// Many connections on several loops come and go.
func TestManyOnSeveralLoops(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		loops := running(t, engine, 3)
		l, a := listen(t, loops)
		var all sync.WaitGroup
		all.Go(func() {
			for {
				accepted, err := a.Accept()
				if err != nil {
					return
				}
				s, err := accepted.Socket(nil)
				if err != nil {
					t.Error(err)
					return
				}
				s.Drive(&echo{s: s}, time.Time{}, false)
			}
		})
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for n := range 50 {
					c, err := net.Dial("tcp", l.Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					sent := bytes.Repeat([]byte{byte(n)}, 1+n*1000)
					go c.Write(sent)
					got := make([]byte, len(sent))
					if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
						t.Errorf("%d bytes: %v", len(sent), err)
					}
					c.Close()
				}
			})
		}
		clients.Wait()
		a.Close()
		all.Wait()
	})
}

// echo sends back what it gets, at the pace of its peer.
type echo struct{ s *Socket }

func (e *echo) Received(_ time.Time, p []byte) { e.s.Push(p) }

func (e *echo) Drained(time.Time) { e.s.Resume() }

func (e *echo) Refused(time.Time, error) { e.s.Hold() }

func (e *echo) Ended(time.Time, error) {
	e.s.Release()
	e.s.Close()
}

// BenchmarkRelay is what a loop costs a part of a stream: one read and one send, both ways.
func BenchmarkRelay(b *testing.B) {
	for _, engine := range []string{EngineEpoll, EngineUring} {
		b.Run(engine, func(b *testing.B) {
			peer, s := connected(b, engine, 1)
			s.Drive(&echo{s: s}, time.Time{}, false)
			part := make([]byte, 245)
			b.ReportAllocs()
			for b.Loop() {
				peer.Write(part)
				if _, err := io.ReadFull(peer, part); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
