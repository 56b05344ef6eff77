package pins

import (
	"slices"
	"time"
)

// Watch makes m send to changed after each change of where a session is, if changed has capacity. A use of a pin is no change. nil ends it.
func Watch(m *Map, changed chan<- struct{}) { m.changed.Store(&changed) }

// tell tells the watcher of a change. No lock is held: the watcher may look at once.
func tell(m *Map) {
	if changed := m.changed.Load(); changed != nil {
		select {
		case *changed <- struct{}{}:
		default: // it has something to look at already, or there is no watcher any more
		}
	}
}

// Recent calls run with the lasting pins of m that were used since a time, to a tenth of a second, the least recently used of each run first.
// The slice is valid until run returns. An error of run ends Recent.
func Recent(m *Map, since, now time.Time, run func([]Saved) error) error {
	var buf []Saved
	for i := range m.shards {
		for list := range m.shards[i].size {
			buf = recentOf(&m.shards[i], buf[:0], list, m.tick(since), m.tick(now))
			if len(buf) == 0 {
				continue
			}
			if err := run(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// recentOf appends the lasting pins of a list that were used since a tick. The list is in the order of use, but for the delay of pins that Adopt
// took over, so only they are looked at.
func recentOf(s *shard, buf []Saved, list int, since, now uint32) []Saved {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.entries[list].next; i != uint32(list) && s.entries[i].used >= since; i = s.entries[i].next {
		buf = appendSaved(s, buf, i, list, now)
	}
	slices.Reverse(buf)
	return buf
}

// Adopt takes over a pin of another process, and reports whether it did: not if m knows a use of the session that is as late, if the pin has
// expired, or if its upstream is gone.
func Adopt(m *Map, p *Saved, now time.Time) bool {
	s, h := m.lock(p.Key)
	defer s.mu.Unlock()
	t, age := m.tick(now), p.Age/tick
	if age >= time.Duration(s.ttl) || age > time.Duration(t) || s.retired(p.Ref) {
		return false
	}
	used := t - uint32(age)
	i := s.find(p.Key, h, t)
	switch {
	case i == none:
		i = s.insert(p.Key, h, p.Ref, p.Probation, used)
	case s.entries[i].used >= used:
		return false
	default:
		s.repoint(i, p.Ref)
		s.refresh(i, used)
		s.entries[i].prompt &^= unconfirmed
	}
	s.entries[i].setTurn(p.Turn)
	return true
}
