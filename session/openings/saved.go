package openings

import (
	"encoding/binary"
	"time"
)

// The sizes of what Save writes, in bytes.
const (
	// RootSize is the size of a place in a prompt.
	RootSize = 8 + 8 + 4
	// OpeningSize is the size of an opening.
	OpeningSize = 8 + maxElders*8 + 4 + 4
)

// Saved is what a Table has learned, outside of it: entries of RootSize and of OpeningSize bytes, in no order.
type Saved struct{ Roots, Openings []byte }

// Save appends to s what t has learned and has used since a time, in whole seconds. The zero time stands for everything.
func (t *Table) Save(s *Saved, since time.Time) {
	second := uint32(max(0, since.Unix()))
	for i := range t.roots {
		set := &t.roots[i]
		for n := range set.root {
			if root := set.root[n].Load(); root != 0 && set.used[n].Load() >= second {
				s.Roots = appendRoot(s.Roots, sealOf(set.seal[n].Load(), root), root, set.used[n].Load())
			}
		}
	}
	for i := range t.sets {
		for n := range t.sets[i] {
			if o := &t.sets[i][n]; o.hash.Load() != 0 && o.used.Load() >= second {
				s.Openings = o.append(s.Openings)
			}
		}
	}
}

// appendRoot appends a place in a prompt. The seal of a seal and its root is the hash again.
func appendRoot(b []byte, hash, root uint64, used uint32) []byte {
	b = binary.LittleEndian.AppendUint64(b, hash)
	b = binary.LittleEndian.AppendUint64(b, root)
	return binary.LittleEndian.AppendUint32(b, used)
}

func (o *opening) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, o.hash.Load())
	for i := range o.elders {
		b = binary.LittleEndian.AppendUint64(b, o.elders[i].Load())
	}
	var wide uint32
	if o.wide.Load() {
		wide = 1
	}
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, o.used.Load()), wide)
}

// Restore adds what was saved to t. What both know stays, and the later use counts. Times after now count as now.
func (t *Table) Restore(s Saved, now time.Time) {
	for b := s.Roots; len(b) >= RootSize; b = b[RootSize:] {
		hash, root := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		if root != 0 && t.Root(hash) == 0 {
			t.SetRoot(hash, root, usedAt(b[16:], now))
		}
	}
	for b := s.Openings; len(b) >= OpeningSize; b = b[OpeningSize:] {
		t.restoreOpening(b[:OpeningSize], now)
	}
}

func usedAt(b []byte, now time.Time) time.Time {
	return time.Unix(min(int64(binary.LittleEndian.Uint32(b)), now.Unix()), 0)
}

func (t *Table) restoreOpening(b []byte, now time.Time) {
	hash, tail := binary.LittleEndian.Uint64(b), b[8+maxElders*8:]
	if hash == 0 {
		return
	}
	o := t.find(hash)
	if o == nil {
		t.add(hash, 0, usedAt(tail, now))
		o = t.find(hash)
	}
	if o == nil {
		return // another request has taken its place
	}
	for i := range maxElders {
		o.addElder(elder(binary.LittleEndian.Uint64(b[8+8*i:])), now)
	}
	if binary.LittleEndian.Uint32(tail[4:]) != 0 && o.wide.CompareAndSwap(false, true) {
		t.wide.Add(1)
	}
}

// addElder adds a saved elder, unless the opening has it, or has no place for it.
func (o *opening) addElder(e elder, now time.Time) {
	if e == 0 {
		return
	}
	if i, is := o.elder(uint64(e), now); !is && i >= 0 {
		o.elders[i].Store(uint64(e))
	}
}
