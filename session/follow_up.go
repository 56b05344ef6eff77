package session

import (
	"time"

	"tether/session/balance"
)

// noteFollowUp tells the detector of replicas whether this process has passed on the answer that t follows, if it follows one.
func noteFollowUp(t *Route, now time.Time) {
	switch {
	case !t.req.FollowUp, t.router.Shares != nil:
	case !t.req.Response.IsZero():
		t.router.Replicas.Note(t.storedAt != 0, now)
	case !t.req.Key.IsZero():
		t.router.Replicas.Note(t.pin.state != unpinned, now)
	}
}

// Placement returns the placement in force, and why it is not the configured one; "" if it is.
func (r *Router) Placement() (inForce balance.Placement, why string) {
	switch configured := r.view.Load().cfg.Balance.Placement; {
	case isByLoad(configured, r):
		return balance.Load, ""
	case configured == balance.Auto:
		return balance.Home, "this tether seems to be one of several that do not share their pins"
	}
	return balance.Home, ""
}

// isByLoad reports whether the load of upstreams decides with the ring.
func isByLoad(configured balance.Placement, r *Router) bool {
	return configured == balance.Load || configured == balance.Auto && (r.Shares != nil || !r.Replicas.Suspected())
}
