package pins

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"time"
	"unsafe"

	"tether/session/identity"
	"tether/upstream"
)

// Map remembers where sessions live: pins from keys to upstreams, for TTL after their last use. It is sharded and
// bounded: when it is full the pin that was not used for longest goes, never the newcomer. It holds no pointers,
// so the garbage collector passes it by.
//
// A shard has two lists. Pins of made-up ids begin on probation and reach the protected list with their second
// use; each list has its own room, so one-shot traffic can push out only one-shot traffic.
//
// Own code, because the general caches cost 2 to 3 times the memory and seconds of garbage collection at 10 million
// entries; least recently used, because policies that throw out newcomers first would throw out just those
// conversations that wait for their second turn.
type Map struct {
	shards []shard
	shift  uint8 // of the hash, to the shard's number
	hash   hash
	start  time.Time
	ttl    time.Duration
}

// tick is the unit of the pins' clocks: 32 bits of it last 13 years.
const tick = 100 * time.Millisecond

// maxShards and minShard bound how finely the map is cut.
const (
	maxShards = 64
	minShard  = 1024
)

// NewMap makes a map for max pins, 1000 at least, that live ttl after their last use. All memory is taken here,
// see Bytes; the system hands it out as it is used.
func NewMap(max int, ttl time.Duration) *Map {
	n := 1
	for n < maxShards && max/(2*n) >= minShard {
		n *= 2
	}
	room := max
	if n > 1 {
		// Keys fall on shards unevenly: with four sigma of slack no shard is full before the map is.
		mean := float64(max) / float64(n)
		room = int(mean + 4*math.Sqrt(mean))
	}
	return newMap(n, room, ttl)
}

// newMap makes a map of n shards, a power of two, with room each.
func newMap(n, room int, ttl time.Duration) *Map {
	m := &Map{
		shards: make([]shard, n), shift: uint8(64 - bits.Len(uint(n-1))), hash: hash{rand.Uint64(), rand.Uint64() | 1},
		start: time.Now(), ttl: ttl,
	}
	for i := range m.shards {
		m.shards[i].init(m.hash, room, uint32(ttl/tick))
	}
	return m
}

// TTL is how long a pin lives after its last use.
func (m *Map) TTL() time.Duration { return m.ttl }

// Bytes is the memory that the map takes once it is full.
func (m *Map) Bytes() int64 {
	s := &m.shards[0]
	return int64(len(m.shards)) * (int64(cap(s.entries))*int64(unsafe.Sizeof(entry{})) + int64(len(s.buckets))*4)
}

// Max is the number of pins that the map has room for.
func (m *Map) Max() int { return len(m.shards) * m.shards[0].capacity() }

// Get gives the upstream that the session is pinned to, and counts as a use of the pin.
func (m *Map) Get(k identity.Key, now time.Time) (ref upstream.Ref, ok bool) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	if i := s.use(k, h, m.tick(now)); i != none {
		return s.entries[i].ref, true
	}
	return 0, false
}

// Peek is Get without being a use.
func (m *Map) Peek(k identity.Key, now time.Time) (ref upstream.Ref, ok bool) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	if i := s.find(k, h, m.tick(now)); i != none {
		return s.entries[i].ref, true
	}
	return 0, false
}

// Bind is Get for a session that may be new: without a pin it is pinned to ref. Then bound is true, and the pin is
// unconfirmed until Confirm or until another request uses it. made tells that the id was made up.
func (m *Map) Bind(k identity.Key, ref upstream.Ref, made bool, now time.Time) (pinned upstream.Ref, bound bool) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	if i := s.use(k, h, t); i != none {
		return s.entries[i].ref, false
	}
	i := s.insert(k, h, ref, made, t)
	s.entries[i].flags |= unconfirmed
	return ref, true
}

// Set pins k to ref, wherever it was pinned before.
func (m *Map) Set(k identity.Key, ref upstream.Ref, now time.Time) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	if i := s.use(k, h, t); i != none {
		s.repoint(i, ref)
		return
	}
	s.insert(k, h, ref, false, t)
}

// Move rewrites the session's pin from one upstream to another, unless it was rewritten or dropped meanwhile.
func (m *Map) Move(k identity.Key, from, to upstream.Ref, now time.Time) bool {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	i := s.find(k, h, m.tick(now))
	if i == none || s.entries[i].ref != from {
		return false
	}
	s.repoint(i, to)
	return true
}

