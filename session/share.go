package session

import (
	"time"

	"tether/session/identity"
	"tether/session/pins"
	"tether/session/shared"
	"tether/upstream"
)

// What processes that share their sessions know of each other's: the exceptions. A session that goes on is at its
// home, unless a process has told another place.

// homeOf returns the upstream that the ring gives a key while every upstream is up, -1 for none. It depends on the configuration alone.
func homeOf(c *candidates, key uint64) int {
	walk := c.walk(key)
	return walk.Next(c.assignable)
}

// settled returns the home of a session that no process has bound elsewhere, 0 if the session may be new. All processes compute the same.
func settled(t *Route) upstream.Ref {
	if t.router.Shares == nil || t.pin.to != 0 || !t.req.Continues || t.req.ModelGuessed || t.order() != byRing {
		return 0
	}
	if i := homeOf(&t.candidates, t.req.Key.Ring()); i >= 0 {
		return t.candidates.ref(i)
	}
	return 0
}

// followHome pins a session that goes on, and that this process does not know, to its home.
func followHome(t *Route, now time.Time) {
	if home := settled(t); home != 0 {
		t.pin.bind(home, now)
		t.pin.state = followed // the request did not begin the session
	}
}

// tell has other processes know where the session is now.
func tell(t *Route) {
	q := t.router.Shares
	if q == nil || t.pin.to == 0 {
		return
	}
	i := t.candidates.table.Index(t.pin.to)
	if i < 0 {
		return
	}
	home := i == homeOf(&t.candidates, t.req.Key.Ring())
	q.Add(&shared.Change{Sighting: sightingAt(shared.Subject{Key: t.req.Key}, t.candidates.upstream(i)), Home: home})
}

func sightingAt(s shared.Subject, u *upstream.Upstream) shared.Sighting {
	return shared.Sighting{Subject: s, At: u.Name()}
}

// tellForgotten has other processes forget the session. A session at home is forgotten by asked alone: others need not know of the end
// of a session that they do not know.
func tellForgotten(r *Router, k identity.Key, asked bool) {
	if r.Shares != nil {
		r.Shares.Add(&shared.Change{Sighting: shared.Sighting{Subject: shared.Subject{Key: k}}, Home: !asked})
	}
}

// Strays calls each with the sessions that are pinned elsewhere than at home, as far as the ring tells without the model: if the models
// of the pinned upstream have several homes, one of another place makes a stray.
func Strays(r *Router, now time.Time, each func(*shared.Sighting)) {
	v := r.view.Load()
	_ = pins.Save(r.pins, now, func(run []pins.Saved) error { // it returns the errors of the function, which has none
		for i := range run {
			p := &run[i]
			if at := v.table.Index(p.Ref); at >= 0 && mayStray(v, at, p.Key) {
				s := sightingAt(shared.Subject{Key: p.Key}, v.upstream(at))
				s.Age = p.Age
				each(&s)
			}
		}
		return nil
	})
}

// mayStray reports whether a session that is pinned to upstream at has another home under one of its models.
func mayStray(v *view, at int, k identity.Key) bool {
	m := &v.table.Members[at]
	if m.Assigned() == nil && v.assigned == nil {
		return homeOf(&candidates{view: v}, k.Ring()) != at
	}
	for _, model := range m.Models().All() {
		c := candidates{view: v, model: []byte(model.ID)}
		if homeOf(&c, k.Ring()) != at {
			return true
		}
	}
	return false
}
