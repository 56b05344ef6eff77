package openings

import (
	"sync/atomic"
	"time"
)

const (
	// maxRoots is the number of places in prompts that a Table remembers.
	maxRoots = 1 << 17
	// rootWays is the number of places that compete for the same entry.
	rootWays = 8
)

// roots are places in prompts without messages, and what stands there for the conversation.
type roots [maxRoots / rootWays]rootSet

// rootSet has a column for each part of its entries, so that a search reads little memory. All zero is empty.
type rootSet struct {
	seal [rootWays]atomic.Uint64 // of hash and root, so that parts of two entries never match
	root [rootWays]atomic.Uint64
	used [rootWays]atomic.Uint32 // the second of the last use
}

func sealOf(hash, root uint64) uint64 { return hash ^ root*0x9e3779b97f4a7c15 }

// Root returns what was remembered for the hash of a place in a prompt, 0 for nothing.
func (t *Table) Root(hash uint64) uint64 {
	s := t.rootSet(hash)
	for i := range s.root {
		if root := s.root[i].Load(); root != 0 && s.seal[i].Load() == sealOf(hash, root) {
			return root
		}
	}
	return 0
}

// SetRoot remembers what stands at a place in a prompt, other than 0. It takes the entry that was not used for longest.
func (t *Table) SetRoot(hash, root uint64, now time.Time) {
	s, at := t.rootSet(hash), 0
	for i := range s.root {
		if r := s.root[i].Load(); r != 0 && s.seal[i].Load() == sealOf(hash, r) {
			at = i
			break
		}
		if s.used[i].Load() < s.used[at].Load() {
			at = i
		}
	}
	s.root[at].Store(root)
	s.seal[at].Store(sealOf(hash, root))
	s.used[at].Store(uint32(now.Unix()))
}

func (t *Table) rootSet(hash uint64) *rootSet { return &t.roots[hash%uint64(len(t.roots))] }
