package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"tether/wire/loop"
)

// ListenConfig is how clients are accepted. The zero value sets no limit and speaks no TLS.
type ListenConfig struct {
	// WriteTimeout is how long a client's receive window may stay shut, or its host silent, before the kernel
	// cuts the connection (TCP_USER_TIMEOUT); 0 leaves that to TCP's own limits. Linux only.
	WriteTimeout time.Duration
	// TLS is what clients must speak, nil for none. Client.Handshake begins it.
	TLS *tls.Config
	// Loops drive the clients that speak no TLS. With nil, goroutines and the Watch do.
	Loops *loop.Loops
	// Socket is a listening socket that another process has passed: Listen takes it over, even if it fails, and opens none. Its options
	// become those of this configuration.
	Socket *net.TCPListener
	// OnFailure is called when a client could not be accepted, for lack of descriptors or memory; it may be nil. The client
	// waits in the backlog, or is gone.
	OnFailure func()
}

// Listener accepts clients and hands them to its Watch.
type Listener struct {
	tcp       *net.TCPListener
	watch     *Watch
	acceptor  *acceptor // of clients for loops, nil without loops
	terms     atomic.Pointer[terms]
	paused    atomic.Bool
	onFailure func()
}

// terms are what the clients that are accepted from now on get.
type terms struct {
	tls          *tls.Config
	writeTimeout time.Duration
}

// keepAlive finds a vanished host after 25 s of silence; where the socket has a user timeout, Linux waits for that to pass
// instead of counting probes. There are many probes, because those of thousands of connections that were made at once are sent at
// once and get lost: two lost in a row cut 4,181 of 10,000 idle clients on the loopback, whose queue takes 1,000.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 3 * time.Second, Count: 5}

// maxUnsent bounds the bytes that the kernel takes for a client before it can send them: without a bound it takes megabytes for
// each client that does not read. Bytes under way to a client that reads do not count. Linux only.
const maxUnsent = 128 << 10

// Listen opens addr, "host:port" with an empty host for all addresses. watch must be running while clients are served.
func Listen(addr string, cfg ListenConfig, watch *Watch) (*Listener, error) {
	options := socketOptions(cfg.WriteTimeout, maxUnsent)
	if cfg.Loops != nil {
		options = inherited(options)
	}
	if cfg.Socket != nil {
		return adopt(cfg, options, watch)
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive, Control: options}
	lc.SetMultipathTCP(false) // with MPTCP, Go's default, clients do not inherit every option
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return newListener(l.(*net.TCPListener), cfg, watch)
}

// adopt is Listen with the socket of cfg.
func adopt(cfg ListenConfig, options func(network, address string, raw syscall.RawConn) error, watch *Watch) (*Listener, error) {
	raw, err := cfg.Socket.SyscallConn()
	if err == nil && options != nil {
		err = options("tcp", "", raw)
	}
	if err != nil {
		_ = cfg.Socket.Close()
		return nil, err
	}
	return newListener(cfg.Socket, cfg, watch)
}

// newListener takes over tcp, even if it fails.
func newListener(tcp *net.TCPListener, cfg ListenConfig, watch *Watch) (l *Listener, err error) {
	l = &Listener{tcp: tcp, watch: watch, onFailure: cfg.OnFailure}
	l.terms.Store(&terms{cfg.TLS, cfg.WriteTimeout})
	if cfg.Loops != nil {
		if l.acceptor, err = newAcceptor(cfg.Loops, tcp); err != nil {
			_ = tcp.Close()
			return nil, err
		}
	}
	return l, nil
}

// Use changes the TLS and the write timeout of the clients that are accepted from now on; see ListenConfig. Others keep theirs.
func (l *Listener) Use(secure *tls.Config, writeTimeout time.Duration) error {
	raw, err := l.tcp.SyscallConn()
	if err != nil {
		return err
	}
	if set := socketOptions(writeTimeout, 0); set != nil {
		if err := set("tcp", "", raw); err != nil {
			return err
		}
	}
	l.terms.Store(&terms{secure, writeTimeout})
	return nil
}

// Addr is the address of the listener.
func (l *Listener) Addr() net.Addr { return l.tcp.Addr() }

// Close ends Accept. Accepted clients stay.
func (l *Listener) Close() error {
	if l.acceptor != nil {
		l.acceptor.Close()
	}
	return l.tcp.Close()
}

// handshakeTime is for how long Drain lets handshakes end that have begun, and clients send their first request.
const handshakeTime = 50 * time.Millisecond

// Drain makes the kernel begin no more connections, and waits until Accept, on another goroutine, has accepted those that it has
// begun, or ctx ends. Close would reset them, although their clients may have sent a request. A client that begins to connect
// meanwhile tries again after a second. Where the kernel cannot do it, Drain does nothing. The listener must still be closed.
func (l *Listener) Drain(ctx context.Context) {
	raw, err := l.tcp.SyscallConn()
	if err != nil || dropNew(raw) != nil {
		return
	}
	for begun := time.Now(); time.Since(begun) < handshakeTime || backlog(raw) > 0; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(handshakeTime / 10):
		}
	}
}

// acceptBackOff is how long Accept pauses when the process is out of descriptors or memory: long enough not to
// spin, short enough to go on as soon as a connection is closed.
const acceptBackOff = 10 * time.Millisecond

// Accept waits for the next client. It returns an error only when the listener is closed: a lack of descriptors passes,
// and must not end a server.
func (l *Listener) Accept() (*Client, error) {
	for {
		c, err := l.accept()
		if err == nil {
			return c, nil
		}
		if errors.Is(err, net.ErrClosed) || l.paused.Load() {
			return nil, net.ErrClosed
		}
		if l.onFailure != nil {
			l.onFailure()
		}
		time.Sleep(acceptBackOff)
	}
}

func (l *Listener) accept() (*Client, error) {
	if l.acceptor != nil && l.terms.Load().tls == nil {
		return l.acceptOnLoop()
	}
	conn, err := l.tcp.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return l.watched(conn, l.terms.Load())
}

// watched is the client of a connection of Go's poller.
func (l *Listener) watched(conn *net.TCPConn, t *terms) (*Client, error) {
	c := &Client{Conn: t.secured(conn), tcp: conn, watch: l.watch, writeTimeout: t.writeTimeout}
	if err := l.watch.add(c); err != nil {
		_ = conn.Close() // the watch's error is the one that matters
		return nil, err
	}
	return c, nil
}

func (t *terms) secured(conn *net.TCPConn) net.Conn {
	if t.tls == nil {
		return conn
	}
	return tls.Server(conn, t.tls)
}
