// Package app is a whole tether: it builds the parts from a configuration, starts them, and stops them in reverse
// order. The command line and tests run it; the parts do not know it.
//
// sharing.go is tested in e2e/replicas/replicas_test.go. source.go and sources.go are tested in discover_test.go. settings.go is tested in descriptors_test.go; the certificates of it and of follow.go in e2e/tls_test.go. memory_limit.go asks the system and is not tested.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"

	"tether/accesslog"
	"tether/admin"
	"tether/config"
	"tether/health"
	"tether/metrics"
	"tether/proxy"
	"tether/status"
	"tether/traceparent"
	"tether/tracing"
	"tether/upstream"
	"tether/wire"
	"tether/wire/loop"
)

// Addresses are the addresses that a running tether listens on, as HOST:PORT.
type Addresses struct{ Clients, Operators string }

// Env is what the process gives to its tether. It stays the same when the configuration changes.
type Env struct {
	Version string
	Memory  int64       // the process's memory limit in bytes
	Log     *zap.Logger // tether's own log
	Access  io.Writer   // receives the lines of the access log
	// Dropped has, for each log by its name, the function that counts the lines that the log dropped.
	Dropped map[string]func() uint64
	// UseLog changes the level and the format of Log; nil if they cannot change.
	UseLog func(config.Log) error
	// Load loads the configuration again; nil if there is nothing to load. HangUp receives when the user asks for that.
	Load   func() (*config.Config, error)
	HangUp <-chan struct{}
}

// UsageError is an error that the user can correct; its text says how.
type UsageError struct{ Err error }

func (e UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e UsageError) Unwrap() error { return e.Err }

func usageError(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// Run serves with cfg until shutdown, and returns when everything that it started has ended. It calls started with its
// addresses once it serves; started may be nil.
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
	env      Env
	log      *zap.Logger
	monitor  *health.Monitor
	metrics  *metrics.Metrics
	access   *accesslog.Log
	status   *status.Collector
	traces   *tracing.Exporter // nil for none
	hot      hotSessions
	shutdown Shutdown
	steps    *steps
	applying sync.Mutex // held while other settings are brought into force
	files    *followed  // keys and certificates
	reloader *reloader  // nil if there is nothing to load again
	sources  *sources   // of upstreams
	saved    *snapshots // of the pins
	shared   sharing    // with other tethers

	inherited *inheritance // nil for nothing
	handover  *handover
	unused    []string // guarded by applying: which found upstreams do not count

	loops         *loop.Loops    // nil without event loops
	listener      *wire.Listener // for clients
	adminListener net.Listener
	admin         *admin.Server
}

// build makes all parts. It opens no listener and starts nothing.
func build(shutdown Shutdown, cfg *config.Config, env Env) (*app, error) {
	s, err := open(cfg)
	if err != nil {
		return nil, err
	}
	a := &app{env: env, log: env.Log, shutdown: shutdown, steps: newSteps()}
	a.hot.log = env.Log
	mode, _ := accesslog.ParseMode(s.Log.Access) // a valid configuration has one
	a.access = accesslog.New(mode, env.Access)
	registry := upstream.NewRegistry(a.changed)
	a.metrics = metrics.New(env.Version, registry)
	for name, dropped := range env.Dropped {
		a.metrics.Log(name, dropped)
	}
	var begin *traceparent.Source
	if a.traces, begin, err = openTraces(s.Tracing, env.Version, a); err != nil {
		return nil, err
	}
	a.monitor = health.NewMonitor(health.Hooks{Warned: a.warned, Probed: a.metrics.Probed})
	a.graph, err = newGraph(s, s.Session.Pins.Max, proxy.Deps{
		Registry: registry, Verdicts: a.monitor.Ready(), MemoryLimit: env.Memory,
		Traces: begin, OnDone: a.done, OnRefused: a.metrics.Refused, Log: a.log.Named("proxy"),
	})
	if err != nil {
		return nil, err
	}
	a.router.Replicas.OnChange(a.replicasChanged)
	a.files = &followed{settings: &a.settings, log: a.log, metrics: a.metrics}
	if env.Load != nil {
		a.reloader = newReloader(a)
	}
	a.saved = &snapshots{graph: a.graph, path: s.Session.Pins.Snapshot, log: a.log, metrics: a.metrics}
	a.handover = newHandover(a, s.Proxy.Handover)
	a.shared = newSharing(a, s)
	a.metrics.Models(a.prefill)
	a.status = status.New(status.Deps{
		Version: env.Version, Registry: a.registry, Router: a.router, Pins: a.pins, Fates: a.metrics.Fates,
		Clients: func() (int, int64) { return a.proxy.Connections(), a.proxy.InFlight() },
	})
	metrics.WatchPages(a.metrics, a.status.Pages)
	a.sources = newSources(a.log)
	a.metrics.WatchSources(a.sources.measured)
	a.metrics.Watch(a.router, a.pins, a.stored, a.openings, a.proxy)
	return a, nil
}

