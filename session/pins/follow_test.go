package pins

import (
	"testing"
	"time"
)

// A pin of another process has the time of the other's use, and a use of this process that is later counts on.
func TestFollow(t *testing.T) {
	m := NewMap(1000, time.Minute)
	now := time.Now()
	Follow(m, testKey(1), 7, 50*time.Second, now)
	if ref, idle, ok := Look(m, testKey(1), now); ref != 7 || idle != 50*time.Second || !ok {
		t.Errorf("%v after %v, %v", ref, idle, ok)
	}
	if _, _, ok := Look(m, testKey(1), now.Add(11*time.Second)); ok {
		t.Error("a followed pin lives too long")
	}
	m.Set(testKey(2), 7, now)
	Follow(m, testKey(2), 8, 50*time.Second, now)
	if ref, idle, _ := Look(m, testKey(2), now); ref != 8 || idle != 0 {
		t.Errorf("%v after %v: a use of this process was forgotten", ref, idle)
	}
	Follow(m, testKey(2), 8, 0, now.Add(10*time.Second))
	if _, idle, _ := Look(m, testKey(2), now.Add(10*time.Second)); idle != 0 {
		t.Errorf("used %v ago by another process", idle)
	}
	if _, _, ok := Look(m, testKey(3), now); ok {
		t.Error("a pin that nothing made")
	}
}

// The request that made a pin cannot drop it once another process has told of it, and no pin follows to an upstream that is gone.
func TestFollowedPinsStay(t *testing.T) {
	m := NewMap(1000, time.Minute)
	now := time.Now()
	m.Bind(testKey(1), 7, false, now)
	Follow(m, testKey(1), 7, 0, now)
	m.Drop(testKey(1), 7, now)
	if _, _, ok := Look(m, testKey(1), now); !ok {
		t.Error("dropped")
	}
	m.Retire(9)
	Follow(m, testKey(2), 9, 0, now)
	if s := m.Stats(); s.Pins != 1 {
		t.Errorf("%+v", s)
	}
}
