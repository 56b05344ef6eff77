package wire

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// connected returns a connection and its other side.
func connected(t testing.TB) (c *Conn, peer net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c = dial(t, l.Addr().String())
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return c, peer
}

func TestStale(t *testing.T) {
	for name, spoil := range map[string]func(*net.TCPConn){
		"closed": func(c *net.TCPConn) { c.Close() },
		"reset":  func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"bytes":  func(c *net.TCPConn) { c.Write([]byte("HTTP/1.1 408 Request Timeout\r\n\r\n")) },
	} {
		t.Run(name, func(t *testing.T) {
			c, peer := connected(t)
			if c.Stale(false) {
				t.Fatal("stale before anything happened")
			}
			spoil(peer.(*net.TCPConn))
			for deadline := time.Now().Add(patience); !c.Stale(false); {
				if time.Now().After(deadline) {
					t.Fatal("never stale")
				}
			}
		})
	}
}

func TestDropEndsARead(t *testing.T) {
	c, peer := connected(t)
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	c.Drop()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the read ended with %v", err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the upstream saw %v, want EOF", err)
	}
}

// Abort does not wait for those who use the descriptor: the thread of a loop calls it.
func TestAbortDoesNotWait(t *testing.T) {
	c, peer := connected(t)
	using, release, aborted := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() { _ = c.raw.Control(func(uintptr) { close(using); <-release }) }()
	<-using
	go func() { c.Abort(); close(aborted) }()
	_ = peer.SetReadDeadline(time.Now().Add(patience))
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the peer reads %v", err)
	}
	select {
	case <-aborted:
	case <-time.After(patience):
		t.Error("it waits")
	}
	close(release)
	c.Drop()
}

// Abort ends what is under way, and leaves the connection to be closed.
func TestAbortEndsAWrite(t *testing.T) {
	c, peer := connected(t)
	wrote := make(chan error, 1)
	go func() { wrote <- c.WriteAll(nil, &Parts{make([]byte, 64<<20)}) }()
	if _, err := io.ReadFull(peer, make([]byte, 1<<20)); err != nil { // the write is under way
		t.Fatal(err)
	}
	c.Abort()
	if err := <-wrote; err == nil {
		t.Error("the write went on")
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		t.Errorf("the connection is closed already: %v", err)
	}
	if _, err := io.Copy(io.Discard, peer); err != nil {
		t.Errorf("the upstream saw %v, want an end", err)
	}
	c.Drop()
	c.Abort() // of a closed connection does nothing
}

func TestReadWithin(t *testing.T) {
	c, _ := connected(t)
	now := time.Now()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.ReadWithin(now, time.Minute))
	first := c.deadline
	must(c.ReadWithin(now.Add(time.Second), time.Minute))
	if c.deadline != first {
		t.Error("the deadline moved after a second of a minute")
	}
	must(c.ReadWithin(now.Add(10*time.Second), time.Minute))
	if !c.deadline.After(first) {
		t.Error("the deadline did not move after ten seconds of a minute")
	}
	must(c.ReadWithin(now, time.Millisecond))
	if _, err := c.Read(make([]byte, 1)); !IsTimeout(err) {
		t.Errorf("got %v, want a timeout", err)
	}
}

// BenchmarkStale is the cost of peeking at an idle connection before its reuse.
func BenchmarkStale(b *testing.B) {
	c, _ := connected(b)
	b.ReportAllocs()
	for b.Loop() {
		if c.Stale(false) {
			b.Fatal("stale")
		}
	}
}
