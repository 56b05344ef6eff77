package ring

// Walk is the order of the slots for one key: first the key's home, then the slots that it falls back to. It is a plain
// value, made by Ring.Walk or Ring.Rendezvous, and belongs to one goroutine. It must not be copied once Next was called.
type Walk struct {
	r     *Ring
	key   uint64
	state uint64 // of the draws
	left  int    // draws left

	// What Next has returned. Most walks end after one slot, and to clear a bit for each slot of the table would take as long as they do. A walk that
	// goes on after 32 slots allocates once.
	first [32]int16
	given int      // of first
	later []uint64 // a bit for each slot that was returned after first was full, nil for none
}

// Walk starts the order of a key, which must be a good hash.
func (r *Ring) Walk(key uint64) Walk {
	left := draws
	if len(r.buckets) == 0 {
		left = 0
	}
	return Walk{r: r, key: key, state: key, left: left}
}

// Rendezvous starts the order of a key by weighted rendezvous alone, without draws. It is for keys that only a part of the
// table may serve by configuration: slots outside this part then never move them.
func (r *Ring) Rendezvous(key uint64) Walk {
	return Walk{r: r, key: key, state: key}
}

// Next returns the index of the next slot that usable accepts, or -1 if none is left. It returns each slot at most once. It
// calls usable with indexes below Ring.Len, with some of them more than once. usable does not escape.
func (w *Walk) Next(usable func(i int) bool) int {
	for w.left > 0 {
		if i := w.draw(); i >= 0 && w.fresh(i) && usable(i) {
			return w.give(i)
		}
	}
	best := -1
	var top rank
	for i := range w.r.slots {
		weight := uint64(w.r.slots[i].Weight)
		if weight == 0 || !w.fresh(i) {
			continue
		}
		if r := (rank{u: mix(w.key ^ w.r.names[i]), weight: weight}); (best < 0 || r.before(&top)) && usable(i) {
			best, top = i, r
		}
	}
	if best < 0 {
		return -1
	}
	return w.give(best)
}

// draw returns the slot of the next draw, or -1 for a gap and if the weight of the slot rejects the draw.
func (w *Walk) draw() int {
	w.left--
	h := w.state
	w.state = mix(h + golden)
	i := int(w.r.buckets[jump(h, len(w.r.buckets))])
	if i < 0 {
		return -1
	}
	if weight := w.r.slots[i].Weight; weight < FullWeight && acceptance(h) >= weight {
		return -1
	}
	return i
}

// fresh reports whether Next has not returned i yet.
func (w *Walk) fresh(i int) bool {
	for _, g := range w.first[:w.given] {
		if int(g) == i {
			return false
		}
	}
	return w.later == nil || w.later[i/64]&(1<<(i%64)) == 0
}

// give notes that Next returns i.
func (w *Walk) give(i int) int {
	if w.given < len(w.first) {
		w.first[w.given] = int16(i)
		w.given++
		return i
	}
	if w.later == nil {
		w.later = make([]uint64, (len(w.r.slots)+63)/64)
	}
	w.later[i/64] |= 1 << (i % 64)
	return i
}
