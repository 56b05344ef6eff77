package peers

import "testing"

func TestSub(t *testing.T) {
	got := Usage{CPU: 9, User: 7, Switches: 5, Preempted: 3}.Sub(Usage{CPU: 1, User: 2, Switches: 3, Preempted: 1})
	if want := (Usage{CPU: 8, User: 5, Switches: 2, Preempted: 2}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
