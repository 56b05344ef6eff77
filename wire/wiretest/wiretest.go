// Package wiretest finds addresses for the listeners of tests.
package wiretest

import (
	"net"
	"sync"
	"testing"
)

// given has the addresses that FreeAddr returned: the kernel may choose a port twice, as long as no process uses it.
var given sync.Map

// FreeAddr returns an address of this host on which no process listens, another one at each call.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		if _, twice := given.LoadOrStore(addr, true); !twice {
			return addr
		}
	}
}
