package pins

import (
	"errors"
	"testing"
	"time"

	"tether/upstream"
)

// recentKeys returns the keys of the pins that were used since a time, and checks that each run is in the order of use.
func recentKeys(t *testing.T, m *Map, since, now time.Time) map[uint64]Saved {
	t.Helper()
	found := map[uint64]Saved{}
	err := Recent(m, since, now, func(run []Saved) error {
		for i, p := range run {
			if i > 0 && run[i-1].Age < p.Age {
				t.Errorf("%v comes before %v", run[i-1].Age, p.Age)
			}
			found[p.Key.Hi] = p
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Recent finds the pins that were used since a time, in both lists, and neither those that no upstream has confirmed nor those of an upstream
// that is gone.
func TestRecent(t *testing.T) {
	m, start := NewMap(100_000, time.Hour), time.Now()
	late := start.Add(10 * time.Second)
	for n := range uint64(2000) {
		m.Set(testKey(n), ref(1, 1), start)
	}
	used := map[uint64]bool{}
	for n := uint64(0); n < 2000; n += 100 {
		m.Get(testKey(n), late)
		used[testKey(n).Hi] = true
	}
	m.Bind(testKey(5000), ref(1, 1), true, late)
	m.Confirm(testKey(5000), ref(1, 1), ref(1, 1), true, late)
	used[testKey(5000).Hi] = true
	m.Bind(testKey(5001), ref(1, 1), true, late)
	m.Set(testKey(5002), ref(2, 1), late)
	m.Retire(ref(2, 1))
	found := recentKeys(t, m, late, late.Add(time.Second))
	for k := range used {
		if p, is := found[k]; !is || p.Age != time.Second || p.Ref != ref(1, 1) {
			t.Errorf("%x: %+v", k, p)
		}
	}
	if len(found) != len(used) {
		t.Errorf("%d pins, want %d", len(found), len(used))
	}
	if found := recentKeys(t, m, late.Add(time.Second), late.Add(time.Second)); len(found) != 0 {
		t.Errorf("%d pins after the last use", len(found))
	}
	stopped := errors.New("stopped")
	if err := Recent(m, start, late, func([]Saved) error { return stopped }); err != stopped {
		t.Error(err)
	}
}

// A pin of another process counts if it was used later than the own one.
func TestAdopt(t *testing.T) {
	now := time.Now()
	for what, c := range map[string]struct {
		own     time.Duration // age of the own pin, negative for none
		age     time.Duration
		ref     upstream.Ref
		adopted bool
	}{
		"no own pin":       {-1, 5 * time.Second, ref(2, 1), true},
		"an older own pin": {9 * time.Second, 5 * time.Second, ref(2, 1), true},
		"as old":           {5 * time.Second, 5 * time.Second, ref(2, 1), false},
		"a later own pin":  {time.Second, 5 * time.Second, ref(2, 1), false},
		"expired":          {-1, 2 * time.Hour, ref(2, 1), false},
		"upstream is gone": {-1, time.Second, ref(3, 1), false},
	} {
		m := NewMap(1000, time.Hour)
		m.Retire(ref(3, 1))
		if c.own >= 0 {
			m.Set(testKey(1), ref(1, 1), now.Add(-c.own))
		}
		got := Adopt(m, &Saved{Key: testKey(1), Ref: c.ref, Age: c.age, Turn: Turn{Prompt: 7, Mark: 8}}, now)
		at, is := m.Peek(testKey(1), now)
		if got != c.adopted || (is && at == c.ref) != c.adopted || (c.own >= 0 && !is) {
			t.Errorf("%s: adopted %v, pinned %v to %v", what, got, is, at)
		}
		if c.adopted {
			if _, idle, _ := Look(m, testKey(1), now); idle != c.age {
				t.Errorf("%s: idle for %v", what, idle)
			}
			if last := m.Last(testKey(1), c.ref, now); last.Prompt != 7 || last.Mark != 8 {
				t.Errorf("%s: the last turn is %+v", what, last)
			}
		}
	}
}

// An adopted pin is lasting, though the own one was not confirmed.
func TestAdoptedPinsLast(t *testing.T) {
	m, now := NewMap(1000, time.Hour), time.Now()
	m.Bind(testKey(1), ref(1, 1), false, now.Add(-time.Second))
	if !Adopt(m, &Saved{Key: testKey(1), Ref: ref(1, 1)}, now) {
		t.Fatal("not adopted")
	}
	m.Drop(testKey(1), ref(1, 1), now)
	if _, is := m.Peek(testKey(1), now); !is {
		t.Error("the pin is gone")
	}
}

// The watcher hears of every change of a place, without waiting, and of nothing once it has ended.
func TestWatch(t *testing.T) {
	m, now := NewMap(1000, time.Hour), time.Now()
	changed := make(chan struct{}, 1)
	Watch(m, changed)
	for what, change := range map[string]func(){
		"Set": func() { m.Set(testKey(1), ref(1, 1), now) },
		"Confirm": func() {
			m.Bind(testKey(2), ref(1, 1), false, now)
			m.Confirm(testKey(2), ref(1, 1), ref(1, 1), false, now)
		},
		"Move": func() { m.Move(testKey(1), ref(1, 1), ref(2, 1), now) },
	} {
		change()
		change()
		select {
		case <-changed:
		default:
			t.Errorf("the watcher does not hear of %s", what)
		}
	}
	m.Get(testKey(1), now)
	Watch(m, nil)
	m.Set(testKey(3), ref(1, 1), now)
	if len(changed) != 0 {
		t.Error("the watcher hears of a use, or after its end")
	}
}
