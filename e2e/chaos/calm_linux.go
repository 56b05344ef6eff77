package main

import (
	"context"
	"sync"
	"time"

	"tether/e2e/chaos/fleet"
	"tether/e2e/chaos/ledger"
)

const (
	// calmTime bounds the time until tether holds nothing of the clients any more: idle connections and closed ones have ended.
	calmTime = 90 * time.Second
	// quiet is the time in which a start without clients settles.
	quiet = 3 * time.Second
	// memoryShare and memoryBytes are how much more memory may be resident at the end than when the process had settled: the larger counts.
	memoryShare = 0.10
	memoryBytes = 20 << 20
)

// calm measures what tether holds without clients, before they come and after they have gone, and its memory.
type calm struct {
	tether     *fleet.Tether
	goroutines float64
	files      int

	mu    sync.Mutex
	since time.Time // guarded by mu: the start of the process that rss belongs to
	rss   int       // guarded by mu: resident bytes when the process had settled; 0 if it has not
}

// before measures a tether without clients.
func (c *calm) before() (err error) {
	time.Sleep(quiet)
	if c.goroutines, err = c.tether.Sum("go_goroutines"); err != nil {
		return err
	}
	c.files, err = c.tether.Descriptors()
	return err
}

// watch measures the memory of each process of tether once it has settled.
func (c *calm) watch(ctx context.Context) {
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-tick.C:
			c.look()
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

func (c *calm) look() {
	since := c.tether.Since()
	c.mu.Lock()
	defer c.mu.Unlock()
	if since != c.since {
		c.since, c.rss = since, 0
	}
	if c.rss == 0 && time.Since(since) > settled {
		c.rss, _ = c.tether.RSS() // 0 while the process is replaced: it is measured again
	}
}

// after waits until tether holds no more than its limits allow, and returns the figures.
func (c *calm) after() (figures []ledger.Figure, err error) {
	c.mu.Lock()
	settledRSS := float64(c.rss)
	c.mu.Unlock()
	for deadline := time.Now().Add(calmTime); ; time.Sleep(time.Second) {
		if figures, err = c.figures(settledRSS); err != nil {
			return nil, err
		}
		over := false
		for _, f := range figures {
			over = over || f.End > f.Limit
		}
		if !over || time.Now().After(deadline) {
			return figures, nil
		}
	}
}

func (c *calm) figures(settledRSS float64) ([]ledger.Figure, error) {
	if err := c.tether.Collect(); err != nil {
		return nil, err
	}
	var figures []ledger.Figure
	for _, f := range []struct {
		name, metric string
		start, limit float64
	}{
		{"requests in flight", "tether_requests_in_flight", 0, 0},
		{"requests in flight at servers", "tether_upstream_requests_in_flight", 0, 0},
		{"bytes of request bodies", "tether_request_body_buffer_bytes", 0, 0},
		{"client connections", "tether_client_connections", 0, 0},
		{"goroutines", "go_goroutines", c.goroutines, c.goroutines},
	} {
		end, err := c.tether.Sum(f.metric)
		if err != nil {
			return nil, err
		}
		figures = append(figures, ledger.Figure{Name: f.name, Start: f.start, End: end, Limit: f.limit})
	}
	files, err := c.tether.Descriptors()
	if err != nil {
		return nil, err
	}
	figures = append(figures, ledger.Figure{Name: "descriptors", Start: float64(c.files), End: float64(files), Limit: float64(c.files)})
	if settledRSS == 0 {
		return figures, nil // the process is too young
	}
	rss, err := c.tether.RSS()
	return append(figures,
		ledger.Figure{Name: "resident bytes", Start: settledRSS, End: float64(rss), Limit: settledRSS + max(memoryShare*settledRSS, memoryBytes)}), err
}
