package shared

import (
	"time"

	"tether/session/identity"
)

// parts is the number of parts of a table, which are swept one after another.
const parts = 256

// binding is the winner of the sightings of one subject.
type binding struct {
	used     int64 // in milliseconds of the store's clock
	at       place
	response bool
	epoch    uint8 // of the stream in which the sighting was last seen
}

// table holds the winner of the sightings of each subject. It is not safe for concurrent use.
type table struct {
	names    names
	bindings [parts]map[identity.Key]binding
	size     int
	max      int
	ttl      int64 // in milliseconds
	epoch    uint8
	refused  uint64 // sightings at names without room
	evicted  uint64 // bindings that were forgotten for others
}

func newTable(maxSubjects int, ttl time.Duration) table {
	t := table{names: newNames(), max: maxSubjects, ttl: ttl.Milliseconds()}
	for i := range t.bindings {
		t.bindings[i] = map[identity.Key]binding{}
	}
	return t
}

func (t *table) part(k identity.Key) map[identity.Key]binding { return t.bindings[k.Lo%parts] }

// get returns the winner at now, false for none.
func (t *table) get(k identity.Key, now int64) (b binding, ok bool) {
	b, ok = t.part(k)[k]
	return b, ok && now-b.used < t.ttl
}

// join applies the rule to a sighting of a use at the time used. won is true if the sighting is the winner now, whether it is new or not.
func (t *table) join(s *Sighting, used, now int64) (won bool) {
	if now-used >= t.ttl {
		return false
	}
	at, ok := t.names.number(s.At)
	if !ok {
		t.refused++
		return false
	}
	part := t.part(s.Key)
	next := binding{used: used, at: at, response: s.Response, epoch: t.epoch}
	before, known := part[s.Key]
	switch {
	case known && t.beats(before, next):
		return false
	case !known && t.size >= t.max:
		t.evict(part)
		t.size++
	case !known:
		t.size++
	}
	part[s.Key] = next
	return true
}

// looks is how many bindings are compared to find an old one.
const looks = 8

// evict forgets a binding of a part that was not used for long.
func (t *table) evict(part map[identity.Key]binding) {
	var oldest identity.Key
	least, looked := int64(0), 0
	for k, b := range part {
		if looked == 0 || b.used < least {
			oldest, least = k, b.used
		}
		if looked++; looked == looks {
			break
		}
	}
	if looked > 0 {
		delete(part, oldest)
		t.size--
		t.evicted++
	}
}

// beats reports whether b wins over another binding of the same subject: the later use, or of two at the same time the one at the greater
// name.
func (t *table) beats(b, other binding) bool {
	if b.used != other.used {
		return b.used > other.used
	}
	return t.names.of(b.at) > t.names.of(other.at)
}

// sweep forgets what has expired in a part, and calls each with the other winners.
func (t *table) sweep(part int, now int64, each func(Subject, binding)) {
	bindings := t.bindings[part]
	for k, b := range bindings {
		if now-b.used >= t.ttl {
			delete(bindings, k)
			t.size--
			continue
		}
		t.names.use(b.at)
		each(Subject{k, b.response}, b)
	}
}

// each calls do with all winners.
func (t *table) each(now int64, do func(Subject, binding)) {
	for _, bindings := range t.bindings {
		for k, b := range bindings {
			if now-b.used < t.ttl {
				do(Subject{k, b.response}, b)
			}
		}
	}
}

// shift moves all times by so many milliseconds: the clock of the store was set.
func (t *table) shift(by int64) {
	for _, bindings := range t.bindings {
		for k, b := range bindings {
			b.used += by
			bindings[k] = b
		}
	}
}
