package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Move counts the conversations that left one upstream for another, for one reason.
type Move struct {
	// ID is greater than that of every earlier Move.
	ID   uint64 `json:"id"`
	From string `json:"from"`
	To   string `json:"to"`
	// Why is a word of balance.Reason, operator, or response: the conversation goes on with a response that To stores.
	Why   string `json:"why"`
	Count int    `json:"count"`

	at time.Time
}

// Limits of what is kept of moves.
const (
	// maxFresh limits the pairs of upstreams that moves are counted for between two looks; further ones count in the events alone.
	maxFresh = 256
	// showMoves is how long a Move is shown, so that a page that misses a snapshot misses no Move.
	showMoves = 10 * time.Second
	// maxShown limits the Moves that are shown at a time: the latest ones.
	maxShown = 512
)

// route is the way of a move.
type route struct{ from, to, why string }

// moves counts the moves of conversations. The zero value has none.
type moves struct {
	mu    sync.Mutex
	fresh map[route]int // guarded by mu: since the last look
	other map[route]int // guarded by mu: those that fresh has no place for, without their destinations

	shown []Move // used by take alone, as all below
	last  uint64
}

// note counts a move.
func (m *moves) note(r route) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fresh == nil {
		m.fresh, m.other = map[route]int{}, map[route]int{}
	}
	if _, known := m.fresh[r]; known || len(m.fresh) < maxFresh {
		m.fresh[r]++
		return
	}
	if r.to = ""; len(m.other) < maxFresh {
		m.other[r]++
	}
}

// take returns the moves since the last call, those without a shown destination with To "", in a fixed order. It adds the others to those
// that are shown.
func (m *moves) take(now time.Time) (fresh []Move) {
	m.mu.Lock()
	counted, other := m.fresh, m.other
	m.fresh, m.other = nil, nil
	m.mu.Unlock()
	m.shown = slices.DeleteFunc(m.shown, func(one Move) bool { return now.Sub(one.at) > showMoves })
	for _, all := range []map[route]int{counted, other} {
		for r, n := range all {
			fresh = append(fresh, Move{From: r.from, To: r.to, Why: r.why, Count: n, at: now})
		}
	}
	slices.SortFunc(fresh, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.Why, b.Why), cmp.Compare(b.Count, a.Count), cmp.Compare(a.To, b.To))
	})
	for i := range fresh {
		if fresh[i].To != "" {
			m.last++
			fresh[i].ID = m.last
			m.shown = append(m.shown, fresh[i])
		}
	}
	m.shown = m.shown[max(0, len(m.shown)-maxShown):]
	return fresh
}

// Limits of bursts.
const (
	// massMove is the number of moves from one upstream for one reason that make an event.
	massMove = 5
	// burstEnds is how long after its last move a burst is over.
	burstEnds = 10 * time.Second
	// maxTold limits the destinations that the text of an event names.
	maxTold = 4
)

// bursts finds mass moves: many conversations that leave one upstream for one reason. The zero value knows none.
type bursts struct{ open map[route]*burst }

// burst is the moves from one upstream for one reason, without a long pause between them.
type burst struct {
	count int
	to    map[string]int
	last  time.Time
	event uint64 // 0 until the burst is large enough
}

// note adds moves to the bursts, and tells e those that are large.
func (b *bursts) note(fresh []Move, now time.Time, e *events) {
	if b.open == nil {
		b.open = map[route]*burst{}
	}
	for key, one := range b.open {
		if now.Sub(one.last) > burstEnds {
			delete(b.open, key)
		}
	}
	grown := map[route]*burst{}
	for _, m := range fresh {
		key := route{from: m.From, why: m.Why}
		one := b.open[key]
		if one == nil {
			one = &burst{to: map[string]int{}}
			b.open[key] = one
		}
		one.count += m.Count
		one.to[m.To] += m.Count
		one.last = now
		grown[key] = one
	}
	for key, one := range grown {
		one.tell(key, now, e)
	}
}

// tell makes or changes the event of the burst.
func (b *burst) tell(key route, now time.Time, e *events) {
	switch {
	case b.event != 0:
		e.change(now, b.event, b.text(key))
	case b.count >= massMove:
		b.event = e.add(now, "moves", key.from, b.text(key))
	}
}

// text says how many conversations moved, why and where to.
func (b *burst) text(key route) string {
	type place struct {
		name string
		n    int
	}
	var places []place
	for name, n := range b.to {
		if name != "" {
			places = append(places, place{name, n})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.name, b.name)) })
	var told []string
	left := b.count
	for _, p := range places[:min(len(places), maxTold)] {
		told = append(told, fmt.Sprintf("%d to %s", p.n, p.name))
		left -= p.n
	}
	if left > 0 {
		told = append(told, fmt.Sprintf("%d to others", left))
	}
	return fmt.Sprintf("%d conversations moved away (%s): %s", b.count, key.why, strings.Join(told, ", "))
}
