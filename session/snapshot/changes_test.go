package snapshot

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"tether/session/identity"
)

// What was used since a time reaches the maps of another process: where sessions and responses are, and what was learned of openings. What was
// not used does not.
func TestChanges(t *testing.T) {
	before, after := fleet(t, "a", "b"), fleet(t, "x", "b", "a")
	old, got := mapsOf(1000), mapsOf(1000)
	start := time.Now().Add(-time.Minute)
	late, now := start.Add(30*time.Second), start.Add(31*time.Second)
	a, b := before.Named("a").Upstream, before.Named("b").Upstream
	old.Sessions.Set(keyOf(1), a.Ref(), start)
	old.Sessions.Set(keyOf(2), a.Ref(), start)
	old.Sessions.Set(keyOf(2), b.Ref(), late)
	old.Responses.Set(keyOf(3), b.Ref(), late)
	old.Openings.SetRoot(7, 70, start)
	old.Openings.SetRoot(8, 80, late)
	got.Sessions.Set(keyOf(2), after.Named("a").Ref(), start)

	batch := AppendChanges([]byte("before"), secret, before, old, Since{late, late}, now)
	rest, is := strings.CutPrefix(string(batch), "before")
	if !is {
		t.Fatal("the batch does not follow what was there")
	}
	n, err := ApplyChanges([]byte(rest), secret, after, got, now)
	if n != 2 || err != nil {
		t.Fatalf("%d pins, %v", n, err)
	}
	if _, is := got.Sessions.Peek(keyOf(1), now); is {
		t.Error("a pin that was not used came along")
	}
	for key, m := range map[int]int{2: 0, 3: 1} {
		if ref, _ := got.all()[m].Peek(keyOf(key), now); ref != after.Named("b").Ref() {
			t.Errorf("%d is pinned to %v", key, ref)
		}
	}
	if got.Openings.Root(7) != 0 || got.Openings.Root(8) != 80 {
		t.Errorf("the roots are %d and %d", got.Openings.Root(7), got.Openings.Root(8))
	}
	if n, err := ApplyChanges([]byte(rest), secret, after, got, now); n != 0 || err != nil {
		t.Errorf("the second time %d pins, %v", n, err)
	}
	if again := AppendChanges(nil, secret, before, old, Since{Pins: now, Openings: now}, now); len(again) != 0 {
		t.Errorf("%d bytes of nothing", len(again))
	}
	if _, err := ApplyChanges([]byte(rest), secret, fleet(t, "a=elsewhere-", "b=elsewhere-"), got, now); err != nil {
		t.Error(err)
	}
	if ref, _ := got.Sessions.Peek(keyOf(2), now); ref != after.Named("b").Ref() {
		t.Error("a pin of an upstream at another address came along")
	}
}

// Openings are left out unless their time is set.
func TestChangesWithoutOpenings(t *testing.T) {
	table, maps, now := fleet(t, "a"), mapsOf(1000), time.Now()
	maps.Openings.SetRoot(8, 80, now)
	if batch := AppendChanges(nil, secret, table, maps, Since{Pins: now}, now); len(batch) != 0 {
		t.Errorf("%d bytes", len(batch))
	}
	if batch := AppendChanges(nil, secret, table, maps, Since{Pins: now, Openings: now}, now); len(batch) == 0 {
		t.Error("nothing")
	}
}

// Batches of other fleets and damaged batches are errors, and none makes ApplyChanges panic.
func TestBadChanges(t *testing.T) {
	table, maps, now := fleet(t, "a"), mapsOf(1000), time.Now()
	for i := range 50 {
		maps.Sessions.Set(keyOf(i), table.Members[0].Ref(), now)
	}
	good := AppendChanges(nil, secret, table, maps, Since{now, now}, now)
	if _, err := ApplyChanges(good, identity.Key{Hi: 9}, table, mapsOf(1000), now); !errors.Is(err, errSecret) {
		t.Error(err)
	}
	if _, err := ApplyChanges(append(good[:len(good):len(good)], 0), secret, table, mapsOf(1000), now); !errors.Is(err, errDamaged) {
		t.Error(err)
	}
	for range 500 {
		if _, err := ApplyChanges(good[:rand.IntN(len(good))], secret, table, mapsOf(1000), now); err == nil {
			t.Fatal("a cut batch goes unnoticed")
		}
		b := append([]byte{}, good...)
		b[rand.IntN(len(b))] ^= 1 << rand.IntN(8)
		_, _ = ApplyChanges(b, secret, table, mapsOf(1000), now) // the socket has no noise: it must not panic
	}
}
