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
}

// addressShare is the part of the budget that an address may hold while the budget is scarce.
const addressShare = 8

func newBudget(limit, maxBody int64) *budget {
	return &budget{limit: limit, share: max(limit/addressShare, maxBody), holders: map[netip.Addr]*holder{}}
}

// holder gives the account of an address; release it as often as it was given.
func (b *budget) holder(a netip.Addr) *holder {
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

// take takes n bytes for h, all or none.
func (b *budget) take(h *holder, n int64) bool {
	used, held := b.used.Add(n), h.used.Add(n)
	if used > b.limit || used > b.limit/2 && held > b.share {
		b.give(h, n)
		return false
	}
	return true
}

// give takes n bytes back.
func (b *budget) give(h *holder, n int64) {
	h.used.Add(-n)
	b.used.Add(-n)
}
