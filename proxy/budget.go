package proxy

import (
	"net/netip"
	"sync"
)

// budget bounds the memory of all request bodies that are buffered at a time, so that nobody can keep the others out. While
// more than half of it is in use, an address that holds more than its share is refused first. And the last part of it is for
// addresses that hold little: who holds more gets none of that, unless nobody else holds anything.
type budget struct {
	limit, share int64
	open         int64 // what is not for those alone who hold little

	mu      sync.Mutex
	used    int64                  // guarded by mu
	holders map[netip.Addr]*holder // guarded by mu
}

// holder is what one address holds.
type holder struct {
	address netip.Addr
	used    int64 // guarded by the budget's mu
	refs    int   // guarded by the budget's mu
	conns   int   // guarded by the proxy's mu: its connections
}

const (
	// addressShare is the part of the budget that an address may hold while the budget is scarce.
	addressShare = 8

	// reserve is the part of the budget that is for those who hold little.
	reserve = 8

	// little is a body in the largest of the pooled rooms.
	little = maxPooled
)

func newBudget(limit, maxBody int64) *budget {
	return &budget{limit: limit, share: max(limit/addressShare, maxBody), open: limit - limit/reserve, holders: map[netip.Addr]*holder{}}
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
func (b *budget) take(h *holder, n int64) *fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	used, held, alone := b.used+n, h.used+n, b.used == h.used
	switch {
	case used > b.limit:
		return errBodiesFull
	case used > b.limit/2 && held > b.share:
		return errAddressBodies
	case used > b.open && held > little && !alone:
		return errBodiesFull
	}
	b.used, h.used = used, held
	return nil
}

// give takes n bytes back.
func (b *budget) give(h *holder, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	h.used -= n
}

// inUse is what all bodies take now.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
