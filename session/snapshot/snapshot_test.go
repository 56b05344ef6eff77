package snapshot

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tether/session/identity"
	"tether/session/openings"
	"tether/session/pins"
	"tether/upstream"
	"tether/upstream/load"
	"tether/upstream/transport"
)

var secret = identity.Key{Hi: 1, Lo: 2}

func keyOf(n int) identity.Key {
	return identity.Key{Hi: uint64(n)*0x9e3779b97f4a7c15 + 1, Lo: (uint64(n) + 7) * 0xbf58476d1ce4e5b9}
}

func mapsOf(max int) Maps {
	return Maps{pins.NewMap(max, time.Hour), pins.NewMap(max, 24*time.Hour), openings.NewTable()}
}

// fleet returns a table of upstreams, "name" or "name=address".
func fleet(t testing.TB, names ...string) *upstream.Table {
	t.Helper()
	r := upstream.NewRegistry(nil)
	if _, err := r.Apply([]upstream.Spec{{Name: "first"}, {Name: "second"}}); err != nil { // seats are not what they were
		t.Fatal(err)
	}
	var specs []upstream.Spec
	for i, name := range names {
		name, address, _ := strings.Cut(name, "=")
		specs = append(specs, upstream.Spec{Name: name, Slot: i, Weight: 100, Address: transport.Address{Network: "tcp", Dial: address + name + ":1"}})
	}
	if _, err := r.Apply(specs); err != nil {
		t.Fatal(err)
	}
	return r.Table()
}

func mustWrite(t testing.TB, table *upstream.Table, maps Maps, now time.Time) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pins")
	if _, err := Write(path, secret, table, maps, now); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path, secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Pins come back with their upstream, their age, their list and their last turn, and the pins that were used last survive in a smaller map.
func TestRoundTrip(t *testing.T) {
	const n = 5000
	before := fleet(t, "a", "b", "c")
	saved := mapsOf(2 * n)
	now := time.Now()
	charge(before.Named("b").Upstream, 5_000_000, now)
	age := func(i int) time.Duration { return time.Duration(n-i) * 710 * time.Millisecond } // up to 59 minutes
	for i := range n {
		u := before.Members[i%3].Upstream
		if i%10 == 0 {
			saved.Sessions.Bind(keyOf(i), u.Ref(), true, now.Add(-age(i)))
			saved.Sessions.Confirm(keyOf(i), u.Ref(), u.Ref(), true, now.Add(-age(i)))
		} else {
			saved.Sessions.Set(keyOf(i), u.Ref(), now.Add(-age(i)))
		}
		saved.Sessions.Note(keyOf(i), u.Ref(), pins.Turn{Prompt: int64(i), Mark: u.Mark() - 7}, true, now)
		saved.Responses.Set(keyOf(-i), u.Ref(), now.Add(-age(i)))
	}
	saved.Sessions.Bind(keyOf(n), before.Members[0].Ref(), false, now) // not confirmed: no upstream has answered
	path := mustWrite(t, before, saved, now)

	const passed = 90 * time.Second
	later := now.Add(passed)
	after := fleet(t, "x", "c", "a", "b") // other seats
	charge(after.Named("b").Upstream, 1_000_000, later)
	got := mapsOf(2 * n)
	done, err := mustOpen(t, path).Restore(after, got, later)
	if err != nil {
		t.Fatal(err)
	}
	expired := 0
	for i := range n {
		u := after.Named(before.Members[i%3].Name()).Upstream
		if age(i)+passed >= time.Hour {
			if _, ok := got.Sessions.Peek(keyOf(i), later); ok {
				t.Fatalf("pin %d should have expired", i)
			}
			expired++
			continue
		}
		_, idle, _ := pins.Look(got.Sessions, keyOf(i), later)
		ref, turn, ok := got.Sessions.Get(keyOf(i), later)
		if !ok || ref != u.Ref() || turn.Prompt != int64(i) || u.Mark()-turn.Mark != 7 {
			t.Fatalf("pin %d: %v, %+v, %v", i, ref, turn, ok)
		}
		if diff := idle - age(i) - passed; diff > 200*time.Millisecond || diff < -200*time.Millisecond {
			t.Fatalf("pin %d is idle for %v, want %v", i, idle, age(i)+passed)
		}
		if ref, ok := got.Responses.Peek(keyOf(-i), later); !ok || ref != u.Ref() {
			t.Fatalf("response %d: %v, %v", i, ref, ok)
		}
	}
	if _, ok := got.Sessions.Peek(keyOf(n), later); ok {
		t.Error("an unconfirmed pin came back")
	}
	if done.Pins != 2*n-expired || done.Dropped != expired || done.Unknown != 0 || expired == 0 {
		t.Errorf("%+v, %d expired", done, expired)
	}

	small := mapsOf(1000)
	if _, err := mustOpen(t, path).Restore(after, small, later); err != nil {
		t.Fatal(err)
	}
	if s := small.Sessions.Stats(); s.Pins != 1000 || s.Probation != 125 {
		t.Errorf("%+v", s)
	}
	for i := n - 800; i < n; i++ {
		if _, ok := small.Sessions.Peek(keyOf(i), later); !ok {
			t.Fatalf("pin %d, one of the last, is gone", i)
		}
	}
}

