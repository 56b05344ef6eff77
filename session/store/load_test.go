package store

import (
	"sync"
	"testing"
	"time"

	"tether/session/identity"
	"tether/session/shared"
	"tether/session/store/storetest"
)

// loads are the upstreams of a process: what it has put on them, and what others have.
type loads struct {
	mu     sync.Mutex
	own    []shared.Load
	others map[uint64]shared.Load
}

func (l *loads) tell(others map[uint64]shared.Load, own []shared.Load) []shared.Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others = others
	return append(own, l.own...)
}

func (l *loads) put(tokens int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.own = []shared.Load{{Upstream: 1, Tokens: tokens, Requests: 1}}
}

// sees returns a condition: others have so many tokens at the upstream.
func (l *loads) sees(tokens int64) func() bool {
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.others[1].Tokens == tokens
	}
}

func (l *loads) of(d *Deps) { d.TellLoad = l.tell }

// Each process sees the load of the others, without its own. What a process that ends has told counts for a second or so, and a process that
// starts again begins with its own.
func TestLoadIsShared(t *testing.T) {
	eachServer(t, func(t *testing.T, program string) {
		server := storetest.Start(t, program)
		url := "redis://" + server.Addr
		var a, b, c, again loads
		a.put(100)
		b.put(20)
		first, second, third := run(t, url, a.of), run(t, url, b.of), run(t, url, c.of)
		eventually(t, "the third sees both", patience, c.sees(120))
		eventually(t, "the first sees the second", patience, a.sees(20))
		eventually(t, "the second sees the first", patience, b.sees(100))
		if r := third.Report(time.Now()); r.Tellers != 2 || r.Counts.Reports == 0 || r.Counts.ReportsIgnored != 0 || r.Deaf != none {
			t.Errorf("%+v", r)
		}
		began := time.Now()
		first.end()
		eventually(t, "the load of a process that has ended is forgotten", patience, c.sees(20))
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it is forgotten after %v", took)
		}
		again.put(7)
		run(t, url, again.of)
		eventually(t, "a process that starts again is seen", patience, c.sees(27))
		second.end()
	})
}

// The server is stopped: the load of others counts no more, also for processes that go on. It counts again once the server works.
func TestLoadWithoutServer(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, storetest.Programs(t)[0])
	relay := storetest.NewRelay(t, server.Addr)
	var a, b loads
	a.put(5)
	run(t, "redis://"+server.Addr, a.of)
	cut := run(t, "redis://"+relay.Addr, b.of)
	eventually(t, "load is shared", patience, b.sees(5))
	relay.Cut()
	eventually(t, "the load of others is forgotten", 3*time.Second, b.sees(0))
	relay.Heal()
	eventually(t, "load is shared again", patience, b.sees(5))
	server.Stop()
	eventually(t, "the load of others is forgotten", 3*time.Second, b.sees(0))
	server.Continue()
	eventually(t, "load is shared again", patience, b.sees(5))
	if r := cut.Report(time.Now()); r.Deaf != none {
		t.Errorf("%q", r.Deaf)
	}
}

// Messages that are damaged, of another version or of another secret are ignored and counted. They change neither the load nor the state.
func TestForeignReports(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, storetest.Programs(t)[0])
	var a, b loads
	a.put(5)
	url := "redis://" + server.Addr
	run(t, url, a.of)
	p := run(t, url, b.of)
	eventually(t, "load is shared", patience, b.sees(5))
	report := func(seq uint64, at, tokens int64) *shared.Report {
		return &shared.Report{From: 77, Seq: seq, At: at, Loads: []shared.Load{{Upstream: 1, Tokens: tokens}}}
	}
	publish := func(text []byte) { server.Do(t, "PUBLISH", loadChannel("tether"), string(text)) }
	publish(report(1, 100_000, 10).Append(nil, testCheck))
	eventually(t, "a report counts", patience, b.sees(15))
	foreign := report(2, 100_000, 1000)
	good := foreign.Append(nil, testCheck)
	for _, text := range [][]byte{
		nil, []byte("hello"), good[:len(good)-1], append([]byte("2"), good[1:]...), foreign.Append(nil, identity.Key{Hi: 99}), make([]byte, shared.MaxReport+1),
		report(3, 1000, 1000).Append(nil, testCheck), // late
	} {
		publish(text)
	}
	eventually(t, "all are ignored", patience, func() bool { return p.Report(time.Now()).Counts.ReportsIgnored == 7 })
	eventually(t, "the process that tells no more is forgotten", patience, b.sees(5))
	eventually(t, "one process tells", patience, func() bool { return p.Report(time.Now()).Tellers == 1 })
	if r := p.Report(time.Now()); r.Deaf != none || r.Trouble != none {
		t.Errorf("%+v", r)
	}
}

// A user that may not use the channel shares sessions, and no load. That is told, and its end too.
func TestLoadIsForbidden(t *testing.T) {
	t.Parallel()
	server := storetest.Start(t, storetest.Programs(t)[0])
	server.Do(t, "ACL", "SETUSER", "quiet", "on", ">p", "~{tether}:*", "resetchannels", "+@all")
	var a, b loads
	a.put(5)
	var told lastState
	p := run(t, "redis://quiet:p@"+server.Addr, func(d *Deps) { d.TellLoad, d.OnState = a.tell, told.add })
	q := run(t, "redis://"+server.Addr, b.of)
	p.move(testKey(1), "x")
	agree(t, 1, "x", p, q)
	eventually(t, "it is told", patience, func() bool { return told.last() == State{Deaf: forbidden} })
	server.Do(t, "ACL", "SETUSER", "quiet", "allchannels")
	eventually(t, "its end is told", patience, func() bool { return told.last() == State{} })
	eventually(t, "load is shared", patience, b.sees(5))
}

// lastState keeps the last state that a store tells.
type lastState struct {
	mu  sync.Mutex
	now State
}

func (d *lastState) add(s State) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = s
}

func (d *lastState) last() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}
