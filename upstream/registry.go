package upstream

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tether/upstream/transport"
)

// Spec is one server as configured.
type Spec struct {
	// Name is the identity: two specs of one Apply have different ones, and none has the name of another's rank.
	Name    string
	Address transport.Address
	// Ranks is the number of its data-parallel ranks, each an upstream NAME@RANK. 0 makes the server one upstream, and
	// its requests name no rank.
	Ranks int
	// Slot is the number that the ring draws by, or ring.Unnumbered. Ranks share it out: rank r of R has Slot*R + r.
	Slot int
	// Weight is 0..100 per cent of a full server.
	Weight int
	// Drain keeps new sessions away for good.
	Drain bool
	// Models are those that it serves, whatever it lists; none: what it lists.
	Models []string
	transport.RequestOptions
}

// ranks are those of its upstreams.
func (s *Spec) ranks() []int {
	if s.Ranks == 0 {
		return []int{NoRank}
	}
	ranks := make([]int, s.Ranks)
	for rank := range ranks {
		ranks[rank] = rank
	}
	return ranks
}

// member is the place in the ring of a rank.
func (s *Spec) member(rank int, u *Upstream) Member {
	m := Member{Upstream: u, Slot: s.Slot, Weight: s.Weight}
	if rank != NoRank && s.Slot >= 0 {
		m.Slot = s.Slot*s.Ranks + rank
	}
	return m
}

// Ref names one incarnation of an upstream in 32 bits: its seat in the process, below MaxUpstreams, and how often
// that seat was given away. An upstream keeps its Ref while name, address and rank stay; the Ref of one that is gone is
// never given again (a seat wraps after a million changes). 0 names nobody.
type Ref uint32

// MaxUpstreams bounds a registry.
const MaxUpstreams = 1 << seatBits

const seatBits = 12

// Seat is 0..MaxUpstreams-1, unique among the living.
func (r Ref) Seat() int { return int(r & (MaxUpstreams - 1)) }

// successor is the next incarnation on the same seat.
func (r Ref) successor() Ref {
	if next := r + MaxUpstreams; next>>seatBits != 0 {
		return next
	}
	return Ref(r.Seat()) + MaxUpstreams // generation 0 would make seat 0 nobody
}

// Table is one immutable set of upstreams.
type Table struct {
	// Members are in the configured order, and those of one server in the order of their ranks.
	Members []Member
	// Servers are those of the members, each once, in the same order.
	Servers []*Server
	seats   []*Upstream
}

// Member is an upstream and its place in the ring.
type Member struct {
	*Upstream
	Slot, Weight int
}

// Resolve gives the upstream that ref names, or nil if it is not, or no longer, in the table.
func (t *Table) Resolve(ref Ref) *Upstream {
	if seat := ref.Seat(); seat < len(t.seats) && t.seats[seat] != nil && t.seats[seat].ref == ref {
		return t.seats[seat]
	}
	return nil
}

// Named gives the member of that name, or nil.
func (t *Table) Named(name string) *Member {
	for i := range t.Members {
		if t.Members[i].name == name {
			return &t.Members[i]
		}
	}
	return nil
}

// ServerNamed gives the server of that name, or nil.
func (t *Table) ServerNamed(name string) *Server {
	for _, s := range t.Servers {
		if s.name == name {
			return s
		}
	}
	return nil
}

// Registry owns the upstreams: Apply makes them, keeps them over changes of the configured list, and drops those that
// leave the list. Run closes connections that have been idle for too long.
type Registry struct {
	onChange func(Change)
	table    atomic.Pointer[Table]

	mu    sync.Mutex
	refs  []Ref  // guarded by mu: the last Ref given on each seat
	taken []bool // guarded by mu: by seat
}

// NewRegistry makes an empty registry. onChange is called with every change of an upstream's state, on the
// goroutine that made it, and must not block; nil ignores them.
func NewRegistry(onChange func(Change)) *Registry {
	if onChange == nil {
		onChange = func(Change) {}
	}
	r := &Registry{onChange: onChange}
	r.table.Store(&Table{})
	return r
}

