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

// world is servers, a tether over them, and the conversations.
type world struct {
	cfg     Config
	screen  *screen
	names   []string
	servers []*sim.Server
	proxy   *Proxy
	admin   *http.Client
	seen    *sightings
	figures *figures
	began   time.Time
	states  map[string]string // as the admin API told last

	talking sync.WaitGroup
	hush    context.CancelFunc // ends the conversations
}

// open starts a world. The caller ends it with close.
func open(cfg Config, s *screen) (*world, error) {
	w := &world{
		cfg: cfg, screen: s, seen: newSightings(cfg.Upstreams), figures: &figures{}, began: time.Now(),
		admin: &http.Client{Transport: &http.Transport{}}, hush: func() {},
	}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) start() (err error) {
	var urls []string
	for i := range w.cfg.Upstreams {
		s := sim.New(w.server(i))
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			return err
		}
		w.servers, w.names, urls = append(w.servers, s), append(w.names, name(i)), append(urls, s.URL())
	}
	w.proxy, err = w.cfg.Start(Setup{
		Names: w.names, URLs: urls, Affinity: w.cfg.Affinity, Interval: w.cfg.Pace.Interval, Warnings: w.screen,
	})
	if err != nil {
		return err
	}
	ctx, hush := context.WithCancel(context.Background())
	w.hush = hush
	t := newTraffic(w)
	w.talking.Go(func() { t.run(ctx) })
	return nil
}

func name(i int) string { return fmt.Sprintf("vllm-%d", i) }

func (w *world) server(i int) sim.Config {
	p := w.cfg.Pace
	return sim.Config{
		Name: name(i), Models: []string{model}, PrefillPerToken: p.Prefill, DecodePerToken: p.Decode,
		CacheBlocks: p.cached(w.cfg.Upstreams) / sim.Default().BlockSize, OnRequest: w.seen.hook(i),
	}
}

// close ends the world: clients, tether, servers. It gives the error that tether ended with.
func (w *world) close() (err error) {
	w.hush()
	w.talking.Wait()
	w.admin.CloseIdleConnections()
	if w.proxy != nil {
		err = w.proxy.Stop()
	}
	for _, s := range w.servers {
		s.Stop()
	}
	return err
}

// errEnded says that tether ended of itself; its own error is Proxy.Stop's.
var errEnded = errors.New("tether ended")

// patience is how much longer than planned the story waits for its world.
const patience = 15 * time.Second

// watch shows the world for some time, and on until enough says yes; nil is yes, and patience bounds it. The error is
// ctx's, or errEnded.
func (w *world) watch(ctx context.Context, least time.Duration, enough func() bool) error {
	began := time.Now()
	ticks := time.NewTicker(w.cfg.Pace.Redraw)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.proxy.Ended:
			return errEnded
		case <-ticks.C:
		}
		w.show(ctx)
		took := time.Since(began)
		if took >= least && (enough == nil || enough() || took >= least+patience) {
			return nil
		}
	}
}

func (w *world) show(ctx context.Context) {
	w.states = states(ctx, w.admin, w.proxy.Operators)
	s := scene{
		affinity: w.cfg.Affinity, age: time.Since(w.began), names: w.names, states: w.states,
		sessions: w.seen.sessions(), turns: w.figures.since(time.Now().Add(-window)),
	}
	w.screen.show(s.table())
}

// tell says a sentence of the story.
func (w *world) tell(format string, args ...any) {
	w.screen.say(wrap(fmt.Sprintf("%5s  ", clock(time.Since(w.began))), fmt.Sprintf(format, args...))...)
}
