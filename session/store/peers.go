package store

import (
	"cmp"
	"slices"
	"time"

	"tether/session/shared"
)

const (
	// peerLife is how long a process counts as alive after its last beat.
	peerLife = 5 * time.Second
	// peerShown is how long it is shown.
	peerShown = time.Minute
	// maxPeers bounds the processes that are known.
	maxPeers = 256
	// ringPatience is how long processes may have different rings: configurations change one after another.
	ringPatience = time.Minute
)

// peers are the processes that have sent beats, this one included.
type peers map[uint64]*peer

type peer struct {
	shared.Beat
	heard     time.Time
	differing time.Time // since when its ring is another one than that of this process; zero if it is not
}

func (p peers) beat(from uint64, b *shared.Beat, now time.Time) {
	one := p[from]
	if one == nil {
		if len(p) >= maxPeers {
			return
		}
		one = &peer{}
		p[from] = one
	}
	one.Beat, one.heard = *b, now
}

// watch forgets processes that are gone, and reports whether one that is alive has had another ring for too long.
func (p peers) watch(ring uint64, now time.Time) (foreign bool) {
	for id, one := range p {
		switch {
		case now.Sub(one.heard) > peerShown:
			delete(p, id)
			continue
		case now.Sub(one.heard) > peerLife || one.Ring == ring:
			one.differing = time.Time{}
		case one.differing.IsZero():
			one.differing = now
		}
		foreign = foreign || !one.differing.IsZero() && now.Sub(one.differing) > ringPatience
	}
	return foreign
}

// Peer is a process as operators see it.
type Peer struct {
	Self    bool
	Alive   bool
	Version string
	Admin   string // the address of its admin listener, "" if it is not told
	Started time.Time
	Heard   time.Time // its last beat
	Ring    uint64
	// Applied is the age of the last entry that it had applied when it sent the beat.
	Applied time.Duration
}

// shown returns the processes, the oldest first.
func (p peers) shown(self uint64, now time.Time) (all []Peer) {
	for id, one := range p {
		all = append(all, Peer{
			Self: id == self, Alive: now.Sub(one.heard) <= peerLife, Version: one.Version, Admin: one.Admin,
			Started: time.UnixMilli(one.Started), Heard: one.heard, Ring: one.Ring, Applied: one.Applied,
		})
	}
	slices.SortFunc(all, func(a, b Peer) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Ring, b.Ring))
	})
	return all
}
