package proxy

import (
	"net/netip"
	"sync"
)

// budget counts the memory of all request bodies that are buffered at a time, by address, and bounds it, so that no client can keep the
// others out. While more than half of it is in use, an address that holds more than its share is refused first. The last part is
// for small holders: an address that holds more gets nothing of that part, unless no other address holds anything.
type budget struct {
	mu       sync.Mutex
	used     int64                   // guarded by mu
	accounts map[netip.Addr]*account // guarded by mu
}

// bodyLimits are the limits of a budget, in bytes.
type bodyLimits struct {
	total  int64
	share  int64 // of an address, while the budget is scarce
	shared int64 // total without the part for small holders
}

func newBodyLimits(total, maxBody int64) bodyLimits {
	return bodyLimits{total: total, share: max(total/addressShare, maxBody), shared: total - total/reserve}
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
	smallHolder = maxBodyBuffer
)

func newBudget() *budget { return &budget{accounts: map[netip.Addr]*account{}} }

// account returns the account of an address. Each call needs one release.
func (b *budget) account(a netip.Addr) *account {
	a = accountAddress(a)
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

// hold keeps c for one more release.
func (b *budget) hold(c *account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.refs++
}

func (b *budget) release(c *account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.refs--; c.refs == 0 {
		delete(b.accounts, c.address)
	}
}

// accountAddress returns the address whose account a uses: for IPv6 that of its network of 64 bits, which one host can fill.
func accountAddress(a netip.Addr) netip.Addr {
	if network, err := a.Prefix(64); a.Is6() && err == nil {
		return network.Addr()
	}
	return a
}

// take takes n bytes for c within the limits, all or none.
func (b *budget) take(c *account, n int64, limits *bodyLimits) *fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	used, held, alone := b.used+n, c.used+n, b.used == c.used
	switch {
	case used > limits.total:
		return faultBodiesFull
	case used > limits.total/2 && held > limits.share:
		return faultAddressBodies
	case used > limits.shared && held > smallHolder && !alone:
		return faultBodiesFull
	}
	b.used, c.used = used, held
	return nil
}

// give returns n bytes that c took.
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
