package admin

import (
	"time"

	"tether/upstream"
)

// Engine is what a server says of the load of an upstream's engine. A figure that the server does not tell is nil.
type Engine struct {
	// Running and Waiting are the requests that the engine computes, and those in its queue.
	Running *int64 `json:"running,omitempty"`
	Waiting *int64 `json:"waiting,omitempty"`
	// KVUsage is the part of the KV cache that requests hold, 0..1.
	KVUsage *float64 `json:"kv_usage,omitempty"`
}

// engineOf returns what the server of u says, or nil if it said nothing lately.
func engineOf(u *upstream.Upstream, now time.Time) *Engine {
	l, known := u.EngineLoad(now)
	if !known {
		return nil
	}
	return &Engine{Running: told(l.Running), Waiting: told(l.Waiting), KVUsage: told(l.KVUsage)}
}

// told returns nil for a figure that is unknown.
func told[T int64 | float64](figure T) *T {
	if figure < 0 {
		return nil
	}
	return &figure
}