// What was learned of openings comes back once, whatever upstreams there are.
func TestOpeningsComeBack(t *testing.T) {
	saved, now := mapsOf(1000), time.Now()
	saved.Openings.SetRoot(7, 70, now)
	for i := range uint64(20) {
		saved.Openings.Tell(8, (i+1)<<20, now, true)
	}
	file := mustOpen(t, mustWrite(t, fleet(t, "a"), saved, now))
	got := mapsOf(1000)
	for range 2 {
		if _, err := file.Restore(fleet(t, "b"), got, now); err != nil {
			t.Fatal(err)
		}
		if got.Openings.Root(7) != 70 || got.Openings.Wide() != 1 {
			t.Errorf("the root is %d, %d openings are wide", got.Openings.Root(7), got.Openings.Wide())
		}
		got.Openings.SetRoot(7, 70, now)
	}
}

// charge adds to what an upstream has computed so far.
func charge(u *upstream.Upstream, tokens int64, now time.Time) {
	c := load.Charge{Work: tokens, Rate: 1e6, Patience: time.Minute}
	u.Charge(&c, now)
	c.Settle(now)
}

// Pins belong to a name at an address. Those of an upstream that comes later are restored then, once.
func TestUpstreamsThatChange(t *testing.T) {
	before := fleet(t, "a", "b", "c")
	saved := mapsOf(1000)
	now := time.Now()
	for i, m := range before.Members {
		saved.Sessions.Set(keyOf(i), m.Ref(), now)
	}
	f := mustOpen(t, mustWrite(t, before, saved, now))
	r := upstream.NewRegistry(nil)
	spec := func(name, address string) upstream.Spec {
		return upstream.Spec{Name: name, Weight: 100, Address: transport.Address{Network: "tcp", Dial: address + ":1"}}
	}
	got := mapsOf(1000)
	for _, step := range []struct {
		specs []upstream.Spec
		want  Restored
	}{
		{[]upstream.Spec{spec("a", "a"), spec("b", "elsewhere")}, Restored{Pins: 1, Unknown: 2}},
		{[]upstream.Spec{spec("a", "a"), spec("c", "c")}, Restored{Pins: 1, Unknown: 1}},
		{[]upstream.Spec{spec("a", "a"), spec("c", "c")}, Restored{Unknown: 1}},
	} {
		if _, err := r.Apply(step.specs); err != nil {
			t.Fatal(err)
		}
		if done, err := f.Restore(r.Table(), got, now); err != nil || done != step.want {
			t.Errorf("%+v, %v, want %+v", done, err, step.want)
		}
	}
	if s := got.Sessions.Stats(); s.Pins != 2 {
		t.Errorf("%+v", s)
	}
}

