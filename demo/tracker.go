package demo

import (
	"fmt"
	"sync"

	"tether/sim"
)

// tracker knows which simulated server received each conversation's requests, and which conversations moved in an outage.
type tracker struct {
	servers int

	mu     sync.Mutex
	latest map[int]int // guarded by mu; the server of the latest request of each running conversation
	outage *outageLog  // guarded by mu; nil before the first outage
}

// outageLog is what the servers received since one of them was killed.
type outageLog struct {
	killed    int
	restarted bool
	traces    map[int]*trace // by conversation
}

// trace is one conversation in an outage.
type trace struct {
	home   int  // its server before the outage, or the first one since
	orphan bool // its home is the killed server, also when its first request arrived there before the restart
	seen   bool // it has sent a request since the server was killed
	latest int  // the server of its latest request; valid when seen
	moved  bool // a request of it arrived at another server than its home
}

func newTracker(servers int) *tracker {
	return &tracker{servers: servers, latest: map[int]int{}}
}

// hook returns the function that a simulated server calls for each request that it read.
func (k *tracker) hook(server int) func(sim.Seen) {
	return func(q sim.Seen) {
		if n, ok := numberOf(q.Body); ok {
			k.received(n, server)
		}
	}
}

// received notes a request, answered or not: even an attempt loads the cache of its server.
func (k *tracker) received(conversation, server int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.latest[conversation] = server
	o := k.outage
	if o == nil {
		return
	}
	t := o.traces[conversation]
	if t == nil {
		t = &trace{home: server, orphan: server == o.killed && !o.restarted}
		o.traces[conversation] = t
	}
	t.seen, t.latest = true, server
	t.moved = t.moved || server != t.home
}

// ended forgets a conversation that has no further turn.
func (k *tracker) ended(conversation int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.latest, conversation)
}

// kill begins an outage. It is called just before the server is killed.
func (k *tracker) kill(server int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outage = &outageLog{killed: server, traces: map[int]*trace{}}
	for conversation, home := range k.latest {
		k.outage.traces[conversation] = &trace{home: home, orphan: home == server}
	}
}

// restart notes that the killed server is about to serve again. Conversations that begin on it from now on are no orphans.
func (k *tracker) restart() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outage.restarted = true
}

// sessions counts, for each server, the running conversations whose latest request it received.
func (k *tracker) sessions() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	counts := make([]int, k.servers)
	for _, server := range k.latest {
		counts[server]++
	}
	return counts
}

// Moved counts conversations that went on in an outage, and those of them that had a request arrive at another server than
// before.
type Moved struct {
	Of, Moved int
	to        []int // the moved ones, by the server of their latest request
}

// String is "0 of 44".
func (m Moved) String() string { return fmt.Sprintf("%d of %d", m.Moved, m.Of) }

// moves counts the conversations of the killed server and the others, as far as they have sent a request since it was killed.
// Conversations that began since then count as others.
func (k *tracker) moves() (orphans, others Moved) {
	k.mu.Lock()
	defer k.mu.Unlock()
	orphans.to, others.to = make([]int, k.servers), make([]int, k.servers)
	for _, t := range k.outage.traces {
		m := &others
		if t.orphan {
			m = &orphans
		}
		if t.seen {
			m.Of++
		}
		if t.moved {
			m.Moved++
			m.to[t.latest]++
		}
	}
	return orphans, others
}

// allSeen reports whether each running conversation has sent a request since the server was killed.
func (k *tracker) allSeen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for conversation := range k.latest {
		if !k.outage.traces[conversation].seen {
			return false
		}
	}
	return true
}
