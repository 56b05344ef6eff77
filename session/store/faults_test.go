package store

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tether/session/identity"
	"tether/session/shared"
	"tether/session/store/storetest"
	"tether/wire/wiretest"
)

// patience bounds every wait: the longest backoff, the timeouts, and the time after which a sighting is sent again.
const patience = 20 * time.Second

// states collects the states that a store tells.
type states struct {
	mu  sync.Mutex
	all []Trouble
}

func (s *states) add(one State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one.Trouble)
}

func (s *states) has(want Trouble) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.all, want)
}

func (s *states) last() Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return "nothing was told"
	}
	return s.all[len(s.all)-1]
}

func watched(s *states) func(*Deps) { return func(d *Deps) { d.OnState = s.add } }

// agree waits until all processes have the session at an upstream, and nothing is under way.
func agree(t *testing.T, n int, at string, all ...*process) {
	t.Helper()
	for i, p := range all {
		eventually(t, fmt.Sprintf("process %d has session %d at %q, which it has at %q", i, n, at, p.where(testKey(n))), patience, func() bool {
			return p.where(testKey(n)) == at && p.Report(time.Now()).Ledger.UnderWay == 0
		})
	}
}

// Whatever happens to the server: what was known before and what is done meanwhile is known to all when it works again, and to a process
// that starts then. The trouble and its end are told.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(t *testing.T, s *storetest.Server)
		heal  func(t *testing.T, s *storetest.Server)
		want  []Trouble // one of them is told
	}{
		"killed, and empty again": {
			func(_ *testing.T, s *storetest.Server) { s.Kill() },
			func(t *testing.T, s *storetest.Server) { s.Run(t) },
			[]Trouble{refused, closed},
		},
		"stopped": {
			func(_ *testing.T, s *storetest.Server) { s.Stop() },
			func(_ *testing.T, s *storetest.Server) { s.Continue() },
			[]Trouble{noAnswer},
		},
		"paused": {
			func(t *testing.T, s *storetest.Server) { s.Do(t, "CLIENT", "PAUSE", "8000", "ALL") },
			func(*testing.T, *storetest.Server) {},
			[]Trouble{noAnswer},
		},
		"writes are paused": {
			func(t *testing.T, s *storetest.Server) { s.Do(t, "CLIENT", "PAUSE", "100000", "WRITE") },
			func(t *testing.T, s *storetest.Server) { s.Do(t, "CLIENT", "UNPAUSE") },
			[]Trouble{noAnswer},
		},
		"full": {
			func(t *testing.T, s *storetest.Server) { s.Do(t, "CONFIG", "SET", "maxmemory", "1") },
			func(t *testing.T, s *storetest.Server) { s.Do(t, "CONFIG", "SET", "maxmemory", "0") },
			[]Trouble{isFull},
		},
		"full, and evicts the stream": {
			func(t *testing.T, s *storetest.Server) {
				s.Do(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
				s.Do(t, "CONFIG", "SET", "maxmemory", "1")
			},
			func(t *testing.T, s *storetest.Server) { s.Do(t, "CONFIG", "SET", "maxmemory", "0") },
			[]Trouble{isFull, none},
		},
		"read-only": {
			func(t *testing.T, s *storetest.Server) { s.Do(t, "REPLICAOF", "127.0.0.1", "1") },
			func(t *testing.T, s *storetest.Server) { s.Do(t, "REPLICAOF", "NO", "ONE") },
			[]Trouble{readOnly},
		},
		"flushed": {
			func(t *testing.T, s *storetest.Server) { s.Do(t, "FLUSHALL") },
			func(*testing.T, *storetest.Server) {},
			[]Trouble{none},
		},
		"another type at the key": {
			func(t *testing.T, s *storetest.Server) {
				s.Do(t, "DEL", streamKey("tether"))
				s.Do(t, "SET", streamKey("tether"), "x")
			},
			func(t *testing.T, s *storetest.Server) { s.Do(t, "DEL", streamKey("tether")) },
			[]Trouble{wrongType},
		},
		"a new password": {
			func(t *testing.T, s *storetest.Server) {
				s.Do(t, "CONFIG", "SET", "requirepass", "new")
				s.DoAs(t, "new", "CLIENT", "KILL", "TYPE", "normal")
			},
			func(t *testing.T, s *storetest.Server) { s.DoAs(t, "new", "CONFIG", "SET", "requirepass", "") },
			[]Trouble{wrongUser},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.Start(t, storetest.Programs(t)[0])
			var told states
			url := "redis://" + server.Addr
			a, b := run(t, url, watched(&told)), run(t, url, nil)
			a.move(testKey(1), "before")
			agree(t, 1, "before", a, b)
			eventually(t, "the store works", patience, func() bool { return told.last() == none })
			c.fault(t, server)
			eventually(t, "the trouble is told", patience, func() bool { return slices.ContainsFunc(c.want, told.has) })
			b.move(testKey(2), "meanwhile")
			c.heal(t, server)
			agree(t, 2, "meanwhile", a, b)
			eventually(t, "the end of the trouble is told", patience, func() bool { return told.last() == none })
			later := run(t, url, nil)
			agree(t, 1, "before", a, b, later) // within anchorEvery, if the stream was lost
			agree(t, 2, "meanwhile", later)
		})
	}
}

