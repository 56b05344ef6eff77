package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"tether/accesslog"
	"tether/admin"
	"tether/auth"
	"tether/config"
	"tether/health"
	"tether/metrics"
	"tether/proxy"
	"tether/session"
	"tether/tlsfiles"
	"tether/upstream"
	"tether/wire"
)

// addresses are where a running tether listens.
type addresses struct{ data, admin string }

// life is when a running tether shall end.
type life struct {
	// wanted ends when it shall stop in good order.
	wanted context.Context
	// delayed tells, once wanted ended, whether to go on serving for the configured delay first.
	delayed func() bool
	// needed ends when it shall stop at once.
	needed context.Context
}

// usageError is an error that the user mends by asking for something else: its text says what.
type usageError struct{ error }

// outputs are where a running tether writes: what it has to say itself, and lines about requests.
type outputs struct {
	log    *zap.Logger
	access io.Writer
}

// run serves cfg until l ends, and returns when everything that it started has ended. started is told where it
// listens.
func run(l life, cfg *config.Config, memory int64, out outputs, started func(addresses)) error {
	t, err := build(l, cfg, memory, out)
	if err != nil {
		return err
	}
	return t.run(started)
}

// tether is the whole graph.
type tether struct {
	life     life
	cfg      *config.Config
	log      *zap.Logger
	registry *upstream.Registry
	pins     *session.Map
	stored   *session.Map // where stored responses are
	router   *session.Router
	ids      *session.Identifier
	keys     *auth.Keys // nil for none
	monitor  *health.Monitor
	proxy    *proxy.Proxy
	metrics  *metrics.Metrics
	access   *accesslog.Log

	certificates  map[string]*tlsfiles.Kept // by what they are for
	secret, token []byte
	steps         *steps
	listener      *wire.Listener
	adminListener net.Listener
	admin         *admin.Server
	leaving       atomic.Bool // not ready any more
}

// build makes all parts; nothing is open and nothing runs yet.
func build(l life, cfg *config.Config, memory int64, out outputs) (*tether, error) {
	t := &tether{life: l, cfg: cfg, log: out.log, steps: newSteps()}
	mode, _ := accesslog.ParseMode(cfg.Log.Access) // a valid configuration has one
	t.access = accesslog.New(mode, out.access)
	var err error
	if t.secret, err = config.ReadSecret(cfg.Session.SecretFile); err != nil {
		return nil, usageError{fmt.Errorf("session.secret_file: %w", err)}
	}
	if t.token, err = config.ReadSecret(cfg.Admin.TokenFile); err != nil {
		return nil, usageError{fmt.Errorf("admin.token_file: %w", err)}
	}
	if err = t.loadCertificates(); err != nil {
		return nil, err
	}
	if t.keys, err = openKeys(cfg); err != nil {
		return nil, err
	}
	t.registry = upstream.NewRegistry(t.changed)
	t.metrics = metrics.New(version, t.registry)
	t.pins = session.NewMap(cfg.Session.Max, cfg.Session.TTL)
	t.stored = session.NewMap(cfg.Session.Max, session.ResponsesTTL)
	t.router = session.NewRouter(cfg.Session, t.pins, t.stored, cfg.Affinity)
	t.monitor = health.NewMonitor(cfg.Health, health.Hooks{Warned: t.warned, Probed: t.metrics.Probed})
	if t.ids, err = session.NewIdentifier(&cfg.Session, &cfg.Models, t.secret); err != nil {
		return nil, err
	}
	t.proxy, err = proxy.New(cfg.Proxy, proxy.Deps{
		Registry: t.registry, Router: t.router, Identifier: t.ids, Keys: t.keys, Verdicts: t.monitor.Ready(),
		MemoryLimit: memory, OnDone: t.done, OnRefused: t.metrics.Refused, Log: t.log.Named("proxy"),
	})
	if err != nil {
		return nil, err
	}
	t.metrics.Watch(t.router, t.pins, t.stored, t.proxy)
	return t, nil
}

// run serves until its life ends, or a part fails without which nothing works.
func (t *tether) run(started func(addresses)) error {
	if err := t.start(); err != nil {
		return errors.Join(err, t.stop())
	}
	t.announce()
	t.monitor.Use(t.registry.Table()) // now, for the first lines of the log say what listens where
	if started != nil {
		started(addresses{data: t.listener.Addr().String(), admin: t.adminListener.Addr().String()})
	}
	select {
	case <-t.life.wanted.Done():
	case <-t.steps.failed:
		t.log.Error("a part failed: shutting down")
	}
	err := t.stop()
	t.log.Info("stopped")
	return err
}

