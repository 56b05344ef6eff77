package pins

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tether/session/identity"
	"tether/upstream"
)

// testKey returns a key that is well mixed, as real keys are.
func testKey(n uint64) identity.Key {
	return identity.Key{Hi: n*0x9e3779b97f4a7c15 + 1, Lo: (n + 7) * 0xbf58476d1ce4e5b9}
}

// ref returns the Ref of a generation on a seat, as a registry does.
func ref(seat, generation int) upstream.Ref {
	return upstream.Ref(generation*upstream.MaxUpstreams + seat)
}

// model is a Map that is obviously right: a plain map and plain lists, the most recently used key first.
type model struct {
	capacity [2]int
	ttl      uint32
	pins     map[identity.Key]*modelPin
	lists    [2][]identity.Key
	gone     map[int]upstream.Ref
	stats    Stats
}

type modelPin struct {
	ref         upstream.Ref
	used        uint32
	list        int
	unconfirmed bool
	last        Turn
}

// repoint changes the upstream of the pin, and forgets the last turn if that was at another one.
func (p *modelPin) repoint(to upstream.Ref) {
	if p.ref != to {
		p.last = Turn{}
	}
	p.ref = to
}

func (o *model) dead(r upstream.Ref) bool { return r <= o.gone[r.Seat()] }

func (o *model) remove(k identity.Key, cause int) {
	p := o.pins[k]
	o.lists[p.list] = slices.DeleteFunc(o.lists[p.list], func(x identity.Key) bool { return x == k })
	delete(o.pins, k)
	o.stats.Evicted[cause]++
}

func (o *model) find(k identity.Key, now uint32) *modelPin {
	p := o.pins[k]
	switch {
	case p == nil:
		return nil
	case o.dead(p.ref):
		o.remove(k, upstreamRemoved)
		return nil
	case now-p.used >= o.ttl:
		o.remove(k, expired)
		return nil
	}
	return p
}

func (o *model) evictIfFull(list int, now uint32) {
	if len(o.lists[list]) < o.capacity[list] {
		return
	}
	oldest := o.lists[list][len(o.lists[list])-1]
	switch {
	case o.find(oldest, now) == nil:
	case list == probation:
		o.remove(oldest, fromProbation)
	default:
		o.remove(oldest, lru)
	}
}

func (o *model) front(k identity.Key, list int) {
	o.lists[list] = append([]identity.Key{k}, slices.DeleteFunc(o.lists[list], func(x identity.Key) bool { return x == k })...)
}

func (o *model) use(k identity.Key, now uint32) *modelPin {
	p := o.find(k, now)
	if p == nil {
		return nil
	}
	p.unconfirmed = false
	if p.list == probation {
		o.evictIfFull(protected, now)
		o.lists[probation] = slices.DeleteFunc(o.lists[probation], func(x identity.Key) bool { return x == k })
		p.list = protected
	}
	p.used = now
	o.front(k, p.list)
	return p
}

func (o *model) insert(k identity.Key, r upstream.Ref, synthetic bool, now uint32) *modelPin {
	p := &modelPin{ref: r, used: now, list: protected}
	if synthetic {
		p.list = probation
	}
	o.evictIfFull(p.list, now)
	o.pins[k] = p
	o.front(k, p.list)
	return p
}

// live counts the pins by list.
func (o *model) live() (n [2]int) {
	for _, p := range o.pins {
		if !o.dead(p.ref) {
			n[p.list]++
		}
	}
	return n
}

