package pins

import (
	"time"

	"tether/session/identity"
	"tether/upstream"
)

// Look returns where k is pinned, and how long before now the pin was used. It is no use of the pin.
func Look(m *Map, k identity.Key, now time.Time) (ref upstream.Ref, idle time.Duration, ok bool) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	if i := s.find(k, h, t); i != none {
		return s.entries[i].ref, time.Duration(s.entries[i].age(t)) * tick, true
	}
	return 0, 0, false
}

// Follow pins k to ref because another process does, which has used the pin idle before now. A later use of this process counts on. The
// request that made the pin can no longer drop it. Nothing happens if the upstream is gone.
func Follow(m *Map, k identity.Key, ref upstream.Ref, idle time.Duration, now time.Time) {
	if follow(m, k, ref, idle, now) {
		tell(m)
	}
}

// follow is Follow, and reports whether the session is elsewhere than before.
func follow(m *Map, k identity.Key, ref upstream.Ref, idle time.Duration, now time.Time) bool {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	used := t - min(t, uint32(min(idle/tick, maxAge/tick)))
	if s.retired(ref) {
		return false
	}
	i := s.find(k, h, t)
	if i == none {
		s.insert(k, h, ref, false, used)
		return true
	}
	moves := s.entries[i].ref != ref
	s.entries[i].prompt &^= unconfirmed
	s.repoint(i, ref)
	if used > s.entries[i].used {
		s.refresh(i, used)
	}
	return moves
}
