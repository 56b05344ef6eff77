package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// budget bounds the memory of all request bodies that are buffered at a time. While more than half of it is in
// use, an address that holds more than its share is refused first, so that one caller cannot keep the others out.
type budget struct {
	limit, share int64
	used         atomic.Int64

	mu      sync.Mutex
	holders map[netip.Addr]*holder // guarded by mu
}

// holder is what one address holds.
type holder struct {
	address netip.Addr
	used    atomic.Int64
	refs    int // guarded by the budget's mu
	conns   int // guarded by the proxy's mu: its connections
}

// addressShare is the part of the budget that an address may hold while the budget is scarce.
const addressShare = 8

func newBudget(limit, maxBody int64) *budget {
	return &budget{limit: limit, share: max(limit/addressShare, maxBody), holders: map[netip.Addr]*holder{}}
}

// holder gives the account of an address; release it as often as it was given.
func (b *budget) holder(a netip.Addr) *holder {
	a = accountOf(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.holders[a]
	if h == nil {
		h = &holder{address: a}
		b.holders[a] = h
	}
	h.refs++
	return h
}

func (b *budget) release(h *holder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.refs--; h.refs == 0 {
		delete(b.holders, h.address)
	}
}

// accountOf is the address that stands for all that one customer has: of IPv6 the network of 64 bits.
func accountOf(a netip.Addr) netip.Addr {
	if network, err := a.Prefix(64); a.Is6() && err == nil {
		return network.Addr()
	}
	return a
}

// take takes n bytes for h, all or none.
func (b *budget) take(h *holder, n int64) (f *fault) {
	used, held := b.used.Add(n), h.used.Add(n)
	switch {
	case used > b.limit:
		f = errBodiesFull
	case used > b.limit/2 && held > b.share:
		f = errAddressBodies
	default:
		return nil
	}
	b.give(h, n)
	return f
}

// give takes n bytes back.
func (b *budget) give(h *holder, n int64) {
	h.used.Add(-n)
	b.used.Add(-n)
}
