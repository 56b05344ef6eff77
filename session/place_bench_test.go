package session

import (
	"fmt"
	"syscall"
	"testing"

	"tether/session/balance"
	"tether/session/identity"
)

// cpu is the process's user and system time, in ns.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkPlacement measures the route of a request from Start to End: of a pinned session, of a new one, and of a call without a session, over 8 and
// 256 upstreams, placed by the ring alone and by load.
func BenchmarkPlacement(b *testing.B) {
	for _, upstreams := range []int{8, 256} {
		for _, placement := range []balance.Placement{balance.Home, balance.Load} {
			f := newBusyFleet(b, upstreams, func(cfg *testConfig) {
				cfg.Balance.Placement = placement
				cfg.Pins.Max = 100_000
			})
			for n := range uint64(100) {
				f.turn(testKey(n))
			}
			for kind, key := range map[string]func(n int) identity.Key{
				"pinned": func(n int) identity.Key { return testKey(uint64(n % 100)) },
				"new":    func(n int) identity.Key { return testKey(1 << 40 * uint64(n+1)) },
				"call":   func(int) identity.Key { return identity.Key{} },
			} {
				b.Run(fmt.Sprintf("%s/%d/%s", placement, upstreams, kind), func(b *testing.B) {
					b.ReportAllocs()
					var r Route
					req := prompt(identity.Key{}, 1000)
					before := cpu(b)
					for n := 0; b.Loop(); n++ {
						req.Key = key(n)
						f.router.Start(&r, req, f.now)
						r.Next(f.now)
						r.Answered(200, f.now)
						r.Generated(f.now)
						r.End(f.now)
					}
					b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
				})
			}
		}
	}
}
