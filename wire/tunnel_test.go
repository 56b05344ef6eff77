package wire

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bore is a running tunnel, and the far ends of both its connections.
type bore struct {
	t            testing.TB
	client, up   *net.TCPConn
	early        []byte
	idle         time.Duration
	nearClient   *Client
	nearUp       *Conn
	fromC, fromU atomic.Int64 // bytes received from the client and the upstream
	sent         int64        // bytes that the client sent, as far as the test counts
	ended        chan ended
}

type ended struct {
	end End
	err error
}

// newBore opens the connections of a tunnel; Run begins with run.
func newBore(t testing.TB, cfg ListenConfig) *bore {
	t.Helper()
	b := &bore{t: t, idle: patience, ended: make(chan ended, 1)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.nearUp = dial(t, l.Addr().String())
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	b.up = far.(*net.TCPConn)
	b.client, b.nearClient = connect(t, listen(t, cfg))
	for _, c := range []net.Conn{b.client, b.up} {
		c.SetDeadline(time.Now().Add(patience))
	}
	return b
}

func (b *bore) run() *bore {
	tunnel := Tunnel{Client: b.nearClient, Up: b.nearUp, Idle: b.idle, Passed: func(_ time.Time, from Side, n int) {
		if from == ClientSide {
			b.fromC.Add(int64(n))
		} else {
			b.fromU.Add(int64(n))
		}
	}}
	b.nearClient.Bind(b.nearUp) // as the proxy leaves it
	go func() {
		end, err := tunnel.Run(b.early, make([]byte, 4<<10), make([]byte, 4<<10))
		b.nearUp.Close()
		b.nearClient.CloseWrite()
		b.nearClient.SetReadDeadline(time.Now().Add(time.Second))
		io.Copy(io.Discard, b.nearClient) // a reset would overtake bytes on their way
		b.nearClient.Close()
		b.ended <- ended{end, err}
	}()
	return b
}

// end waits for the end and compares it; err may be nil for any error.
func (b *bore) end(want End, err error) {
	b.t.Helper()
	select {
	case got := <-b.ended:
		if got.end != want || err != nil && !errors.Is(got.err, err) {
			b.t.Errorf("end %d, %v, want %d, %v", got.end, got.err, want, err)
		}
	case <-time.After(patience):
		b.t.Fatal("the tunnel does not end")
	}
}

func (b *bore) pass(from, to net.Conn, text string) {
	b.t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		b.t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to, got); err != nil || string(got) != text {
		b.t.Fatalf("%q, %v, want %q", got, err, text)
	}
}

// All bytes arrive, in their order, both ways at once, and the early ones are first.
func TestTunnelIsTransparent(t *testing.T) {
	t.Parallel()
	b := newBore(t, ListenConfig{})
	b.early = []byte("early")
	b.run()
	text := make([]byte, 8<<20)
	_, _ = rand.Read(text)
	var all sync.WaitGroup
	for i, c := range [][2]*net.TCPConn{{b.client, b.up}, {b.up, b.client}} {
		all.Go(func() {
			if _, err := c[0].Write(text); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			want := text
			if i == 0 {
				want = append(bytes.Clone(b.early), text...)
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c[1], got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("direction %d: not the bytes that were sent, %v", i, err)
			}
		})
	}
	all.Wait()
	b.up.Close()
	b.end(SourceEnded, io.EOF)
	if up, down := b.fromC.Load(), b.fromU.Load(); up != int64(len(text)+len(b.early)) || down != int64(len(text)) {
		t.Errorf("%d and %d bytes counted, want %d", up, down, len(text))
	}
}

func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// ways are the ways in which a side ends.
var ways = map[string]func(*net.TCPConn){
	"close": func(c *net.TCPConn) { c.Close() }, "reset": reset, "half-close": func(c *net.TCPConn) { c.CloseWrite() },
}