// Confirm makes the pin to from, which Bind made, a lasting one to the upstream that answered. If it is gone
// meanwhile it is made again. false: another request has taken it, and it stays where it is.
func (m *Map) Confirm(k identity.Key, from, to upstream.Ref, made bool, now time.Time) bool {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	i := s.find(k, h, t)
	if i == none {
		s.insert(k, h, to, made, t)
		return true
	}
	e := &s.entries[i]
	if e.ref != from || e.flags&unconfirmed == 0 {
		return e.ref == to
	}
	e.flags &^= unconfirmed
	s.repoint(i, to)
	s.refresh(i, t)
	return true
}

// Drop removes the session's pin to ref while it is unconfirmed.
func (m *Map) Drop(k identity.Key, ref upstream.Ref, now time.Time) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	i := s.find(k, h, m.tick(now))
	if i != none && s.entries[i].ref == ref && s.entries[i].flags&unconfirmed != 0 {
		s.remove(i, deleted)
	}
}

// Touch keeps the session's pin to ref alive for a request that used it before; unlike Get it is no use of its own.
// A pin that has expired since then is made again; one that went for another reason stays gone.
func (m *Map) Touch(k identity.Key, ref upstream.Ref, before, now time.Time) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	if i := s.find(k, h, t); i != none {
		s.refresh(i, t)
	} else if t-m.tick(before) >= s.ttl && !s.retired(ref) {
		s.insert(k, h, ref, false, t)
	}
}

// Delete forgets the session and reports whether it was known.
func (m *Map) Delete(k identity.Key, now time.Time) bool {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	i := s.find(k, h, m.tick(now))
	if i == none {
		return false
	}
	s.remove(i, deleted)
	return true
}

// Retire drops all pins to ref, which is gone for good, at once. Their memory comes back as they are met.
func (m *Map) Retire(ref upstream.Ref) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.retire(ref)
		s.mu.Unlock()
	}
}

func (m *Map) tick(now time.Time) uint32 { return uint32(now.Sub(m.start) / tick) }

// lock locks the shard of k and gives it with the hash that finds k there.
func (m *Map) lock(k identity.Key) (*shard, uint64) {
	h := m.hash.of(k)
	s := &m.shards[h>>m.shift&uint64(len(m.shards)-1)]
	s.mu.Lock()
	return s, h
}

// hash spreads keys over shards and buckets. It takes in all bits of a key and a seed of its own: with less,
// somebody who can compute keys could aim at one bucket.
type hash [2]uint64

func (h hash) of(k identity.Key) uint64 {
	hi, lo := bits.Mul64(k.Hi^h[0], (k.Lo^h[1])|1)
	x := (hi ^ lo ^ k.Hi) * h[1]
	return x ^ x>>32
}

// Sweeping: each list is in order of use, so what has expired is at its end.
const (
	sweepEvery = time.Second
	sweepBatch = 256 // the most that goes under one hold of a lock
)

// Run removes expired pins as they come, until ctx ends.
func (m *Map) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			m.sweep(ctx, now)
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *Map) sweep(ctx context.Context, now time.Time) {
	for i := range m.shards {
		s := &m.shards[i]
		for more := true; more && ctx.Err() == nil; {
			s.mu.Lock()
			more = s.sweep(m.tick(now), sweepBatch)
			s.mu.Unlock()
		}
	}
}

// Stats is what the map holds and what it has let go.
type Stats struct {
	// Pins is the number of pins, Probation that of those on probation; expired ones count until they are met.
	Pins, Probation int
	// Evicted counts by cause, in the order of Causes.
	Evicted [len(Causes)]uint64
}

// Causes name why pins go: pushed out by newer ones, likewise from the probation list, not used for the TTL, their
// upstream gone, deleted by somebody.
var Causes = [...]string{"lru", "probation", "expired", "upstream_removed", "deleted"}

// Stats adds up the shards, one after another.
func (m *Map) Stats() (t Stats) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		t.Pins += s.live[probation] + s.live[protected]
		t.Probation += s.live[probation]
		for c, n := range s.evicted {
			t.Evicted[c] += n
		}
		s.mu.Unlock()
	}
	return t
}

// Pins is the number of pins to ref.
func (m *Map) Pins(ref upstream.Ref) (n int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.pins(ref)
		s.mu.Unlock()
	}
	return n
}

// String says what the map can hold, for the log.
func (m *Map) String() string {
	return fmt.Sprintf("%d shards of %d pins, %d MiB when full", len(m.shards), m.shards[0].capacity(), m.Bytes()>>20)
}
