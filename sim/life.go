package sim

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// life is one period of listening, from Start to Stop, Kill or the end of Drain. For a real vLLM it is the process.
type life struct {
	srv    *Server
	ln     net.Listener
	http   *http.Server
	conns  *connSet
	ctx    context.Context // ended when requests are cut
	cancel context.CancelFunc
	served chan struct{} // closed when the accept loop has ended
	closed chan struct{} // closed by close; releases what faults hold
	lost   atomic.Bool   // the caches go with this life

	inFlight sync.WaitGroup // of requests; none is added to a closing life

	mu       sync.Mutex
	requests int  // guarded by mu; between enter and exit
	held     int  // guarded by mu; requests that a fault holds
	jobs     int  // guarded by mu; between admit and release
	draining bool // guarded by mu; no further job is admitted
	closing  bool // guarded by mu; no further request is taken
}

func newLife(s *Server, ln net.Listener) *life {
	l := &life{
		srv: s, ln: ln, conns: &connSet{all: map[*conn]bool{}, changed: s.bell.ring},
		served: make(chan struct{}), closed: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.http = &http.Server{
		Handler:     http.HandlerFunc(l.handle),
		IdleTimeout: max(s.cfg.KeepAlive, 0),
		BaseContext: func(net.Listener) context.Context { return l.ctx },
		ConnContext: withConn,
		ConnState:   follow,
		ErrorLog:    log.New(io.Discard, "", 0), // packages do not log
	}
	return l
}

// serve runs until the listener is closed.
func (l *life) serve() {
	defer close(l.served)
	_ = l.http.Serve(listener{l.ln, l.conns}) // its error is always that of the closed listener
}

// update changes the guarded fields, and tells those that wait for a change.
func (l *life) update(change func()) {
	l.mu.Lock()
	change()
	l.mu.Unlock()
	l.srv.bell.ring()
}

// enter counts a request, unless the life is closing. The caller ends the count with exit.
func (l *life) enter() (ok bool) {
	l.update(func() {
		if ok = !l.closing; ok {
			l.requests++
			l.inFlight.Add(1)
		}
	})
	return ok
}

func (l *life) exit() {
	l.update(func() { l.requests-- })
	l.inFlight.Done()
}

// admit counts a job for the engines, unless the server is draining. The caller ends the count with release.
func (l *life) admit() (ok bool) {
	l.update(func() {
		if ok = !l.draining; ok {
			l.jobs++
		}
	})
	return ok
}

func (l *life) release() { l.update(func() { l.jobs-- }) }

// countHeld changes the number of requests that a fault holds.
func (l *life) countHeld(delta int) { l.update(func() { l.held += delta }) }

// close begins the end: the port refuses, idle connections are closed, and no further request is taken.
func (l *life) close() {
	l.update(func() {
		if !l.closing {
			l.closing = true
			close(l.closed)
		}
	})
	l.http.SetKeepAlivesEnabled(false) // closes idle connections
	_ = l.ln.Close()                   // fails when the life ends twice
}

func (l *life) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

// stop lets requests finish until the timeout, then cuts them. It returns when all has ended. net/http sends the end of an answer
// after the handler has returned.
func (l *life) stop(timeout time.Duration) {
	l.close()
	ctx, cancel := context.WithTimeout(context.Background(), max(timeout, 0))
	defer cancel()
	_ = l.srv.Await(ctx, func(load Load) bool { return load.Requests == 0 && !l.conns.answering() })
	l.cut()
	l.await()
}

func (l *life) cut() {
	l.cancel()
	_ = l.http.Close()
	for _, c := range l.conns.list() {
		_ = c.Close()
	}
}

// die closes the port and resets every connection. It does not wait, because a request may be its caller.
func (l *life) die() {
	l.lost.Store(true)
	_ = l.ln.Close() // first: a client that sees its reset and connects again is refused
	l.conns.reset()  // before ctx ends, whose end makes handlers close their connections with a FIN
	l.close()
	l.cut()
}

// await returns when the accept loop and all requests have ended.
func (l *life) await() {
	<-l.served
	l.inFlight.Wait()
}
