package replicas

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"tether/session/store/storetest"
)

var stopped = flag.Duration("stop", 2*time.Second, "how long the store is stopped")

// trouble is something that happens to the store while requests go on, and its end.
type trouble struct {
	name       string
	begin, end func(t *testing.T, s *storetest.Server, relay *storetest.Relay)
	lasts      time.Duration
}

var troubles = []trouble{
	{"all is well", func(*testing.T, *storetest.Server, *storetest.Relay) {}, func(*testing.T, *storetest.Server, *storetest.Relay) {}, time.Second},
	{"kill -9, empty restart", func(_ *testing.T, s *storetest.Server, _ *storetest.Relay) { s.Kill() }, func(t *testing.T, s *storetest.Server, _ *storetest.Relay) { s.Run(t) }, time.Second},
	{"SIGSTOP", func(_ *testing.T, s *storetest.Server, _ *storetest.Relay) { s.Stop() }, func(_ *testing.T, s *storetest.Server, _ *storetest.Relay) { s.Continue() }, 0},
	{"CLIENT PAUSE", func(t *testing.T, s *storetest.Server, _ *storetest.Relay) { s.Do(t, "CLIENT", "PAUSE", "3000", "ALL") }, func(*testing.T, *storetest.Server, *storetest.Relay) {}, 3 * time.Second},
	{"maxmemory, evicting", func(t *testing.T, s *storetest.Server, _ *storetest.Relay) {
		s.Do(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
		s.Do(t, "CONFIG", "SET", "maxmemory", "1")
	}, func(t *testing.T, s *storetest.Server, _ *storetest.Relay) {
		s.Do(t, "CONFIG", "SET", "maxmemory", "0")
	}, 2 * time.Second},
	{
		"read-only", func(t *testing.T, s *storetest.Server, _ *storetest.Relay) { s.Do(t, "REPLICAOF", "127.0.0.1", "1") },
		func(t *testing.T, s *storetest.Server, _ *storetest.Relay) { s.Do(t, "REPLICAOF", "NO", "ONE") }, 2 * time.Second,
	},
	{
		"one replica is cut off", func(_ *testing.T, _ *storetest.Server, relay *storetest.Relay) { relay.Cut() },
		func(_ *testing.T, _ *storetest.Server, relay *storetest.Relay) { relay.Heal() }, 3 * time.Second,
	},
}

// Whatever happens to the store in the middle of traffic, in which servers die and return: no request fails or waits for it, and each
// conversation has one server once it works again. Beside it are the times of a fleet without a store, in which the same servers die.
func TestFaultsOfTheStore(t *testing.T) {
	server := storetest.Start(t, storetest.Programs(t)[0])
	relay := storetest.NewRelay(t, server.Addr)
	f := newFleet(t, "redis://"+server.Addr, "")
	f.restartOver(2, "redis://"+relay.Addr)
	alone := newFleet(t, "", "  placement: home\n")
	f.round()
	alone.round()
	for n, one := range troubles {
		if one.lasts == 0 {
			one.lasts = *stopped
		}
		endure(t, f, alone, one.name, n%4, one.lasts, func() { one.begin(t, server, relay) }, func() { one.end(t, server, relay) })
	}
}

// endure lets the trouble last while requests go on at both fleets and a server of both dies and returns, and prints what became of the
// requests.
func endure(t *testing.T, f, alone *fleet, name string, victim int, lasts time.Duration, begin, end func()) {
	t.Helper()
	f.slowest, alone.slowest = nil, nil
	begin()
	f.servers[victim].Kill()
	alone.servers[victim].Kill()
	for began := time.Now(); ; {
		f.round()
		alone.round()
		if time.Since(began) > lasts {
			break
		}
	}
	for _, each := range []*fleet{f, alone} {
		if err := each.servers[victim].Restart(); err != nil {
			t.Fatal(err)
		}
		each.awaitState(each.inUse[victim], 1)
	}
	end()
	requests, p99, most := times(f.slowest)
	_, p99Alone, mostAlone := times(alone.slowest)
	began := time.Now()
	f.awaitAgreement()
	agreed := time.Since(began)
	f.round() // conversations that two replicas have moved differently go where the rule says
	time.Sleep(settling)
	changed := f.round()
	t.Logf("%-23s %5d requests, %d failed, p99 %5.1f ms, slowest %5.1f ms | without a store %5.1f ms, %5.1f ms | agreed after %.1f s, then %d turns on a second server",
		name, requests, f.failed.Load(), p99, most, p99Alone, mostAlone, agreed.Seconds(), len(changed))
	if len(changed) > 0 || f.failed.Load() > 0 {
		t.Errorf("%s: %d turns on a second server, %d requests failed", name, len(changed), f.failed.Load())
	}
}

// The server of the store dies in the middle of traffic, and the sentinels name another one, twice: the second time the first server is back as
// its replica.
func TestFailoverOfTheStore(t *testing.T) {
	program := storetest.Programs(t)[0]
	first := storetest.Start(t, program)
	second := storetest.Start(t, program, "--replicaof", "127.0.0.1 "+port(first.Addr))
	sentinel := storetest.Sentinel(t, first)
	sentinel.AwaitReplica(t, "")
	f, alone := newFleet(t, "redis-sentinel://"+sentinel.Addr+"/mymaster", ""), newFleet(t, "", "  placement: home\n")
	f.round()
	alone.round()
	f.awaitAgreement()
	for n, fails := range []*storetest.Server{first, second} {
		heir := []*storetest.Server{second, first}[n]
		endure(t, f, alone, []string{"Sentinel failover", "and back"}[n], n, 3*time.Second, fails.Kill, func() { awaitRole(t, heir, "master") })
		if n == 0 {
			first.Run(t)
			first.Do(t, "REPLICAOF", "127.0.0.1", port(second.Addr))
			awaitRole(t, first, "connected") // it has what the other one has
			sentinel.AwaitReplica(t, "")
		}
	}
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// awaitRole waits until a server says a word of its role.
func awaitRole(t *testing.T, s *storetest.Server, word string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(s.Do(t, "ROLE"), word); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the server is no %s: %s", word, s.Do(t, "ROLE"))
		}
	}
}

// times returns how many requests took how many milliseconds: 99 of 100 at most p99, and all at most most.
func times(all []time.Duration) (n int, p99, most float64) {
	slices.Sort(all)
	n = len(all)
	return n, float64(all[n*99/100]) / float64(time.Millisecond), float64(all[n-1]) / float64(time.Millisecond)
}

// restartOver restarts a replica with another way to the store.
func (f *fleet) restartOver(n int, url string) {
	f.t.Helper()
	f.tethers[n].End(f.t, 15, patience)
	f.tethers[n] = f.runWith(n, "TETHER_SESSION_STORE_URL="+url)
}

// awaitAgreement waits until all servers are up and nothing is on its way through the store.
func (f *fleet) awaitAgreement() {
	f.t.Helper()
	for _, name := range f.inUse {
		f.awaitState(name, 1)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		settled := 0
		for _, p := range f.tethers {
			if text := string(f.ask(p, "GET", "/api/replicas")); strings.Contains(text, `"store":"ok"`) && strings.Contains(text, `"under_way":0`) {
				settled++
			}
		}
		if settled == len(f.tethers) {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("the store does not work again: %s", f.ask(f.tethers[0], "GET", "/api/replicas"))
		}
	}
}
