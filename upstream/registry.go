package upstream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Spec is one upstream as configured.
type Spec struct {
	// Name is the identity; two specs of one Apply have different ones.
	Name    string
	Address Address
	// Slot is the number that the ring draws by, or ring.Unnumbered.
	Slot int
	// Weight is 0..100 per cent of a full server.
	Weight int
	// Drain keeps new sessions away for good.
	Drain bool
	Manners
	// Models are those that it serves, whatever it lists; none: what it lists.
	Models []string
}

// Ref names one incarnation of an upstream in 32 bits: its seat in the process, below MaxUpstreams, and how often
// that seat was given away. An upstream keeps its Ref while name and address stay; the Ref of one that is gone is
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
	// Members are in the configured order.
	Members []Member
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

// Registry owns the upstreams: it makes them, keeps them over changes of the list, and lets go of those that
// leave it. New takes what is to hear of changes of state; Run closes connections that idled too long.
type Registry struct {
	onChange func(Change)
	table    atomic.Pointer[Table]

	mu    sync.Mutex
	refs  []Ref // guarded by mu: the last Ref given on each seat
	taken []bool
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

// Apply makes specs the set. An upstream whose name and address stay is kept with its state, connections and Ref;
// the others are new, or gone: their idle connections are closed, what is in flight ends in its own time. It
// gives the Refs that are gone.
func (r *Registry) Apply(specs []Spec) (gone []Ref, err error) {
	if len(specs) > MaxUpstreams {
		return nil, fmt.Errorf("%d upstreams, want at most %d", len(specs), MaxUpstreams)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.Table()
	next := &Table{Members: make([]Member, len(specs))}
	for i, s := range specs {
		next.Members[i] = Member{Slot: s.Slot, Weight: s.Weight}
		if m := before.Named(s.Name); m != nil && m.address == s.Address {
			next.Members[i].Upstream = m.Upstream
		}
	}
	for _, m := range before.Members {
		if !next.has(m.Upstream) {
			r.taken[m.ref.Seat()] = false
			gone = append(gone, m.ref)
		}
	}
	for i, s := range specs {
		if next.Members[i].Upstream == nil {
			next.Members[i].Upstream = r.seat(s)
		}
		next.Members[i].manners.Store(&s.Manners)
		next.Members[i].configureDrain(s.Drain)
		next.Members[i].assigned.Store(assigned(s.Models))
	}
	next.seats = make([]*Upstream, len(r.refs))
	for _, m := range next.Members {
		next.seats[m.ref.Seat()] = m.Upstream
	}
	r.table.Store(next)
	for _, ref := range gone {
		before.Resolve(ref).pool.retire()
	}
	return gone, nil
}

func (t *Table) has(u *Upstream) bool {
	for _, m := range t.Members {
		if m.Upstream == u {
			return true
		}
	}
	return false
}

// seat makes a new upstream on the first free seat.
func (r *Registry) seat(s Spec) *Upstream {
	seat := 0
	for seat < len(r.taken) && r.taken[seat] {
		seat++
	}
	if seat == len(r.taken) {
		r.taken = append(r.taken, false)
		r.refs = append(r.refs, Ref(seat))
	}
	r.taken[seat] = true
	r.refs[seat] = r.refs[seat].successor()
	return &Upstream{
		name: s.Name, ref: r.refs[seat], address: s.Address,
		onChange: r.onChange, trouble: make(chan struct{}, 1), since: time.Now(),
	}
}

func (u *Upstream) configureDrain(drain bool) {
	if drain {
		u.change(0, drainConfigured, "by the configuration")
		return
	}
	u.change(drainConfigured, 0, "by the configuration")
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
			for _, m := range r.Table().Members {
				m.pool.reap(now)
			}
		case <-ctx.Done():
			for _, m := range r.Table().Members {
				m.pool.retire()
			}
			return nil
		}
	}
}