// TestMapAgainstModel runs random operations on the map and on the model.
func TestMapAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const capacity, keys, seats = 24, 60, 3
		m := newMap(1, capacity, 10*tick)
		o := &model{
			capacity: [2]int{capacity / probationShare, capacity - capacity/probationShare}, ttl: 10,
			pins: map[identity.Key]*modelPin{}, gone: map[int]upstream.Ref{},
		}
		generation := [seats]int{1, 1, 1}
		now := m.start
		tickNow := func() uint32 { return m.tick(now) }
		drawKey := func(t *rapid.T) identity.Key { return testKey(uint64(rapid.IntRange(1, keys).Draw(t, "key"))) }
		drawRef := func(t *rapid.T) upstream.Ref {
			seat := rapid.IntRange(0, seats-1).Draw(t, "seat")
			return ref(seat, generation[seat])
		}
		t.Repeat(map[string]func(*rapid.T){
			"peek": func(t *rapid.T) {
				k := drawKey(t)
				got, ok := m.Peek(k, now)
				p := o.find(k, tickNow())
				if ok != (p != nil) || ok && got != p.ref {
					t.Fatalf("got %v %v, want %+v", got, ok, p)
				}
			},
			"get": func(t *rapid.T) {
				k := drawKey(t)
				var idle time.Duration
				if p := o.find(k, tickNow()); p != nil {
					idle = time.Duration(tickNow()-p.used) * tick
				}
				if _, got, _ := Look(m, k, now); got != idle {
					t.Fatalf("idle for %v, want %v", got, idle)
				}
				got, last, ok := m.Get(k, now)
				if last.Idle != idle {
					t.Fatalf("was idle for %v, want %v", last.Idle, idle)
				}
				last.Idle = 0
				p := o.use(k, tickNow())
				if ok != (p != nil) || ok && (got != p.ref || last != p.last) {
					t.Fatalf("got %v %+v %v, want %+v", got, last, ok, p)
				}
			},
			"last": func(t *rapid.T) {
				k, r := drawKey(t), drawRef(t)
				var want Turn
				if p := o.find(k, tickNow()); p != nil && p.ref == r {
					want = p.last
				}
				if got := m.Last(k, r, now); got != want {
					t.Fatalf("got %+v, want %+v", got, want)
				}
			},
			"note": func(t *rapid.T) {
				k, r := drawKey(t), drawRef(t)
				last := Turn{Prompt: rapid.Int64Range(0, maxPrompt).Draw(t, "prompt"), Mark: rapid.Uint32().Draw(t, "mark")}
				m.Note(k, r, last, false, now)
				if p := o.find(k, tickNow()); p != nil && p.ref == r {
					p.last = last
				}
			},
			"bind": func(t *rapid.T) {
				k, r, synthetic := drawKey(t), drawRef(t), rapid.Bool().Draw(t, "synthetic")
				got, bound := m.Bind(k, r, synthetic, now)
				p := o.use(k, tickNow())
				if bound != (p == nil) {
					t.Fatalf("bound %v, want %v", bound, p == nil)
				}
				if p == nil {
					p = o.insert(k, r, synthetic, tickNow())
					p.unconfirmed = true
				}
				if got != p.ref {
					t.Fatalf("bound to %v, want %v", got, p.ref)
				}
			},
			"set": func(t *rapid.T) {
				k, r := drawKey(t), drawRef(t)
				m.Set(k, r, now)
				if p := o.use(k, tickNow()); p != nil {
					p.repoint(r)
				} else {
					o.insert(k, r, false, tickNow())
				}
			},
			"move": func(t *rapid.T) {
				k, from, to := drawKey(t), drawRef(t), drawRef(t)
				got := m.Move(k, from, to, now)
				p := o.find(k, tickNow())
				want := p != nil && p.ref == from
				if want {
					p.repoint(to)
				}
				if got != want {
					t.Fatalf("moved %v, want %v", got, want)
				}
			},
			"confirm": func(t *rapid.T) {
				k, from, to, synthetic := drawKey(t), drawRef(t), drawRef(t), rapid.Bool().Draw(t, "synthetic")
				got := m.Confirm(k, from, to, synthetic, now)
				p := o.find(k, tickNow())
				switch {
				case p == nil:
					p = o.insert(k, to, synthetic, tickNow())
				case p.ref == from && p.unconfirmed:
					p.repoint(to)
					p.unconfirmed, p.used = false, tickNow()
					o.front(k, p.list)
				case p.ref == to: // its upstream has answered
					p.unconfirmed = false
				}
				if got != (p.ref == to) {
					t.Fatalf("confirmed %v, want %v", got, p.ref == to)
				}
			},
			"drop": func(t *rapid.T) {
				k, r := drawKey(t), drawRef(t)
				m.Drop(k, r, now)
				if p := o.find(k, tickNow()); p != nil && p.ref == r && p.unconfirmed {
					o.remove(k, deleted)
				}
			},
			"touch": func(t *rapid.T) {
				k, r := drawKey(t), drawRef(t)
				before := min(tickNow(), uint32(rapid.IntRange(0, 20).Draw(t, "before")))
				m.Touch(k, r, now.Add(-time.Duration(before)*tick), now)
				if p := o.find(k, tickNow()); p != nil {
					p.used = tickNow()
					o.front(k, p.list)
				} else if before >= o.ttl && !o.dead(r) {
					o.insert(k, r, false, tickNow())
				}
			},
			"delete": func(t *rapid.T) {
				k := drawKey(t)
				got := m.Delete(k, now)
				p := o.find(k, tickNow())
				if p != nil {
					o.remove(k, deleted)
				}
				if got != (p != nil) {
					t.Fatalf("deleted %v", got)
				}
			},
			"retire": func(t *rapid.T) {
				seat := rapid.IntRange(0, seats-1).Draw(t, "seat")
				gone := ref(seat, generation[seat])
				m.Retire(gone)
				o.gone[seat] = gone
				generation[seat]++
			},
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 400).Draw(t, "ms")) * time.Millisecond)
			},
			"ttl": func(t *rapid.T) {
				o.ttl = uint32(rapid.IntRange(5, 20).Draw(t, "ticks"))
				m.SetTTL(time.Duration(o.ttl) * tick)
				if m.TTL() != time.Duration(o.ttl)*tick {
					t.Fatalf("the TTL is %v", m.TTL())
				}
			},
			"sweep": func(t *rapid.T) {
				sweep(context.Background(), m, now)
				for list := range o.lists {
					for n := len(o.lists[list]); n > 0; n-- {
						oldest := o.lists[list][n-1]
						if o.find(oldest, tickNow()) != nil {
							break
						}
					}
				}
			},
			"": func(t *rapid.T) {
				want := o.stats
				live := o.live()
				want.Pins, want.Probation = live[0]+live[1], live[probation]
				if got := m.Stats(); got != want {
					t.Fatalf("stats %+v, want %+v", got, want)
				}
				for list := range o.lists {
					checkList(t, &m.shards[0], list, o.lists[list])
				}
				for seat := range seats {
					r, n := ref(seat, generation[seat]), 0
					for _, p := range o.pins {
						if p.ref == r {
							n++
						}
					}
					if got := m.Pins(r); got != n {
						t.Fatalf("%d pins to seat %d, want %d", got, seat, n)
					}
				}
			},
		})
	})
}

