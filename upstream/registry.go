package upstream

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tether/upstream/transport"
)

// Registry owns the upstreams: Apply makes them, keeps them over changes of the configured list, and drops those that
// leave the list. Run closes connections that have been idle for too long, and cuts requests that removed servers do not finish.
type Registry struct {
	onChange func(Change)
	table    atomic.Pointer[Table]

	mu       sync.Mutex
	refs     []Ref         // guarded by mu: the last Ref given on each seat
	taken    []bool        // guarded by mu: by seat
	finish   time.Duration // guarded by mu: see FinishWithin
	departed []departed    // guarded by mu: removed servers that may have requests in flight
}

// NewRegistry makes an empty registry. onChange is called with every change of an upstream's state, on the goroutine that
// made the change; it must not block, and may be nil.
func NewRegistry(onChange func(Change)) *Registry {
	if onChange == nil {
		onChange = func(Change) {}
	}
	r := &Registry{onChange: onChange, finish: math.MaxInt64}
	r.table.Store(&Table{})
	return r
}

// Table returns the present table.
func (r *Registry) Table() *Table { return r.table.Load() }

// Apply replaces the table by that of specs. A server whose name and address stay is kept with its state and connections; its ranks that stay
// keep their Refs, drains and requests in flight. All others are new. The idle connections of a removed server are closed,
// and its requests in flight may finish, see FinishWithin. Apply returns the Refs of the removed upstreams.
func (r *Registry) Apply(specs []Spec) (removed []Ref, err error) {
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
	removed = r.vacate(before, next)
	r.complete(next, specs)
	r.table.Store(next)
	r.dismiss(before, next)
	return removed, nil
}

// keep makes the table of specs with the upstreams that stay; the others are nil.
func (r *Registry) keep(before *Table, specs []Spec) *Table {
	next := &Table{}
	for i := range specs {
		spec := &specs[i]
		s := before.ServerNamed(spec.Name)
		if s == nil || s.address != spec.Address {
			s = newServer(spec, r.onChange)
		}
		next.Servers = append(next.Servers, s)
		for _, rank := range spec.ranks() {
			next.Members = append(next.Members, spec.member(rank, s.states.ofRank(rank)))
		}
	}
	return next
}

// vacate frees the seats of the upstreams that next no longer has, and returns their Refs.
func (r *Registry) vacate(before, next *Table) (removed []Ref) {
	stays := map[*Upstream]bool{}
	for _, m := range next.Members {
		stays[m.Upstream] = true
	}
	for _, m := range before.Members {
		if !stays[m.Upstream] {
			r.taken[m.ref.Seat()] = false
			removed = append(removed, m.ref)
		}
	}
	return removed
}

// complete makes the upstreams that next does not have yet, and configures its servers.
func (r *Registry) complete(next *Table, specs []Spec) {
	members := next.Members
	var options *transport.RequestOptions // shared by servers that follow one another and have equal ones; those with TLS never do
	for i, s := range next.Servers {
		spec := specs[i]
		if options == nil || *options != spec.RequestOptions {
			options = &spec.RequestOptions
		}
		ranks := spec.ranks()
		upstreams := make([]*Upstream, len(ranks))
		for k, rank := range ranks {
			if members[k].Upstream == nil {
				members[k].Upstream = &Upstream{Server: s, name: nameOf(s.name, rank), ref: r.seat(), rank: rank}
			}
			upstreams[k] = members[k].Upstream
		}
		members = members[len(ranks):]
		s.configure(&spec, options, upstreams)
	}
	next.seats = slices.Repeat([]int{-1}, len(r.refs))
	for i, m := range next.Members {
		next.seats[m.ref.Seat()] = i
	}
}

// seat takes the first free seat and returns the Ref of its next incarnation.
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

// CloseIdle closes the idle connections to all servers, and reports whether there were any.
func (r *Registry) CloseIdle() (closed bool) {
	for _, s := range r.Table().Servers {
		closed = s.pool.CloseIdle() || closed
	}
	return closed
}

// reapEvery is how often Run looks for connections that have been idle for too long.
const reapEvery = time.Second

// Run closes connections that have been idle for too long, and cuts what removed servers have not finished in time, until ctx
// ends. Then it closes all idle connections.
func (r *Registry) Run(ctx context.Context) error {
	tick := time.NewTicker(reapEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, s := range r.Table().Servers {
				s.pool.Reap(now)
			}
			r.cutOverdue(now)
		case <-ctx.Done():
			for _, s := range r.Table().Servers {
				s.pool.Retire()
			}
			return nil
		}
	}
}
