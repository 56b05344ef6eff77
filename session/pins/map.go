package pins

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"
	"unsafe"

	"tether/session/identity"
	"tether/upstream"
)

// Map maps keys to upstreams. An entry, a pin, lives until its TTL has passed since its last use. The map is sharded and
// bounded: a full map drops the least recently used pin, never the new one. It is safe for concurrent use, and holds no
// pointers, so that the garbage collector does not scan it.
//
// A shard has two lists. Pins of synthetic ids begin on probation, and reach the protected list with their second use.
// Each list has its own capacity, so that one-shot traffic can evict one-shot traffic only.
//
// The map is no general cache: at 10 million entries those need 2 to 3 times the memory and seconds of garbage collection.
// The nearest one, elastic/go-freelru, links its entries by index as well, but has no probation and no Retire. The policy
// is least recently used, because policies that evict new entries first would evict exactly the conversations that wait
// for their second turn.
type Map struct {
	clock
	shards []shard
	shift  uint8 // of the hash, to the shard's number
	hash   hash
	ttl    atomic.Int64 // a time.Duration

	changed atomic.Pointer[chan<- struct{}] // see Watch; nil without a watcher
	blocks  [][]byte                        // of its memory, that UseHugePages has not moved yet; used by UseHugePages alone
}

// tick is the unit of the pins' times: 32 bits of ticks last 13 years.
const tick = 100 * time.Millisecond

// clock counts ticks since a time before the map was made.
type clock struct{ start time.Time }

func (c clock) tick(now time.Time) uint32 { return uint32(now.Sub(c.start) / tick) }

const (
	maxShards = 64
	minShard  = 1024 // pins, if there are several shards
)

// NewMap returns a map for max pins, at least 1000, that live for ttl after their last use. It allocates all its memory at
// once, about 48 bytes per pin; the system provides the memory as it is used, and all of it once most is used, see UseHugePages.
func NewMap(max int, ttl time.Duration) *Map {
	n := 1
	for n < maxShards && max/(2*n) >= minShard {
		n *= 2
	}
	capacity := max
	if n > 1 {
		// Keys fall on shards unevenly: with four sigma of slack no shard is full before the map is.
		mean := float64(max) / float64(n)
		capacity = int(mean + 4*math.Sqrt(mean))
	}
	m := newMap(n, capacity, ttl)
	m.start = m.start.Add(-maxAge)
	return m
}

// maxAge is more than the longest TTL: pins of that age can be restored.
const maxAge = 31 * 24 * time.Hour

// newMap returns a map of n shards, a power of two, with a capacity each.
func newMap(n, capacity int, ttl time.Duration) *Map {
	m := &Map{
		clock:  clock{start: time.Now()},
		shards: make([]shard, n), shift: uint8(64 - bits.Len(uint(n-1))), hash: hash{rand.Uint64(), rand.Uint64() | 1},
	}
	perShard, buckets := capacity+2, bucketsFor(capacity)
	allEntries, allBuckets := make([]entry, n*perShard), make([]bucket, n*buckets)
	if blocks := append(blocksOf(allEntries), blocksOf(allBuckets)...); len(blocks) >= leastBlocks {
		m.blocks = blocks
	}
	for i := range m.shards {
		e, b := i*perShard, i*buckets
		m.shards[i].init(m.hash, capacity, allEntries[e:e:e+perShard], allBuckets[b:b:b+buckets])
	}
	m.SetTTL(ttl)
	return m
}

// TTL returns how long a pin lives after its last use.
func (m *Map) TTL() time.Duration { return time.Duration(m.ttl.Load()) }

// SetTTL changes how long pins live after their last use, those that the map already has included.
func (m *Map) SetTTL(ttl time.Duration) {
	m.ttl.Store(int64(ttl))
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.ttl = uint32(ttl / tick)
		s.mu.Unlock()
	}
}

