// Package ring places keys on slots: jump hash over the configured slots, deterministic re-draws where a slot
// cannot take the key, and weighted rendezvous on the names behind that.
//
// A slot is configuration, never history: the ring knows no clock, no counters and nothing of what was up before.
// Where a key goes is a pure function of the key, the table of slots and the set that is usable now. So a slot
// that drops out moves only its own keys, and gets back exactly those when it returns.
//
// Package session is the only caller on the way of a request.
package ring

import (
	"errors"
	"fmt"
)

const (
	// Version is part of the digest. It changes when any key of any table would be placed elsewhere.
	Version = 1

	// MaxSlots bounds slot numbers (0..MaxSlots-1) and the length of a table.
	MaxSlots = 4096

	// FullWeight is the weight of a full server; weights are per cent of it, never relative to each other.
	FullWeight = 100

	// Unnumbered is the Number of a slot that takes no part in the draws. A table whose slots are all unnumbered
	// is placed by rendezvous alone.
	Unnumbered = -1

	// draws bounds the re-draws before rendezvous decides. With u of n slots usable, (1-u/n)^draws of the keys
	// get that far: next to none at 15 of 16, nearly all at 2 of 512, where scanning is cheaper than drawing on.
	draws = 32
)

// Slot is one place for keys.
type Slot struct {
	// Name is the identity: unique, not empty.
	Name string
	// Number is the bucket of the jump hash, 0..MaxSlots-1, unique; numbers nobody has are gaps. Or Unnumbered,
	// then for all slots of a table.
	Number int
	// Weight is 0..FullWeight per cent of a full server. A slot of weight 0 is never given.
	Weight int
}

// Ring is an immutable table of slots, safe for concurrent use.
type Ring struct {
	slots   []Slot
	names   []uint64 // hash of each slot's name, for rendezvous
	buckets []int16  // slot number -> index in slots, or -1 for a gap; empty for an unnumbered table
	digest  uint64
}

// New builds the ring over slots. It reports every slot that breaks the rules of Slot, joined in one error.
func New(slots []Slot) (*Ring, error) {
	if err := check(slots); err != nil {
		return nil, err
	}
	r := &Ring{slots: append([]Slot(nil), slots...), names: make([]uint64, len(slots)), digest: digest(slots)}
	top := Unnumbered
	for i, s := range slots {
		r.names[i] = hashName(s.Name)
		top = max(top, s.Number)
	}
	r.buckets = make([]int16, top+1)
	for i := range r.buckets {
		r.buckets[i] = -1
	}
	for i, s := range slots {
		if s.Number != Unnumbered {
			r.buckets[s.Number] = int16(i)
		}
	}
	return r, nil
}

// Len is the number of slots; the indexes that a Walk gives are 0..Len()-1, in the order given to New.
func (r *Ring) Len() int { return len(r.slots) }

// Digest names the table: two processes with equal digests place every key alike. It covers Version and each
// slot's name, number and weight, in any order.
func (r *Ring) Digest() uint64 { return r.digest }

func check(slots []Slot) error {
	var errs []error
	if len(slots) > MaxSlots {
		errs = append(errs, fmt.Errorf("%d slots, want at most %d", len(slots), MaxSlots))
	}
	names := make(map[string]bool, len(slots))
	numbers := make(map[int]string, len(slots))
	for _, s := range slots {
		if s.Name == "" {
			errs = append(errs, errors.New("slot without a name"))
		}
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("slot %q is there twice", s.Name))
		}
		names[s.Name] = true
		if s.Weight < 0 || s.Weight > FullWeight {
			errs = append(errs, fmt.Errorf("slot %q: weight %d, want 0..%d", s.Name, s.Weight, FullWeight))
		}
		if (s.Number == Unnumbered) != (slots[0].Number == Unnumbered) {
			errs = append(errs, fmt.Errorf("slot %q: either all slots are numbered or none", s.Name))
		}
		if s.Number == Unnumbered {
			continue
		}
		if s.Number < 0 || s.Number >= MaxSlots {
			errs = append(errs, fmt.Errorf("slot %q: number %d, want 0..%d", s.Name, s.Number, MaxSlots-1))
		}
		if other, taken := numbers[s.Number]; taken {
			errs = append(errs, fmt.Errorf("slot %q: number %d is taken by %q", s.Name, s.Number, other))
		}
		numbers[s.Number] = s.Name
	}
	return errors.Join(errs...)
}
