package ring

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/zeebo/xxh3"
)

// jump is the jump consistent hash of Lamping and Veach ("A Fast, Minimal Memory, Consistent Hash Algorithm",
// arXiv:1406.2294). It returns a bucket of 0..n-1. One more bucket moves 1/(n+1) of the keys, all of them to the new bucket.
// The only floating-point steps are a division and a product, so that all platforms agree to the bit.
func jump(key uint64, n int) int {
	b, j := int64(-1), int64(0)
	for j < int64(n) {
		b = j
		key = key*2862933555777941757 + 1
		j = int64(float64(b+1) * (float64(1<<31) / float64((key>>33)+1)))
	}
	return int(b)
}

const golden = 0x9e3779b97f4a7c15 // 2^64 / golden ratio, the increment of splitmix64

// mix is the output function of splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
// Generators", OOPSLA 2014), a bijection that spreads every input bit over all output bits.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func hashName(name string) uint64 { return xxh3.HashString(name) }

func digest(slots []Slot) uint64 {
	sorted := slices.SortedFunc(slices.Values(slots), func(a, b Slot) int { return strings.Compare(a.Name, b.Name) })
	b := binary.AppendUvarint(nil, Version)
	for _, s := range sorted {
		b = binary.AppendUvarint(b, uint64(len(s.Name)))
		b = append(b, s.Name...)
		b = binary.AppendVarint(b, int64(s.Number))
		b = binary.AppendUvarint(b, uint64(s.Weight))
	}
	return xxh3.Hash(b)
}
