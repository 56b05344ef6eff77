package prefill

import (
	"math"
	"sync/atomic"
)

// figure is a number that is read without a lock. 0 stands for unknown.
type figure struct{ bits atomic.Uint64 }

// Load returns the number.
func (f *figure) Load() float64 { return math.Float64frombits(f.bits.Load()) }

// Store sets the number.
func (f *figure) Store(v float64) { f.bits.Store(math.Float64bits(v)) }

// or returns the number, or unknown if it is 0.
func (f *figure) or(unknown float64) float64 {
	if v := f.Load(); v > 0 {
		return v
	}
	return unknown
}
