package store

import (
	"cmp"
	"time"

	"tether/session/shared"
)

// stuckAfter is how long this process's own entries may be away.
const stuckAfter = 3 * time.Second

// health is what this process knows of the store.
type health struct {
	received time.Time           // the last entry, of any process
	own      time.Time           // the last entry of this process
	foreign  time.Time           // the last entry under another secret
	trouble  Trouble             // the last trouble
	at       time.Time           // when it was noted
	deaf     [directions]Trouble // why reports cannot be sent or received, as far as the server says
	told     State               // the last state that was told
	begun    bool                // a state was told
}

// stateAt is the state at now.
func (h *health) stateAt(now time.Time) (s State) {
	switch {
	case now.Sub(h.foreign) < peerLife:
		s.Trouble = otherSecret
	case now.Sub(h.own) <= stuckAfter:
	case now.Sub(h.at) <= 2*stuckAfter && h.trouble != none:
		s.Trouble = h.trouble
	default:
		s.Trouble = stuck
	}
	if s.Trouble == none {
		s.Deaf = cmp.Or(h.deaf[publishing], h.deaf[listening])
	}
	return s
}

// noteTrouble notes why the store could not be used just now.
func (s *known) noteTrouble(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t != none {
		s.health.trouble, s.health.at = t, time.Now()
	}
}

// watch tells a change of the state.
func (s *known) watch(now time.Time) {
	s.mu.Lock()
	state := s.health.stateAt(now)
	state.Foreign = s.peers.watch(s.deps.Ring(), now)
	begins := state.Trouble == stuck && now.Sub(s.start) < stuckAfter
	changed := !begins && (!s.health.begun || state != s.health.told)
	if changed {
		s.health.told, s.health.begun = state, true
	}
	s.mu.Unlock()
	if changed && s.deps.OnState != nil {
		s.deps.OnState(state)
	}
}

// Counts are the counts of a store.
type Counts struct {
	// Sent and Received are sightings sent, and batches received.
	Sent, Received uint64
	// Damaged, OtherVersion and OtherSecret are the entries of the stream that were ignored.
	Damaged, OtherVersion, OtherSecret uint64
	// Reports are those of other processes that counted, ReportsIgnored those that are damaged or late, or of another version or secret.
	Reports, ReportsIgnored uint64
}

// Report is all that is shown of a store.
type Report struct {
	State
	// LastEntry is when the last entry was applied, the zero time for never.
	LastEntry time.Time
	Counts    Counts
	Ledger    shared.Stats
	// Dropped is how many changes had no room on their way to the store.
	Dropped uint64
	Peers   []Peer
	// Tellers is how many other processes tell of their load.
	Tellers int
}

// Report returns what is known at now.
func (s *known) Report(now time.Time) Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := Report{State: s.health.stateAt(now), LastEntry: s.health.received, Counts: s.counts, Ledger: s.ledger.Stats(), Peers: s.peers.shown(s.id, now), Tellers: s.tellers}
	r.Foreign = s.health.told.Foreign
	r.Dropped = s.deps.Changes.Dropped() + r.Ledger.Dropped
	return r
}
