package app

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"tether/proxy"
)

// hotPause is the least time between two warnings of hotSessions.
const hotPause = time.Minute

// hotSessions warns of session ids that have more requests in flight than one conversation has: an id that is a constant, or that a
// team shares. The requests beyond session.max_in_flight go to other servers, and may find no cache there.
type hotSessions struct {
	log *zap.Logger

	mu         sync.Mutex
	next       time.Time // of a warning
	suppressed int       // requests without a warning since the last one
}

// done is called at the end of every request under such an id.
func (h *hotSessions) done(r *proxy.Record) {
	now := r.Started.Add(r.Duration)
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.next) {
		h.suppressed++
		return
	}
	h.log.Warn("many requests in flight under one session id: several conversations may share it, and those beyond session.max_in_flight go to other servers",
		zap.String("session", r.Key.String()), zap.String("source", r.IDSource()), zap.Int("in_flight", r.Hot), zap.Int("suppressed", h.suppressed))
	h.next, h.suppressed = now.Add(hotPause), 0
}
