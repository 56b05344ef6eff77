package wire

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Tunnel carries bytes between a client and an upstream, both ways, unchanged and as they arrive, until a side ends. The
// bytes mean nothing to it.
type Tunnel struct {
	Client *Client
	Up     *Conn
	// Idle is how long both sides may be silent.
	Idle time.Duration
	// Passed is told how many bytes came from a side at now. It is called from two goroutines, one at a time.
	Passed func(now time.Time, from Side, n int)

	mu     sync.Mutex
	last   time.Time // guarded by mu: when bytes last came
	by     time.Time // guarded by mu: when all is over, zero while the tunnel goes on
	why    End       // guarded by mu: and why
	writes [2]write  // guarded by mu: to each side

	stalled bool // guarded by mu: it was over because the client took nothing
}

// Side is an end of a Tunnel.
type Side uint8

// The sides.
const (
	ClientSide Side = iota
	UpstreamSide
)

// leaveTime is what is left of a tunnel whose client closed its connection: time for the bytes that it sent before, and
// for the upstream to end by itself.
const leaveTime = 50 * time.Millisecond

// Run carries the bytes on two goroutines, the caller's and one that has ended when it returns. early was read from the
// client already; it may lie in up, the room for what goes up. down is the room for what comes down.
//
// SourceEnded says that the upstream ended; the error is io.EOF if it closed its side in order, under TLS with close_notify, and all
// that it sent was passed on. TargetFailed says that the client left before that, or took nothing for too long: see Stalled. A client that closes its
// connection has left, unless the upstream closes as well within leaveTime. That one is not told before, so it does so of its
// own accord: both agreed on the end, and the client was quicker. SourceIdle says that both were silent. Both connections are
// the caller's to close.
func (t *Tunnel) Run(early, up, down []byte) (End, error) {
	if t.Client.Unbind() || !t.Client.Bind(t) {
		return TargetFailed, nil
	}
	t.begin()
	sent := make(chan carried, 1)
	go t.carryUp(early, up, sent)
	var got, put carried
	func() {
		defer func() { put = t.join(sent) }()
		got = t.carry(UpstreamSide, t.Up, t.Client, down)
	}()
	switch {
	case put.panicked != nil:
		panic(put.panicked)
	case t.clientStalled(got.write, put.read):
		return TargetFailed, unix.ETIMEDOUT
	case got.write != nil && !IsTimeout(got.write):
		return TargetFailed, got.write
	case got.read == io.EOF && isCut(put.write):
		return SourceEnded, put.write // who asks a socket first is told its error, the other one the end
	case got.read == io.EOF, got.read == errNoGoodbye, t.why == Finished:
		return SourceEnded, got.read
	}
	return t.why, cmp.Or(got.read, got.write)
}

// clientStalled reports whether the client took nothing for too long, after all has ended. Where the kernel found that, it tells
// whoever asks first, and that may be nobody.
func (t *Tunnel) clientStalled(write, read error) bool {
	return t.stalled || Stalled(write) || Stalled(read) || Stalled(t.Client.failure())
}

// carried is how one direction ended.
type carried struct {
	read, write error // one of them
	panicked    error
}

// isCut reports whether a failed write tells that the connection was cut. Where the peer had closed it, that is EPIPE.
func isCut(err error) bool { return err != nil && !IsTimeout(err) && !errors.Is(err, unix.EPIPE) }

func (t *Tunnel) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Now()
	t.writes[ClientSide] = write{limit: t.Client.writeTimeout, unsent: t.Client.unsent}
	t.writes[UpstreamSide] = write{limit: userTimeout, unsent: t.Up.unsent}
	if t.by.IsZero() {
		_ = t.Client.SetReadDeadline(t.last.Add(t.Idle)) // of a connection that is gone reads fail as well
		_ = t.Up.SetReadDeadline(t.last.Add(t.Idle))
	}
}

// join ends carryUp and waits for it.
func (t *Tunnel) join(sent <-chan carried) carried {
	t.Client.Unbind()
	t.end(Finished, time.Now())
	defer func() { _ = t.Client.SetDeadline(time.Time{}) }()
	return <-sent
}

// carryUp is Run's goroutine: it carries what the client sends. Where the upstream takes no more of that, the tunnel goes on
// until nothing comes from it either: what it sent before is still to be passed on.
func (t *Tunnel) carryUp(early, room []byte, sent chan<- carried) {
	var c carried
	defer func() {
		if p := recover(); p != nil {
			c.panicked = fmt.Errorf("%v\n%s", p, debug.Stack())
			t.end(Finished, time.Now())
		}
		sent <- c
	}()
	if len(early) > 0 {
		c.write = t.pass(ClientSide, t.Up, early)
	}
	if c.write == nil {
		c = t.carry(ClientSide, t.Client, t.Up, room)
	}
	switch {
	case c.read == io.EOF:
		t.Abort()
	case c.read != nil:
		t.end(TargetFailed, time.Now())
	}
}

// carry moves bytes one way, every read as one write, until one of the two fails.
func (t *Tunnel) carry(side Side, from, to net.Conn, room []byte) carried {
	for {
		n, err := from.Read(room)
		if n > 0 {
			if err := t.pass(side, to, room[:n]); err != nil {
				return carried{write: err}
			}
		}
		if err != nil && !(IsTimeout(err) && t.silent(from)) {
			return carried{read: err}
		}
	}
}

// pass writes what came from a side to the other one.
func (t *Tunnel) pass(from Side, to net.Conn, b []byte) error {
	t.came(from, len(b))
	_, err := to.Write(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes[1-from].waiting = false
	return err
}

// came notes that bytes came from a side, which are now written to the other one.
func (t *Tunnel) came(from Side, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = time.Now()
	t.writes[1-from].begin(t.last)
	if t.writes[from].stuck(t.last) {
		why := TargetFailed
		if from == UpstreamSide {
			why = SourceEnded
		}
		t.stalled = t.by.IsZero() && from == ClientSide
		t.endLocked(why, t.last)
	}
	t.Passed(t.last, from, n)
}

// silent reports whether the tunnel goes on though from was silent until its read limit, and moves that.
func (t *Tunnel) silent(from net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, limit := time.Now(), t.by
	if limit.IsZero() {
		limit = t.last.Add(t.Idle)
	}
	if now.Before(limit) {
		return from.SetReadDeadline(limit) == nil
	}
	t.endLocked(SourceIdle, now)
	return false
}

// Abort begins the end of a tunnel whose client has left. It implements Aborter.
func (t *Tunnel) Abort() { t.end(TargetFailed, time.Now().Add(leaveTime)) }

// end makes all reads and writes end at by, if they do not already before. The first reason counts.
func (t *Tunnel) end(why End, by time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(why, by)
}

func (t *Tunnel) endLocked(why End, by time.Time) {
	switch {
	case t.by.IsZero():
		t.why = why
	case !by.Before(t.by):
		return
	}
	t.by = by
	_ = t.Client.SetDeadline(by) // as above
	_ = t.Up.SetDeadline(by)
}
