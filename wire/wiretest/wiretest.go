// Package wiretest finds addresses for the listeners of tests.
package wiretest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// given has the addresses that FreeAddr has looked at.
var given sync.Map

// FreeAddr returns an address of this host on which no process listens, another one at each call. Its port is below those that the kernel gives to
// connections and to listeners that name none, so it stays free until the test listens on it.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range lastPort - firstPort {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort))
		if _, twice := given.LoadOrStore(addr, true); twice {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatalf("no port of %d..%d is free", firstPort, lastPort)
	return ""
}

// A node of a Redis cluster also listens on the port that is 10,000 higher.
const firstPort, lastPort = 10_000, 11_900
