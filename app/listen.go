package app

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"go.uber.org/zap"

	"tether/admin"
	"tether/proxy"
	"tether/wire"
	"tether/wire/loop"
)

// serveOperators opens the admin listener and serves it.
func (a *app) serveOperators() (err error) {
	errorLog, err := zap.NewStdLogAt(a.log.Named("admin"), zap.WarnLevel)
	if err != nil {
		return err
	}
	s := a.settings.Load()
	if l := a.inherited.operators(s.Admin.Listen); l != nil {
		a.adminListener = l
	} else if a.adminListener, err = net.Listen("tcp", s.Admin.Listen); err != nil {
		return ListenError("admin-listen", s.Admin.Listen, err)
	}
	var reload func(context.Context) (admin.Reloaded, error)
	if a.reloader != nil {
		reload = a.reloader.ask
	}
	guide := a.guide()
	guide.Seen = a.status.Seen
	deps := admin.Deps{
		Registry: a.registry, Pins: a.pins, Estimates: a.prefill, Ready: a.proxy.Ready, Metrics: a.metrics.Handler(),
		Status: a.status, Guide: guide, ErrorLog: errorLog, Reload: reload, Sources: a.sources.shown,
		Settings: func() admin.Settings {
			s := a.settings.Load()
			return admin.Settings{Token: string(s.token), MaxRequest: int64(s.Proxy.MaxHeader) + int64(s.Proxy.MaxBody), DrainIdle: s.Session.Pins.DrainIdle, NeedRestart: s.NeedRestart}
		},
	}
	a.shared.inform(&deps)
	a.admin = admin.NewServer(a.adminListener.Addr(), deps)
	a.steps.start("admin listener", func(ctx context.Context) error { return a.admin.Serve(ctx, a.adminListener) })
	return nil
}

// openEngine starts the event loops, unless proxy.engine or the kernel wants none.
func (a *app) openEngine() {
	s := a.settings.Load()
	loops, engine, why := loop.OpenEngine(s.Proxy.Engine, s.Proxy.Loops)
	if a.loops = loops; loops == nil {
		logEngine(a.log, s.Proxy.Engine, engine, 0, why)
		return
	}
	logEngine(a.log, s.Proxy.Engine, engine, loops.Len(), why)
	a.steps.start("event loops", loops.Run)
}

// logEngine says which engine runs with n loops, and why it is not a better one. That is a warning if the configuration wants another one, or
// if there is no loop.
func logEngine(log *zap.Logger, want, engine string, n int, why error) {
	level, text, fields := zap.InfoLevel, "goroutines serve all clients", []zap.Field{zap.String("engine", engine)}
	if n > 0 {
		text, fields = "event loops serve the clients without TLS", append(fields, zap.Int("loops", n))
	}
	if why != nil {
		fields = append(fields, zap.Error(why))
	}
	if why != nil && (n == 0 || want != loop.EngineAuto) {
		level = zap.WarnLevel
	}
	log.Log(level, text, fields...)
}

// listen opens the listener for clients. Until serveClients, the kernel queues their connections.
func (a *app) listen(watch *wire.Watch) (err error) {
	s := a.settings.Load()
	cfg := wire.ListenConfig{
		WriteTimeout: s.Proxy.ClientWriteTimeout, TLS: s.tlsOfListener(), OnFailure: a.metrics.AcceptFailed, Loops: a.loops,
		Socket: a.inherited.clients(s.Listen),
	}
	if a.listener, err = wire.Listen(s.Listen, cfg, watch); err != nil {
		return ListenError("listen", s.Listen, err)
	}
	return nil
}

// serveClients starts to serve clients, and adds the steps that end it in good order.
func (a *app) serveClients() {
	a.steps.atEnd("requests", a.finish)
	a.steps.start("listener", serve(a.proxy, a.listener, a.handover))
	a.steps.atEnd("readiness", a.leave)
}

// drainTime is how long the listener may take to accept the connections that have begun. It takes 50 ms, unless the process is out
// of descriptors.
const drainTime = time.Second

// serve returns the part that serves the clients of l, until its context ends or h has handed over.
func serve(p *proxy.Proxy, l *wire.Listener, h *handover) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		closed := make(chan struct{})
		stop := context.AfterFunc(ctx, func() { // closing the listener ends Serve
			if h == nil || !h.pausing.Load() { // otherwise a new process may have the socket
				drain, cancel := context.WithTimeout(context.Background(), drainTime)
				l.Drain(drain)
				cancel()
			}
			_ = l.Close()
			close(closed)
		})
		p.Serve(l)
		for h != nil && h.pausing.Load() && h.goesOn(ctx) {
			p.Serve(l)
		}
		if !stop() {
			<-closed // until then the kernel may accept a connection
			return nil
		}
		_ = l.Close() // a new process has the socket, or it is closed
		return nil
	}
}

// ListenError explains why listening on addr failed. flag is the flag that sets addr, without its dashes.
func ListenError(flag, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return usageError("%s is in use: stop what listens there, or choose another address with --%s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return usageError("not allowed to listen on %s: choose a port from 1024 on with --%s", addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return usageError("%s is no address of this host: choose another with --%s", addr, flag)
	}
	return usageError("cannot listen on %s: %w", addr, err)
}
