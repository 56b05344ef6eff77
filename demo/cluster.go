package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"tether/sim"
)

// cluster is a number of simulated servers, a tether in front of them, and the conversations of its clients.
type cluster struct {
	cfg     Config
	screen  *screen
	names   []string
	servers []*sim.Server
	proxy   *Proxy
	admin   *http.Client
	tracker *tracker
	turns   *turnLog
	started time.Time
	states  map[string]string // of the servers, as the admin API said last

	clients     sync.WaitGroup
	stopClients context.CancelFunc
}

// newCluster starts a cluster. The caller ends it with close.
func newCluster(cfg Config, s *screen) (*cluster, error) {
	c := &cluster{
		cfg: cfg, screen: s, tracker: newTracker(cfg.Upstreams), turns: &turnLog{}, started: time.Now(),
		admin: &http.Client{Transport: &http.Transport{}, Timeout: adminTimeout}, stopClients: func() {},
	}
	if err := c.start(); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *cluster) start() (err error) {
	var urls []string
	for i := range c.cfg.Upstreams {
		cfg := c.serverConfig(i)
		s := sim.New(cfg)
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			return err
		}
		c.servers, c.names, urls = append(c.servers, s), append(c.names, cfg.Name), append(urls, s.URL())
	}
	c.proxy, err = c.cfg.Start(Setup{
		Names: c.names, URLs: urls, Affinity: c.cfg.Affinity, Interval: c.cfg.Pace.Interval, Warnings: c.screen,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stopClients = cancel
	t := newTraffic(c)
	c.clients.Go(func() { t.run(ctx) })
	return nil
}

func (c *cluster) serverConfig(i int) sim.Config {
	p := c.cfg.Pace
	return sim.Config{
		Name: fmt.Sprintf("vllm-%d", i), Models: []string{model}, PrefillPerToken: p.Prefill, DecodePerToken: p.Decode,
		CacheBlocks: p.cacheTokens(c.cfg.Upstreams) / sim.Default().BlockSize, OnRequest: c.tracker.hook(i),
	}
}

// close stops clients, tether and servers. It returns the error that tether ended with.
func (c *cluster) close() (err error) {
	c.stopClients()
	c.clients.Wait()
	c.admin.CloseIdleConnections()
	if c.proxy != nil {
		err = c.proxy.Stop()
	}
	for _, s := range c.servers {
		s.Stop()
	}
	return err
}

// errEnded means that tether ended by itself. Proxy.Stop returns tether's own error.
var errEnded = errors.New("tether ended")

// patience is how much longer than planned watch waits for its condition.
const patience = 15 * time.Second

// watch shows the table for the shortest time, and on until the condition holds, at most for patience. A nil condition always
// holds. An error is ctx's, or errEnded.
func (c *cluster) watch(ctx context.Context, shortest time.Duration, condition func() bool) error {
	began := time.Now()
	ticks := time.NewTicker(c.cfg.Pace.Redraw)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.proxy.Ended:
			return errEnded
		case <-ticks.C:
		}
		c.show()
		took := time.Since(began)
		if took >= shortest && (condition == nil || condition() || took >= shortest+patience) {
			return nil
		}
	}
}

func (c *cluster) show() {
	c.states = states(c.admin, c.proxy.Operators)
	c.screen.setTable(table(&tableData{
		affinity: c.cfg.Affinity, age: time.Since(c.started), names: c.names, states: c.states,
		sessions: c.tracker.sessions(), turns: c.turns.since(time.Now().Add(-window)),
	}))
}

// log prints what happened, with its time.
func (c *cluster) log(format string, args ...any) {
	c.screen.printLines(wrap(fmt.Sprintf("%5s  ", clock(time.Since(c.started))), fmt.Sprintf(format, args...))...)
}
