// Package drain knows which pinned sessions leave an upstream that drains. Package upstream has a Moves for each upstream; package
// admin sets it, and package session asks it.
package drain

import (
	"sync/atomic"
	"time"
)

// Moves says which sessions that are pinned to a draining upstream move with their next request. The zero value moves none. It must
// not be copied.
type Moves struct {
	idle atomic.Pointer[idle] // nil to move none
}

// idle moves the sessions that were silent for at least after, and from the time until on all sessions.
type idle struct {
	after time.Duration
	until time.Time
}

// MoveIdle moves sessions that were silent for at least after, and from the time until on all of them.
func (m *Moves) MoveIdle(after time.Duration, until time.Time) { m.idle.Store(&idle{after, until}) }

// MoveNone ends what MoveIdle began.
func (m *Moves) MoveNone() { m.idle.Store(nil) }

// MovesPinned reports whether a session that was silent for a time before now moves.
func (m *Moves) MovesPinned(silent time.Duration, now time.Time) bool {
	i := m.idle.Load()
	return i != nil && (silent >= i.after || !now.Before(i.until))
}

// MovesAllAt returns when all sessions move, the zero time if MoveIdle has not begun.
func (m *Moves) MovesAllAt() time.Time {
	if i := m.idle.Load(); i != nil {
		return i.until
	}
	return time.Time{}
}
