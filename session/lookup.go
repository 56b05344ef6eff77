package session

import (
	"time"

	"tether/session/identity"
	"tether/session/shared"
	"tether/upstream"
)

// Session is a session that has a pin, under one model.
type Session struct {
	Key   identity.Key
	Model string
	// Hashed is true if the pin belongs to the hashed form of the id, see identity.Identifier.Hashed.
	Hashed   bool
	Upstream *upstream.Upstream
	// Home is true if no process has told where the session is: if the session exists, it is at home.
	Home bool
}

// Lookup returns the pins of a session id under each of the models, for the id as it is and for its hashed form. If processes share
// their sessions, a session without a pin is at home, under the only one of the models.
func (r *Router) Lookup(id *identity.Identifier, sessionID []byte, models []string, now time.Time) (hits []Session) {
	v := r.view.Load()
	for n, form := range [][]byte{sessionID, id.Hashed(sessionID)} {
		for _, model := range models {
			k := id.Key([]byte(model), form)
			ref, ok := r.pins.Peek(k, now)
			if !ok {
				continue
			}
			if u := v.upstream(v.table.Index(ref)); u != nil {
				hits = append(hits, Session{Key: k, Model: model, Hashed: n == 1, Upstream: u})
			}
		}
	}
	if len(hits) == 0 && r.Shares != nil {
		return atHome(r, id, sessionID, models)
	}
	return hits
}

// atHome returns the homes of a session id, for the id as it is and for its hashed form; none if it is not known which model counts.
func atHome(r *Router, id *identity.Identifier, sessionID []byte, models []string) (hits []Session) {
	if len(models) != 1 {
		models = r.Models()
	}
	if len(models) != 1 {
		return nil
	}
	c := candidates{view: r.view.Load(), model: []byte(models[0])}
	for n, form := range [][]byte{sessionID, id.Hashed(sessionID)} {
		k := id.Key(c.model, form)
		if u := c.upstream(homeOf(&c, k.Ring())); u != nil {
			hits = append(hits, Session{Key: k, Model: models[0], Hashed: n == 1, Upstream: u, Home: true})
		}
	}
	return hits
}

// Forget drops the session's pin and reports whether there was one.
func (r *Router) Forget(k identity.Key, now time.Time) bool {
	known := r.pins.Delete(k, now)
	tellForgotten(r, k, true)
	return known
}

// Refusal says why a session of the model should not be moved to u: u would not serve the session now, or is draining. It
// returns "" if nothing speaks against u.
func (r *Router) Refusal(u *upstream.Upstream, model string) string {
	c := candidates{view: r.view.Load(), model: []byte(model)}
	i := c.table.Index(u.Ref())
	if i < 0 {
		return notConfigured
	}
	o := c.obstacle(i, stayPinned)
	if o == nothing && u.State().Draining() {
		o = draining
	}
	return o.words(u)
}

// Repin rewrites the session's pin to u and reports whether there was one. It does nothing if u has been removed. Requests in flight stay
// where they are. If processes share their sessions, a session without a pin gets one.
func (r *Router) Repin(k identity.Key, to *upstream.Upstream, now time.Time) bool {
	if r.Shares != nil {
		r.pins.Set(k, to.Ref(), now)
		r.Shares.Add(&shared.Change{Sighting: sightingAt(shared.Subject{Key: k}, to)})
		return true
	}
	for {
		from, ok := r.pins.Peek(k, now)
		switch {
		case !ok || from == to.Ref() || r.pins.Move(k, from, to.Ref(), now):
			return ok
		case r.view.Load().table.Index(to.Ref()) < 0:
			return false
		}
	}
}