// start starts the parts, each before those that need it; stop ends them the other way round.
func (t *tether) start() error {
	watch, err := wire.NewWatch()
	if err != nil {
		return err
	}
	t.steps.start("watch of clients", watch.Run)
	t.steps.start("upstreams", t.registry.Run)
	t.steps.start("session map", t.pins.Run)
	t.steps.start("map of stored responses", t.stored.Run)
	t.steps.start("health", t.monitor.Run)
	t.keepCertificates()
	t.keepKeys()
	if err := t.serveOperators(); err != nil {
		return err
	}
	return t.serveClients(watch)
}

func (t *tether) serveOperators() (err error) {
	if t.adminListener, err = net.Listen("tcp", t.cfg.Admin.Listen); err != nil {
		return listenError("admin-listen", t.cfg.Admin.Listen, err)
	}
	t.admin = admin.NewServer(t.adminListener.Addr(), admin.Deps{
		Registry: t.registry, Pins: t.pins, Ready: t.ready, Metrics: t.metrics.Handler(), Token: string(t.token),
		Guide:      admin.Guide{Router: t.router, Identifier: t.ids, Read: t.proxy.Read},
		MaxRequest: int64(t.cfg.Proxy.MaxHeader) + int64(t.cfg.Proxy.MaxBody),
	})
	t.steps.start("admin listener", func(ctx context.Context) error { return t.admin.Serve(ctx, t.adminListener) })
	return nil
}

func (t *tether) serveClients(watch *wire.Watch) (err error) {
	listen := wire.ListenConfig{WriteTimeout: t.cfg.Proxy.ClientWriteTimeout, OnFailure: t.metrics.AcceptFailed}
	if kept := t.certificates[listenerCertificate]; kept != nil {
		listen.TLS = kept.ForServer()
	}
	t.listener, err = wire.Listen(t.cfg.Listen, listen, watch)
	if err != nil {
		return listenError("listen", t.cfg.Listen, err)
	}
	if err := t.apply(t.specs()); err != nil {
		return errors.Join(err, t.listener.Close())
	}
	t.steps.atEnd("access log", func(context.Context) error { return t.access.Close() })
	t.steps.atEnd("requests", t.finish)
	t.steps.start("listener", t.accept)
	t.steps.atEnd("readiness", t.leave)
	return nil
}

func listenError(flag, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return usageError{fmt.Errorf("%s is in use: stop what listens there, or choose another address with --%s", addr, flag)}
	case errors.Is(err, syscall.EACCES):
		return usageError{fmt.Errorf("not allowed to listen on %s: choose a port from 1024 on with --%s", addr, flag)}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return usageError{fmt.Errorf("%s is no address of this host: choose another with --%s", addr, flag)}
	}
	return usageError{fmt.Errorf("cannot listen on %s: %w", addr, err)}
}

// accept serves clients until ctx ends.
func (t *tether) accept(ctx context.Context) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { // closing is what ends it
		_ = t.listener.Close()
		close(closed)
	})
	t.proxy.Serve(t.listener)
	if !stop() {
		<-closed // until then the kernel may take a connection
	}
	return nil
}

// apply makes specs the upstreams. The monitor is to use them then.
func (t *tether) apply(specs []upstream.Spec) error {
	gone, err := t.registry.Apply(specs)
	if err != nil {
		return err
	}
	return t.router.Use(t.registry.Table(), gone)
}

// ready reports whether requests are wanted and would find a place.
func (t *tether) ready() bool {
	select {
	case <-t.monitor.Ready():
		return !t.leaving.Load() && t.router.Ready()
	default:
		return false
	}
}

// stop ends what was started, the last first, in the order in which clients notice least: say so and serve on for a
// while, take no more connections, let requests finish and cut what is left; then the parts that they needed.
func (t *tether) stop() error {
	deadline, cancel := context.WithTimeout(t.life.needed, t.delay()+t.cfg.Proxy.ShutdownTimeout)
	defer cancel()
	return t.steps.stop(deadline)
}

// delay is how long to go on serving while not ready.
func (t *tether) delay() time.Duration {
	if t.life.delayed() {
		return t.cfg.Proxy.ShutdownDelay
	}
	return 0
}

