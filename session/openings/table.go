// Package openings learns which openings different conversations share. Some clients begin all of their conversations
// with the same messages: few-shot examples, or the context of a project. By such an opening alone all of them would be
// one conversation.
//
// Package identity asks it for every id that is derived from an opening. It knows no requests and no servers: an opening,
// and what a conversation goes on with, are hashes to it.
package openings

import (
	"sync/atomic"
	"time"
)

const (
	// maxElders is how many conversations an opening has before it counts as wide. One conversation alone may seem to be
	// several: people edit their messages, and some clients send the last message in another way than the history. A few
	// questions about one document are best at the server that has the document.
	maxElders = 7
	// elderLife is how long a conversation that does not go on keeps the opening from other conversations.
	elderLife = time.Hour
	// ways is the number of openings that compete for the same place in the table.
	ways = 4
	// maxOpenings is the number of openings that a Table remembers.
	maxOpenings = 1 << 16
)

// Table remembers openings, and the first conversations that followed each of them. These elders are known by the
// opening alone as long as they are remembered. An opening that more conversations follow is wide. A wide opening stays
// wide until other openings push it out, the narrow ones first and the longest unused first.
//
// It also remembers places in prompts without messages, so that a prompt that grows is found again.
//
// A Table takes 7 MiB. It has no locks: concurrent use may forget an elder, and then a conversation moves once.
type Table struct {
	sets  [maxOpenings / ways]set
	wide  atomic.Int64
	roots roots
}

type set [ways]opening

// opening is an entry. All zero is empty.
type opening struct {
	hash   atomic.Uint64
	elders [maxElders]atomic.Uint64 // see elder
	used   atomic.Uint32            // the second of the last use
	wide   atomic.Bool
}

// NewTable returns an empty table.
func NewTable() *Table { return new(Table) }

// Wide returns the number of wide openings.
func (t *Table) Wide() int { return int(t.wide.Load()) }

// Tell reports whether a conversation must be told apart from others by next, which follows its opening: the opening is
// wide, and the conversation is no elder. hash and next are hashes other than 0. If learn is true, Tell remembers both.
func (t *Table) Tell(hash, next uint64, now time.Time, learn bool) bool {
	o := t.find(hash)
	if o == nil {
		if learn {
			t.add(hash, elderOf(next, now), now)
		}
		return false
	}
	i, isElder := o.elder(next, now)
	if learn {
		t.use(o, i, next, now)
	}
	return !isElder && (i < 0 || o.wide.Load())
}

// use remembers that a conversation follows an opening, as its i-th elder; -1 stands for none.
func (t *Table) use(o *opening, i int, next uint64, now time.Time) {
	if second := uint32(now.Unix()); o.used.Load() != second {
		o.used.Store(second)
	}
	switch {
	case i < 0:
		if o.wide.CompareAndSwap(false, true) {
			t.wide.Add(1)
		}
	case !o.wide.Load() || elder(o.elders[i].Load()).is(next):
		if e := uint64(elderOf(next, now)); o.elders[i].Load() != e {
			o.elders[i].Store(e)
		}
	}
}

// elder returns which elder of o goes on with next. If there is none, it returns the place of an elder that is over, -1
// for none.
func (o *opening) elder(next uint64, now time.Time) (i int, is bool) {
	i = -1
	for n := range o.elders {
		switch e := elder(o.elders[n].Load()); {
		case e != 0 && e.is(next):
			return n, true
		case e == 0 || e.isOver(now):
			i = n
		}
	}
	return i, false
}

func (t *Table) set(hash uint64) *set { return &t.sets[hash%uint64(len(t.sets))] }

// find returns the entry of an opening, nil if there is none.
func (t *Table) find(hash uint64) *opening {
	s := t.set(hash)
	for i := range s {
		if s[i].hash.Load() == hash {
			return &s[i]
		}
	}
	return nil
}

// add remembers an opening and its first conversation. It takes the place of the opening that is worth least.
func (t *Table) add(hash uint64, first elder, now time.Time) {
	s := t.set(hash)
	o := &s[0]
	for i := 1; i < ways; i++ {
		if s[i].isWorthLess(o) {
			o = &s[i]
		}
	}
	o.hash.Store(0) // other requests must not take the elders of one opening for those of the other
	if o.wide.Swap(false) {
		t.wide.Add(-1)
	}
	o.elders[0].Store(uint64(first))
	for i := 1; i < maxElders; i++ {
		o.elders[i].Store(0)
	}
	o.used.Store(uint32(now.Unix()))
	o.hash.Store(hash)
}

// isWorthLess reports whether o is rather forgotten than other: an empty entry before all others, then narrow ones, then
// the one that was not used for longer.
func (o *opening) isWorthLess(other *opening) bool {
	if a, b := o.hash.Load() == 0, other.hash.Load() == 0; a || b {
		return a && !b
	}
	if a, b := o.wide.Load(), other.wide.Load(); a != b {
		return b
	}
	return o.used.Load() < other.used.Load()
}

// elder is a conversation that follows an opening: 48 bits of the hash of what it goes on with, and the minute of its last
// use. 0 is none.
type elder uint64

const elderBits = 16 // for the minute

func elderOf(next uint64, now time.Time) elder {
	return elder(next>>elderBits<<elderBits | uint64(uint16(now.Unix()/60)))
}

// is reports whether the conversation goes on with next.
func (e elder) is(next uint64) bool { return uint64(e)>>elderBits == next>>elderBits }

// isOver reports whether the conversation did not go on for elderLife.
func (e elder) isOver(now time.Time) bool {
	return uint16(now.Unix()/60)-uint16(e) > uint16(elderLife/time.Minute)
}
