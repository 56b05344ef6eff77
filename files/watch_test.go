package files

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// A change counts once, when two looks in a row found it. A link that points elsewhere is a change, as Kubernetes makes it; so is a
// file that vanishes.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	one, other, link := filepath.Join(dir, "one"), filepath.Join(dir, "other"), filepath.Join(dir, "link")
	write(t, one, "1")
	write(t, other, "2")
	relink := func(to string) {
		t.Helper()
		next := filepath.Join(dir, "next")
		if err := os.Symlink(to, next); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, link); err != nil {
			t.Fatal(err)
		}
	}
	relink(one)
	var w Watch
	paths := []string{link, other}
	w.Accept(Look(paths))
	looks := func(what string, want ...bool) {
		t.Helper()
		for i, expected := range want {
			if got := w.Changed(paths); got != expected {
				t.Errorf("%s, look %d: changed %v", what, i, got)
			}
		}
	}
	looks("nothing happened", false, false)
	relink(other)
	looks("the link moved", false, true, false)
	write(t, other, "3")
	looks("written once", false)
	write(t, other, "4")
	looks("written twice", false, true, false)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	looks("the link is gone", false, true, false)
	relink(one)
	looks("the link is back", false, true, false)
	relink(other)
	w.Accept(Look(paths))
	looks("what was accepted is no change", false, false)
}

// Snapshots for another list keep what they have and look at the rest.
func TestSnapshotWith(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	for _, path := range []string{a, b, c} {
		write(t, path, path)
	}
	before := Look([]string{a, b})
	write(t, b, "changed since")
	got := before.With([]string{b, c})
	if want := (Snapshot{b: before[b], c: Look([]string{c})[c]}); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
