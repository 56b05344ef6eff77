package plan

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A plan follows from its seed.
func TestPlanFollowsFromSeed(t *testing.T) {
	if d := cmp.Diff(New(5, 8, 3*time.Minute), New(5, 8, 3*time.Minute)); d != "" {
		t.Error(d)
	}
	if cmp.Equal(New(5, 8, 3*time.Minute), New(6, 8, 3*time.Minute)) {
		t.Error("two seeds give one plan")
	}
}

// In three minutes every kind comes, whatever the seed is. No server and no tether has two faults at a time, at most three servers have one,
// all faults are over at the end, and tether's process is not replaced late.
func TestPlan(t *testing.T) {
	const length = 3 * time.Minute
	for seed := range uint64(200) {
		steps := New(seed, 8, length)
		seen := map[Kind]bool{}
		over := map[int]time.Duration{}
		for _, s := range steps {
			seen[s.Kind] = true
			if over[s.Server] > s.At {
				t.Fatalf("seed %d: two faults of %d at %v", seed, s.Server, s.At)
			}
			trait := traits[s.Kind]
			if s.For < trait.least || s.For > trait.most || s.Times > trait.times {
				t.Fatalf("seed %d: %+v is out of its bounds", seed, s)
			}
			if trait.ofTether != (s.Server < 0) || s.Server >= 8 {
				t.Fatalf("seed %d: %s strikes server %d", seed, s.Kind, s.Server)
			}
			if trait.renewal && s.At > length*6/10 {
				t.Fatalf("seed %d: %s comes at %v", seed, s.Kind, s.At)
			}
			if over[s.Server] = s.At + s.For + trait.recovery; over[s.Server] > length {
				t.Fatalf("seed %d: %s is over at %v", seed, s.Kind, over[s.Server])
			}
			struck := 0
			for server, until := range over {
				if server >= 0 && until > s.At {
					struck++
				}
			}
			if struck > mostStruck {
				t.Fatalf("seed %d: %d servers have a fault at %v", seed, struck, s.At)
			}
		}
		for _, k := range Kinds() {
			if !seen[k] {
				t.Errorf("seed %d: %s never comes", seed, k)
			}
		}
	}
}