// Table is the set now.
func (r *Registry) Table() *Table { return r.table.Load() }

// Apply makes specs the set. A server whose name and address stay is kept with its state and connections, and those of
// its ranks that stay with their Refs, drains and requests in flight; the others are new, or gone: the idle connections of
// a server that is gone are closed, what is in flight ends in its own time. It gives the Refs that are gone.
func (r *Registry) Apply(specs []Spec) (gone []Ref, err error) {
	n := 0
	for i := range specs {
		n += max(specs[i].Ranks, 1)
	}
	if n > MaxUpstreams {
		return nil, fmt.Errorf("%d upstreams, want at most %d", n, MaxUpstreams)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.Table()
	next := r.keep(before, specs)
	gone = r.vacate(before, next)
	r.complete(next, specs)
	r.table.Store(next)
	for _, s := range before.Servers {
		if !slices.Contains(next.Servers, s) {
			s.pool.Retire()
		}
	}
	return gone, nil
}

// keep makes the table of specs, with no upstream yet where there was none before.
func (r *Registry) keep(before *Table, specs []Spec) *Table {
	next := &Table{}
	for i := range specs {
		spec := &specs[i]
		s := before.ServerNamed(spec.Name)
		if s == nil || s.address != spec.Address {
			s = &Server{name: spec.Name, address: spec.Address, onChange: r.onChange, probeWanted: make(chan struct{}, 1), since: time.Now()}
		}
		next.Servers = append(next.Servers, s)
		for _, rank := range spec.ranks() {
			next.Members = append(next.Members, spec.member(rank, s.ranked(rank)))
		}
	}
	return next
}

// vacate frees the seats of the upstreams that are in next no more, and gives their Refs.
func (r *Registry) vacate(before, next *Table) (gone []Ref) {
	stays := map[*Upstream]bool{}
	for _, m := range next.Members {
		stays[m.Upstream] = true
	}
	for _, m := range before.Members {
		if !stays[m.Upstream] {
			r.taken[m.ref.Seat()] = false
			gone = append(gone, m.ref)
		}
	}
	return gone
}

// complete makes the upstreams that next has not yet, and hands all of them to their servers.
func (r *Registry) complete(next *Table, specs []Spec) {
	members := next.Members
	for i, s := range next.Servers {
		spec := specs[i]
		ranks := spec.ranks()
		upstreams := make([]*Upstream, len(ranks))
		for k, rank := range ranks {
			if members[k].Upstream == nil {
				members[k].Upstream = &Upstream{Server: s, name: nameOf(s.name, rank), ref: r.seat(), rank: rank}
			}
			upstreams[k] = members[k].Upstream
		}
		members = members[len(ranks):]
		s.options.Store(&spec.RequestOptions)
		s.Assign(spec.Models)
		s.adopt(upstreams)
		s.configureDrain(spec.Drain)
	}
	next.seats = make([]*Upstream, len(r.refs))
	for _, m := range next.Members {
		next.seats[m.ref.Seat()] = m.Upstream
	}
}

// seat takes the first free seat, and gives the Ref of who sits there now.
func (r *Registry) seat() Ref {
	seat := slices.Index(r.taken, false)
	if seat < 0 {
		seat = len(r.taken)
		r.taken = append(r.taken, false)
		r.refs = append(r.refs, Ref(seat))
	}
	r.taken[seat] = true
	r.refs[seat] = r.refs[seat].successor()
	return r.refs[seat]
}

// reapEvery is how often Run looks for connections that idled too long.
const reapEvery = time.Second

// Run closes idle connections in time, until ctx ends; then it closes them all.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, s := range r.Table().Servers {
				s.pool.Reap(now)
			}
		case <-ctx.Done():
			for _, s := range r.Table().Servers {
				s.pool.Retire()
			}
			return nil
		}
	}
}