// leave says that this process is going, and serves on for the delay.
func (t *tether) leave(deadline context.Context) error {
	t.leaving.Store(true)
	t.proxy.LastAnswers()
	delay := t.delay()
	if delay == 0 {
		return nil
	}
	t.log.Info("shutting down: not ready any more, still serving", zap.Duration("shutdown_delay", delay))
	select {
	case <-time.After(delay):
	case <-deadline.Done():
	case <-t.steps.failed:
	}
	return nil
}

// finish lets requests in flight finish, and cuts those that have not at the deadline.
func (t *tether) finish(deadline context.Context) error {
	t.log.Info("shutting down: requests in flight may finish", zap.Int64("requests", t.proxy.InFlight()),
		zap.Duration("shutdown_timeout", t.cfg.Proxy.ShutdownTimeout))
	if cut := t.proxy.Shutdown(deadline); cut > 0 {
		t.log.Warn("connections cut at shutdown", zap.Int("connections", cut))
	}
	return nil
}

// done hears of every request that is over.
func (t *tether) done(r *proxy.Record) {
	t.metrics.Done(r)
	t.access.Done(r)
}

// warned hears what an operator should know of an upstream.
func (t *tether) warned(s *upstream.Server, text string) {
	t.log.Warn("upstream warning", zap.String("upstream", s.Name()), zap.String("warning", text))
}

// changed hears of every change of an upstream's state, or of those of all ranks of a server.
func (t *tether) changed(c upstream.Change) {
	t.metrics.Changed(c)
	fields := []zap.Field{
		zap.String("upstream", c.Name()), zap.String("from", c.Before.Words()), zap.String("to", c.After.Words()), zap.String("reason", c.Reason),
	}
	if n := len(c.Upstreams); n > 1 {
		fields = append(fields, zap.Int("ranks", n))
	}
	t.log.Info("upstream changed", fields...)
}

// announce says what listens where, what is open to whom and what closes it, and what was built.
func (t *tether) announce() {
	t.log.Info("listening for clients", zap.Stringer("address", t.listener.Addr()), zap.String("tls", t.clientsTLS()),
		zap.String("open_to", t.openTo()))
	open := "loopback, without a token: admin.token_file closes it"
	switch {
	case !t.admin.Open() && t.cfg.Admin.TokenFile == "":
		open = "nobody but for health and metrics: admin.token_file opens it"
	case !t.admin.Open():
		open = "holders of the token"
	}
	t.log.Info("listening for operators", zap.Stringer("address", t.adminListener.Addr()), zap.String("open_to", open))
	if n := t.keyed(); n > 0 && t.keys == nil {
		t.log.Info("upstreams' keys are sent for clients that have none: they keep nobody out who can connect here", zap.Int("upstreams", n))
	}
	if len(t.secret) == 0 {
		t.log.Info("no session secret: hashes of guessable session ids can be guessed too; session.secret_file closes that")
	}
	t.log.Info("session map", zap.Int("pins", t.cfg.Session.Max), zap.Stringer("room", t.pins), zap.Duration("ttl", t.cfg.Session.TTL))
	t.log.Info("map of stored responses", zap.Int("responses", t.cfg.Session.Max), zap.Stringer("room", t.stored), zap.Duration("ttl", session.ResponsesTTL))
	t.log.Info("ring", zap.Int("upstreams", len(t.registry.Table().Members)), zap.String("digest", fmt.Sprintf("%016x", t.router.Digest())),
		zap.Bool("affinity", t.cfg.Affinity))
}

// keyed counts the upstreams that get a key from tether.
func (t *tether) keyed() (n int) {
	for _, u := range t.cfg.Upstreams {
		if u.APIKey != "" {
			n++
		}
	}
	return n
}

// clientsTLS says whether clients speak TLS.
func (t *tether) clientsTLS() string {
	switch {
	case !t.cfg.TLS.On():
		return "off: tls.cert and tls.key turn it on"
	case t.cfg.TLS.ClientCA != "":
		return "on, for clients with a certificate of tls.client_ca"
	}
	return "on"
}

func reach(a net.Addr) string {
	if addr, err := netip.ParseAddrPort(a.String()); err == nil && addr.Addr().IsLoopback() {
		return "this host"
	}
	return "everybody who can connect"
}
