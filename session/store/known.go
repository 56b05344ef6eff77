package store

import (
	"math/rand/v2"
	"sync"
	"time"

	"tether/session/shared"
)

// known is what a Store knows, without its connection.
type known struct {
	deps  Deps
	id    uint64 // of this process
	start time.Time

	mu     sync.Mutex
	ledger *shared.Ledger // guarded by mu
	clock  clock          // guarded by mu
	peers  peers          // guarded by mu
	last   string         // guarded by mu: the id of the last entry, "" before the first
	health health         // guarded by mu
	counts Counts         // guarded by mu
	loads  *shared.Loads  // guarded by mu

	tellers int // guarded by mu: the other processes that tell of their load
}

func newKnown(d Deps) *known {
	id := rand.Uint64()
	k := &known{deps: d, id: id, start: time.Now(), peers: peers{}, loads: shared.NewLoads(id)}
	k.clock.start = k.start
	k.ledger = shared.NewLedger(k.id, d.Local, d.Max, d.TTL())
	return k
}