// run serves until shutdown, or until an essential part fails.
func (a *app) run(started func(Addresses)) error {
	if err := a.start(); err != nil {
		a.inherited.close()
		return errors.Join(err, a.stop())
	}
	if started != nil {
		started(Addresses{Clients: a.listener.Addr().String(), Operators: a.adminListener.Addr().String()})
	}
	select {
	case <-a.shutdown.Graceful.Done():
	case <-a.handover.given:
		a.handover.leave()
	case <-a.steps.failed:
		a.log.Error("a part failed: shutting down")
	}
	err := a.stop()
	a.log.Info("stopped")
	return err
}

// startMaps starts the parts that sweep the maps.
func startMaps(a *app) {
	a.steps.start("session map", a.pins.Run)
	a.steps.start("map of stored responses", a.stored.Run)
}

// startTelling starts the parts that tell a new process what this one and the one before it learn of sessions. They end after the clients.
func startTelling(a *app) {
	if a.handover.path == "" {
		return
	}
	a.steps.start("changes for a new process", a.handover.sendChanges)
	if a.inherited != nil {
		a.steps.start("changes of the old process", func(ctx context.Context) error { return a.inherited.receiveChanges(ctx, a) })
		a.steps.atEnd("the old process", func(ctx context.Context) error { return a.inherited.awaitOld(ctx, a) })
	}
}

// startChanges starts the parts that bring other settings into force.
func startChanges(a *app) {
	a.steps.start("discovery", a.discover)
	a.steps.start("descriptors", func(ctx context.Context) error { return followDescriptors(ctx, a) })
	if a.reloader != nil {
		a.steps.start("configuration", a.reloader.follow)
	}
}

// start starts the parts, each before those that need it. stop ends them in reverse order.
func (a *app) start() error {
	watch, err := wire.NewWatch()
	if err != nil {
		return err
	}
	if a.inherited, err = takeOver(a.handover.path); err != nil {
		return err
	}
	a.steps.start("watch of clients", watch.Run)
	a.openEngine()
	a.steps.start("upstreams", a.registry.Run)
	startMaps(a)
	if err := a.saved.open(); err != nil {
		return err
	}
	if a.saved.path != "" {
		a.steps.start("snapshots", a.saved.run)
		a.steps.atEnd("last snapshot", a.saved.last)
	}
	a.steps.start("health", a.monitor.Run)
	a.steps.start("status", a.status.Run)
	a.steps.start("caches", cacheWatch{a.registry, a.prefill, a.log}.run)
	s, err := a.findFirst(a.settings.Load())
	if err != nil {
		return err
	}
	a.steps.start("certificates", a.files.followCertificates)
	a.steps.start("API keys", a.files.followKeys)
	if err := a.serveOperators(); err != nil {
		return err
	}
	if err := a.listen(watch); err != nil {
		return err
	}
	a.announce()
	if err := a.apply(s); err != nil {
		return errors.Join(err, a.listener.Close())
	}
	a.shared.start()
	if err := a.handover.listen(); err != nil {
		return errors.Join(err, a.listener.Close())
	}
	startTelling(a)
	a.serveClients()
	if a.inherited != nil {
		a.inherited.serves()
	}
	a.metrics.ConfigLoaded(time.Now())
	startChanges(a)
	if a.handover.path != "" {
		a.steps.start("hand-over", a.handover.run)
	}
	return nil
}
