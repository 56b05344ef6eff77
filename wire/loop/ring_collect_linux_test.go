package loop

import (
	"net"
	"testing"
	"time"
)

// More connections have something to read than the kernel handles in one call. All of it is one batch.
func TestLargeBatch(t *testing.T) {
	const sockets = 30
	_, first, _ := onRing(t)
	batches := make(chan uint64, sockets)
	var peers []net.Conn
	for range sockets {
		peer, s := onSameLoop(t, first)
		s.Drive(&batched{loop: s.side.(*ringDriven).loop, in: batches}, time.Time{}, false)
		peers = append(peers, peer)
	}
	onLoop(t, idle(t, first), func(time.Time) { // so that all of it is there at the next wait
		for _, peer := range peers {
			peer.Write([]byte("x"))
		}
	})
	seen := map[uint64]int{}
	for range sockets {
		seen[wait(t, batches)]++
	}
	if len(seen) != 1 {
		t.Errorf("%d batches: %v", len(seen), seen)
	}
}

// batched is a driver that tells in which batch of completions it receives.
type batched struct {
	ignoring
	loop *ringLoop
	in   chan uint64
}

func (b *batched) Received(time.Time, []byte) { b.in <- b.loop.batch }
