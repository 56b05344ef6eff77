package demo

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// traffic is the clients of the conversations.
type traffic struct {
	pace    *Pace
	url     string
	client  *http.Client
	turns   *turnLog
	tracker *tracker
}

func newTraffic(c *cluster) *traffic {
	n := c.cfg.Pace.Conversations
	return &traffic{
		pace: &c.cfg.Pace, url: "http://" + c.proxy.Clients + "/v1/chat/completions", turns: c.turns, tracker: c.tracker,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, MaxIdleConns: n}},
	}
}

// run holds conversations until ctx ends. It returns when all clients have stopped.
func (t *traffic) run(ctx context.Context) {
	var clients sync.WaitGroup
	for i := range t.pace.Conversations {
		clients.Go(func() { t.runClient(ctx, i) })
	}
	clients.Wait()
	t.client.CloseIdleConnections()
}

// runClient holds one conversation after the other. The pauses are random: if the clients took turns, round robin would happen
// to send each of them to the same server every time.
func (t *traffic) runClient(ctx context.Context, first int) {
	random := rand.New(rand.NewPCG(2, uint64(first)))
	if pause(ctx, time.Duration(random.Int64N(int64(t.pace.Think)))) != nil {
		return
	}
	for n := first; ctx.Err() == nil; n += t.pace.Conversations {
		t.hold(ctx, newConversation(n, t.pace, random))
		t.tracker.ended(n)
	}
}

// hold takes a conversation to its end. A turn without an answer is sent again.
func (t *traffic) hold(ctx context.Context, c *conversation) {
	for left := c.length(); left > 0; {
		r, err := ask(ctx, t.client, t.url, c.request())
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			t.turns.add(r, c.isLater())
			c.answered(r.text)
			left--
		case errors.Is(err, errBroken):
			t.turns.broken.Add(1)
		default:
			t.turns.failed.Add(1)
		}
		shortest := t.pace.Think / 3
		if pause(ctx, shortest+time.Duration(c.random.Int64N(int64(t.pace.Think-shortest)))) != nil {
			return
		}
	}
}

// pause waits for d, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
