package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"tether/files"
	"tether/wire/passing"
)

// The words of a hand-over. The new process asks, the old one passes its listeners with a passed in JSON, and the new one answers once
// it serves.
const (
	askWord   = "tether takes over, 1\n"
	serveWord = "tether serves\n"
)

const (
	// askTime limits the time for the question of a new process.
	askTime = 5 * time.Second
	// takeOverTime limits the time until the new process serves. Connections wait meanwhile.
	takeOverTime = time.Minute
)

// passed says to which addresses of the configuration the passed listeners belong: first that for clients, then that for operators.
type passed struct{ Listen, Admin string }

// inheritance is what an old process has passed. A nil inheritance has nothing.
type inheritance struct {
	passed
	conn      *net.UnixConn
	listeners []*net.TCPListener // nil where one was taken
	ended     chan struct{}      // closed when the old process has told all
}

// takeOver asks the process at the socket for its listeners. It returns nil if there is no such process.
func takeOver(path string) (*inheritance, error) {
	if path == "" {
		return nil, nil
	}
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil
	}
	if err != nil {
		return nil, usageError("proxy.handover: %w", err)
	}
	h := &inheritance{conn: c, ended: make(chan struct{})}
	if err := h.receive(); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("the tether at %q does not hand over: %w", path, err)
	}
	return h, nil
}

func (h *inheritance) receive() error {
	if err := h.conn.SetDeadline(time.Now().Add(takeOverTime)); err != nil {
		return err
	}
	if _, err := h.conn.Write([]byte(askWord)); err != nil {
		return err
	}
	text, all, err := passing.Receive(h.conn, make([]byte, 64<<10))
	if err != nil {
		return err
	}
	h.listeners = all
	if err = json.Unmarshal(text, &h.passed); err == nil && len(all) != 2 {
		err = fmt.Errorf("it passed %d listeners, want 2", len(all))
	}
	if err != nil {
		h.close()
	}
	return err
}

// clients returns the listener for clients if it belongs to addr, or nil.
func (h *inheritance) clients(addr string) *net.TCPListener {
	if h == nil || h.Listen != addr {
		return nil
	}
	return h.take(0)
}

// operators returns the listener for operators if it belongs to addr, or nil.
func (h *inheritance) operators(addr string) *net.TCPListener {
	if h == nil || h.Admin != addr {
		return nil
	}
	return h.take(1)
}

func (h *inheritance) take(i int) (l *net.TCPListener) {
	l, h.listeners[i] = h.listeners[i], nil
	return l
}

// serves tells the old process that this one serves, and closes what was not taken.
func (h *inheritance) serves() {
	_ = h.conn.SetDeadline(time.Time{})    // fails on a closed connection alone
	_, _ = h.conn.Write([]byte(serveWord)) // it fails if the old process has died
	h.closeListeners()
}

// close closes everything. Without serves, the old process goes on.
func (h *inheritance) close() {
	if h != nil {
		h.closeListeners()
		_ = h.conn.Close()
	}
}

func (h *inheritance) closeListeners() {
	for i, l := range h.listeners {
		if l != nil {
			_ = l.Close() // of another address
			h.listeners[i] = nil
		}
	}
}

// handover passes the listeners of an app to a new process.
type handover struct {
	*app
	path   string
	socket *net.UnixListener

	pausing    atomic.Bool    // the listener is paused
	paused     chan struct{}  // gets an element when Serve has returned
	resumed    chan bool      // gets true if Serve is to go on
	given      chan struct{}  // closed when a new process serves
	successors chan successor // gets the new process; capacity 1
	relayed    chan []byte    // gets batches of the process before, for the new one
	toldAll    chan struct{}  // closed when the new process gets no more
}

func newHandover(a *app, path string) *handover {
	return &handover{
		app: a, path: path, paused: make(chan struct{}), resumed: make(chan bool), given: make(chan struct{}),
		successors: make(chan successor, 1), relayed: make(chan []byte), toldAll: make(chan struct{}),
	}
}

