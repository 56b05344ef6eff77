package pins

// index finds the entries of a shard by their hashes. A bucket is one line of the processor's cache, and most look-ups read no other bucket and
// no other entry than the right one.
type index struct {
	buckets []bucket // they grow with the entries, within their capacity
	mask    uint64   // len(buckets) is in mask/2+1..mask+1, mask+1 being a power of two
	extra   []bucket // behind full buckets; extra[0] is not used
	unused  uint32   // first of the chain of extra buckets that no bucket needs
}

// bucket is 64 bytes. Its slots are taken from the first one on.
type bucket struct {
	slots [15]uint32 // the number of an entry in the low bits, a part of the entry's hash above; 0 for none
	more  uint32     // the extra bucket that goes on, 0 for none
}

const (
	// numberBits are the bits of an entry's number in a slot.
	numberBits = 21
	maxNumber  = 1<<numberBits - 1
	// perBucket is the number of entries for which one more bucket is added, until all are there. A bucket that is not split yet has up to
	// twice as many.
	perBucket = 6
	// mostPerBucket is the number of entries of a bucket in a full shard, on average. With 10, a pin takes 47 bytes at 10 million pins, and
	// 1.3 % of them are in extra buckets.
	mostPerBucket = 10
)

// bucketsFor returns the number of buckets of a shard for so many entries.
func bucketsFor(capacity int) int {
	if capacity > maxNumber-1 {
		panic("BUG: a shard has more entries than a slot can number")
	}
	return (capacity + mostPerBucket - 1) / mostPerBucket
}

// tag is the part of a hash that a slot has, where it stands in the slot. Neither the shard nor the bucket depends on these bits.
func tag(h uint64) uint32 { return uint32(h>>26) &^ maxNumber }

// home returns the bucket of a hash. One that is not there yet has its entries in the bucket that it will be split from.
func (x *index) home(h uint64) *bucket {
	b := h & x.mask
	if b >= uint64(len(x.buckets)) {
		b &= x.mask >> 1
	}
	return &x.buckets[b]
}

// add adds entry i.
func (x *index) add(h uint64, i uint32) { x.put(x.home(h), tag(h)|i) }

// put puts a slot into b, or into an extra bucket if b is full. Only the first of the extra buckets of b may have a free slot.
func (x *index) put(b *bucket, slot uint32) {
	at := b
	if b.slots[len(b.slots)-1] != none {
		if b.more == none || x.extra[b.more].slots[len(b.slots)-1] != none {
			e := x.takeExtra()
			x.extra[e].more, b.more = b.more, e
		}
		at = &x.extra[b.more]
	}
	at.slots[at.len()] = slot
}

// len is the number of slots that are taken.
func (b *bucket) len() (n int) {
	for n < len(b.slots) && b.slots[n] != none {
		n++
	}
	return n
}

// takeExtra returns an empty extra bucket.
func (x *index) takeExtra() uint32 {
	if e := x.unused; e != none {
		x.unused, x.extra[e].more = x.extra[e].more, none
		return e
	}
	if len(x.extra) == 0 {
		x.extra = append(x.extra, bucket{})
	}
	x.extra = append(x.extra, bucket{})
	return uint32(len(x.extra) - 1)
}

func (x *index) leaveExtra(e uint32) {
	x.extra[e] = bucket{more: x.unused}
	x.unused = e
}

// remove removes entry i, which must be there.
func (x *index) remove(h uint64, i uint32) {
	first := x.home(h)
	b, slot := first, tag(h)|i
	at := b.find(slot)
	for at < 0 {
		if b.more == none {
			panic("BUG: an entry is not in the index")
		}
		b = &x.extra[b.more]
		at = b.find(slot)
	}
	last := first
	if first.more != none {
		last = &x.extra[first.more]
	}
	n := last.len() - 1
	b.slots[at], last.slots[n] = last.slots[n], none
	if e := first.more; n == 0 && e != none {
		first.more = last.more
		x.leaveExtra(e)
	}
}

func (b *bucket) find(slot uint32) int {
	for at := range b.slots {
		if b.slots[at] == slot {
			return at
		}
	}
	return -1
}

// split adds a bucket, unless there are enough: it moves entries of one bucket there (linear hashing, Litwin 1980). So a map that holds few
// pins touches few pages of its memory, and no insertion takes long.
func split(s *shard) {
	x := &s.index
	n := uint64(len(x.buckets))
	if n == uint64(cap(x.buckets)) || n*perBucket >= uint64(len(s.entries)) {
		return
	}
	if n > x.mask {
		x.mask = 2*x.mask + 1
	}
	x.buckets = append(x.buckets, bucket{})
	from := &x.buckets[n&(x.mask>>1)]
	old := *from
	*from = bucket{}
	for {
		for _, slot := range old.slots[:old.len()] {
			x.put(x.home(s.hash.of(s.entries[slot&maxNumber].key.key())), slot)
		}
		e := old.more
		if e == none {
			return
		}
		old = x.extra[e]
		x.leaveExtra(e)
	}
}
