package wire

import (
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"tether/failure"
)

func TestPeerLeaves(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"close":      func(c *net.TCPConn) { c.Close() },
		"reset":      func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
		"half-close": func(c *net.TCPConn) { c.CloseWrite() },
		"unread bytes pending": func(c *net.TCPConn) {
			c.Write([]byte("GET /pipelined HTTP/1.1\r\n\r\n"))
			c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			peer, c := connect(t, listen(t, ListenConfig{}))
			gone := make(signal)
			if !c.Bind(gone) {
				t.Fatal("the peer left before it did")
			}
			leave(peer)
			gone.wait(t)
			if !c.Unbind() {
				t.Error("the client does not know that its peer left")
			}
			if c.Bind(make(signal)) {
				t.Error("bound to a peer that left")
			}
		})
	}
}

func TestUnboundIsNotAborted(t *testing.T) {
	peer, c := connect(t, listen(t, ListenConfig{}))
	first, second := make(signal), make(signal)
	c.Bind(first)
	if c.Unbind() {
		t.Fatal("the peer left before it did")
	}
	c.Bind(second)
	peer.Close()
	second.wait(t)
	select {
	case <-first:
		t.Error("aborted after Unbind")
	default:
	}
}

func TestBindingTwiceIsABug(t *testing.T) {
	_, c := connect(t, listen(t, ListenConfig{}))
	c.Bind(make(signal))
	defer func() {
		if recover() == nil {
			t.Error("bound twice")
		}
	}()
	c.Bind(make(signal))
}

// A reused descriptor must not get the events of its former user.
func TestDescriptorReuse(t *testing.T) {
	l := listen(t, ListenConfig{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				peer, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				peer.Close()
			}
		})
	}
	for range 400 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	// From here on the other dialers' connections are the ones that stay open.
	var kept []*Client
	for range 400 {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, c)
	}
	wg.Wait()
	deadline := time.Now().Add(patience)
	for _, c := range kept {
		for !c.Unbind() {
			if time.Now().After(deadline) {
				t.Fatal("a client does not know that its peer left")
			}
			runtime.Gosched()
		}
		c.Close()
	}
	if n := len(l.watch.clients); n != 0 {
		t.Errorf("%d clients left in the watch", n)
	}
}

func TestResetIsSeenAsReset(t *testing.T) {
	l := listen(t, ListenConfig{})
	peer, c := connect(t, l)
	c.Write([]byte("half an answer"))
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	if n := len(l.watch.clients); n != 0 {
		t.Errorf("%d clients left in the watch", n)
	}
	b := make([]byte, 100)
	for {
		_, err := peer.Read(b)
		if err == nil {
			continue
		}
		if kindOf(err) != failure.Unreachable || !isReset(err) {
			t.Errorf("got %v, want a reset", err)
		}
		return
	}
}

func TestCut(t *testing.T) {
	peer, c := connect(t, listen(t, ListenConfig{}))
	gone := make(signal)
	c.Bind(gone)
	c.Cut()
	gone.wait(t)
	if _, err := peer.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("the peer saw %v", err)
	}
	c.Cut() // again does no harm
	if !c.Unbind() {
		t.Error("not left")
	}
}

// BenchmarkBind is what the watch costs a request.
func BenchmarkBind(b *testing.B) {
	_, c := connect(b, listen(b, ListenConfig{}))
	gone := make(signal)
	b.ReportAllocs()
	for b.Loop() {
		c.Bind(gone)
		c.Unbind()
	}
}

func TestQuiet(t *testing.T) {
	peer, c := connect(t, listen(t, ListenConfig{}))
	if !c.Quiet() {
		t.Fatal("a connection without a byte is not quiet")
	}
	if _, err := peer.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	awaitNoise(t, c)
	var b [1]byte
	if _, err := c.Read(b[:]); err != nil || !c.Quiet() {
		t.Errorf("after the byte was read (%v), the connection is not quiet", err)
	}
	peer.Close()
	awaitNoise(t, c)
}

// awaitNoise waits until c is not quiet.
func awaitNoise(t *testing.T, c *Client) {
	t.Helper()
	for end := time.Now().Add(patience); c.Quiet(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the connection stays quiet")
		}
	}
}
