// Package health finds out which upstreams can serve: it probes each server, counts with rise and fall, and writes
// the verdicts into the states of its upstreams, along with the models that it lists. Traffic may arouse suspicion,
// which makes the next probe come sooner; it ejects nobody.
//
// Goroutines: Monitor.Run, started and awaited by the caller, and below it one prober a server.
package health

import (
	"context"
	"maps"
	"net"
	"sync"
	"time"

	"tether/upstream"
)

// Monitor runs the probers.
type Monitor struct {
	cfg    Config
	hooks  Hooks
	tables chan request
	first  chan *upstream.Server // those that got their first verdict
	ready  chan struct{}         // closed when requests need wait no longer
	ended  chan struct{}
	lookup lookup
}

type request struct {
	table *upstream.Table
	done  chan struct{}
}

// Hooks are told what the probers find, from any goroutine. Each may be nil.
type Hooks struct {
	// Warned is told what an operator should know of a server.
	Warned func(s *upstream.Server, text string)
	// Probed is told every probe's result, in a word.
	Probed func(s *upstream.Server, result string)
}

// NewMonitor makes a monitor of no servers.
func NewMonitor(cfg Config, hooks Hooks) *Monitor {
	return &Monitor{
		cfg: cfg, hooks: hooks, tables: make(chan request), first: make(chan *upstream.Server),
		ready: make(chan struct{}), ended: make(chan struct{}), lookup: net.DefaultResolver.LookupNetIP,
	}
}

// Use probes the servers of table from now on. It returns when the probers of those that are gone have ended.
func (m *Monitor) Use(table *upstream.Table) {
	r := request{table: table, done: make(chan struct{})}
	select {
	case m.tables <- r:
		<-r.done
	case <-m.ended:
	}
}

// Ready is closed when every server of the first table has its first verdict or left the table, or the wait for
// that is over. Those of later tables are not waited for.
func (m *Monitor) Ready() <-chan struct{} { return m.ready }

// FirstWait is how long Ready waits at most: time for two probes that time out.
func (c *Config) FirstWait() time.Duration { return 2*c.Timeout + time.Second }

// Run probes until ctx ends, and returns when all probers have.
func (m *Monitor) Run(ctx context.Context) error {
	defer close(m.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()

	running := map[*upstream.Server]func(){}
	var missing map[*upstream.Server]bool // those of the first table without a verdict, nil before that table
	var deadline <-chan time.Time
	for {
		select {
		case r := <-m.tables:
			wanted := m.reconcile(ctx, &all, running, r.table)
			if missing == nil {
				missing = wanted
				deadline = time.After(m.cfg.FirstWait())
			}
			maps.DeleteFunc(missing, func(s *upstream.Server, _ bool) bool { return !wanted[s] })
			close(r.done)
		case s := <-m.first:
			delete(missing, s)
		case <-deadline:
			clear(missing)
		case <-ctx.Done():
			return nil
		}
		if len(missing) == 0 && deadline != nil {
			close(m.ready)
			deadline = nil
		}
	}
}

// reconcile starts and stops probers so that each server of table has one, and gives these servers. running holds what
// stops the probers.
func (m *Monitor) reconcile(ctx context.Context, all *sync.WaitGroup, running map[*upstream.Server]func(), table *upstream.Table) (wanted map[*upstream.Server]bool) {
	wanted = map[*upstream.Server]bool{}
	for _, s := range table.Servers {
		wanted[s] = true
		if running[s] == nil {
			running[s] = m.start(ctx, all, s)
		}
	}
	for s, stop := range running {
		if !wanted[s] {
			stop()
			delete(running, s)
		}
	}
	return wanted
}

// start starts the prober of s and gives what stops it and waits for its end.
func (m *Monitor) start(ctx context.Context, all *sync.WaitGroup, s *upstream.Server) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	p := &prober{
		cfg: &m.cfg, server: s, tally: tally{rise: m.cfg.Rise, fall: m.cfg.Fall}, buf: make([]byte, maxHead), hooks: m.hooks,
		lookup: m.lookup,
		first: func() {
			select {
			case m.first <- s:
			case <-ctx.Done():
			}
		},
	}
	ended := make(chan struct{})
	all.Go(func() {
		defer close(ended)
		p.run(ctx)
	})
	return func() {
		cancel()
		<-ended
	}
}
