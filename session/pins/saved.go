package pins

import (
	"time"

	"tether/session/identity"
	"tether/upstream"
)

// Saved is a pin outside of a map.
type Saved struct {
	Key identity.Key
	Ref upstream.Ref
	// Age is how long ago the pin was used, in whole tenths of a second.
	Age time.Duration
	// Probation is true for the pin of a synthetic id that was used once.
	Probation bool
	// Turn is the session's last turn, without Idle.
	Turn Turn
}

// Save calls run with all lasting pins of m, the least recently used of each run first. The slice is valid until run returns. A
// request waits for the copy of one shard at most. An error of run ends Save.
func Save(m *Map, now time.Time, run func([]Saved) error) error {
	var copied shard
	var buf []Saved
	for i := range m.shards {
		copyShard(&copied, &m.shards[i])
		for list := range copied.size {
			buf = copied.saved(buf[:0], list, m.tick(now))
			if err := run(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyShard copies what saved reads.
func copyShard(to, s *shard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.entries = append(to.entries[:0], s.entries...)
	to.seats = append(to.seats[:0], s.seats...)
	to.size, to.live, to.ttl = s.size, s.live, s.ttl
}

// saved appends the lasting pins of a list to buf, the least recently used first.
func (s *shard) saved(buf []Saved, list int, now uint32) []Saved {
	for i := s.entries[list].prev; i != uint32(list); i = s.entries[i].prev {
		buf = appendSaved(s, buf, i, list, now)
	}
	return buf
}

// appendSaved appends an entry of a list, unless it is stale or unconfirmed.
func appendSaved(s *shard, buf []Saved, i uint32, list int, now uint32) []Saved {
	e := &s.entries[i]
	if _, stale := s.stale(i, now); stale || e.prompt&unconfirmed != 0 {
		return buf
	}
	return append(buf, Saved{
		Key: e.key.key(), Ref: e.ref, Age: time.Duration(e.age(now)) * tick, Probation: list == probation, Turn: e.turn(),
	})
}

// Restore makes a saved pin again, with its age, and reports whether it did: not if the session has a pin, if the pin has expired, or
// if its upstream is gone. Pins are restored in the order of their last use, the oldest first.
func Restore(m *Map, p *Saved, now time.Time) bool {
	s, h := m.lock(p.Key)
	defer s.mu.Unlock()
	t, age := m.tick(now), p.Age/tick
	if age >= time.Duration(s.ttl) || age > time.Duration(t) || s.retired(p.Ref) || s.find(p.Key, h, t) != none {
		return false
	}
	i := s.insert(p.Key, h, p.Ref, p.Probation, t-uint32(age))
	s.entries[i].setTurn(p.Turn)
	return true
}
