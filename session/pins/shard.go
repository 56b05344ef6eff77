package pins

import (
	"sync"

	"tether/session/identity"
	"tether/upstream"
)

// shard is a hash table over one array of entries. Each entry is in the index, and in one of two circular lists, most recently used
// first. Numbers take the place of pointers; the first two entries are the heads of the lists.
type shard struct {
	hash     hash
	capacity [2]int // entries, by list

	mu      sync.Mutex
	entries []entry     // all below are guarded by mu
	index   index       // of the entries
	free    uint32      // the first free entry, none without one; its next is the second one
	ttl     uint32      // in ticks
	size    [2]int      // entries, by list
	live    [2]int      // pins whose upstream is not gone, by list
	seats   []seatCount // by the upstreams' seats
	active  activity
	evicted [len(Causes)]uint64

	_ [64]byte // keeps the next shard's lock off this cache line
}

// entry is 40 bytes. It has no field of 8 bytes, which would be aligned at the price of 4 more.
type entry struct {
	key        packedKey
	prev, next uint32 // in its list
	used       uint32 // tick of the last use
	ref        upstream.Ref
	prompt     uint32 // Turn.Prompt, above the flags
	mark       uint32 // Turn.Mark
}

// packedKey is an identity.Key in halves.
type packedKey [4]uint32

func pack(k identity.Key) packedKey {
	return packedKey{uint32(k.Hi), uint32(k.Hi >> 32), uint32(k.Lo), uint32(k.Lo >> 32)}
}

func (p packedKey) key() identity.Key {
	return identity.Key{Hi: uint64(p[0]) | uint64(p[1])<<32, Lo: uint64(p[2]) | uint64(p[3])<<32}
}

// seatCount counts the pins to the upstream on a seat. The Refs of one seat grow, so every Ref up to gone is gone.
type seatCount struct {
	gone upstream.Ref
	pins [2]int32 // by list
}

// The lists; each value is also the index of the head of the list. none is no entry: no head is in the index.
const (
	probation = 0
	protected = 1
	none      = uint32(0)
)

// The flags are the lowest bits of entry.prompt.
const (
	inProtected uint32 = 1 << iota
	unconfirmed

	flagBits = iota
	flags    = 1<<flagBits - 1
)

// Indexes of Causes.
const (
	lru = iota
	fromProbation
	expired
	upstreamRemoved
	deleted
)

// probationShare is the part of a shard's capacity, 1/8, for synthetic ids that were used once.
const probationShare = 8

// init gives s its memory, for so many entries.
func (s *shard) init(h hash, capacity int, entries []entry, buckets []bucket) {
	s.hash = h
	s.capacity = [2]int{capacity / probationShare, capacity - capacity/probationShare}
	s.entries, s.index.buckets = entries[:2], buckets[:1]
	s.entries[probation].prev, s.entries[probation].next = probation, probation
	s.entries[protected].prev, s.entries[protected].next = protected, protected
}

// max is the number of entries that the shard can hold.
func (s *shard) max() int { return s.capacity[probation] + s.capacity[protected] }

func (e *entry) list() int { return int(e.prompt & inProtected) }

// turn is the last turn of the entry's session.
func (e *entry) turn() Turn { return Turn{Prompt: int64(e.prompt >> flagBits), Mark: e.mark} }

func (e *entry) setTurn(t Turn) {
	e.prompt = uint32(min(max(t.Prompt, 0), maxPrompt))<<flagBits | e.prompt&flags
	e.mark = t.Mark
}

// find returns the entry of k, or none. It removes an entry that has expired or whose upstream is gone, and returns none.
func (s *shard) find(k identity.Key, h uint64, now uint32) uint32 {
	key, tag := pack(k), tag(h)
	for b := s.index.home(h); ; b = &s.index.extra[b.more] {
		for _, slot := range &b.slots {
			// A free slot may look like the head of a list, which has the key zero.
			if i := slot ^ tag; i <= maxNumber && s.entries[i].key == key && i != none {
				return s.unlessStale(i, now)
			}
		}
		if b.more == none {
			return none
		}
	}
}

// unlessStale returns i, or removes the entry if it is stale, and returns none.
func (s *shard) unlessStale(i, now uint32) uint32 {
	if cause, stale := s.stale(i, now); stale {
		s.remove(i, cause)
		return none
	}
	return i
}

// stale reports whether an entry has expired or lost its upstream, and which of the two. While every entry is live, it does not read the
// seat of the upstream, which is seldom in the processor's caches if there are hundreds.
func (s *shard) stale(i, now uint32) (cause int, stale bool) {
	switch e := &s.entries[i]; {
	case s.live != s.size && s.retired(e.ref):
		return upstreamRemoved, true
	case e.age(now) >= s.ttl:
		return expired, true
	}
	return 0, false
}

// age is the time since the last use, 0 for a use after now: callers read the time before they take the lock.
func (e *entry) age(now uint32) uint32 {
	if now < e.used {
		return 0
	}
	return now - e.used
}

