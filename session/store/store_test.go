package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tether/session/identity"
	"tether/session/shared"
	"tether/session/store/storetest"
)

// maps are the maps of a process, in place of those of package session.
type maps struct {
	mu     sync.Mutex
	at     map[identity.Key]spot
	drains map[string]shared.Drain
}

type spot struct {
	at   string
	used time.Time
}

func (m *maps) Look(s shared.Subject) (at string, idle time.Duration, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one, ok := m.at[s.Key]
	return one.at, time.Since(one.used), ok
}

func (m *maps) Place(s *shared.Sighting) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.At == "" {
		delete(m.at, s.Key)
		return
	}
	m.at[s.Key] = spot{s.At, time.Now().Add(-s.Age)}
}

func (m *maps) Drain(d *shared.Drain) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drains[d.Name] = *d
}

func (m *maps) drain(name string) shared.Drain {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.drains[name]
}

// process is a Store with its maps.
type process struct {
	*Store
	*maps
	queue *shared.Queue
	end   func()
}

const testTTL = time.Hour

var testCheck = identity.Key{Hi: 7}

// run runs a store until the test ends or end is called.
func run(t testing.TB, url string, change func(*Deps)) *process {
	t.Helper()
	p := &process{maps: &maps{at: map[identity.Key]spot{}, drains: map[string]shared.Drain{}}, queue: shared.NewQueue()}
	cfg := Default()
	cfg.URL = URL(url)
	cfg.Timeout = 500 * time.Millisecond
	a, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	d := Deps{
		Config: cfg, Address: a, Local: p.maps, Changes: p.queue, Max: 100_000, TTL: func() time.Duration { return testTTL },
		Strays: func(func(*shared.Sighting)) {}, Check: func() identity.Key { return testCheck }, Ring: func() uint64 { return 1 }, Version: "v1",
		TellLoad: func(_ map[uint64]shared.Load, own []shared.Load) []shared.Load { return own },
	}
	if change != nil {
		change(&d)
	}
	p.Store = New(d)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	var once sync.Once
	p.end = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(5 * time.Second):
				t.Error("the store does not end")
			}
		})
	}
	t.Cleanup(p.end)
	<-p.Ready()
	return p
}

func (p *process) move(k identity.Key, at string) {
	p.Place(&shared.Sighting{Subject: shared.Subject{Key: k}, At: at})
	p.queue.Add(&shared.Change{Sighting: shared.Sighting{Subject: shared.Subject{Key: k}, At: at}})
}

func (p *process) where(k identity.Key) string {
	at, _, _ := p.Look(shared.Subject{Key: k})
	return at
}

func testKey(n int) identity.Key { return identity.Key{Hi: uint64(n) + 1, Lo: uint64(n) * 7} }

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, limit time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// eachServer runs a test with each server that is installed.
func eachServer(t *testing.T, test func(t *testing.T, program string)) {
	programs := storetest.Programs(t)
	for _, program := range programs {
		t.Run(filepath.Base(program), func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
	if !slices.ContainsFunc(programs, func(p string) bool { return strings.Contains(filepath.Base(p), "valkey") }) {
		t.Run("valkey-server", func(t *testing.T) { t.Skip("valkey-server is not installed: make test-valkey installs one") })
	}
}

// What one process does is known to the others, and to one that starts later.
func TestProcessesAgree(t *testing.T) {
	eachServer(t, func(t *testing.T, program string) {
		server := storetest.Start(t, program)
		url := "redis://" + server.Addr
		a, b := run(t, url, nil), run(t, url, nil)
		for n := range 1000 {
			a.move(testKey(n), fmt.Sprintf("vllm-%d", n%4))
		}
		arrived := func(p *process, name func(n int) string) func() bool {
			return func() bool {
				for n := range 1000 {
					if p.where(testKey(n)) != name(n) {
						return false
					}
				}
				return true
			}
		}
		first := func(n int) string { return fmt.Sprintf("vllm-%d", n%4) }
		eventually(t, "b knows what a did", 5*time.Second, arrived(b, first))
		b.move(testKey(3), "vllm-9")
		b.move(testKey(4), "")
		a.Drained(&shared.Drain{Name: "vllm-1", Move: shared.MoveIdle, Idle: time.Second, Left: time.Hour})
		second := func(n int) string {
			switch n {
			case 3:
				return "vllm-9"
			case 4:
				return ""
			}
			return first(n)
		}
		eventually(t, "a knows what b did", 5*time.Second, arrived(a, second))
		c := run(t, url, nil)
		if !arrived(c, second)() {
			t.Error("a process that starts does not know what the others know")
		}
		for _, p := range []*process{b, c} {
			eventually(t, "a drain is known", 5*time.Second, func() bool {
				d := p.drain("vllm-1")
				return d.Move == shared.MoveIdle && d.Idle == time.Second && d.Left > 59*time.Minute
			})
		}
		eventually(t, "they see each other", 5*time.Second, func() bool { return len(a.Report(time.Now()).Peers) == 3 })
		if r := a.Report(time.Now()); r.Trouble != "" || r.Ledger.UnderWay != 0 || r.Ledger.Subjects != 1000 {
			t.Errorf("%+v", r)
		}
	})
}
