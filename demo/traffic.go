package demo

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// traffic is the conversations' clients.
type traffic struct {
	pace    *Pace
	url     string
	client  *http.Client
	figures *figures
	seen    *sightings
}

func newTraffic(w *world) *traffic {
	n := w.cfg.Pace.Conversations
	return &traffic{
		pace: &w.cfg.Pace, url: "http://" + w.proxy.Clients + "/v1/chat/completions", figures: w.figures, seen: w.seen,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, MaxIdleConns: n}},
	}
}

// run talks until ctx ends, and returns when all have fallen silent.
func (t *traffic) run(ctx context.Context) {
	var talking sync.WaitGroup
	for i := range t.pace.Conversations {
		talking.Go(func() { t.talk(ctx, i) })
	}
	talking.Wait()
	t.client.CloseIdleConnections()
}

// talk holds one conversation after the other. Their order among the others is random, as round robin over clients that
// take turns would send each of them to a server of its own, by chance.
func (t *traffic) talk(ctx context.Context, first int) {
	random := rand.New(rand.NewPCG(2, uint64(first)))
	if pause(ctx, time.Duration(random.Int64N(int64(t.pace.Think)))) != nil {
		return
	}
	for n := first; ctx.Err() == nil; n += t.pace.Conversations {
		t.hold(ctx, newConversation(n, t.pace, random))
		t.seen.ended(n)
	}
}

// hold takes a conversation to its end. A turn that was not answered is asked again.
func (t *traffic) hold(ctx context.Context, c *conversation) {
	for left := c.turns(); left > 0; {
		r, err := ask(ctx, t.client, t.url, c.asks())
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			t.figures.answered(r, c.later())
			c.goesOn(r.text)
			left--
		case errors.Is(err, errBroken):
			t.figures.broke()
		default:
			t.figures.failed()
		}
		if pause(ctx, t.thinks(c.random)) != nil {
			return
		}
	}
}

func (t *traffic) thinks(random *rand.Rand) time.Duration {
	shortest := t.pace.Think / 3
	return shortest + time.Duration(random.Int64N(int64(t.pace.Think-shortest)))
}

// pause waits for d, or gives ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
