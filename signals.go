package main

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// untilSignal gives the life that signals end: SIGTERM in good order, SIGINT likewise but without the delay, a
// second one at once. SIGHUP says that there is no reload.
func untilSignal(onHangUp func()) (l life, stop func()) {
	s := &signals{received: make(chan os.Signal, 4), ended: make(chan struct{}), onHangUp: onHangUp}
	l.wanted, s.want = context.WithCancel(context.Background())
	l.needed, s.need = context.WithCancel(context.Background())
	l.delayed = s.delayed.Load
	signal.Notify(s.received, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go s.follow()
	return l, s.stop
}

// signals turns the process's signals into the end of a life.
type signals struct {
	received   chan os.Signal
	ended      chan struct{}
	want, need context.CancelFunc
	delayed    atomic.Bool // the first one was SIGTERM
	onHangUp   func()
}

// follow handles signals until stop.
func (s *signals) follow() {
	defer close(s.ended)
	wanted := false
	for sig := range s.received {
		switch {
		case sig == syscall.SIGHUP:
			s.onHangUp()
		case !wanted:
			wanted = true
			s.delayed.Store(sig == syscall.SIGTERM)
			s.want()
		default:
			s.need()
		}
	}
}

func (s *signals) stop() {
	signal.Stop(s.received)
	close(s.received)
	<-s.ended
	s.want()
	s.need()
}
