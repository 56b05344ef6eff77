package pins

import (
	"testing"
	"time"
)

// Save leaves out the pins of an upstream that is gone, while the map still has them.
func TestSaveAfterRetire(t *testing.T) {
	m, now := NewMap(100_000, time.Hour), time.Now()
	for n := range uint64(2000) {
		m.Set(testKey(n), ref(int(n%2)+1, 1), now)
	}
	m.Retire(ref(2, 1))
	saved := 0
	err := Save(m, now, func(run []Saved) error {
		for i := range run {
			if run[i].Ref != ref(1, 1) {
				t.Errorf("saved %+v", run[i])
			}
			saved++
		}
		return nil
	})
	if err != nil || saved != 1000 {
		t.Errorf("%d pins saved, %v", saved, err)
	}
}
