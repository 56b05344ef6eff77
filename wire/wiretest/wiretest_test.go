package wiretest

import (
	"net"
	"testing"
)

// Addresses are free, and none is given twice, also to tests that run at the same time.
func TestFreeAddr(t *testing.T) {
	const tests, each = 4, 50
	all := make(chan string, tests*each)
	t.Run("at once", func(t *testing.T) {
		for range tests {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for range each {
					all <- FreeAddr(t)
				}
			})
		}
	})
	close(all)
	seen := map[string]bool{}
	for addr := range all {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if seen[addr] {
			t.Errorf("%s is given twice", addr)
		}
		seen[addr] = true
	}
}
