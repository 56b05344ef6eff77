package wire

import (
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// Tunnel carries bytes between a client and an upstream, both ways, unchanged and as they arrive, until a side ends. It does not
// look at the bytes.
type Tunnel struct {
	Client *Client
	Up     *Conn
	// Idle is how long both sides may be silent.
	Idle time.Duration
	// Passed is called with the number of bytes received from a side at now, from two goroutines, one at a time.
	Passed func(now time.Time, from Side, n int)

	mu           sync.Mutex
	lastReceived time.Time     // guarded by mu
	endsAt       time.Time     // guarded by mu: when all reads and writes end, zero while the tunnel goes on
	why          End           // guarded by mu: why it ends
	stalls       [2]stallCheck // guarded by mu: of the writes to each side
	clientStuck  bool          // guarded by mu: it ends because the client takes nothing
}

// Side is an end of a Tunnel.
type Side uint8

// The sides.
const (
	ClientSide Side = iota
	UpstreamSide
)

// leaveTime is what remains of a tunnel whose client closed its connection: time to deliver the bytes that the client sent
// before, and for the upstream to end by itself.
const leaveTime = 50 * time.Millisecond

// Run carries the bytes on two goroutines, the caller's and one that has ended when Run returns. early was read from the
// client already; it may lie in upBuf. upBuf and downBuf are the buffers of the two directions.
//
// The End is SourceEnded if the upstream ended; the error is io.EOF if it closed its side in order (under TLS with close_notify) and
// all that it sent was passed on. It is TargetFailed if the client left before that, or took nothing for too long: see
// Stalled. A client that closes its connection has left, unless the upstream closes as well within leaveTime: the upstream is not
// told before, so it closes of its own accord, and both agreed on the end. It is SourceIdle if both were silent. The caller
// closes both connections.
func (t *Tunnel) Run(early, upBuf, downBuf []byte) (End, error) {
	if t.Client.Unbind() || !t.Client.Bind(t) {
		return TargetFailed, nil
	}
	t.begin()
	upEnded := make(chan carried, 1)
	go t.carryUp(early, upBuf, upEnded)
	var down, up carried
	func() {
		defer func() { up = t.join(upEnded) }() // also if Passed panics
		down = t.carry(UpstreamSide, t.Up, t.Client, downBuf)
	}()
	if up.panicked != nil {
		panic(up.panicked)
	}
	return t.outcome(down, up)
}

func (t *Tunnel) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastReceived = time.Now()
	t.stalls[ClientSide] = stallCheck{limit: t.Client.writeTimeout, unsent: t.Client.unsent}
	t.stalls[UpstreamSide] = stallCheck{limit: userTimeout, unsent: t.Up.unsent}
	if t.endsAt.IsZero() {
		_ = t.Client.SetReadDeadline(t.lastReceived.Add(t.Idle)) // on a connection that is gone reads fail as well
		_ = t.Up.SetReadDeadline(t.lastReceived.Add(t.Idle))
	}
}

// join ends carryUp and waits for it.
func (t *Tunnel) join(upEnded <-chan carried) carried {
	t.Client.Unbind()
	t.end(Finished, time.Now())
	defer func() { _ = t.Client.SetDeadline(time.Time{}) }()
	return <-upEnded
}

// carryUp is Run's goroutine: it carries the client's bytes. If the upstream takes no more of them, the tunnel goes on until
// the upstream sends no more either: bytes that it sent before are still to be passed on.
func (t *Tunnel) carryUp(early, buf []byte, ended chan<- carried) {
	var c carried
	defer func() {
		if p := recover(); p != nil {
			c.panicked = fmt.Errorf("%v\n%s", p, debug.Stack())
			t.end(Finished, time.Now())
		}
		ended <- c
	}()
	if len(early) > 0 {
		c.write = t.pass(ClientSide, t.Up, early)
	}
	if c.write == nil {
		c = t.carry(ClientSide, t.Client, t.Up, buf)
	}
	switch {
	case c.read == io.EOF:
		t.Abort()
	case c.read != nil:
		t.end(TargetFailed, time.Now())
	}
}

// carry moves bytes one way, every read as one write, until a read or a write fails.
func (t *Tunnel) carry(side Side, from, to net.Conn, buf []byte) carried {
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if err := t.pass(side, to, buf[:n]); err != nil {
				return carried{write: err}
			}
		}
		if err != nil && !(IsTimeout(err) && t.extend(from)) {
			return carried{read: err}
		}
	}
}

func (t *Tunnel) pass(from Side, to net.Conn, b []byte) error {
	t.received(from, len(b))
	_, err := to.Write(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stalls[1-from].waiting = false
	return err
}

// received notes that bytes were received from a side, which are now written to the other one. A side that sends while it takes
// nothing itself is found out here.
func (t *Tunnel) received(from Side, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastReceived = time.Now()
	t.stalls[1-from].begin(t.lastReceived)
	if t.stalls[from].stuck(t.lastReceived) {
		why := TargetFailed
		if from == UpstreamSide {
			why = SourceEnded
		}
		t.clientStuck = t.endsAt.IsZero() && from == ClientSide
		t.endLocked(why, t.lastReceived)
	}
	t.Passed(t.lastReceived, from, n)
}

// extend moves the read deadline of from, which has passed, and reports true, unless the tunnel is over: the other side was silent
// as well, or the end has come.
func (t *Tunnel) extend(from net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, limit := time.Now(), t.endsAt
	if limit.IsZero() {
		limit = t.lastReceived.Add(t.Idle)
	}
	if now.Before(limit) {
		return from.SetReadDeadline(limit) == nil
	}
	t.endLocked(SourceIdle, now)
	return false
}

// Abort begins the end of a tunnel whose client has left. It implements Aborter.
func (t *Tunnel) Abort() { t.end(TargetFailed, time.Now().Add(leaveTime)) }

// end makes all reads and writes end at the time at, unless they end before. The first reason counts.
func (t *Tunnel) end(why End, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLocked(why, at)
}

func (t *Tunnel) endLocked(why End, at time.Time) {
	switch {
	case t.endsAt.IsZero():
		t.why = why
	case !at.Before(t.endsAt):
		return
	}
	t.endsAt = at
	_ = t.Client.SetDeadline(at) // on a connection that is gone reads and writes fail as well
	_ = t.Up.SetDeadline(at)
}