func checkList(t *rapid.T, s *shard, list int, want []identity.Key) {
	var got []identity.Key
	for i := s.entries[list].next; i != uint32(list); i = s.entries[i].next {
		got = append(got, s.entries[i].key.key())
	}
	if !slices.Equal(got, want) {
		t.Fatalf("list %d is %v, want %v", list, got, want)
	}
	if s.size[list] != len(want) {
		t.Fatalf("list %d has size %d, want %d", list, s.size[list], len(want))
	}
}

// Many goroutines run millions of operations, with evictions and upstreams that go. In the end all counts are exact.
func TestMapStress(t *testing.T) {
	const workers, keys = 8, 40_000
	perWorker := 400_000
	if testing.Short() {
		perWorker = 40_000
	}
	m := NewMap(20_000, time.Minute)
	var generation [4]int
	for i := range generation {
		generation[i] = 1
	}
	var mu sync.RWMutex // guards generation: one goroutine at a time makes new Refs
	current := func(r *rand.Rand) upstream.Ref {
		mu.RLock()
		defer mu.RUnlock()
		seat := r.IntN(len(generation))
		return ref(seat, generation[seat])
	}
	base := m.start
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for n := range perWorker {
				k := testKey(uint64(r.IntN(keys)))
				now := base.Add(time.Duration(n) * time.Minute / time.Duration(perWorker))
				switch r.IntN(16) {
				case 0:
					m.Delete(k, now)
				case 1:
					m.Move(k, current(r), current(r), now)
				case 2:
					m.Touch(k, current(r), base, now)
				case 3:
					m.Confirm(k, current(r), current(r), r.IntN(2) == 0, now)
				case 4:
					m.Drop(k, current(r), now)
				case 5, 6, 7, 8:
					m.Bind(k, current(r), r.IntN(2) == 0, now)
				default:
					m.Get(k, now)
				}
				if n%50_000 == 0 {
					seat := r.IntN(len(generation))
					mu.Lock()
					m.Retire(ref(seat, generation[seat]))
					generation[seat]++
					mu.Unlock()
				}
			}
		})
	}
	done := make(chan struct{})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		for {
			select {
			case <-done:
				return
			default:
				sweep(context.Background(), m, base.Add(30*time.Second))
				m.Stats()
			}
		}
	}()
	wg.Wait()
	close(done)
	<-swept
	checkCounts(t, m)
}

