package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"tether/admin"
	"tether/config"
	"tether/health"
	"tether/metrics"
	"tether/proxy"
	"tether/session"
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

// run serves cfg until l ends, and returns when everything that it started has ended. started is told where it
// listens.
func run(l life, cfg *config.Config, memory int64, log *zap.Logger, started func(addresses)) error {
	t, err := build(cfg, memory, log)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.Background())
	defer stop()
	parts, failed := errgroup.WithContext(background)
	t.start(failed, parts)
	if err := t.apply(cfg.Specs()); err != nil {
		stop()
		return errors.Join(err, parts.Wait())
	}
	t.announce()
	if started != nil {
		started(addresses{data: t.listener.Addr().String(), admin: t.adminListener.Addr().String()})
	}
	select {
	case <-l.wanted.Done():
		t.shutDown(l, failed)
	case <-failed.Done(): // a part ended with an error
		_ = t.listener.Close()
	}
	stop()
	return parts.Wait()
}

// tether is the whole graph.
type tether struct {
	cfg      *config.Config
	log      *zap.Logger
	registry *upstream.Registry
	pins     *session.Map
	router   *session.Router
	monitor  *health.Monitor
	proxy    *proxy.Proxy
	metrics  *metrics.Metrics

	watch         *wire.Watch
	listener      *wire.Listener
	adminListener net.Listener
	admin         *admin.Server
	stopping      context.Context
	stop          context.CancelFunc
	secret        bool
}

// build makes all parts and opens the listeners; nothing runs yet.
func build(cfg *config.Config, memory int64, log *zap.Logger) (*tether, error) {
	secret, err := readSecret(cfg.Session.SecretFile)
	if err != nil {
		return nil, err
	}
	token, err := readSecret(cfg.Admin.TokenFile)
	if err != nil {
		return nil, err
	}
	t := &tether{cfg: cfg, log: log, metrics: metrics.New(version), secret: len(secret) > 0}
	t.stopping, t.stop = context.WithCancel(context.Background())
	t.registry = upstream.NewRegistry(t.changed)
	t.pins = session.NewMap(cfg.Session.Max, cfg.Session.TTL)
	t.router = session.NewRouter(cfg.Session, t.pins, cfg.Affinity)
	t.monitor = health.NewMonitor(cfg.Health, func(u *upstream.Upstream, text string) {
		log.Warn("upstream warning", zap.String("upstream", u.Name()), zap.String("warning", text))
	})
	identifier, err := session.NewIdentifier(&cfg.Session, secret)
	if err != nil {
		return nil, err
	}
	t.proxy, err = proxy.New(cfg.Proxy, proxy.Deps{
		Registry: t.registry, Router: t.router, Identifier: identifier, Verdicts: t.monitor.Ready(),
		MemoryLimit: memory, OnDone: t.metrics.Done, OnRefused: t.metrics.Refused, Log: log.Named("proxy"),
	})
	if err != nil {
		return nil, err
	}
	t.metrics.Watch(t.registry, t.pins, t.proxy)
	return t, t.listen(string(token))
}

