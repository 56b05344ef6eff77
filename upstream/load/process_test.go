package load

import "testing"

// Each restart has a number of its own, though the server never says anything.
func TestEachProcessHasItsNumber(t *testing.T) {
	var p Processes
	seen := map[uint32]bool{p.Process(): true}
	for range 5 {
		if p.CameBack(); seen[p.Process()] {
			t.Errorf("%d was another process", p.Process())
		}
		seen[p.Process()] = true
	}
	if p.SaidBegan(7); !seen[p.Process()] {
		t.Error("the process that came back last is another one since it says when it began")
	}
}