// bytes returns the memory that m takes when it is full, the extra buckets alone as they are now.
func bytes(m *Map) (n int64) {
	for i := range m.shards {
		s := &m.shards[i]
		n += int64(cap(s.entries))*int64(unsafe.Sizeof(entry{})) + int64(cap(s.index.buckets)+cap(s.index.extra))*int64(unsafe.Sizeof(bucket{}))
	}
	return n
}

// Max returns the number of pins that the map can hold.
func (m *Map) Max() int { return len(m.shards) * m.shards[0].max() }

// Turn is what a pin knows of the last turn of its session at the upstream that it is pinned to.
type Turn struct {
	// Prompt is the length of the prompt in tokens, 0 if it is unknown, at most 2^30-1.
	Prompt int64
	// Mark is what had been charged to the upstream after the turn, as load.Backlog.Charge returned it.
	Mark uint32
	// Idle is how long before its present use the pin was used. Get alone knows it.
	Idle time.Duration
}

const maxPrompt = 1<<(32-flagBits) - 1

// Get returns the upstream that the session is pinned to, and the session's last turn. It counts as a use of the pin.
func (m *Map) Get(k identity.Key, now time.Time) (ref upstream.Ref, last Turn, ok bool) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	if i, idle := s.use(k, h, m.tick(now)); i != none {
		last = s.entries[i].turn()
		last.Idle = time.Duration(idle) * tick
		return s.entries[i].ref, last, true
	}
	return 0, Turn{}, false
}

// Last returns the session's last turn if the session is pinned to ref. It is no use of the pin.
func (m *Map) Last(k identity.Key, ref upstream.Ref, now time.Time) (last Turn) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	if i := s.find(k, h, m.tick(now)); i != none && s.entries[i].ref == ref {
		last = s.entries[i].turn()
	}
	return last
}

// Note notes a turn of the session, if the session is pinned to ref. It is no use of the pin, but the turn of another request than the one
// that made the pin confirms the pin.
func (m *Map) Note(k identity.Key, ref upstream.Ref, last Turn, ofAnother bool, now time.Time) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	if i := s.find(k, h, m.tick(now)); i != none && s.entries[i].ref == ref {
		s.entries[i].setTurn(last)
		if ofAnother {
			s.entries[i].prompt &^= unconfirmed
		}
	}
}

// Peek is Get without a use of the pin.
func (m *Map) Peek(k identity.Key, now time.Time) (ref upstream.Ref, ok bool) {
	ref, _, ok = Look(m, k, now)
	return ref, ok
}

// Bind is Get for a session that may be new. A session without a pin is pinned to ref: bound is true, and the pin is
// unconfirmed until Confirm, or until another request uses it. The pin of a synthetic id begins on probation.
func (m *Map) Bind(k identity.Key, ref upstream.Ref, synthetic bool, now time.Time) (pinned upstream.Ref, bound bool) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	if i, _ := s.use(k, h, t); i != none {
		return s.entries[i].ref, false
	}
	i := s.insert(k, h, ref, synthetic, t)
	s.entries[i].prompt |= unconfirmed
	return ref, true
}

// Set pins k to ref, wherever it was pinned before.
func (m *Map) Set(k identity.Key, ref upstream.Ref, now time.Time) {
	defer tell(m)
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	if i, _ := s.use(k, h, t); i != none {
		s.repoint(i, ref)
		return
	}
	s.insert(k, h, ref, false, t)
}

// Move rewrites the session's pin from one upstream to another. It reports false if the pin was rewritten or dropped
// meanwhile, or if to is gone.
func (m *Map) Move(k identity.Key, from, to upstream.Ref, now time.Time) bool {
	defer tell(m)
	s, h := m.lock(k)
	defer s.mu.Unlock()
	i := s.find(k, h, m.tick(now))
	if i == none || s.entries[i].ref != from || s.retired(to) {
		return false
	}
	s.repoint(i, to)
	return true
}

