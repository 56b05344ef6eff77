package session

import "fmt"

// Shed says above which load servers get no new conversations. If all servers that could take one are above it, the conversation is refused.
// Conversations that have a place are served all the same.
type Shed struct {
	// Waiting is how many requests may be in the queue of an upstream's engine, 0..1000000; 0: any number.
	Waiting int `yaml:"waiting"`
	// KV is the part of an upstream's KV cache that requests in flight may hold, 0..1; 0: any part.
	KV float64 `yaml:"kv"`
}

func (s *Shed) validate(report func(key, problem string)) {
	if s.Waiting < 0 || s.Waiting > 1_000_000 {
		report("shed.waiting", fmt.Sprintf("%d, want 0..1000000", s.Waiting))
	}
	if !(s.KV >= 0 && s.KV <= 1) {
		report("shed.kv", fmt.Sprintf("%v, want 0..1", s.KV))
	}
}

// exceeded reports whether an engine is above the load. A negative figure is unknown, and above nothing.
func (s *Shed) exceeded(waiting int64, kvUsage float64) bool {
	return s.Waiting > 0 && waiting > int64(s.Waiting) || s.KV > 0 && kvUsage > s.KV
}

// overloaded reports whether all upstreams that are eligible for a purpose are above session.shed. Old figures are unknown.
func (c *candidates) overloaded(p purpose) bool {
	if c.cfg.Shed == (Shed{}) {
		return false
	}
	for i := range c.table.Members {
		if l, _ := c.table.Members[i].EngineLoad(c.now); !c.cfg.Shed.exceeded(l.Waiting, l.KVUsage) && c.eligible(i, p) {
			return false
		}
	}
	return true
}

// mustShed reports whether the request of t, which would get a place for purpose p, is refused instead: it begins a conversation, and all
// upstreams that could take it are above session.shed. A request about a stored response goes on with a conversation, and so may one of a
// crowd.
func mustShed(t *Route, p purpose) bool {
	begins := t.pin.to == 0 && !t.req.Key.IsZero() && t.req.Response.IsZero() && !t.surplus
	return begins && len(t.candidates.tried) == 0 && t.candidates.overloaded(p)
}