func TestTunnelUpstreamEnds(t *testing.T) {
	for name, leave := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBore(t, ListenConfig{}).run()
			b.pass(b.up, b.client, "hello")
			if name == "reset" {
				leave(b.up)
				got := <-b.ended
				if got.end != SourceEnded || !isReset(got.err) {
					t.Errorf("end %d, %v", got.end, got.err)
				}
				return
			}
			b.up.Write([]byte("bye"))
			leave(b.up)
			if rest, err := io.ReadAll(b.client); err != nil || string(rest) != "bye" {
				t.Errorf("the client got %q, %v", rest, err)
			}
			b.end(SourceEnded, io.EOF)
		})
	}
}

// clogged fills the pipe to the upstream, which reads nothing, until the tunnel's write waits. The tunnel has received all that
// the client sent by then: a FIN after more bytes than the sockets hold cannot be seen.
func (b *bore) clogged() {
	b.t.Helper()
	buf := make([]byte, 16<<10)
	for b.fromC.Load() == b.sent {
		n, err := b.client.Write(buf)
		if b.sent += int64(n); err != nil {
			b.t.Fatal(err)
		}
		for wait := time.Now().Add(100 * time.Millisecond); b.fromC.Load() < b.sent && time.Now().Before(wait); {
			time.Sleep(time.Millisecond)
		}
	}
}

// A client that leaves ends the tunnel within 100 ms, in whatever way it leaves and whatever the tunnel is doing.
func TestTunnelClientLeaves(t *testing.T) {
	for name, leave := range ways {
		for at, prepare := range map[string]func(*bore){
			"idle":                    func(*bore) {},
			"the upstream sends":      func(b *bore) { go io.Copy(b.up, endless{}) },
			"the upstream is clogged": (*bore).clogged,
			"clogged, and it sends":   func(b *bore) { b.clogged(); go io.Copy(b.up, endless{}) },
		} {
			t.Run(name+", "+at, func(t *testing.T) {
				b := newBore(t, ListenConfig{}).run()
				b.pass(b.client, b.up, "hello")
				b.sent = 5
				prepare(b)
				started := time.Now()
				leave(b.client)
				b.end(TargetFailed, nil)
				if took := time.Since(started); took > patience/2 { // 50 ms, on a machine that is not busy
					t.Errorf("the tunnel ended after %v", took)
				}
			})
		}
	}
}

// endless is a reader without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// Bytes that a client sent before it left still arrive, if the upstream takes them in time.
func TestTunnelDeliversLastBytes(t *testing.T) {
	t.Parallel()
	const rounds = 20
	whole := 0
	for range rounds {
		b := newBore(t, ListenConfig{}).run()
		b.pass(b.up, b.client, "hello")
		text := bytes.Repeat([]byte("0123456789"), 10_000)
		b.client.Write(text)
		b.client.Close()
		got, _ := io.ReadAll(b.up)
		if !bytes.HasPrefix(text, got) {
			t.Fatal("other bytes arrived")
		}
		if len(got) == len(text) {
			whole++
		}
		b.end(TargetFailed, nil)
	}
	if whole < rounds/2 { // in the others the machine was busy for 50 ms
		t.Errorf("all arrived %d times of %d", whole, rounds)
	}
}

// A client that closes first has not left if the upstream closes as well: both ended a closing handshake.
func TestTunnelBothEnd(t *testing.T) {
	b := newBore(t, ListenConfig{}).run()
	b.pass(b.client, b.up, "closing")
	b.client.CloseWrite()
	b.pass(b.up, b.client, "closed") // on the way already
	b.up.Close()
	b.end(SourceEnded, io.EOF)
}

// narrow makes the client's pipe hold less than the upstream has sent.
func (b *bore) narrow() {
	b.client.SetReadBuffer(16 << 10)
	b.nearClient.tcp.(*net.TCPConn).SetWriteBuffer(16 << 10)
}