// A process that was cut off takes part again: of two uses of a session, the later one wins at all processes.
func TestCutOff(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, storetest.Programs(t)[0])
	relay := storetest.NewRelay(t, server.Addr)
	var told states
	a, b := run(t, "redis://"+relay.Addr, watched(&told)), run(t, "redis://"+server.Addr, nil)
	for n := range 3 {
		a.move(testKey(n), "first")
		agree(t, n, "first", a, b)
	}
	relay.Cut()
	eventually(t, "the cut is told", patience, func() bool { return told.has(noAnswer) })
	b.move(testKey(0), "at b")
	a.move(testKey(1), "at a")
	b.move(testKey(2), "at b")
	time.Sleep(1500 * time.Millisecond) // more than ordinary requests differ
	a.move(testKey(2), "at a later")
	relay.Heal()
	agree(t, 0, "at b", a, b)
	agree(t, 1, "at a", a, b)
	agree(t, 2, "at a later", a, b)
}

// Without a store at its start, a process is ready after the timeout, and shares what it has done once there is one.
func TestStartWithoutServer(t *testing.T) {
	t.Parallel()
	program := storetest.Programs(t)[0]
	addr := wiretest.FreeAddr(t)
	var told states
	began := time.Now()
	a := run(t, "redis://"+addr, watched(&told))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("ready after %v", took)
	}
	a.move(testKey(1), "alone")
	eventually(t, "the trouble is told", patience, func() bool { return told.last() == refused })
	storetest.StartAt(t, addr, program)
	b := run(t, "redis://"+addr, nil)
	agree(t, 1, "alone", a, b)
}

// A key that holds something else when a process starts: the process is ready all the same, and shares what it has done once the key is free.
func TestStartWithWrongType(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, storetest.Programs(t)[0])
	server.Do(t, "SADD", streamKey("tether"), "a member")
	var told states
	began := time.Now()
	a := run(t, "redis://"+server.Addr, watched(&told))
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("ready after %v", took)
	}
	a.move(testKey(1), "alone")
	eventually(t, "the trouble is told", patience, func() bool { return told.last() == wrongType })
	server.Do(t, "DEL", streamKey("tether"))
	b := run(t, "redis://"+server.Addr, nil)
	agree(t, 1, "alone", a, b)
	eventually(t, "its end is told", patience, func() bool { return told.last() == none })
}

// Foreign and damaged entries are ignored and counted, and so are those of another secret, which are told.
func TestForeignEntries(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, storetest.Programs(t)[0])
	url := "redis://" + server.Addr
	var told states
	a := run(t, url, watched(&told))
	good := string((&shared.Batch{From: 5, Sightings: []shared.Sighting{{Subject: shared.Subject{Key: testKey(7)}, At: "x"}}}).Append(nil, testCheck))
	for _, fields := range [][]string{{"1", "damaged"}, {"1", ""}, {"2", good}, {"1", good[:len(good)-1]}, {"event", "login", "user", "u"}} {
		server.Do(t, append([]string{"XADD", streamKey("tether"), "*"}, fields...)...)
	}
	server.Do(t, "XADD", streamKey("tether"), "*", "1", good)
	agree(t, 7, "x", a)
	if c := a.Report(time.Now()).Counts; c.Damaged != 3 || c.OtherVersion != 2 {
		t.Errorf("%+v", c)
	}
	other := run(t, url, func(d *Deps) { d.Check = func() identity.Key { return identity.Key{Hi: 99} } })
	other.move(testKey(8), "y")
	eventually(t, "another secret is told", patience, func() bool { return told.last() == otherSecret })
	if c := a.Report(time.Now()).Counts; c.OtherSecret == 0 || a.where(testKey(8)) != "" {
		t.Errorf("%+v", c)
	}
	other.end()
	eventually(t, "its end is told", patience, func() bool { return told.last() == none })
}

// A user of the ACL with the rights that docs/REPLICAS.md names, one with fewer, and one with a wrong password.
func TestACL(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, storetest.Programs(t)[0])
	server.Do(t, "ACL", "SETUSER", "tether", "on", ">p@ss/word", "~{tether}:*", "&{tether}:*", "+xadd", "+xread", "+xrange", "+time", "+ping", "+hello", "+client", "+cluster|slots", "+cluster|shards",
		"+publish", "+subscribe", "+unsubscribe")
	server.Do(t, "ACL", "SETUSER", "reader", "on", ">p", "~{tether}:*", "+xread", "+xrange", "+time", "+ping", "+hello", "+client", "+cluster|slots")
	var load, seen loads
	load.put(3)
	a, b := run(t, "redis://tether:p%40ss%2Fword@"+server.Addr, load.of), run(t, "redis://"+server.Addr, seen.of)
	a.move(testKey(1), "x")
	agree(t, 1, "x", a, b)
	eventually(t, "load is shared", patience, seen.sees(3))
	for url, want := range map[string]Trouble{"redis://reader:p@": forbidden, "redis://tether:wrong@": wrongUser, "redis://nobody:x@": wrongUser} {
		var told states
		run(t, url+server.Addr, watched(&told))
		eventually(t, url+" is told", patience, func() bool { return told.last() == want })
	}
}
