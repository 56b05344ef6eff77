package upstream

import "tether/upstream/transport"

// Spec is one server as configured.
type Spec struct {
	// Name is the identity. The specs of one Apply have different names, and none has the name of another's rank.
	Name    string
	Address transport.Address
	// Ranks is the number of data-parallel ranks, each an upstream NAME@RANK. With 0 the server is one upstream, and
	// requests to it name no rank.
	Ranks int
	// Slot is the server's number in the ring, or ring.Unnumbered. The ranks share it out: rank r of R has Slot*R + r.
	Slot int
	// Weight is 0..100 per cent of a full server.
	Weight int
	// MaxInFlight is how many requests the server may have in flight, those of all its ranks together; 0 for no limit.
	MaxInFlight int
	// Drain keeps new sessions away for good.
	Drain bool
	// Models are the models that the server serves, whatever it lists. If empty, its own list counts.
	Models []string
	transport.RequestOptions
}

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

// member is u with the place in the ring that the spec gives to rank.
func (s *Spec) member(rank int, u *Upstream) Member {
	m := Member{Upstream: u, Slot: s.Slot, Weight: s.Weight}
	if rank != NoRank && s.Slot >= 0 {
		m.Slot = s.Slot*s.Ranks + rank
	}
	return m
}
