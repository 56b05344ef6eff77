package pins

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tether/session/identity"
	"tether/upstream"
)

// Active agrees with a plain list of uses, whatever happens to the pins, for every time that it counts over.
func TestActive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type use struct {
			ref upstream.Ref
			at  uint32
		}
		m := newMap(2, 100, time.Hour)
		now := m.start
		uses := map[identity.Key]use{}
		generation := []int{1, 1, 1}
		drawKey := func(t *rapid.T) identity.Key { return testKey(uint64(rapid.IntRange(1, 20).Draw(t, "key"))) }
		drawRef := func(t *rapid.T) upstream.Ref {
			seat := rapid.IntRange(0, len(generation)-1).Draw(t, "seat")
			return ref(seat, generation[seat])
		}
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				k, r := drawKey(t), drawRef(t)
				m.Set(k, r, now)
				uses[k] = use{r, m.tick(now)}
			},
			"get": func(t *rapid.T) {
				k := drawKey(t)
				if r, _, ok := m.Get(k, now); ok {
					uses[k] = use{r, m.tick(now)}
				}
			},
			"move": func(t *rapid.T) {
				k, r := drawKey(t), drawRef(t)
				if u, ok := uses[k]; ok && m.Move(k, u.ref, r, now) {
					uses[k] = use{r, u.at}
				}
			},
			"delete": func(t *rapid.T) {
				k := drawKey(t)
				m.Delete(k, now)
				delete(uses, k)
			},
			"retire": func(t *rapid.T) {
				seat := rapid.IntRange(0, len(generation)-1).Draw(t, "seat")
				gone := ref(seat, generation[seat])
				m.Retire(gone)
				generation[seat]++
				for k, u := range uses {
					if u.ref == gone {
						delete(uses, k)
					}
				}
			},
			"time": func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "s")) * time.Second) },
			"": func(t *rapid.T) {
				within := time.Duration(rapid.IntRange(0, int(MaxActive/time.Second)).Draw(t, "within")) * time.Second
				r := drawRef(t)
				want, since := 0, m.tick(now)-min(m.tick(now), uint32(within/tick))
				for _, u := range uses {
					if u.ref == r && u.at/period >= since/period {
						want++
					}
				}
				if got := Active(m, r, within, now); got != want {
					t.Fatalf("%d pins used within %v, want %d", got, within, want)
				}
			},
		})
	})
}

// No use within the time is missed, and none that is 10 s older counts.
func TestActiveBounds(t *testing.T) {
	m := NewMap(1000, time.Hour)
	r := ref(0, 1)
	used := m.start.Add(time.Hour)
	m.Set(testKey(1), r, used)
	for _, within := range []time.Duration{0, time.Second, time.Minute, MaxActive} {
		for after, want := range map[time.Duration]int{within: 1, within + 10*time.Second: 0} {
			if got := Active(m, r, within, used.Add(after)); got != want {
				t.Errorf("%d within %v, %v after the use; want %d", got, within, after, want)
			}
		}
	}
	if got := Active(m, ref(7, 1), MaxActive, used); got != 0 {
		t.Errorf("%d at an upstream without pins", got)
	}
}
