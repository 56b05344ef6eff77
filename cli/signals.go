package cli

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"tether/app"
)

// untilSignal returns the shutdown that signals ask for: SIGTERM a graceful one, SIGINT a graceful one without the
// delay, a second signal an immediate one. SIGHUP calls onHangUp. The caller calls stop when it is done.
func untilSignal(onHangUp func()) (shutdown app.Shutdown, stop func()) {
	s := &signals{received: make(chan os.Signal, 4), ended: make(chan struct{}), onHangUp: onHangUp}
	shutdown.Graceful, s.stopGracefully = context.WithCancel(context.Background())
	shutdown.Immediate, s.stopAtOnce = context.WithCancel(context.Background())
	shutdown.Delayed = s.delayed.Load
	signal.Notify(s.received, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go s.follow()
	return shutdown, s.stop
}

// signals turns the process's signals into a shutdown.
type signals struct {
	received chan os.Signal
	ended    chan struct{} // closed at the end of follow
	delayed  atomic.Bool   // the first signal was SIGTERM
	onHangUp func()

	stopGracefully, stopAtOnce context.CancelFunc
}

// follow handles signals until stop.
func (s *signals) follow() {
	defer close(s.ended)
	stopping := false
	for sig := range s.received {
		switch {
		case sig == syscall.SIGHUP:
			s.onHangUp()
		case !stopping:
			stopping = true
			s.delayed.Store(sig == syscall.SIGTERM)
			s.stopGracefully()
		default:
			s.stopAtOnce()
		}
	}
}

func (s *signals) stop() {
	signal.Stop(s.received)
	close(s.received)
	<-s.ended
	s.stopGracefully()
	s.stopAtOnce()
}
