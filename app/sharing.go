package app

import (
	"crypto/tls"
	"time"

	"go.uber.org/zap"

	"tether/admin"
	"tether/metrics"
	"tether/session"
	"tether/session/identity"
	"tether/session/local"
	"tether/session/shared"
	"tether/session/snapshot"
	"tether/session/store"
	"tether/upstream"
)

// sharing is what an app shares with other tethers. Without a store it does nothing.
type sharing struct {
	*app
	store *store.Store // nil without a store
}

// newSharing connects the router to the store of the settings. Nothing is dialed yet.
func newSharing(a *app, s *settings) sharing {
	cfg := s.Session.Store
	if !cfg.On() {
		return sharing{app: a}
	}
	address, _ := store.ParseURL(string(cfg.URL)) // a valid configuration has a good one
	if s.storePassword != "" {
		address.Password = s.storePassword
	}
	address.SentinelPassword = s.sentinels
	changes := shared.NewQueue()
	a.router.Shares = changes
	sh := sharing{app: a}
	sh.store = store.New(store.Deps{
		Config: cfg, Address: address, TLS: tlsOfStore(s), Local: local.Maps{Sessions: a.pins, Responses: a.stored, Upstreams: a.registry}, Changes: changes,
		Strays: func(each func(*shared.Sighting)) { session.Strays(a.router, time.Now(), each) },
		Max:    s.Session.Pins.Max, TTL: a.pins.TTL, Ring: a.router.Digest, Version: a.env.Version, Admin: cfg.Advertise,
		TellLoad: func(others map[uint64]shared.Load, own []shared.Load) []shared.Load {
			return local.TellLoad(a.registry.Table(), others, own, time.Now())
		},
		Check:   func() identity.Key { return snapshot.Check(a.settings.Load().identifier) },
		OnState: sh.tell,
	})
	metrics.WatchStore(a.metrics, sh.store.Report)
	return sh
}

// tlsOfStore returns what returns the TLS of a store, nil for none.
func tlsOfStore(s *settings) func() *tls.Config {
	if s.storeTLS == nil {
		return nil
	}
	return func() *tls.Config {
		c := s.storeTLS.Config().Clone()
		c.NextProtos = nil // those of HTTP
		return c
	}
}

// longestRead is how long a tether that starts reads the stream at most, before it serves without what is left.
const longestRead = 20 * time.Second

// start connects to the store, and waits until this tether knows what the others know, or the store does not answer.
func (s sharing) start() {
	if s.store == nil {
		return
	}
	s.steps.start("session store", s.store.Run)
	limit := time.NewTimer(longestRead)
	defer limit.Stop()
	select {
	case <-s.store.Ready():
	case <-limit.C:
		s.log.Warn("the session store is not read to its end: requests are served all the same")
	case <-s.shutdown.Graceful.Done():
	}
}

// tell logs a change of the state of the store.
func (s sharing) tell(state store.State) {
	switch {
	case state.Trouble != "":
		s.log.Warn("the session store does not work: requests go on, and exceptions are shared once it does", zap.String("why", string(state.Trouble)))
	case state.Deaf != "":
		s.log.Warn("the session store does not pass on how busy tethers keep servers: each places by what it has sent itself", zap.String("why", string(state.Deaf)))
	case state.Foreign:
		s.log.Warn("another tether has had other upstreams for a minute: the ring digests differ, and sessions are placed differently")
	default:
		s.log.Info("the session store works")
	}
}

// upstreams notes that other upstreams are in force than before.
func (s sharing) upstreams(before, after *upstream.Table) {
	if s.store == nil {
		return
	}
	known, added := map[string]bool{}, map[string]bool{}
	for _, name := range namesOf(before) {
		known[name] = true
	}
	for _, name := range namesOf(after) {
		if !known[name] {
			added[name] = true
		}
	}
	s.store.Upstreams(added)
}

// namesOf returns the names of the upstreams and servers.
func namesOf(t *upstream.Table) (all []string) {
	for _, s := range t.Servers {
		all = append(all, s.Name())
	}
	for i := range t.Members {
		all = append(all, t.Members[i].Name())
	}
	return all
}

// inform gives the admin listener what it shows of the store, and what it tells the store.
func (s sharing) inform(d *admin.Deps) {
	if s.store != nil {
		d.Replicas, d.Drained = s.store.Report, s.store.Drained
	}
}
