package main

import "testing"

// A server that is added gets its share of the new conversations, and none that is pinned.
func TestResize(t *testing.T) {
	w := fleet(t, "hash")
	var talks []*talk
	var at []int
	for n := range 40 {
		c := &talk{key: w.tethers[0].keyOf(1, n)}
		talks, at = append(talks, c), append(at, ask(w, c, 10))
	}
	if err := w.clock.Run(nil); err != nil {
		t.Fatal(err)
	}
	if err := w.resize(4); err != nil {
		t.Fatal(err)
	}
	for i, c := range talks {
		if got := ask(w, c, 10); got != at[i] {
			t.Errorf("a conversation went from server %d to %d", at[i], got)
		}
	}
	there := 0
	for n := range 40 {
		if ask(w, &talk{key: w.tethers[0].keyOf(2, n)}, 10) == 3 {
			there++
		}
	}
	if there < 4 || there > 20 {
		t.Errorf("%d of 40 new conversations go to the new server, want about 10", there)
	}
}
