package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestChanges(t *testing.T) {
	var c changes
	a, b, gone, shut := digestOf(nil, []byte("a")), digestOf(nil, []byte("b")), digestOf(errors.New("gone")), digestOf(errors.New("shut"))
	c.accept(a)
	for i, step := range []struct {
		now   digest
		isNew bool
	}{
		{a, false},
		{b, false},
		{b, true},
		{b, false}, // a change is reported once
		{a, false},
		{b, false}, // a was there for a moment only
		{a, false},
		{gone, false},
		{gone, true},
		{gone, false},
		{shut, false},
		{shut, true},
		{a, false},
		{a, true},
	} {
		if got := c.isNew(step.now); got != step.isNew {
			t.Errorf("look %d is new: %v", i, got)
		}
	}
}

// Where one file ends and the next begins counts.
func TestDigestOfSeveralFiles(t *testing.T) {
	if digestOf(nil, []byte("ab"), nil) == digestOf(nil, []byte("a"), []byte("b")) {
		t.Error("a byte that moved to the next file is no change")
	}
}

func TestSetRead(t *testing.T) {
	dir := t.TempDir()
	one, none := filepath.Join(dir, "one"), filepath.Join(dir, "none")
	write(t, one, "1")
	set := Set{Paths: []string{"", one}, What: "a test", Max: kib}
	if got, err := set.Read(); err != nil || len(got) != 2 || got[0] != nil || string(got[1]) != "1" {
		t.Errorf("%q, %v", got, err)
	}
	set.Paths[0] = none
	if got, err := set.Read(); err == nil || err.Error() != fmt.Sprintf("%q is not there, want a test: write it, or leave the key out", none) {
		t.Errorf("%q, %v", got, err)
	}
}

// Each follower applies what two looks found, reports it once, and keeps what it had where the contents
// are no good.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		still, moving := filepath.Join(dir, "still"), filepath.Join(dir, "moving")
		write(t, still, "s")
		write(t, moving, "1")
		var mu sync.Mutex
		inForce := map[int]string{} // guarded by mu
		var told []string           // guarded by mu
		follower := func(i int, path string) *Follower {
			f, err := NewFollower(Set{Paths: []string{path}, What: "a test", Max: kib}, func(contents [][]byte) error {
				if string(contents[0]) == "bad" {
					return errors.New("no good")
				}
				mu.Lock()
				defer mu.Unlock()
				inForce[i] = string(contents[0])
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
		all := []*Follower{follower(0, still), follower(1, moving)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- Follow(ctx, time.Second, func() (followed []Followed) {
				for i, f := range all {
					followed = append(followed, Followed{f, func(err error) {
						mu.Lock()
						defer mu.Unlock()
						told = append(told, fmt.Sprint(i, " ", err))
					}})
				}
				return followed
			})
		}()
		looks := func(n int, value string, want ...string) {
			t.Helper()
			time.Sleep(time.Duration(n) * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(told, want) || inForce[1] != value || inForce[0] != "s" {
				t.Errorf("told %q, want %q; in force %v, want %s", told, want, inForce, value)
			}
			told = nil
		}
		looks(3, "1")
		write(t, moving, "2")
		looks(1, "1")
		looks(3, "2", "1 <nil>")
		write(t, moving, "bad")
		looks(5, "2", "1 no good")
		if err := os.Remove(moving); err != nil {
			t.Fatal(err)
		}
		looks(5, "2", fmt.Sprintf("1 %q is not there, want a test: write it, or leave the key out", moving))
		write(t, moving, "3")
		looks(2, "3", "1 <nil>")
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What cannot be read or applied at first is an error, not a follower.
func TestNewFollower(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	set := Set{Paths: []string{file}, What: "a test", Max: kib}
	bad := errors.New("no good")
	apply := func([][]byte) error { return bad }
	if f, err := NewFollower(set, apply); f != nil || err == nil || errors.Is(err, bad) {
		t.Errorf("%v, %v", f, err)
	}
	write(t, file, "x")
	if f, err := NewFollower(set, apply); f != nil || !errors.Is(err, bad) {
		t.Errorf("%v, %v", f, err)
	}
}
