package proxy

import (
	"net/netip"
	"sync"
	"testing"
)

// While memory is scarce, the address that holds most of it is refused first.
func TestBudget(t *testing.T) {
	b, limits := newBudget(), newBodyLimits(800, 50)
	greedy, modest := b.account(netip.MustParseAddr("10.0.0.1")), b.account(netip.MustParseAddr("10.0.0.2"))
	if limits.share != 100 {
		t.Fatalf("share %d", limits.share)
	}
	if b.take(greedy, 400, &limits) != nil {
		t.Error("refused though there is plenty")
	}
	if b.take(greedy, 1, &limits) != faultAddressBodies {
		t.Error("more than its share while half is in use")
	}
	if b.take(modest, 100, &limits) != nil || b.take(modest, 1, &limits) != faultAddressBodies {
		t.Error("another address does not get its share")
	}
	b.give(greedy, 400)
	if b.take(modest, 200, &limits) != nil {
		t.Error("refused though there is plenty again")
	}
	if b.take(modest, 600, &limits) != faultBodiesFull {
		t.Error("more than there is")
	}
	b.give(modest, 300)
	b.release(greedy)
	b.release(modest)
	if b.inUse() != 0 || len(b.accounts) != 0 {
		t.Errorf("%d bytes, %d accounts left", b.inUse(), len(b.accounts))
	}
}

// The last eighth is for small holders, unless no other address holds anything.
func TestReserve(t *testing.T) {
	const limit = 64 << 20
	for name, c := range map[string]struct {
		takes []int64 // each of another address
		want  *fault  // of the last one
	}{
		"alone":                   {[]int64{limit}, nil},
		"alone, too much":         {[]int64{limit + 1}, faultBodiesFull},
		"beside one byte":         {[]int64{1, limit - 1}, faultBodiesFull},
		"up to the reserve":       {[]int64{1, limit*7/8 - 1}, nil},
		"into the reserve":        {[]int64{1, limit * 7 / 8}, faultBodiesFull},
		"little in the reserve":   {[]int64{limit * 7 / 8, smallHolder}, nil},
		"much in the reserve":     {[]int64{limit * 7 / 8, smallHolder + 1}, faultBodiesFull},
		"little up to the end":    {[]int64{limit - smallHolder, smallHolder}, nil},
		"little beyond the end":   {[]int64{limit - smallHolder + 1, smallHolder}, faultBodiesFull},
		"little beside the share": {[]int64{limit / 2, limit * 3 / 8, 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, limits := newBudget(), newBodyLimits(limit, limit)
			for i, n := range c.takes {
				f := b.take(b.account(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})), n, &limits)
				if last := i == len(c.takes)-1; last && f != c.want {
					t.Errorf("got %v, want %v", f, c.want)
				}
			}
		})
	}
}

// An address that asks for too much keeps no other out, not even while it is being refused.
func TestRefusedBodiesTakeNothing(t *testing.T) {
	b, limits := newBudget(), newBodyLimits(64<<20, 64<<20)
	greedy, modest := b.account(netip.MustParseAddr("10.0.0.1")), b.account(netip.MustParseAddr("10.0.0.2"))
	if b.take(modest, 1, &limits) != nil {
		t.Fatal("refused in an empty budget")
	}
	var all sync.WaitGroup
	const clients = 4
	started, stop := make(chan struct{}, clients), make(chan struct{})
	for range clients {
		all.Go(func() {
			started <- struct{}{}
			for {
				select {
				case <-stop:
					return
				default:
				}
				if b.take(greedy, 64<<20, &limits) == nil {
					t.Error("more than there is")
					return
				}
			}
		})
	}
	for range clients {
		<-started
	}
	for range 100_000 {
		if f := b.take(modest, 1, &limits); f != nil {
			t.Errorf("a byte was refused: %s", f.reason)
			break
		}
		b.give(modest, 1)
	}
	close(stop)
	all.Wait()
}

// A customer has an IPv6 network of 64 bits, with as many addresses as it likes.
func TestAccounts(t *testing.T) {
	for a, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "2001:db8:1:2::": "2001:db8:1:2::", "2001:db8:1:3::1": "2001:db8:1:3::", "::1": "::",
	} {
		if got := accountAddress(netip.MustParseAddr(a)); got.String() != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
	if accountAddress(netip.Addr{}).IsValid() {
		t.Error("there is an account of no address")
	}
}

// BenchmarkBudget is the cost of counting a body, on all processors at once.
func BenchmarkBudget(b *testing.B) {
	budget, limits := newBudget(), newBodyLimits(1<<30, 1<<20)
	b.RunParallel(func(pb *testing.PB) {
		h := budget.account(netip.MustParseAddr("10.0.0.1"))
		for pb.Next() {
			if budget.take(h, firstBodyBuffer, &limits) == nil {
				budget.give(h, firstBodyBuffer)
			}
		}
	})
}