// Bytes that an upstream sent before its connection was cut are still passed on, also to a slow client.
func TestTunnelUpstreamIsCut(t *testing.T) {
	for name, busy := range map[string]bool{"the client is silent": false, "the client sends": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBore(t, ListenConfig{})
			b.narrow()
			b.run()
			text := make([]byte, 100<<10)
			if _, err := b.up.Write(text); err != nil {
				t.Fatal(err)
			}
			reset(b.up)
			if busy {
				b.client.Write([]byte("anybody there?"))
				for b.fromC.Load() == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			got, err := io.ReadAll(b.client)
			if err != nil || len(got) != len(text) {
				t.Errorf("%d bytes of %d arrived, %v", len(got), len(text), err)
			}
			if e := <-b.ended; e.end != SourceEnded || e.err == nil || e.err == io.EOF {
				t.Errorf("end %d, %v", e.end, e.err)
			}
		})
	}
}

// An upstream that closed in order has ended in order, though the client goes on sending.
func TestTunnelUpstreamClosesOnSender(t *testing.T) {
	t.Parallel()
	b := newBore(t, ListenConfig{})
	b.narrow()
	b.run()
	text := make([]byte, 100<<10)
	b.up.Write(text)
	b.up.Close()
	for range 10 {
		b.client.Write([]byte("anybody there?"))
		time.Sleep(time.Millisecond)
	}
	if got, err := io.ReadAll(b.client); len(got) != len(text) {
		t.Errorf("%d bytes of %d arrived, %v", len(got), len(text), err)
	}
	b.end(SourceEnded, io.EOF)
}

// Both sides must be silent for the idle limit; one side may be silent for longer.
func TestTunnelIdle(t *testing.T) {
	t.Parallel()
	const idle = 3 * time.Second
	for name, speak := range map[string]func(b *bore) (from, to net.Conn){
		"the client speaks":   func(b *bore) (net.Conn, net.Conn) { return b.client, b.up },
		"the upstream speaks": func(b *bore) (net.Conn, net.Conn) { return b.up, b.client },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBore(t, ListenConfig{})
			b.idle = idle
			b.run()
			from, to := speak(b)
			started := time.Now()
			for time.Since(started) < idle*3/2 {
				b.pass(from, to, "x")
			}
			last := time.Now()
			b.end(SourceIdle, nil)
			if took := time.Since(last); took < idle/2 {
				t.Errorf("ended after %v of silence, want %v", took, idle)
			}
		})
	}
}

// rhythms are how a side sends that takes nothing. The kernel's own limit never ends one that sends every millisecond.
var rhythms = map[string]func(*net.TCPConn){
	"silent":         func(*net.TCPConn) {},
	"sends a little": func(c *net.TCPConn) { keepSending(c, 50*time.Millisecond) },
	"sends a lot":    func(c *net.TCPConn) { keepSending(c, time.Millisecond) },
}

func keepSending(c *net.TCPConn, pause time.Duration) {
	for _, err := c.Write([]byte("x")); err == nil; _, err = c.Write([]byte("x")) {
		time.Sleep(pause)
	}
}

// A client that takes nothing is cut, whatever it sends.
func TestTunnelClientTakesNothing(t *testing.T) {
	t.Parallel()
	for name, speak := range rhythms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBore(t, ListenConfig{WriteTimeout: time.Second}).run()
			go io.Copy(b.up, endless{})
			go io.Copy(io.Discard, b.up)
			go speak(b.client)
			b.end(TargetFailed, unix.ETIMEDOUT)
		})
	}
}

// A client that takes little, but takes it, is not cut.
func TestTunnelClientTakesLittle(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	b := newBore(t, ListenConfig{WriteTimeout: limit}).run()
	go io.Copy(b.up, endless{})
	go io.Copy(io.Discard, b.up)
	go rhythms["sends a lot"](b.client)
	for started := time.Now(); time.Since(started) < 4*limit; time.Sleep(limit / 10) {
		if _, err := io.ReadFull(b.client, make([]byte, 128<<10)); err != nil {
			t.Fatalf("cut after %v: %v", time.Since(started), err)
		}
	}
	b.up.Close()
	reset(b.client)
	<-b.ended
}

