// Package ring places keys on slots: by jump hash over the configured slots, by deterministic re-draws if a slot cannot
// take the key, and after these by weighted rendezvous on the names.
//
// A slot is configuration, never history: the ring has no clock and no counters, and does not know which slots were usable
// before. The place of a key is a pure function of the key, the table of slots and the set of usable slots. A slot that
// drops out therefore moves its own keys only, and gets exactly these back when it returns.
//
// Package session calls it for requests. The functions of hash.go, walk.go and weight.go are tested in ring_test.go, and their results
// are frozen in vectors_test.go.
package ring

import (
	"errors"
	"fmt"
)

const (
	// Version is part of the digest. It changes if any key of any table is placed elsewhere.
	Version = 1

	// MaxSlots is the greatest length of a table; slot numbers are 0..MaxSlots-1.
	MaxSlots = 4096

	// FullWeight is the weight of a full server. Weights are per cent of it, and not relative to each other.
	FullWeight = 100

	// Unnumbered is the Number of a slot that takes no part in the draws. A table of unnumbered slots places keys by
	// rendezvous alone.
	Unnumbered = -1

	// draws is the number of draws before rendezvous decides. With u of n slots usable, (1-u/n)^draws of the keys get
	// that far: almost none at 15 of 16, nearly all at 2 of 512, where a scan is cheaper than more draws.
	draws = 32
)

// Slot is one place for keys.
type Slot struct {
	// Name is the identity: unique, not empty.
	Name string
	// Number is the bucket of the jump hash: unique, 0..MaxSlots-1. Numbers that no slot has are gaps. It is Unnumbered
	// either for all slots of a table or for none.
	Number int
	// Weight is 0..FullWeight per cent of a full server. No key goes to a slot of weight 0.
	Weight int
}

// Ring is an immutable table of slots, safe for concurrent use.
type Ring struct {
	slots   []Slot
	names   []uint64 // hash of each slot's name, for rendezvous
	buckets []int16  // by slot number: the index in slots, -1 for a gap; empty for an unnumbered table
	digest  uint64
}

// New returns the ring over slots. Its error joins a problem for each slot that breaks the rules of Slot.
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

// Len returns the number of slots. The indexes that a Walk returns are 0..Len()-1, in the order of New.
func (r *Ring) Len() int { return len(r.slots) }

// Digest identifies the table: two processes with equal digests place every key alike. It covers Version, and the name, the
// number and the weight of each slot, in any order.
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
