package pins

// bucket returns the bucket of a hash. One that is not there yet has its entries in the bucket that it will be split from.
func (s *shard) bucket(h uint64) *uint32 {
	b := h & s.mask
	if b >= uint64(len(s.buckets)) {
		b &= s.mask >> 1
	}
	return &s.buckets[b]
}

// split adds a bucket, unless all are there: it moves entries of one bucket there (linear hashing, Litwin 1980). So a map that holds few
// pins touches few pages of its memory, and no insertion takes long.
func split(s *shard) {
	n := uint64(len(s.buckets))
	if n == uint64(cap(s.buckets)) {
		return
	}
	if n > s.mask {
		s.mask = 2*s.mask + 1
	}
	s.buckets = append(s.buckets, none)
	link := &s.buckets[n&(s.mask>>1)]
	for *link != none {
		e := &s.entries[*link]
		if s.hash.of(e.key.key())&s.mask != n {
			link = &e.chain
			continue
		}
		i := *link
		*link, e.chain, s.buckets[n] = e.chain, s.buckets[n], i
	}
}
