package status

import (
	"fmt"
	"sync"
	"time"

	"tether/upstream"
)

// Event is something that happened to tether or its upstreams. It holds no session, address or value of the configuration.
type Event struct {
	// ID is 1 for the first event, and one more for each further one. An event that goes on keeps its ID and changes its text.
	ID uint64 `json:"id"`
	// At is when it began.
	At time.Time `json:"at"`
	// Kind is up, down, drain, leaving, moves, reload, upstreams or replicas.
	Kind string `json:"kind"`
	// Upstream is the name of the upstream that it is about, "" for none.
	Upstream string `json:"upstream,omitempty"`
	Text     string `json:"text"`

	changed time.Time
}

// maxEvents limits the events that are kept.
const maxEvents = 200

// events are the last events. The zero value has none.
type events struct {
	mu   sync.Mutex
	ring [maxEvents]Event // guarded by mu: the event with ID n is at (n-1) % maxEvents
	last uint64           // guarded by mu: the ID of the last one
}

// add adds an event, and returns its ID.
func (e *events) add(now time.Time, kind, upstream, text string) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	e.ring[(e.last-1)%maxEvents] = Event{ID: e.last, At: now, Kind: kind, Upstream: upstream, Text: text, changed: now}
	return e.last
}

// change replaces the text of an event that is still kept.
func (e *events) change(now time.Time, id uint64, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if one := &e.ring[(id-1)%maxEvents]; one.ID == id {
		one.Text, one.changed = text, now
	}
}

// after returns the events that began or changed after then, the oldest first.
func (e *events) after(then time.Time) []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := []Event{}
	for id := e.last - min(e.last, maxEvents) + 1; id <= e.last; id++ {
		if one := e.ring[(id-1)%maxEvents]; one.changed.After(then) {
			all = append(all, one)
		}
	}
	return all
}

// describe returns the event of a change of state, ok is false for a change that is none: suspicion comes and goes with single requests.
func describe(c upstream.Change) (kind, text string, ok bool) {
	before, after := c.Before, c.After
	switch {
	case before.Health() != after.Health():
		kind = "down"
		if after.Health() == upstream.Up {
			kind = "up"
		}
		return kind, fmt.Sprintf("%s, was %s", after.Words(), before.Words()) + because(c.Reason), true
	case before.Draining() != after.Draining(), before.DrainingHard() != after.DrainingHard():
		text = "the drain ended"
		if after.Draining() {
			text = after.Words()
		}
		return "drain", text + because(c.Reason), true
	case !before.Leaving() && after.Leaving():
		return "leaving", "leaving" + because(c.Reason), true
	}
	return "", "", false
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