func (t *tether) listen(token string) (err error) {
	if t.watch, err = wire.NewWatch(); err != nil {
		return err
	}
	t.listener, err = wire.Listen(t.cfg.Listen, wire.ListenConfig{WriteTimeout: t.cfg.Proxy.ClientWriteTimeout}, t.watch)
	if err != nil {
		return listenError("listen", t.cfg.Listen, err)
	}
	if t.adminListener, err = net.Listen("tcp", t.cfg.Admin.Listen); err != nil {
		_ = t.listener.Close()
		return listenError("admin-listen", t.cfg.Admin.Listen, err)
	}
	t.admin = admin.NewServer(t.adminListener.Addr(), admin.Deps{
		Registry: t.registry, Pins: t.pins, Ready: t.ready, Metrics: t.metrics.Handler(), Token: token,
	})
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

func readSecret(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return []byte(strings.TrimSpace(string(text))), nil
}

// start runs the parts that work beside the requests.
func (t *tether) start(ctx context.Context, parts *errgroup.Group) {
	parts.Go(func() error { return t.watch.Run(ctx) })
	parts.Go(func() error { return t.registry.Run(ctx) })
	parts.Go(func() error { return t.pins.Run(ctx) })
	parts.Go(func() error { return t.monitor.Run(ctx) })
	parts.Go(func() error { return t.admin.Serve(ctx, t.adminListener) })
	parts.Go(func() error { t.proxy.Serve(t.listener); return nil })
}

// apply makes specs the upstreams, from the registry on down to who uses them.
func (t *tether) apply(specs []upstream.Spec) error {
	gone, err := t.registry.Apply(specs)
	if err != nil {
		return err
	}
	table := t.registry.Table()
	if err := t.router.Use(table, gone); err != nil {
		return err
	}
	t.monitor.Use(table)
	return nil
}

// ready reports whether requests are wanted and would find a place.
func (t *tether) ready() bool {
	select {
	case <-t.monitor.Ready():
		return t.stopping.Err() == nil && t.router.Ready()
	default:
		return false
	}
}

// shutDown stops serving, in the order in which clients notice least: say so, serve on for a while, take no more
// connections, let requests finish, cut what is left.
func (t *tether) shutDown(l life, failed context.Context) {
	t.stop()
	t.proxy.LastAnswers()
	if delay := t.cfg.Proxy.ShutdownDelay; delay > 0 && l.delayed() {
		t.log.Info("shutting down: not ready any more, still serving", zap.Duration("shutdown_delay", delay))
		wait, cancel := context.WithTimeout(l.needed, delay)
		select {
		case <-wait.Done():
		case <-failed.Done():
		}
		cancel()
	}
	_ = t.listener.Close()
	t.log.Info("shutting down: requests in flight may finish", zap.Int64("requests", t.proxy.InFlight()),
		zap.Duration("shutdown_timeout", t.cfg.Proxy.ShutdownTimeout))
	wait, cancel := context.WithTimeout(l.needed, t.cfg.Proxy.ShutdownTimeout)
	defer cancel()
	if cut := t.proxy.Shutdown(wait); cut > 0 {
		t.log.Warn("connections cut at shutdown", zap.Int("connections", cut))
	}
	t.log.Info("stopped")
}

// changed hears of every change of an upstream's state.
func (t *tether) changed(c upstream.Change) {
	t.metrics.Changed(c)
	t.log.Info("upstream changed", zap.String("upstream", c.Upstream.Name()), zap.String("from", c.Before.Words()),
		zap.String("to", c.After.Words()), zap.String("reason", c.Reason))
}

// announce says what listens where, what is open to whom and what closes it, and what was built.
func (t *tether) announce() {
	t.log.Info("listening for clients", zap.Stringer("address", t.listener.Addr()),
		zap.String("open_to", reach(t.listener.Addr())+", without API keys"))
	open := "loopback, without a token: admin.token_file closes it"
	switch {
	case !t.admin.Open() && t.cfg.Admin.TokenFile == "":
		open = "nobody but for health and metrics: admin.token_file opens it"
	case !t.admin.Open():
		open = "holders of the token"
	}
	t.log.Info("listening for operators", zap.Stringer("address", t.adminListener.Addr()), zap.String("open_to", open))
	if !t.secret {
		t.log.Info("no session secret: hashes of guessable session ids can be guessed too; session.secret_file closes that")
	}
	t.log.Info("session map", zap.Int("pins", t.cfg.Session.Max), zap.Stringer("room", t.pins), zap.Duration("ttl", t.cfg.Session.TTL))
	t.log.Info("ring", zap.Int("upstreams", len(t.registry.Table().Members)), zap.String("digest", fmt.Sprintf("%016x", t.router.Digest())),
		zap.Bool("affinity", t.cfg.Affinity))
}

func reach(a net.Addr) string {
	if addr, err := netip.ParseAddrPort(a.String()); err == nil && addr.Addr().IsLoopback() {
		return "this host"
	}
	return "everybody who can connect"
}
