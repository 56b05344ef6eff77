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

// life is one period of listening, from Start to Stop, Kill or the end of Drain: the process, in terms of real vLLM.
type life struct {
	srv    *Server
	ln     net.Listener
	http   *http.Server
	ctx    context.Context // ended when requests are cut
	cancel context.CancelFunc
	served chan struct{} // closed when the accept loop ended
	quiet  chan struct{} // closed when ending and no request is left
	leave  chan struct{} // closed when ending: releases what faults hold
	lost   atomic.Bool   // the caches go with this life

	mu       sync.Mutex
	conns    map[*conn]struct{} // guarded by mu
	requests int                // guarded by mu; between enter and exit
	held     int                // guarded by mu; of the requests, those that wait in hold
	jobs     int                // guarded by mu; between admit and its release
	draining bool               // guarded by mu; no new jobs
	closing  bool               // guarded by mu; no new requests
	dead     bool               // guarded by mu; connections are reset
}

func newLife(s *Server, ln net.Listener) *life {
	l := &life{
		srv: s, ln: ln, conns: map[*conn]struct{}{},
		served: make(chan struct{}), quiet: make(chan struct{}), leave: make(chan struct{}),
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
	_ = l.http.Serve(listener{l.ln, l}) // always ends with an error: the listener was closed
}

// enter counts a request in. It says no when the life is ending.
func (l *life) enter() bool {
	l.mu.Lock()
	defer l.srv.bell.ring()
	defer l.mu.Unlock()
	if l.closing {
		return false
	}
	l.requests++
	return true
}

// exit counts a request out.
func (l *life) exit() {
	l.mu.Lock()
	defer l.srv.bell.ring()
	defer l.mu.Unlock()
	l.requests--
	l.settleLocked()
}

// admit counts a job for the engines in, and says no while draining. The caller gives the place back with release.
func (l *life) admit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return false
	}
	l.jobs++
	return true
}

func (l *life) release() {
	l.mu.Lock()
	defer l.srv.bell.ring()
	defer l.mu.Unlock()
	l.jobs--
}

// hold counts the requests that a fault holds.
func (l *life) hold(delta int) {
	l.mu.Lock()
	defer l.srv.bell.ring()
	defer l.mu.Unlock()
	l.held += delta
}

// close begins the end: the port refuses, idle connections go, no further request is taken.
func (l *life) close() {
	l.mu.Lock()
	first := !l.closing
	l.closing = true
	if first {
		close(l.leave)
		l.settleLocked()
	}
	l.mu.Unlock()
	l.http.SetKeepAlivesEnabled(false) // closes the idle ones
	_ = l.ln.Close()                   // closed twice when the life ends twice
}

func (l *life) settleLocked() {
	if l.closing && l.requests == 0 {
		close(l.quiet) // once: nothing enters a closing life
	}
}

// stop lets requests finish until the bound, then cuts them, and returns when all has ended.
func (l *life) stop(bound time.Duration) {
	l.close()
	timer := time.NewTimer(max(bound, 0))
	defer timer.Stop()
	select {
	case <-l.quiet:
		l.written(timer.C)
	case <-timer.C:
	}
	l.cut()
	l.await()
}

// cut closes every connection.
func (l *life) cut() {
	l.cancel()
	_ = l.http.Close()
	for _, c := range l.open() {
		_ = c.Close()
	}
}

// die closes the port and resets every connection. It does not wait, because a request may be its caller.
func (l *life) die() {
	l.lost.Store(true)
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	_ = l.ln.Close() // who sees the reset and comes again finds nobody
	// Then the resets, before the end of ctx: handlers that see that close their connections with a FIN.
	for _, c := range l.open() {
		c.reset()
	}
	l.close()
	l.cut()
}

// await returns when the accept loop and all requests have ended.
func (l *life) await() {
	<-l.served
	<-l.quiet
}