// use looks k up for a request that did not make the entry: it refreshes the entry, moves it from probation to the
// protected list, and clears unconfirmed, so that the request that made the entry can no longer drop it. idle is the time since the use before.
func (s *shard) use(k identity.Key, h uint64, now uint32) (i, idle uint32) {
	i = s.find(k, h, now)
	if i == none {
		return none, 0
	}
	e := &s.entries[i]
	idle = e.age(now)
	e.prompt &^= unconfirmed
	if e.list() == probation {
		s.evictIfFull(protected, now)
		s.unlink(i)
		s.count(e, -1)
		e.prompt |= inProtected
		s.count(e, 1)
		s.link(i)
	}
	s.refresh(i, now)
	return i, idle
}

// repoint changes the upstream of the entry. Another upstream knows nothing of the session's last turn.
func (s *shard) repoint(i uint32, to upstream.Ref) {
	e := &s.entries[i]
	if e.ref != to {
		e.setTurn(Turn{})
	}
	s.count(e, -1)
	e.ref = to
	s.count(e, 1)
}

// refresh makes the entry the most recently used of its list.
func (s *shard) refresh(i, now uint32) {
	e := &s.entries[i]
	if now > e.used {
		if e.used/period != now/period && !s.retired(e.ref) {
			s.active.note(e, -1)
			e.used = now
			s.active.note(e, 1)
		}
		e.used = now
	}
	s.unlink(i)
	s.link(i)
}

// insert adds k, which must be absent. It never fails: a full list drops its oldest entry.
func (s *shard) insert(k identity.Key, h uint64, ref upstream.Ref, synthetic bool, now uint32) uint32 {
	list := protected
	if synthetic {
		list = probation
	}
	s.evictIfFull(list, now)
	i := s.free
	if i != none {
		s.free = s.entries[i].next
	} else {
		i = uint32(len(s.entries))
		s.entries = s.entries[:i+1]
		split(s)
	}
	s.entries[i] = entry{key: pack(k), used: now, ref: ref, prompt: uint32(list)}
	s.index.add(h, i)
	s.link(i)
	s.count(&s.entries[i], 1)
	return i
}

// evictIfFull removes the oldest entry of a full list.
func (s *shard) evictIfFull(list int, now uint32) {
	if s.size[list] < s.capacity[list] {
		return
	}
	oldest := s.entries[list].prev
	switch cause, stale := s.stale(oldest, now); {
	case stale:
		s.remove(oldest, cause)
	case list == probation:
		s.remove(oldest, fromProbation)
	default:
		s.remove(oldest, lru)
	}
}

// remove frees the entry and counts the cause.
func (s *shard) remove(i uint32, cause int) {
	e := &s.entries[i]
	s.index.remove(s.hash.of(e.key.key()), i)
	s.unlink(i)
	s.count(e, -1)
	s.evicted[cause]++
	*e = entry{next: s.free}
	s.free = i
}

// sweep removes up to limit stale entries from the old ends of the lists, and reports whether there may be more. The lists
// are in the order of use, so the entries that have expired are at their ends.
func (s *shard) sweep(now uint32, limit int) (more bool) {
	for _, list := range []int{probation, protected} {
		for s.size[list] > 0 {
			oldest := s.entries[list].prev
			cause, stale := s.stale(oldest, now)
			if !stale {
				break
			}
			if limit--; limit < 0 {
				return true
			}
			s.remove(oldest, cause)
		}
	}
	return false
}

// link puts the entry at the head of its list.
func (s *shard) link(i uint32) {
	list := s.entries[i].list()
	head, e := &s.entries[list], &s.entries[i]
	e.prev, e.next = uint32(list), head.next
	s.entries[head.next].prev = i
	head.next = i
}

func (s *shard) unlink(i uint32) {
	e := &s.entries[i]
	s.entries[e.prev].next = e.next
	s.entries[e.next].prev = e.prev
}

// count adjusts the size of an entry's list, and the number of pins to its upstream unless that is gone.
func (s *shard) count(e *entry, change int32) {
	s.size[e.list()] += int(change)
	if s.retired(e.ref) {
		return
	}
	s.seat(e.ref).pins[e.list()] += change
	s.live[e.list()] += int(change)
	s.active.note(e, change)
}

func (s *shard) seat(ref upstream.Ref) *seatCount {
	for len(s.seats) <= ref.Seat() {
		s.seats, s.active.seats = append(s.seats, seatCount{}), append(s.active.seats, uses{})
	}
	return &s.seats[ref.Seat()]
}

func (s *shard) retired(ref upstream.Ref) bool {
	seat := ref.Seat()
	return seat < len(s.seats) && ref <= s.seats[seat].gone
}

func (s *shard) retire(ref upstream.Ref) {
	c := s.seat(ref)
	if ref <= c.gone {
		return
	}
	for list, n := range c.pins {
		s.live[list] -= int(n)
	}
	*c = seatCount{gone: ref}
	s.active.seats[ref.Seat()] = uses{}
}

func (s *shard) pins(ref upstream.Ref) int {
	if s.retired(ref) || ref.Seat() >= len(s.seats) {
		return 0
	}
	c := s.seats[ref.Seat()]
	return int(c.pins[probation] + c.pins[protected])
}