// listen opens the socket at which a new process asks. It takes the place of a socket that no process listens on any more.
func (h *handover) listen() error {
	if h.path == "" {
		return nil
	}
	if info, err := os.Lstat(h.path); err == nil && info.Mode()&os.ModeSocket != 0 {
		_ = os.Remove(h.path) // the error of listening says more
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: h.path, Net: "unix"})
	if err != nil {
		return usageError("proxy.handover: cannot listen at %q: %s, want the path of a socket in a folder that tether may write to", h.path, files.Reason(err))
	}
	l.SetUnlinkOnClose(false) // the path may be that of a new process
	h.socket = l
	return os.Chmod(h.path, 0o600)
}

// run serves new processes that ask, until one has taken over or ctx ends.
func (h *handover) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = h.socket.Close() })
	defer stop()
	defer func() { _ = h.socket.Close() }()
	for {
		c, err := h.socket.AcceptUnix()
		if ctx.Err() != nil {
			_ = os.Remove(h.path)
			return nil
		}
		if err != nil {
			return err
		}
		if h.serve(ctx, c) {
			close(h.given)
			return nil
		}
	}
}

// serve hands over to the process at the other end of c, and reports whether it serves now. If not, this process goes on.
func (h *handover) serve(ctx context.Context, c *net.UnixConn) bool {
	given := false
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer func() {
		if stop(); !given {
			_ = c.Close()
		}
	}()
	r := bufio.NewReader(c)
	if !hears(c, r, askWord, askTime) {
		return false
	}
	since := time.Now()
	h.log.Info("a new process takes over: no connections are accepted here any more")
	h.pausing.Store(true)
	socket, resume, err := h.listener.Pause()
	if err == nil {
		select {
		case <-h.paused:
		case <-ctx.Done():
			return false
		}
		err = h.pass(c, socket)
	}
	if err == nil && hears(c, r, serveWord, takeOverTime) {
		h.log.Info("a new process has taken over")
		given = true
		h.successors <- successor{c, since}
		h.resume(ctx, false)
		return true
	}
	h.log.Error("the new process does not serve: this one goes on", zap.Error(err))
	h.saved.takeBack()
	h.pausing.Store(false)
	if err := resume(); err != nil {
		h.log.Error("the listener cannot go on", zap.Error(err))
	}
	h.resume(ctx, true)
	return false
}

// pass writes the last snapshot and passes the listeners.
func (h *handover) pass(c *net.UnixConn, socket *net.TCPListener) error {
	if err := h.saved.handOver(); err != nil {
		return err
	}
	s := h.settings.Load()
	text, err := json.Marshal(passed{s.Listen, s.Admin.Listen})
	if err != nil {
		return err
	}
	operators, is := h.adminListener.(*net.TCPListener)
	if !is {
		return errors.New("BUG: the admin listener is none of TCP")
	}
	return passing.Send(c, text, socket, operators)
}

func (h *handover) resume(ctx context.Context, on bool) {
	select {
	case h.resumed <- on:
	case <-ctx.Done():
	}
}

// hears reports whether the next line from c is the word, within a time.
func hears(c net.Conn, r *bufio.Reader, word string, within time.Duration) bool {
	if c.SetReadDeadline(time.Now().Add(within)) != nil {
		return false
	}
	line, err := r.ReadSlice('\n')
	return err == nil && string(line) == word
}

// goesOn is called when Serve has returned because its listener is paused. It waits for the end of the hand-over, and reports whether Serve
// is to go on.
func (h *handover) goesOn(ctx context.Context) bool {
	select {
	case h.paused <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	select {
	case on := <-h.resumed:
		return on
	case <-ctx.Done():
		return false
	}
}

// lastAnswersTime is how long kept connections are served after a hand-over, so that their clients see by the next answer that they end.
const lastAnswersTime = time.Second

// leave ends what the new process does now, and serves the connections that are open for a moment. The shutdown has no other delay.
func (h *handover) leave() {
	h.shutdown.Delayed = func() bool { return false }
	h.admin.Leave()
	h.proxy.LastAnswers()
	select {
	case <-time.After(lastAnswersTime):
	case <-h.shutdown.Immediate.Done():
	case <-h.steps.failed:
	}
}