// A file that cannot be used says why. None makes Open panic, and none is taken for a good one.
func TestBadFiles(t *testing.T) {
	table, maps, now := fleet(t, "a"), mapsOf(1000), time.Now()
	for i := range 100 {
		maps.Sessions.Set(keyOf(i), table.Members[0].Ref(), now)
	}
	path := mustWrite(t, table, maps, now)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	open := func(content []byte) error {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path, secret)
		if f != nil {
			f.Close()
		}
		return err
	}
	for what, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"whole":         {func(b []byte) []byte { return b }, "<nil>"},
		"empty":         {func(b []byte) []byte { return nil }, "is no snapshot of pins"},
		"another file":  {func(b []byte) []byte { return []byte("upstreams:\n  - url: http://a\n") }, "is no snapshot of pins"},
		"older version": {func(b []byte) []byte { b[16] = 0; return b }, "is of version 0, want 2"},
		"cut":           {func(b []byte) []byte { return b[:len(b)-1] }, "is damaged"},
		"longer":        {func(b []byte) []byte { return append(b, 0) }, "is damaged"},
	} {
		if err := open(c.change(append([]byte{}, good...))); fmt.Sprint(err) != c.want {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
	for range 500 {
		b := append([]byte{}, good...)
		b[20+rand.IntN(len(b)-20)] ^= 1 << rand.IntN(8)
		if err := open(b); err == nil {
			t.Fatal("a changed bit goes unnoticed")
		}
		if err := open(good[:rand.IntN(len(good))]); err == nil {
			t.Fatal("a cut file goes unnoticed")
		}
	}
	if err := open(good); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, identity.Key{Hi: 9}); !errors.Is(err, errSecret) {
		t.Error(err)
	}
	if f, err := Open(path+".none", secret); f != nil || err != nil {
		t.Errorf("%v, %v without a file", f, err)
	}
}

// FuzzOpen: no file makes Open or Restore panic.
func FuzzOpen(f *testing.F) {
	table, maps := fleet(f, "a", "b"), mapsOf(1000)
	maps.Sessions.Set(keyOf(1), table.Members[0].Ref(), time.Now())
	good, err := os.ReadFile(mustWrite(f, table, maps, time.Now()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:40])
	path := filepath.Join(f.TempDir(), "fuzz")
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if file, err := Open(path, secret); err == nil && file != nil {
			_, _ = file.Restore(table, mapsOf(1000), time.Now())
			file.Close()
		}
	})
}

// A full disk, or a folder that is gone, leaves the file as it was, and nothing beside it.
func TestWriteThatFails(t *testing.T) {
	table, maps, now := fleet(t, "a"), mapsOf(1000), time.Now()
	maps.Sessions.Set(keyOf(1), table.Members[0].Ref(), now)
	path := mustWrite(t, table, maps, now)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no full device")
	}
	if err := os.Symlink("/dev/full", path+".new"); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(path, secret, table, maps, now); err == nil || !strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		t.Errorf("%v", err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the file changed: %v", err)
	}
	if left, err := filepath.Glob(path + ".*"); err != nil || len(left) > 0 {
		t.Errorf("%q are left, %v", left, err)
	}
	if _, err := Write(filepath.Join(path, "below"), secret, table, maps, now); err == nil {
		t.Error("no error in a folder that is not there")
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pins")
	one, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(path); err != ErrLocked {
		t.Errorf("%v, want %v", err, ErrLocked)
	}
	if err := one.Unlock(); err != nil {
		t.Fatal(err)
	}
	other, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Unlock(); err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(filepath.Join(path, "below")); err == nil {
		t.Error("no error in a folder that is not there")
	}
}

// BenchmarkRestore restores a million pins.
func BenchmarkRestore(b *testing.B) {
	const n = 1_000_000
	table, now := fleet(b, "a", "b", "c", "d"), time.Now()
	saved := mapsOf(2 * n)
	for i := range n {
		saved.Sessions.Set(keyOf(i), table.Members[i%4].Ref(), now.Add(-time.Duration(n-i)*time.Millisecond))
	}
	path := mustWrite(b, table, saved, now)
	var used time.Duration
	for b.Loop() {
		b.StopTimer()
		got := mapsOf(2 * n)
		b.StartTimer()
		before := cpuTime(b)
		f := mustOpen(b, path)
		if done, err := f.Restore(table, got, now); err != nil || done.Pins != n {
			b.Fatalf("%+v, %v", done, err)
		}
		used += cpuTime(b) - before
	}
	b.ReportMetric(float64(used)/float64(b.N), "cpu-ns/op")
}

// cpuTime is the CPU time that the process has used.
func cpuTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWrite writes a million pins.
func BenchmarkWrite(b *testing.B) {
	const n = 1_000_000
	table, now := fleet(b, "a", "b", "c", "d"), time.Now()
	saved := mapsOf(2 * n)
	for i := range n {
		saved.Sessions.Set(keyOf(i), table.Members[i%4].Ref(), now)
	}
	path := filepath.Join(b.TempDir(), "pins")
	for b.Loop() {
		if got, err := Write(path, secret, table, saved, now); err != nil || got != n {
			b.Fatal(got, err)
		}
	}
}
