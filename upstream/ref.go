package upstream

// Ref names one incarnation of an upstream in 32 bits: its seat in the process, below MaxUpstreams, and the generation of that
// seat. An upstream keeps its Ref while its name, address and rank stay. The Ref of a removed upstream is never given
// again (a seat's generations wrap after a million changes). 0 names no upstream.
type Ref uint32

// MaxUpstreams bounds a registry.
const MaxUpstreams = 1 << seatBits

const seatBits = 12

// Seat is 0..MaxUpstreams-1, unique among the upstreams of a Table.
func (r Ref) Seat() int { return int(r & (MaxUpstreams - 1)) }

// successor is the next incarnation on the same seat.
func (r Ref) successor() Ref {
	if next := r + MaxUpstreams; next>>seatBits != 0 {
		return next
	}
	return Ref(r.Seat()) + MaxUpstreams // generation 0 on seat 0 would be the Ref 0
}