// Confirm makes the pin to from, which Bind made, a lasting pin to the upstream that answered. It makes the pin again if
// the pin is gone. If another request has made or taken the pin, Confirm moves nothing, and reports whether the pin is to that upstream; then
// it lasts.
func (m *Map) Confirm(k identity.Key, from, to upstream.Ref, synthetic bool, now time.Time) bool {
	defer tell(m)
	s, h := m.lock(k)
	defer s.mu.Unlock()
	t := m.tick(now)
	i := s.find(k, h, t)
	if i == none {
		s.insert(k, h, to, synthetic, t)
		return true
	}
	e := &s.entries[i]
	if e.ref != from || e.prompt&unconfirmed == 0 {
		if e.ref == to {
			e.prompt &^= unconfirmed
		}
		return e.ref == to
	}
	e.prompt &^= unconfirmed
	s.repoint(i, to)
	s.refresh(i, t)
	return true
}

// Drop removes the session's pin to ref while it is unconfirmed.
func (m *Map) Drop(k identity.Key, ref upstream.Ref, now time.Time) {
	s, h := m.lock(k)
	defer s.mu.Unlock()
	i := s.find(k, h, m.tick(now))
	if i != none && s.entries[i].ref == ref && s.entries[i].prompt&unconfirmed != 0 {
		s.remove(i, deleted)
	}
}

// Touch keeps the session's pin to ref alive for a request that used the pin at the time before. Unlike Get, it is not
// another use. A pin that has expired since then is made again; a pin that went for another reason is not.
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

// Delete drops the session's pin and reports whether there was one.
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

// Retire drops all pins to ref, which is gone for good. Their entries are freed when they are found.
func (m *Map) Retire(ref upstream.Ref) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.retire(ref)
		s.mu.Unlock()
	}
}

// lock locks the shard of k, and returns the shard and the hash of k.
func (m *Map) lock(k identity.Key) (*shard, uint64) {
	h := m.hash.of(k)
	s := &m.shards[h>>m.shift&uint64(len(m.shards)-1)]
	s.mu.Lock()
	return s, h
}

// hash is the seed of a hash function that spreads keys over shards and buckets. The function uses all bits of a key and
// the seed, so that no client that can compute keys can aim at one bucket.
type hash [2]uint64

func (h hash) of(k identity.Key) uint64 {
	hi, lo := bits.Mul64(k.Hi^h[0], (k.Lo^h[1])|1)
	x := (hi ^ lo ^ k.Hi) * h[1]
	return x ^ x>>32
}

const (
	sweepEvery = time.Second
	sweepBatch = 256 // entries removed in one hold of a lock
)

// Run removes expired pins and uses huge pages until ctx ends.
func (m *Map) Run(ctx context.Context) error {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			sweep(ctx, m, now)
			UseHugePages(m, hugeBatch)
		case <-ctx.Done():
			return nil
		}
	}
}

// sweep removes the pins that have expired at now, until ctx ends.
func sweep(ctx context.Context, m *Map, now time.Time) {
	for i := range m.shards {
		s := &m.shards[i]
		for more := true; more && ctx.Err() == nil; {
			s.mu.Lock()
			more = s.sweep(m.tick(now), sweepBatch)
			s.mu.Unlock()
		}
	}
}

// Stats counts the pins of a map.
type Stats struct {
	// Pins is the number of pins, Probation the number of pins on probation. Expired pins count until they are found.
	Pins, Probation int
	// Evicted is the number of pins that the map has dropped, in the order of Causes.
	Evicted [len(Causes)]uint64
}

// Causes names the reasons why pins go: evicted by newer pins from the protected list, or from the probation list; unused
// for the TTL; the upstream gone; deleted on request.
var Causes = [...]string{"lru", "probation", "expired", "upstream_removed", "deleted"}

// Stats returns the sums over the shards, which it locks one after another.
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

// Pins returns the number of pins to ref.
func (m *Map) Pins(ref upstream.Ref) (n int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += s.pins(ref)
		s.mu.Unlock()
	}
	return n
}

// String describes the capacity of the map, for the log.
func (m *Map) String() string {
	return fmt.Sprintf("%d shards of %d pins, %d MiB when full", len(m.shards), m.shards[0].max(), bytes(m)>>20)
}
