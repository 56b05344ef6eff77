// Package upstream owns the vLLM servers as the proxy sees them: who they are (Registry), in which state they are
// (Upstream, State), and how they are talked to (Conn: the pool, requests out, response heads in).
//
// Nothing here decides where a request goes or whether it is tried again: session and proxy do. Health, operators
// and traffic change an upstream's state through its methods, and everybody reads one atomic word.
package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// Upstream is one vLLM server that owns one KV cache. It is shared by everybody and must not be copied.
type Upstream struct {
	name    string
	ref     Ref
	address Address
	pool    pool

	state    atomic.Uint32 // State; written by change alone
	inFlight atomic.Int64
	lastByte atomic.Int64           // when it last delivered a byte of an answer, in ns since 1970
	listed   atomic.Pointer[Models] // by the server
	assigned atomic.Pointer[Models] // by the configuration; written by Registry.Apply
	asksKey  atomic.Bool
	manners  atomic.Pointer[Manners]

	onChange func(Change)
	trouble  chan struct{} // capacity 1: there is reason to probe now

	mu     sync.Mutex
	since  time.Time // guarded by mu: of the last change of health
	reason string    // guarded by mu: of that change
	left   time.Time // guarded by mu: when it was last found leaving
}

// Name is the identity: unique among the upstreams, safe to show and to log.
func (u *Upstream) Name() string { return u.name }

// Ref is the short name of this incarnation.
func (u *Upstream) Ref() Ref { return u.ref }

// Address is where it listens: never to be shown or logged.
func (u *Upstream) Address() Address { return u.address }

// Begin counts a request in flight; each Begin wants one End, on every way out.
func (u *Upstream) Begin() { u.inFlight.Add(1) }

// End takes back what Begin counted.
func (u *Upstream) End() {
	if u.inFlight.Add(-1) < 0 {
		panic("BUG: more requests ended than begun")
	}
}

// InFlight is the number of requests that were begun and not ended.
func (u *Upstream) InFlight() int64 { return u.inFlight.Load() }

// Delivered notes that a byte of an answer came at now.
func (u *Upstream) Delivered(now time.Time) { u.lastByte.Store(now.UnixNano()) }

// LastDelivered is when a byte of an answer last came, the zero time if never.
func (u *Upstream) LastDelivered() time.Time {
	if ns := u.lastByte.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Trouble is readable when traffic gave reason to probe this upstream at once.
func (u *Upstream) Trouble() <-chan struct{} { return u.trouble }

// AsksKey reports whether the server wants an API key before it lists its models.
func (u *Upstream) AsksKey() bool { return u.asksKey.Load() }

// SetAsksKey notes whether it does.
func (u *Upstream) SetAsksKey(asks bool) { u.asksKey.Store(asks) }
