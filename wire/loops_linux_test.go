package wire

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"tether/tlsfiles/tlstest"
	"tether/wire/loop"
)

// overEach runs a test over each engine that has loops, if the kernel allows it.
func overEach(t *testing.T, test func(t *testing.T, engine string)) {
	for _, engine := range []string{loop.EngineEpoll, loop.EngineUring} {
		t.Run(engine, func(t *testing.T) {
			ls, err := loop.New(engine, 1)
			if err != nil {
				t.Skip(err)
			}
			ls.Close()
			test(t, engine)
		})
	}
}

// onLoops opens a loopback listener whose clients are on event loops, all ended with the test.
func onLoops(t *testing.T, engine string) *Listener {
	t.Helper()
	loops, err := loop.New(engine, 2)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- loops.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return listen(t, ListenConfig{Loops: loops})
}

func TestClientOfALoop(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, c := connect(t, onLoops(t, engine))
		if c.Driven() == nil || c.Secure() {
			t.Fatal("no loop can drive the client")
		}
		peer.Write([]byte("hello"))
		awaitNoise(t, c)
		buf := make([]byte, 5)
		if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" || !c.Quiet() {
			t.Errorf("%q, %v", buf, err)
		}
		if c.RemoteAddr().String() != peer.LocalAddr().String() {
			t.Errorf("the client is %v, want %v", c.RemoteAddr(), peer.LocalAddr())
		}
		gone := make(signal)
		if !c.Bind(gone) {
			t.Fatal("the peer left before it did")
		}
		peer.Close()
		gone.wait(t)
		if !c.Unbind() {
			t.Error("the client does not know that its peer left")
		}
	})
}

func TestCutClientOfALoop(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		peer, c := connect(t, onLoops(t, engine))
		gone := make(signal)
		c.Bind(gone)
		c.Cut()
		gone.wait(t)
		if _, err := peer.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("the peer saw %v", err)
		}
	})
}

// A connection to an upstream goes on on the loop of a client, and not on that of another one.
func TestJoinClient(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		l := onLoops(t, engine)
		_, first := connect(t, l)
		_, second := connect(t, l)
		_, other := connect(t, listen(t, ListenConfig{}))
		up, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer up.Close()
		c := dial(t, up.Addr().String())
		peer, err := up.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		if c.Join(other) || c.Driven() != nil {
			t.Error("joined a client without a loop")
		}
		if !c.Near(first) || !c.Near(second) || !c.Join(first) {
			t.Fatal("not joined")
		}
		if c.Near(second) || !c.Near(first) || !c.Near(other) || c.Join(second) || !c.Join(first) {
			t.Error("it is on both loops")
		}
		parts := Parts{[]byte("b"), []byte("c"), []byte("d")}
		if err := c.WriteAll([]byte("a"), &parts); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4)
		if _, err := io.ReadFull(peer, buf); err != nil || string(buf) != "abcd" {
			t.Errorf("%q, %v", buf, err)
		}
		peer.Write([]byte("unasked"))
		for deadline := time.Now().Add(patience); !c.Stale(true); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the loop does not know of unasked bytes")
			}
		}
		c.Drop()
		if _, err := peer.Read(buf); err == nil {
			t.Error("the upstream sees no end")
		}
	})
}

// A connection that joins a loop has a new socket, without the deadline of the former one: the next read sets its own.
func TestReadWithinAfterJoin(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		_, client := connect(t, onLoops(t, engine))
		up, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer up.Close()
		c := dial(t, up.Addr().String())
		defer c.Drop()
		now, limit := time.Now(), 2*time.Second
		if err := c.ReadWithin(now, limit); err != nil {
			t.Fatal(err)
		}
		if !c.Join(client) {
			t.Fatal("not joined")
		}
		if err := c.ReadWithin(now.Add(time.Millisecond), limit); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
		select {
		case err := <-ended:
			if !IsTimeout(err) {
				t.Errorf("the read ended with %v", err)
			}
		case <-time.After(patience):
			t.Fatal("the read of a silent connection has no limit")
		}
	})
}

// Clients that must speak TLS from now on are on no loop, also one that Accept waited for before.
func TestLoopsGiveWayToTLS(t *testing.T) {
	overEach(t, func(t *testing.T, engine string) {
		l := onLoops(t, engine)
		authority := tlstest.NewAuthority(t)
		accepted := make(chan *Client, 2)
		accept := func() {
			c, err := l.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- c
		}
		go accept()
		time.Sleep(50 * time.Millisecond) // most likely it waits by now; if not, the test proves less
		cfg := &tls.Config{Certificates: []tls.Certificate{authority.Issue(time.Hour, "127.0.0.1").Load(t)}}
		if err := l.Use(cfg, time.Second); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			peer, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			c := <-accepted
			defer c.Close()
			if !c.Secure() || c.Driven() != nil {
				t.Errorf("secure %v, driven %v", c.Secure(), c.Driven() != nil)
			}
			go accept()
		}
		peer, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer.Close()
		(<-accepted).Close()
	})
}