// An upstream that takes nothing is cut, whatever it sends. Bytes that its kernel takes, when that enlarges its buffer, count as
// taken: that may go on for a while.
func TestTunnelUpstreamTakesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as an upstream may take nothing")
	}
	t.Parallel()
	for name, speak := range rhythms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBore(t, ListenConfig{})
			for _, c := range []net.Conn{b.client, b.up} {
				c.SetDeadline(time.Now().Add(5 * userTimeout))
			}
			b.idle = time.Hour
			b.run()
			go io.Copy(b.client, endless{})
			go io.Copy(io.Discard, b.client)
			go speak(b.up)
			stop := time.AfterFunc(4*userTimeout, func() { reset(b.up) })
			defer stop.Stop()
			started := time.Now()
			got := <-b.ended
			if took := time.Since(started); got.end != SourceEnded || got.err == io.EOF || took < userTimeout*3/4 || took > 3*userTimeout {
				t.Errorf("end %d, %v after %v", got.end, got.err, took)
			}
		})
	}
}

// If both sides send and neither takes anything, both directions wait in a write and neither checks the other: then the kernel's
// own timer expires.
func TestTunnelNeitherSideTakesAnything(t *testing.T) {
	t.Parallel()
	b := newBore(t, ListenConfig{WriteTimeout: time.Second}).run()
	go io.Copy(b.up, endless{})
	go io.Copy(b.client, endless{})
	b.end(TargetFailed, nil)
}

// Cut ends a tunnel at once, and the client sees a reset.
func TestTunnelIsCut(t *testing.T) {
	b := newBore(t, ListenConfig{}).run()
	b.pass(b.up, b.client, "hello")
	b.nearClient.Cut()
	if _, err := b.client.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("the client read %v, want a reset", err)
	}
	b.end(TargetFailed, nil)
}

// There is no tunnel for a client that left before it began.
func TestTunnelOfAGoneClient(t *testing.T) {
	b := newBore(t, ListenConfig{})
	gone := make(signal)
	b.nearClient.Bind(gone)
	b.client.Close()
	gone.wait(t)
	tunnel := Tunnel{Client: b.nearClient, Up: b.nearUp, Idle: patience}
	if end, _ := tunnel.Run(nil, nil, nil); end != TargetFailed {
		t.Errorf("end %d", end)
	}
}

// A panic in Passed ends the tunnel, on the caller's goroutine.
func TestTunnelPanics(t *testing.T) {
	for name, from := range map[string]func(b *bore) net.Conn{
		"up": func(b *bore) net.Conn { return b.client }, "down": func(b *bore) net.Conn { return b.up },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBore(t, ListenConfig{})
			from(b).Write([]byte("x"))
			tunnel := Tunnel{Client: b.nearClient, Up: b.nearUp, Idle: patience, Passed: func(time.Time, Side, int) { panic("passed") }}
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "passed") {
					t.Errorf("on the caller's goroutine: %v", p)
				}
			}()
			tunnel.Run(nil, make([]byte, 10), make([]byte, 10))
		})
	}
}

// Passing bytes on allocates nothing.
func TestTunnelAllocatesNothing(t *testing.T) {
	b := newBore(t, ListenConfig{}).run()
	message, buf := []byte("message"), make([]byte, 100)
	echo := func(from, to net.Conn) {
		if _, err := from.Write(message); err != nil {
			t.Fatal(err)
		}
		if n, err := to.Read(buf); n != len(message) {
			t.Fatal(n, err)
		}
	}
	if n := testing.AllocsPerRun(1000, func() { echo(b.client, b.up); echo(b.up, b.client) }); n > 0 {
		t.Errorf("%v allocations for two messages", n)
	}
	b.up.Close()
	b.end(SourceEnded, io.EOF)
}
