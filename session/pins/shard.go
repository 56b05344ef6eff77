package pins

import (
	"sync"

	"tether/session/identity"
	"tether/upstream"
)

// shard is a hash table with chained buckets over one array of entries, which are at the same time in one of two
// circular lists, most recently used first. Indexes stand for pointers; the first two entries are the lists' ends.
type shard struct {
	hash hash
	ttl  uint32 // in ticks
	room [2]int // by list

	mu      sync.Mutex
	entries []entry     // all below are guarded by mu
	buckets []uint32    // first entry of each chain
	free    uint32      // first of the chain of entries given back
	size    [2]int      // by list
	live    [2]int      // by list, pins whose upstream is not gone
	seats   []seatCount // by the upstreams' seats
	evicted [len(Causes)]uint64

	_ [64]byte // keep the next shard's lock off this cache line
}

// entry is 40 bytes.
type entry struct {
	key        identity.Key
	prev, next uint32 // in its list
	chain      uint32 // next of its bucket, or of the free chain
	used       uint32 // tick of the last use
	ref        upstream.Ref
	flags      uint8
}

// seatCount counts the pins to the upstream on a seat. Refs on one seat grow, so a Ref up to gone is gone.
type seatCount struct {
	gone upstream.Ref
	pins [2]int32 // by list
}

// The lists, which are also the indexes of their ends. none ends chains: an end is in no chain.
const (
	probation = 0
	protected = 1
	none      = uint32(0)
)

const (
	inProtected uint8 = 1 << iota
	unconfirmed
)

// Indexes of Causes.
const (
	lru = iota
	fromProbation
	expired
	upstreamRemoved
	deleted
)

// probationShare is the part of a shard's room for made-up ids that came once.
const probationShare = 8

func (s *shard) init(h hash, room int, ttl uint32) {
	s.hash, s.ttl = h, ttl
	s.room = [2]int{room / probationShare, room - room/probationShare}
	s.entries = make([]entry, 2, room+2)
	s.entries[probation].prev, s.entries[probation].next = probation, probation
	s.entries[protected].prev, s.entries[protected].next = protected, protected
	n := 1
	for n < room*3/4 {
		n *= 2
	}
	s.buckets = make([]uint32, n)
}

func (s *shard) capacity() int { return s.room[probation] + s.room[protected] }

func (e *entry) list() int { return int(e.flags & inProtected) }

// find gives the entry of k, or none. One that expired or whose upstream is gone is removed, never given.
func (s *shard) find(k identity.Key, h uint64, now uint32) uint32 {
	i := *s.bucket(h)
	for i != none && s.entries[i].key != k {
		i = s.entries[i].chain
	}
	if i == none {
		return none
	}
	if cause, void := s.void(i, now); void {
		s.remove(i, cause)
		return none
	}
	return i
}

// void reports whether an entry counts no more, and why.
func (s *shard) void(i, now uint32) (cause int, void bool) {
	switch e := &s.entries[i]; {
	case s.retired(e.ref):
		return upstreamRemoved, true
	case e.age(now) >= s.ttl:
		return expired, true
	}
	return 0, false
}

// age is 0 also for an entry that was used after now: callers take their time before they take the lock.
func (e *entry) age(now uint32) uint32 {
	if now < e.used {
		return 0
	}
	return now - e.used
}

// use is find for a use by another request than the one that made the pin: the entry is young again, protected
// from its second use on, and nobody's to take back.
func (s *shard) use(k identity.Key, h uint64, now uint32) uint32 {
	i := s.find(k, h, now)
	if i == none {
		return none
	}
	e := &s.entries[i]
	e.flags &^= unconfirmed
	if e.list() == probation {
		s.makeRoom(protected, now)
		s.unlink(i)
		s.count(e, -1)
		e.flags |= inProtected
		s.count(e, 1)
		s.link(i)
	}
	s.refresh(i, now)
	return i
}

// repoint makes the entry a pin to another upstream.
func (s *shard) repoint(i uint32, to upstream.Ref) {
	e := &s.entries[i]
	s.count(e, -1)
	e.ref = to
	s.count(e, 1)
}

// refresh makes the entry the youngest of its list.
func (s *shard) refresh(i, now uint32) {
	s.entries[i].used = max(s.entries[i].used, now)
	s.unlink(i)
	s.link(i)
}

// insert adds k, which is not there. It never fails: a full list lets its oldest entry go.
func (s *shard) insert(k identity.Key, h uint64, ref upstream.Ref, made bool, now uint32) uint32 {
	list := protected
	if made {
		list = probation
	}
	s.makeRoom(list, now)
	i := s.free
	if i != none {
		s.free = s.entries[i].chain
	} else {
		i = uint32(len(s.entries))
		s.entries = s.entries[:i+1]
	}
	b := s.bucket(h)
	s.entries[i] = entry{key: k, chain: *b, used: now, ref: ref, flags: uint8(list)}
	*b = i
	s.link(i)
	s.count(&s.entries[i], 1)
	return i
}

// makeRoom lets the oldest entry of a full list go.
func (s *shard) makeRoom(list int, now uint32) {
	if s.size[list] < s.room[list] {
		return
	}
	oldest := s.entries[list].prev
	switch cause, void := s.void(oldest, now); {
	case void:
		s.remove(oldest, cause)
	case list == probation:
		s.remove(oldest, fromProbation)
	default:
		s.remove(oldest, lru)
	}
}

// remove gives the entry back and counts why.
func (s *shard) remove(i uint32, cause int) {
	e := &s.entries[i]
	link := s.bucket(s.hash.of(e.key))
	for *link != i {
		link = &s.entries[*link].chain
	}
	*link = e.chain
	s.unlink(i)
	s.count(e, -1)
	s.evicted[cause]++
	*e = entry{chain: s.free}
	s.free = i
}

// sweep removes up to most entries that expired or whose upstream is gone, from the old ends of the lists, and
// reports whether there may be more.
func (s *shard) sweep(now uint32, most int) (more bool) {
	for _, list := range []int{probation, protected} {
		for s.size[list] > 0 {
			oldest := s.entries[list].prev
			cause, void := s.void(oldest, now)
			if !void {
				break
			}
			if most--; most < 0 {
				return true
			}
			s.remove(oldest, cause)
		}
	}
	return false
}

func (s *shard) bucket(h uint64) *uint32 { return &s.buckets[h&uint64(len(s.buckets)-1)] }

// link puts the entry at the young end of its list.
func (s *shard) link(i uint32) {
	list := s.entries[i].list()
	end, e := &s.entries[list], &s.entries[i]
	e.prev, e.next = uint32(list), end.next
	s.entries[end.next].prev = i
	end.next = i
	s.size[list]++
}

func (s *shard) unlink(i uint32) {
	e := &s.entries[i]
	s.entries[e.prev].next = e.next
	s.entries[e.next].prev = e.prev
	s.size[e.list()]--
}

// count keeps the number of pins to an entry's upstream, while that is not gone.
func (s *shard) count(e *entry, change int32) {
	if s.retired(e.ref) {
		return
	}
	s.seat(e.ref).pins[e.list()] += change
	s.live[e.list()] += int(change)
}

func (s *shard) seat(ref upstream.Ref) *seatCount {
	for len(s.seats) <= ref.Seat() {
		s.seats = append(s.seats, seatCount{})
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
}

func (s *shard) pins(ref upstream.Ref) int {
	if s.retired(ref) || ref.Seat() >= len(s.seats) {
		return 0
	}
	c := s.seats[ref.Seat()]
	return int(c.pins[probation] + c.pins[protected])
}
