// Package app is a whole tether: it builds the parts from a configuration, runs them, and stops them in reverse order.
// The command line and tests start it; the parts do not know it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"go.uber.org/zap"

	"tether/accesslog"
	"tether/admin"
	"tether/config"
	"tether/health"
	"tether/metrics"
	"tether/proxy"
	"tether/upstream"
	"tether/wire"
)

// Addresses are where a running tether listens, as HOST:PORT.
type Addresses struct{ Clients, Operators string }

// Env is what the process gives to its tether; a change of the configuration does not change it.
type Env struct {
	Version string
	Memory  int64       // the process's memory limit in bytes
	Log     *zap.Logger // what tether itself has to say
	Access  io.Writer   // lines about requests
}

// UsageError is an error that the user corrects by asking for something else: its text says what.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error within.
func (e UsageError) Unwrap() error { return e.Err }

func usageError(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Run serves cfg until shutdown, and returns when everything that it started has ended. It calls started, which may be
// nil, with the addresses that it listens on.
func Run(shutdown Shutdown, cfg *config.Config, env Env, started func(Addresses)) error {
	a, err := build(shutdown, cfg, env)
	if err != nil {
		return err
	}
	return a.run(started)
}

// app is all parts of one tether.
type app struct {
	*graph
	log      *zap.Logger
	monitor  *health.Monitor
	metrics  *metrics.Metrics
	access   *accesslog.Log
	shutdown Shutdown

	steps         *steps
	listener      *wire.Listener
	adminListener net.Listener
	admin         *admin.Server
	leaving       atomic.Bool // not ready any more
}

// build makes all parts; nothing is open and nothing runs yet.
func build(shutdown Shutdown, cfg *config.Config, env Env) (*app, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, err
	}
	a := &app{log: env.Log, shutdown: shutdown, steps: newSteps()}
	mode, _ := accesslog.ParseMode(cfg.Log.Access) // a valid configuration has one
	a.access = accesslog.New(mode, env.Access)
	registry := upstream.NewRegistry(a.changed)
	a.metrics = metrics.New(env.Version, registry)
	a.monitor = health.NewMonitor(health.Hooks{Warned: a.warned, Probed: a.metrics.Probed})
	a.graph, err = newGraph(s, cfg.Session.Pins.Max, proxy.Deps{
		Registry: registry, Verdicts: a.monitor.Ready(), MemoryLimit: env.Memory,
		OnDone: a.done, OnRefused: a.metrics.Refused, Log: a.log.Named("proxy"),
	})
	if err != nil {
		return nil, err
	}
	a.metrics.Watch(a.router, a.pins, a.stored, a.proxy)
	return a, nil
}

// run serves until shutdown, or until a part fails without which nothing works.
func (a *app) run(started func(Addresses)) error {
	if err := a.start(); err != nil {
		return errors.Join(err, a.stop())
	}
	a.announce()
	a.monitor.Use(a.registry.Table(), a.settings.Health) // now, for the first lines of the log say what listens where
	if started != nil {
		started(Addresses{Clients: a.listener.Addr().String(), Operators: a.adminListener.Addr().String()})
	}
	select {
	case <-a.shutdown.Graceful.Done():
	case <-a.steps.failed:
		a.log.Error("a part failed: shutting down")
	}
	err := a.stop()
	a.log.Info("stopped")
	return err
}

// start starts the parts, each before those that need it; stop ends them the other way round.
func (a *app) start() error {
	watch, err := wire.NewWatch()
	if err != nil {
		return err
	}
	a.steps.start("watch of clients", watch.Run)
	a.steps.start("upstreams", a.registry.Run)
	a.steps.start("session map", a.pins.Run)
	a.steps.start("map of stored responses", a.stored.Run)
	a.steps.start("health", a.monitor.Run)
	a.followCertificates()
	a.followKeys()
	if err := a.serveOperators(); err != nil {
		return err
	}
	return a.serveClients(watch)
}

func (a *app) serveOperators() (err error) {
	if a.adminListener, err = net.Listen("tcp", a.settings.Admin.Listen); err != nil {
		return ListenError("admin-listen", a.settings.Admin.Listen, err)
	}
	a.admin = admin.NewServer(a.adminListener.Addr(), admin.Deps{
		Registry: a.registry, Pins: a.pins, Ready: a.ready, Metrics: a.metrics.Handler(), Token: string(a.settings.token),
		Guide:      a.guide(),
		MaxRequest: int64(a.settings.Proxy.MaxHeader) + int64(a.settings.Proxy.MaxBody),
	})
	a.steps.start("admin listener", func(ctx context.Context) error { return a.admin.Serve(ctx, a.adminListener) })
	return nil
}

func (a *app) serveClients(watch *wire.Watch) (err error) {
	listen := wire.ListenConfig{WriteTimeout: a.settings.Proxy.ClientWriteTimeout, OnFailure: a.metrics.AcceptFailed}
	if tls := a.settings.clientTLS; tls != nil {
		listen.TLS = tls.ForServer()
	}
	a.listener, err = wire.Listen(a.settings.Listen, listen, watch)
	if err != nil {
		return ListenError("listen", a.settings.Listen, err)
	}
	if err := a.apply(); err != nil {
		return errors.Join(err, a.listener.Close())
	}
	a.steps.atEnd("access log", func(context.Context) error { return a.access.Close() })
	a.steps.atEnd("requests", a.finish)
	a.steps.start("listener", a.accept)
	a.steps.atEnd("readiness", a.leave)
	return nil
}

// accept serves clients until ctx ends.
func (a *app) accept(ctx context.Context) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // closing is what ends it
		_ = a.listener.Close()
		close(closed)
	})
	a.proxy.Serve(a.listener)
	if !stop() {
		<-closed // until then the kernel may take a connection
	}
	return nil
}

// ready reports whether requests are wanted and would find a place.
func (a *app) ready() bool {
	select {
	case <-a.monitor.Ready():
		return !a.leaving.Load() && a.router.Ready()
	default:
		return false
	}
}
