package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"tether/admin"
	"tether/config"
	"tether/files"
)

const (
	// configEvery is how often the files of the configuration are checked for changes.
	configEvery = time.Second
	// reloadPause is the least time between the starts of two reloads. All that ask meanwhile share the next one.
	reloadPause = 200 * time.Millisecond
	// maxWaiting limits those that wait for a reload.
	maxWaiting = 1000
)

var (
	errStopping = errors.New("tether is shutting down")
	errTooMany  = errors.New("too many reloads are asked for: try again later")
)

// reloads are those who ask for a reload. All that ask before it starts share one reload.
type reloads struct {
	wanted chan struct{} // capacity 1

	mu      sync.Mutex
	stopped bool                  // guarded by mu
	waiting []chan<- reloadResult // guarded by mu: each has capacity 1
}

// reloadResult is the result of one reload.
type reloadResult struct {
	done admin.Reloaded
	err  error
}

func newReloads() reloads { return reloads{wanted: make(chan struct{}, 1)} }

// ask returns the result of a reload that starts after the call.
func (r *reloads) ask(ctx context.Context) (admin.Reloaded, error) {
	result := make(chan reloadResult, 1)
	r.mu.Lock()
	switch {
	case r.stopped:
		r.mu.Unlock()
		return admin.Reloaded{}, errStopping
	case len(r.waiting) == maxWaiting:
		r.mu.Unlock()
		return admin.Reloaded{}, errTooMany
	}
	r.waiting = append(r.waiting, result)
	r.mu.Unlock()
	select {
	case r.wanted <- struct{}{}:
	default: // a reload is wanted already
	}
	select {
	case got := <-result:
		return got.done, got.err
	case <-ctx.Done():
		return admin.Reloaded{}, ctx.Err()
	}
}

// take returns those who have asked so far.
func (r *reloads) take() []chan<- reloadResult {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.waiting
	r.waiting = nil
	return all
}

// stop refuses those who wait, and all that ask later.
func (r *reloads) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	for _, to := range r.take() {
		to <- reloadResult{err: errStopping}
	}
}

// reloader reloads the configuration of an app.
type reloader struct {
	reloads
	*app
}

func newReloader(a *app) *reloader { return &reloader{newReloads(), a} }

// follow reloads the configuration when its files change, on SIGHUP and when operators ask for it, until ctx ends.
func (r *reloader) follow(ctx context.Context) error {
	defer r.reloads.stop()
	tick := time.NewTicker(configEvery)
	defer tick.Stop()
	var watch files.Watch
	watch.Accept(files.Look(r.settings.Load().Files()))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if !watch.Changed(r.settings.Load().Files()) {
				continue
			}
		case <-r.env.HangUp:
		case <-r.wanted:
		}
		pause := time.NewTimer(reloadPause)
		r.reloadFor(&watch, r.take())
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

// reloadFor reloads the configuration and tells those who wait. A change of the files after the reload began is found by the next
// look.
func (r *reloader) reloadFor(watch *files.Watch, waiting []chan<- reloadResult) {
	before := files.Look(r.settings.Load().Files())
	done, err := r.reload()
	watch.Accept(before.With(r.settings.Load().Files()))
	for _, to := range waiting {
		to <- reloadResult{done, err}
	}
}

// reload loads the configuration and brings it into force. An error is logged, and changes nothing.
func (r *reloader) reload() (admin.Reloaded, error) {
	done, err := r.loadAndApply()
	r.metrics.ConfigReloaded(err == nil, time.Now())
	if err != nil {
		r.status.Happened("reload", "the configuration was not reloaded, the previous one stays in force: the log has the problems")
		for _, problem := range strings.Split(err.Error(), "\n") {
			r.log.Error("configuration not reloaded, the previous one stays in force", zap.String("problem", problem))
		}
		return done, err
	}
	for _, w := range done.Warnings {
		r.log.Warn("configuration", zap.String("warning", w))
	}
	for _, key := range done.NeedRestart {
		r.log.Warn("the key cannot change while tether runs: the value of the start stays in force until a restart", zap.String("key", key))
	}
	r.status.Happened("reload", fmt.Sprintf("the configuration was reloaded: %d changed keys", len(done.Changed)))
	r.log.Info("configuration reloaded", zap.Strings("changed", done.Changed))
	return done, nil
}

func (r *reloader) loadAndApply() (done admin.Reloaded, err error) {
	cfg, err := r.env.Load()
	if err != nil {
		return done, err
	}
	next, err := open(cfg)
	if err != nil {
		return done, err
	}
	inForce := r.settings.Load().Discovery
	if err = r.sources.prepare(r.shutdown.Graceful, cfg.Discovery); err == nil {
		if done, err = r.applyLoaded(cfg, next); err == nil {
			inForce = cfg.Discovery
		}
	}
	r.sources.restore(inForce)
	return done, err
}

// applyLoaded brings a configuration that was loaded into force. Its sources have found their upstreams.
func (r *reloader) applyLoaded(cfg *config.Config, next *settings) (done admin.Reloaded, err error) {
	r.applying.Lock()
	defer r.applying.Unlock()
	before := r.settings.Load()
	done = admin.Reloaded{NeedRestart: append([]string{}, cfg.Keep(before.Config)...), Warnings: append([]string{}, cfg.Warnings...)}
	done.Changed = append(append([]string{}, cfg.Changes(before.Config)...), next.changedSecrets(before)...)
	if next, err = r.withFound(next); err != nil {
		return done, err
	}
	if err := r.applyListeners(next); err != nil {
		return done, err
	}
	return done, r.apply(next)
}

// changedSecrets returns the keys of the secrets whose contents differ from those of before.
func (s *settings) changedSecrets(before *settings) (keys []string) {
	if !bytes.Equal(s.secret, before.secret) {
		keys = append(keys, "content of session.secret_file")
	}
	if !bytes.Equal(s.token, before.token) {
		keys = append(keys, "content of admin.token_file")
	}
	return keys
}

// applyListeners changes how clients are accepted from now on, and how tether logs.
func (a *app) applyListeners(s *settings) error {
	if err := a.listener.Use(s.tlsOfListener(), s.Proxy.ClientWriteTimeout); err != nil {
		return err
	}
	if a.env.UseLog == nil {
		return nil
	}
	return a.env.UseLog(s.Log)
}
