package proxy

import (
	"net/netip"
	"sync"
)

// budget bounds the memory of all request bodies that are buffered at a time, so that no client can keep the others out. While
// more than half of it is in use, an address that holds more than its share is refused first. The last part of it is for
// addresses that hold little: an address that holds more gets none of that part, unless it is the only one that holds anything.
type budget struct {
	limit       int64
	share       int64 // what an address may hold while the budget is scarce
	sharedLimit int64 // limit without the part for small holders

	mu       sync.Mutex
	used     int64                   // guarded by mu
	accounts map[netip.Addr]*account // guarded by mu
}

// account is what one address holds.
type account struct {
	address netip.Addr
	used    int64 // guarded by the budget's mu
	refs    int   // guarded by the budget's mu
	conns   int   // guarded by clients.mu: its connections
}

const (
	// addressShare is the part of the budget that an address may hold while the budget is scarce.
	addressShare = 8

	// reserve is the part of the budget that is for small holders.
	reserve = 8

	// smallHolder is the most that a small holder has, in bytes: a body in the largest of the pooled buffers.
	smallHolder = maxPooled
)

func newBudget(limit, maxBody int64) *budget {
	return &budget{limit: limit, share: max(limit/addressShare, maxBody), sharedLimit: limit - limit/reserve, accounts: map[netip.Addr]*account{}}
}

// account gives the account of an address. The caller releases it as often as it was given.
func (b *budget) account(a netip.Addr) *account {
	a = customer(a)
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.accounts[a]
	if c == nil {
		c = &account{address: a}
		b.accounts[a] = c
	}
	c.refs++
	return c
}

func (b *budget) release(c *account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.refs--; c.refs == 0 {
		delete(b.accounts, c.address)
	}
}

// customer is the address that stands for all addresses of one customer: of IPv6 the network of 64 bits.
func customer(a netip.Addr) netip.Addr {
	if network, err := a.Prefix(64); a.Is6() && err == nil {
		return network.Addr()
	}
	return a
}

// take takes n bytes for c, all or none.
func (b *budget) take(c *account, n int64) *fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	used, held, alone := b.used+n, c.used+n, b.used == c.used
	switch {
	case used > b.limit:
		return errBodiesFull
	case used > b.limit/2 && held > b.share:
		return errAddressBodies
	case used > b.sharedLimit && held > smallHolder && !alone:
		return errBodiesFull
	}
	b.used, c.used = used, held
	return nil
}

// give takes n bytes back from c.
func (b *budget) give(c *account, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	c.used -= n
}

// inUse is the memory of all bodies, in bytes.
func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
