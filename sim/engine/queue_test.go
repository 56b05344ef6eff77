package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := testEngine(Config{MaxSeqs: 1, PrefillPerToken: time.Millisecond})
		var order []int
		for i := range 4 {
			go func() {
				_, _ = e.Run(t.Context(), oneJob(ids(100, 1000*i), 1), func(Step) error {
					order = append(order, i) // no lock: only one request runs at a time
					return nil
				})
			}()
			synctest.Wait()
			if running, waiting := e.Load(); running != 1 || waiting != i {
				t.Errorf("after %d requests: %d run, %d wait", i+1, running, waiting)
			}
		}
		begin := time.Now()
		time.Sleep(401 * time.Millisecond)
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2, 3}) {
			t.Errorf("order %v after %v", order, time.Since(begin))
		}
	})
}

func TestAbortedRequestsLeaveTheQueue(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // of the second request's start, while the first runs until 100 ms
	}{{"queued", 50 * time.Millisecond}, {"prefill", 150 * time.Millisecond}, {"decode", 250 * time.Millisecond}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := testEngine(Config{MaxSeqs: 1, PrefillPerToken: time.Millisecond, DecodePerToken: time.Hour})
				go func() { _, _ = e.Run(t.Context(), oneJob(ids(100, 0), 1), func(Step) error { return nil }) }()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				begin := time.Now()
				_, err := e.Run(ctx, oneJob(ids(100, 1000), 2), func(Step) error { return nil })
				if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != c.after {
					t.Errorf("%v after %v, want the end of ctx after %v", err, time.Since(begin), c.after)
				}
				time.Sleep(time.Second)
				if running, waiting := e.Load(); running != 0 || waiting != 0 {
					t.Errorf("%d run, %d wait after the abort", running, waiting)
				}
				if e.Usage() != 0 {
					t.Errorf("usage %v after the abort", e.Usage())
				}
			})
		})
	}
}

// When a request gives up at the moment in which it may run, the next one runs instead.
func TestTurnOfARequestThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue{slots: make(chan struct{}, 1), changed: func() {}}
		if err := q.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, giveUp := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- q.enter(ctx) }()
		synctest.Wait()
		go func() { second <- q.enter(t.Context()) }()
		synctest.Wait()
		giveUp()
		q.leave()
		if <-first == nil {
			q.leave()
		}
		if err := <-second; err != nil || q.running != 1 || q.waiting != 0 {
			t.Errorf("the second one: %v, %d run, %d wait", err, q.running, q.waiting)
		}
	})
}
