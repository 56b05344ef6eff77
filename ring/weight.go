package ring

import "math/bits"

// The weight of a slot counts twice: a draw is rejected in the share that is missing to FullWeight, and in the rendezvous the
// weight divides the cost of a slot.

// acceptance returns the greatest weight, 0..FullWeight-1, that rejects a draw with state h. It depends on the draw alone, so
// that a greater weight only adds keys to a slot.
func acceptance(h uint64) int {
	return int(mix(h^golden) >> 32 * FullWeight >> 32)
}

// rank is the place of a slot in the rendezvous of one key. The least -log(u)/weight comes first, which meets the weights
// exactly (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005).
type rank struct {
	u, weight uint64
}

func (a *rank) before(b *rank) bool {
	if a.weight == b.weight {
		return a.u > b.u
	}
	x, y := cost(a.u)*b.weight, cost(b.u)*a.weight
	if x == y {
		return a.u > b.u
	}
	return x < y
}

// costBits is the number of binary places of a cost.
const costBits = 20

// cost returns -log2(u/2^64) with costBits binary places. It squares repeatedly, in integers only: floating-point
// logarithms differ in the last bit between platforms, and homes must not. A greater u never has a greater cost.
func cost(u uint64) uint64 {
	u = max(u, 1)
	zeros := bits.LeadingZeros64(u)
	x := u << zeros >> 32 // 1.31 fixed point, 1 <= x < 2
	var places uint64
	for range costBits {
		x = x * x >> 31
		places = places<<1 | x>>32
		x >>= x >> 32
	}
	return uint64(zeros+1)<<costBits - places
}