// checkCounts compares all counts of the map with counts of its entries.
func checkCounts(t *testing.T, m *Map) {
	t.Helper()
	total := 0
	for i := range m.shards {
		s := &m.shards[i]
		var inLists int
		var live [2]int
		pins := map[int][2]int32{}
		for list := range s.size {
			n := 0
			for i := s.entries[list].next; i != uint32(list); i = s.entries[i].next {
				n++
				e := &s.entries[i]
				if e.list() != list {
					t.Fatalf("entry in the wrong list")
				}
				if !s.retired(e.ref) {
					live[list]++
					n := pins[e.ref.Seat()]
					n[list]++
					pins[e.ref.Seat()] = n
				}
			}
			if n != s.size[list] || n > s.capacity[list] {
				t.Errorf("shard %d, list %d: %d entries, size %d, capacity %d", i, list, n, s.size[list], s.capacity[list])
			}
			inLists += n
		}
		indexed := checkIndex(t, s)
		free := 0
		for j := s.free; j != none; j = s.entries[j].next {
			free++
		}
		if indexed != inLists || inLists+free != len(s.entries)-2 {
			t.Errorf("shard %d: %d in lists, %d in the index, %d free, %d entries", i, inLists, indexed, free, len(s.entries)-2)
		}
		if live != s.live {
			t.Errorf("shard %d: %d live, counted %d", i, live, s.live)
		}
		for seat := range s.seats {
			if s.seats[seat].pins != pins[seat] {
				t.Errorf("shard %d, seat %d: %d pins, counted %d", i, seat, pins[seat], s.seats[seat].pins)
			}
		}
		total += live[probation] + live[protected]
	}
	if got := m.Stats().Pins; got != total {
		t.Errorf("%d pins, counted %d", total, got)
	}
}

func TestMapTTLIsSlidingAndStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMap(1000, time.Second)
		k := testKey(1)
		m.Bind(k, ref(0, 1), false, time.Now())
		for range 5 {
			time.Sleep(800 * time.Millisecond)
			if _, _, ok := m.Get(k, time.Now()); !ok {
				t.Fatal("the pin is gone before its TTL")
			}
		}
		time.Sleep(time.Second)
		if _, _, ok := m.Get(k, time.Now()); ok {
			t.Error("an expired pin is used before a sweep")
		}
		if s := m.Stats(); s.Pins != 0 || s.Evicted[expired] != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestMapRunSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMap(100_000, time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- m.Run(ctx) }()
		for n := range 50_000 {
			m.Bind(testKey(uint64(n)), ref(0, 1), n%2 == 0, time.Now())
		}
		before := m.Stats().Pins
		time.Sleep(time.Minute + 2*sweepEvery)
		if s := m.Stats(); s.Pins != 0 || int(s.Evicted[expired]) != before {
			t.Errorf("of %d: %+v", before, s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		checkCounts(t, m)
	})
}

// One-shot traffic evicts one-shot traffic only.
func TestMapProbation(t *testing.T) {
	m := NewMap(1000, time.Hour)
	now := time.Now()
	for n := range 800 {
		m.Bind(testKey(uint64(n)), ref(0, 1), false, now)
	}
	for n := range 100_000 {
		m.Bind(testKey(uint64(10_000+n)), ref(0, 1), true, now)
	}
	for n := range 800 {
		if _, _, ok := m.Get(testKey(uint64(n)), now); !ok {
			t.Fatalf("one-shot traffic evicted session %d", n)
		}
	}
	s := m.Stats()
	if s.Probation != 125 || s.Evicted[fromProbation] != 100_000-125 || s.Evicted[lru] != 0 {
		t.Errorf("%+v", s)
	}
	// The second use leaves probation.
	k := testKey(10_000 + 99_999)
	m.Get(k, now)
	if got := m.Stats().Probation; got != 124 {
		t.Errorf("%d on probation after a second use, want 124", got)
	}
}

func TestMapTakesEveryNewPin(t *testing.T) {
	m := NewMap(1000, time.Hour)
	now := time.Now()
	for n := range 10_000 {
		k := testKey(uint64(n))
		if _, bound := m.Bind(k, ref(0, 1), false, now); !bound {
			t.Fatal("a full map refused a session")
		}
		if _, _, ok := m.Get(k, now); !ok {
			t.Fatal("a new pin was evicted")
		}
	}
	if s := m.Stats(); s.Pins != 875 || s.Evicted[lru] != 10_000-875 {
		t.Errorf("%+v", s)
	}
}

