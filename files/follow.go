package files

import (
	"context"
	"crypto/sha256"
	"time"
)

// Set is files that make sense together: a certificate and its key, or one file alone.
type Set struct {
	Paths []string // "" has no content
	What  string   // what each file should be, for errors: "a PEM file"
	Max   int64    // limit of each file, in bytes
}

// Read returns the contents in the order of the paths. Every error is an *Error.
func (s *Set) Read() (contents [][]byte, err error) {
	contents = make([][]byte, len(s.Paths))
	for i, path := range s.Paths {
		if path == "" {
			continue
		}
		if contents[i], err = Read(path, s.What, s.Max); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

// Follower keeps what was made of a set of files up to date. Its methods are for one goroutine at a time.
//
// It compares contents, not the time of the last change: Kubernetes changes a mounted file by replacing a link. New contents
// count once two reads in a row found them, because files may be half written. Contents that cannot be used change nothing,
// and are reported once.
type Follower struct {
	set     Set
	apply   func(contents [][]byte) error
	changes changes
}

// NewFollower reads the files and applies their contents. apply brings contents into force, or returns why it cannot.
func NewFollower(set Set, apply func(contents [][]byte) error) (*Follower, error) {
	f := &Follower{set: set, apply: apply}
	contents, err := set.Read()
	if err != nil {
		return nil, err
	}
	f.changes.accept(digestOf(nil, contents...))
	if err := apply(contents); err != nil {
		return nil, err
	}
	return f, nil
}

// Refresh reads the files once, and applies their contents if they are new. It reports whether they are new; err is the
// reason why they could not be applied.
func (f *Follower) Refresh() (changed bool, err error) {
	contents, err := f.set.Read()
	if !f.changes.isNew(digestOf(err, contents...)) {
		return false, nil // as before, good or bad
	}
	if err == nil {
		err = f.apply(contents)
	}
	return true, err
}

// Followed is a Follower, and what is called when its contents have changed: err is the reason if they could not be applied.
type Followed struct {
	*Follower
	OnChange func(err error)
}

// Follow refreshes, at an interval until ctx ends, the followers that all returns at that moment.
func Follow(ctx context.Context, every time.Duration, all func() []Followed) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, f := range all() {
			if changed, err := f.Refresh(); changed {
				f.OnChange(err)
			}
		}
	}
}

// digest stands for what one read found: contents, or the reason why they could not be read.
type digest [sha256.Size]byte

func digestOf(err error, contents ...[]byte) (d digest) {
	if err != nil {
		contents = [][]byte{[]byte(err.Error())}
	}
	h := sha256.New()
	for _, content := range contents { // hashed one by one: a byte that moves to another file is a change
		sum := sha256.Sum256(content)
		h.Write(sum[:])
	}
	h.Sum(d[:0])
	return d
}

// changes finds what is new in a row of digests.
type changes struct{ accepted, last digest }

// accept notes what is in force.
func (c *changes) accept(now digest) { c.accepted, c.last = now, now }

// isNew reports whether now differs from what was accepted and was found twice in a row. It then accepts now, whether
// or not the contents turn out to be usable.
func (c *changes) isNew(now digest) bool {
	settled := now == c.last && now != c.accepted
	c.last = now
	if settled {
		c.accepted = now
	}
	return settled
}
