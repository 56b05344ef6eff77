package session

import (
	"time"

	"tether/session/identity"
	"tether/upstream"
)

// Session is a session that has a pin, under one model.
type Session struct {
	Key   identity.Key
	Model string
	// Hashed tells that the id was found in the form that ids from cookies and bodies have, see identity.Identifier.Hashed.
	Hashed   bool
	Upstream *upstream.Upstream
}

// Lookup gives the pins of a session id under each of models, with the id as it is and as its Hashed form.
func (r *Router) Lookup(id *identity.Identifier, sessionID []byte, models []string, now time.Time) (hits []Session) {
	table := r.view.Load().table
	for n, form := range [][]byte{sessionID, id.Hashed(sessionID)} {
		for _, model := range models {
			k := id.Key([]byte(model), form)
			ref, ok := r.pins.Peek(k, now)
			if !ok {
				continue
			}
			if u := table.Resolve(ref); u != nil {
				hits = append(hits, Session{Key: k, Model: model, Hashed: n == 1, Upstream: u})
			}
		}
	}
	return hits
}

// Forget drops the session's pin and reports whether there was one.
func (r *Router) Forget(k identity.Key, now time.Time) bool { return r.pins.Delete(k, now) }

// Refusal says why a session of the model that were pinned to u would not be served there now, or should not be
// sent there; "" where nothing speaks against it.
func (r *Router) Refusal(u *upstream.Upstream, model string) string {
	c := choice{r: r, v: r.view.Load(), model: []byte(model)}
	o := c.againstPin(u)
	if o == nothing && u.State().Draining() {
		o = draining
	}
	return o.words(u)
}

// Repin rewrites the session's pin to u, and reports whether there was one. What is in flight stays where it is.
func (r *Router) Repin(k identity.Key, to *upstream.Upstream, now time.Time) bool {
	for {
		from, ok := r.pins.Peek(k, now)
		if !ok || from == to.Ref() || r.pins.Move(k, from, to.Ref(), now) {
			return ok
		}
	}
}
