// Package status knows what the status page and "tether top" show: the upstreams with their figures of the last minute, the last 15 minutes,
// recent events, and where conversations move. It counts every request, and computes one snapshot each second for all open pages; without a
// page it computes none.
//
// All that it keeps is bounded: the past of each upstream and of all together is a ring, and so are events and the turns of sessions. It
// holds no session id, no address and no text of a request. It observes and changes nothing.
//
// Goroutines: Collector.Run, started and awaited by the caller.
package status

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tether/proxy"
	"tether/session"
	"tether/session/balance"
	"tether/session/fates"
	"tether/session/identity"
	"tether/session/pins"
	"tether/upstream"
)

// Deps are the parts that a Collector reads.
type Deps struct {
	Version  string
	Registry *upstream.Registry
	Router   *session.Router
	Pins     *pins.Map
	// Fates has what became of prompts. Package metrics counts it.
	Fates *fates.Tally
	// Clients returns the open connections of clients and their requests in flight.
	Clients func() (connections int, inFlight int64)
}

// Collector computes what pages show. All its methods are safe for concurrent use. It must not be copied.
type Collector struct {
	deps    Deps
	started time.Time
	wanted  chan struct{} // capacity 1: a snapshot is wanted before the next tick
	all     tally
	each    [upstream.MaxUpstreams]atomic.Pointer[watched] // by the seat of the upstream
	moves   moves
	events  events
	journal journal
	pages   pages

	mu     sync.Mutex
	past   past      // guarded by mu: of all upstreams together
	bursts bursts    // guarded by mu
	marked time.Time // guarded by mu: when the last marks were set
	taken  time.Time // guarded by mu: when the last samples were taken
	last   []byte    // guarded by mu: the last Status in JSON, of the time lastAt
	lastAt time.Time // guarded by mu
}

// watched is one upstream with its past. With hundreds of upstreams, what a request counts is seldom in the processor's caches, and should be
// in few pages of memory. The past is 10 KB, and therefore elsewhere.
type watched struct {
	upstream *upstream.Upstream
	tally
	past *past // guarded by Collector.mu
}

func watch(u *upstream.Upstream) *watched { return &watched{upstream: u, past: &past{}} }

// New returns a collector. Nothing is collected before Done, Changed and Run are called.
func New(d Deps) *Collector {
	return &Collector{deps: d, started: time.Now(), wanted: make(chan struct{}, 1)}
}

// Done counts a request that is over. It is for proxy.Deps.OnDone.
func (c *Collector) Done(r *proxy.Record) {
	c.all.add(r)
	for _, t := range r.Tries {
		if t.Charged() {
			c.all.fail()
			c.of(t.Upstream).fail()
		}
	}
	if r.Upstream == nil {
		return
	}
	c.of(r.Upstream).add(r)
	c.journal.note(r)
	if r.From != nil {
		c.Moved(r.From, r.Upstream, r.Away.String())
	}
}

// of returns the counts of an upstream. Those of one that has left its seat to another are not kept.
func (c *Collector) of(u *upstream.Upstream) *watched {
	seat := &c.each[u.Ref().Seat()]
	for {
		w := seat.Load()
		switch {
		case w != nil && w.upstream == u:
			return w
		case w != nil && int32(w.upstream.Ref()-u.Ref()) > 0:
			return watch(u)
		}
		seat.CompareAndSwap(w, watch(u))
	}
}

// ByOperator is the reason of a move by an operator. The other reasons are the words of balance.Reason, and response.
const ByOperator = "operator"

// Moved counts a conversation that moved.
func (c *Collector) Moved(from, to *upstream.Upstream, why string) {
	if why == balance.Stayed.String() {
		why = "response" // the conversation goes on with a response that another upstream stores
	}
	c.moves.note(route{from.Name(), to.Name(), why})
}

// Changed notes a change of an upstream's state, and asks for a snapshot.
func (c *Collector) Changed(change upstream.Change) {
	if kind, text, ok := describe(change); ok {
		c.events.add(time.Now(), kind, change.Name(), text)
		c.nudge()
	}
}

