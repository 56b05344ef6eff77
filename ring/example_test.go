package ring_test

import (
	"fmt"

	"tether/ring"
)

// A key goes to its home while the home is usable, and to the next slot of its order while it is not. No other key moves.
func Example() {
	slots := []ring.Slot{
		{Name: "vllm-0", Number: 0, Weight: ring.FullWeight},
		{Name: "vllm-1", Number: 1, Weight: ring.FullWeight},
		{Name: "vllm-2", Number: 2, Weight: ring.FullWeight},
	}
	r, err := ring.New(slots)
	if err != nil {
		fmt.Println(err)
		return
	}
	down := -1
	home := func(key uint64) string {
		walk := r.Walk(key)
		return slots[walk.Next(func(i int) bool { return i != down })].Name
	}
	const ada, bob = 0x5bd1e995a5e1c0de, 0x27d4eb2f165667c5
	fmt.Println("all up:     ", home(ada), home(bob))
	down = 1
	fmt.Println("vllm-1 down:", home(ada), home(bob))
	down = -1
	fmt.Println("vllm-1 back:", home(ada), home(bob))
	// Output:
	// all up:      vllm-1 vllm-2
	// vllm-1 down: vllm-2 vllm-2
	// vllm-1 back: vllm-1 vllm-2
}