// Drop removes an unconfirmed pin until another request has used it.
func TestMapDrop(t *testing.T) {
	m := NewMap(1000, time.Hour)
	now := time.Now()
	k, r := testKey(1), ref(0, 1)
	m.Bind(k, r, false, now)
	m.Drop(k, r, now)
	if _, ok := m.Peek(k, now); ok {
		t.Error("an unconfirmed pin survived Drop")
	}
	m.Bind(k, r, false, now)
	m.Get(k, now)
	m.Drop(k, r, now)
	if _, ok := m.Peek(k, now); !ok {
		t.Error("a pin that another request used was dropped")
	}
	m.Delete(k, now)
	m.Bind(k, r, false, now)
	m.Confirm(k, r, r, false, now)
	m.Drop(k, r, now)
	if _, ok := m.Peek(k, now); !ok {
		t.Error("a confirmed pin was dropped")
	}
}

// A pin takes 47.2 bytes of a full map of 10 million, and 49 of one of a million, which has more space for shards that are fuller than others.
func TestMapMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("10 million entries")
	}
	for n, most := range map[int]float64{1_000_000: 49.5, 10_000_000: 48} {
		m := filled(t, n)
		got := float64(bytes(m)) / float64(n)
		t.Logf("%.1f bytes an entry of %d", got, n)
		if got > most {
			t.Errorf("%.1f bytes an entry of %d, want at most %v", got, n, most)
		}
		runtime.KeepAlive(m)
	}
}

func TestMapNoAllocations(t *testing.T) {
	m := NewMap(1000, time.Hour)
	now := time.Now()
	n := uint64(0)
	m.Bind(testKey(0), ref(3, 1), true, now) // allocates the counts of the seats
	if got := testing.AllocsPerRun(5000, func() {
		n++
		m.Bind(testKey(n), ref(1, 1), n%2 == 0, now)
		m.Get(testKey(n), now)
		m.Note(testKey(n), ref(1, 1), Turn{Prompt: 5000, Mark: uint32(n)}, true, now)
		m.Touch(testKey(n), ref(1, 1), now, now)
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// A prompt of any length leaves the flags of its pin alone.
func TestNoteBounds(t *testing.T) {
	m := NewMap(1000, time.Hour)
	now := time.Now()
	k, r := testKey(1), ref(1, 1)
	m.Bind(k, r, false, now)
	for given, want := range map[int64]int64{-1: 0, 0: 0, 1: 1, maxPrompt: maxPrompt, maxPrompt + 1: maxPrompt, 1 << 62: maxPrompt} {
		m.Note(k, r, Turn{Prompt: given, Mark: 1<<32 - 1}, false, now)
		if last := m.Last(k, r, now); last != (Turn{Prompt: want, Mark: 1<<32 - 1}) {
			t.Errorf("%d tokens: %+v", given, last)
		}
	}
	m.Drop(k, r, now)
	if _, ok := m.Peek(k, now); ok {
		t.Error("the pin is no longer unconfirmed")
	}
}

// Stats leaves out the pins of an upstream that is gone, and counts an expired pin that gives way to a new one as expired.
func TestMapStats(t *testing.T) {
	m := NewMap(1000, time.Second)
	now := time.Now()
	for n := range 100 {
		m.Bind(testKey(uint64(n)), ref(0, 1), true, now)
	}
	m.Retire(ref(0, 1))
	if s := m.Stats(); s.Probation != 0 || s.Pins != 0 {
		t.Errorf("%+v after all were retired", s)
	}
	for n := range 875 {
		m.Bind(testKey(uint64(1000+n)), ref(1, 1), false, now)
	}
	m.Bind(testKey(5000), ref(1, 1), false, now.Add(2*time.Second))
	if s := m.Stats(); s.Evicted[lru] != 0 || s.Evicted[expired] != 1 {
		t.Errorf("%+v after an expired pin gave way to a new one", s)
	}
}

// A pin to an upstream that is gone already is not found, while all other pins are live: neither one that is protected nor one on probation.
func TestPinToRetired(t *testing.T) {
	for _, synthetic := range []bool{false, true} {
		m, now := NewMap(1000, time.Hour), time.Now()
		m.Set(testKey(1), ref(1, 1), now)
		m.Retire(ref(2, 1))
		m.Confirm(testKey(2), ref(2, 1), ref(2, 1), synthetic, now)
		if _, _, ok := m.Get(testKey(2), now); ok {
			t.Errorf("synthetic %v: the pin is found", synthetic)
		}
		if _, _, ok := m.Get(testKey(1), now); !ok {
			t.Errorf("synthetic %v: the other pin is gone", synthetic)
		}
		checkCounts(t, m)
	}
}