// Happened adds an event that concerns all of tether: kind is reload, upstreams or replicas.
func (c *Collector) Happened(kind, text string) {
	c.events.add(time.Now(), kind, "", text)
	c.nudge()
}

// Replaced notes that another table of upstreams is in force.
func (c *Collector) Replaced(before, after *upstream.Table) {
	added, removed := 0, 0
	for _, m := range after.Members {
		if before.Index(m.Ref()) < 0 {
			added++
		}
	}
	for _, m := range before.Members {
		if after.Index(m.Ref()) < 0 {
			removed++
		}
	}
	if added+removed > 0 {
		c.Happened("upstreams", fmt.Sprintf("%d upstreams added, %d removed: %d in all", added, removed, len(after.Members)))
	}
}

// nudge asks for a snapshot before the next tick.
func (c *Collector) nudge() {
	select {
	case c.wanted <- struct{}{}:
	default: // it is wanted already
	}
}

// Open opens a page. Its first message is the result of Past.
func (c *Collector) Open() (*Page, error) { return c.pages.add() }

// Pages is the number of open pages.
func (c *Collector) Pages() int { return int(c.pages.n.Load()) }

// restTime is the least time between two snapshots.
const restTime = 200 * time.Millisecond

// Run keeps the past, and sends snapshots to the open pages, until ctx ends. Then it closes the pages.
func (c *Collector) Run(ctx context.Context) error {
	defer c.pages.end()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-c.wanted:
		}
		c.step(time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(restTime):
		}
	}
}

// step keeps the past up to now, and sends a snapshot if a page is open.
func (c *Collector) step(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepLocked(now)
	if c.Pages() > 0 {
		c.pages.send(mustJSON(c.snapshotLocked(now)))
	}
}

// Status returns a Status in JSON. It is at most half a second old.
func (c *Collector) Status(now time.Time) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || now.Sub(c.lastAt) > tick/2 {
		c.keepLocked(now)
		c.last, c.lastAt = mustJSON(Status{Now: c.snapshotLocked(now), Past: c.historyLocked()}), now
	}
	return c.last
}

// Past returns a History in JSON.
func (c *Collector) Past() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return mustJSON(c.historyLocked())
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a snapshot has no JSON: " + err.Error())
	}
	return text
}

// Seen is what is remembered of a session.
type Seen struct {
	// Last is when its pin was last used, nil without a pin.
	Last *time.Time `json:"last,omitempty"`
	// Turns are its last requests, the latest first. They are forgotten once other sessions need their place.
	Turns []Turn `json:"turns"`
}

// Turn is a request of a session.
type Turn struct {
	At       time.Time `json:"at"`
	Upstream string    `json:"upstream"` // "" if it was removed
	Outcome  string    `json:"outcome"`
	Away     string    `json:"away,omitempty"`
	Status   int       `json:"status"`
	// Prompt and Cached are tokens, nil if the answer does not say.
	Prompt *int64 `json:"prompt_tokens,omitempty"`
	Cached *int64 `json:"cached_tokens,omitempty"`
	// Fate is what became of the prompt's tokens, as the access log has it.
	Fate string `json:"fate,omitempty"`
}

// Seen returns what is remembered of a session.
func (c *Collector) Seen(k identity.Key, now time.Time) Seen {
	s := Seen{Turns: []Turn{}}
	if _, idle, ok := pins.Look(c.deps.Pins, k, now); ok {
		last := now.Add(-idle)
		s.Last = &last
	}
	table := c.deps.Registry.Table()
	for _, t := range c.journal.of(k) {
		one := Turn{
			At: time.UnixMilli(t.at), Outcome: t.outcome.String(), Away: t.away.String(), Status: int(t.status),
			Prompt: told(int64(t.prompt)), Cached: told(int64(t.cached)), Fate: t.fate,
		}
		if i := table.Index(t.upstream); i >= 0 {
			one.Upstream = table.Members[i].Name()
		}
		s.Turns = append(s.Turns, one)
	}
	return s
}
