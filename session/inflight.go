package session

import (
	"sync/atomic"

	"tether/session/identity"
)

// inFlight counts the requests in flight under each session id, without a lock and without a copy of an id. Sessions share
// the counters by their hash: with 10,000 requests in flight, two of them share one in every third case, and a false count
// above MaxInFlight does not happen.
type inFlight struct{ counters [1 << 15]atomic.Int32 }

// MaxInFlight is how many requests one conversation may have in flight, those of an agent's sub-agents included. More of
// them under one id are shown: several conversations may share the id.
const MaxInFlight = 16

func (f *inFlight) of(k identity.Key) *atomic.Int32 { return &f.counters[k.Lo%uint64(len(f.counters))] }

// enter counts a request until leave, and returns how many are counted then.
func (f *inFlight) enter(k identity.Key) int { return int(f.of(k).Add(1)) }

func (f *inFlight) leave(k identity.Key) { f.of(k).Add(-1) }

// count returns how many requests are counted.
func (f *inFlight) count(k identity.Key) int { return int(f.of(k).Load()) }
