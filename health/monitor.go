// Package health finds out which upstreams can serve: it probes each server, counts with rise and fall, and writes the
// verdicts into the states of its upstreams, along with the models that the server lists. Trouble of traffic brings the next
// probe forward; it takes no upstream down. Beside it, a scraper reads what the server says of the load of its engines. Package app
// runs the Monitor; where requests go is decided in package session.
//
// Goroutines: Monitor.Run, started and awaited by the caller, and one prober and one scraper for each server, awaited by Run.
//
// The rules of config.go are tested in package config.
package health

import (
	"context"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tether/upstream"
)

// Monitor runs the probers.
type Monitor struct {
	settings atomic.Pointer[Config] // set by Use; a prober loads them for each probe
	hooks    Hooks
	uses     chan use
	first    chan *upstream.Server // servers that got their first verdict
	ready    chan struct{}         // closed when requests need not wait any longer
	ended    chan struct{}
	lookup   lookupIP
}

// use is one call of Use.
type use struct {
	table    *upstream.Table
	settings Config
	done     chan struct{}
}

// Hooks are called with what the probers find, from any goroutine. Each may be nil.
type Hooks struct {
	// Warned is called with what an operator should know about a server.
	Warned func(s *upstream.Server, text string)
	// Probed is called with the result of every probe, in a word.
	Probed func(s *upstream.Server, result string)
}

// NewMonitor makes a monitor of no servers.
func NewMonitor(hooks Hooks) *Monitor {
	return &Monitor{
		hooks: hooks, uses: make(chan use), first: make(chan *upstream.Server),
		ready: make(chan struct{}), ended: make(chan struct{}), lookup: net.DefaultResolver.LookupNetIP,
	}
}

// Use probes the servers of table from now on, as settings say. Servers that stay keep what was counted towards rise and fall.
// Use returns when the probers of removed servers have ended.
func (m *Monitor) Use(table *upstream.Table, settings Config) {
	u := use{table: table, settings: settings, done: make(chan struct{})}
	select {
	case m.uses <- u:
		<-u.done
	case <-m.ended:
	}
}

// Ready is closed when every server of the first table has its first verdict or left the table, or firstWait is over.
// Servers of later tables are not waited for.
func (m *Monitor) Ready() <-chan struct{} { return m.ready }

// firstWait is how long Ready waits at most: time for two probes that time out.
func (c *Config) firstWait() time.Duration { return 2*c.Timeout + time.Second }

// Run probes until ctx ends, and returns when all probers have ended.
func (m *Monitor) Run(ctx context.Context) error {
	defer close(m.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()

	probers := map[*upstream.Server]running{}
	var missing map[*upstream.Server]bool // servers of the first table without a verdict, nil before that table
	var deadline <-chan time.Time
	for {
		select {
		case u := <-m.uses:
			if before := m.settings.Swap(&u.settings); before != nil && *before != u.settings {
				for _, p := range probers {
					p.prober.notifySettings()
					p.scraper.wake()
				}
			}
			wanted := m.reconcile(ctx, &all, probers, u.table)
			if missing == nil {
				missing = wanted
				deadline = time.After(u.settings.firstWait())
			}
			maps.DeleteFunc(missing, func(s *upstream.Server, _ bool) bool { return !wanted[s] })
			close(u.done)
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

// running is a prober and a scraper that run.
type running struct {
	prober  *prober
	scraper *scraper
	stop    func() // waits for the end
}

// reconcile starts and stops probers so that each server of table has one, and returns these servers.
func (m *Monitor) reconcile(ctx context.Context, all *sync.WaitGroup, probers map[*upstream.Server]running, table *upstream.Table) (wanted map[*upstream.Server]bool) {
	wanted = map[*upstream.Server]bool{}
	for _, s := range table.Servers {
		wanted[s] = true
		if _, is := probers[s]; !is {
			probers[s] = m.start(ctx, all, s)
		}
	}
	for s, p := range probers {
		if !wanted[s] {
			p.stop()
			delete(probers, s)
		}
	}
	return wanted
}

// start starts the prober and the scraper of s.
func (m *Monitor) start(ctx context.Context, all *sync.WaitGroup, s *upstream.Server) running {
	ctx, cancel := context.WithCancel(ctx)
	p := &prober{
		settings: &m.settings, newSettings: make(chan struct{}, 1), server: s, buf: make([]byte, maxHead), hooks: m.hooks, lookup: m.lookup,
		first: func() {
			select {
			case m.first <- s:
			case <-ctx.Done():
			}
		},
	}
	c := newScraper(&m.settings, s, p.warn)
	p.changed = c.wake
	ended := make(chan struct{})
	all.Go(func() {
		defer close(ended)
		var scraping sync.WaitGroup
		scraping.Go(func() { c.run(ctx) })
		p.run(ctx)
		scraping.Wait()
	})
	return running{p, c, func() {
		cancel()
		<-ended
	}}
}
