package session

import (
	"sync"
	"testing"
)

// More requests in flight under one id than a conversation has are shown, and go where the session is all the same. Ids that
// many conversations may share have crowds instead.
func TestHotSession(t *testing.T) {
	f := newFleet(t, 4, nil)
	k := testKey(1)
	home, _ := f.answer(Request{Key: k}, 200)
	var all []*Route
	for n := range MaxInFlight + 5 {
		r := f.start(Request{Key: k})
		f.want(r.Next(f.now), r.Outcome(), home, Pinned)
		want := 0
		if n+1 > MaxInFlight {
			want = n + 1
		}
		if r.Hot() != want {
			t.Errorf("request %d: hot %d, want %d", n+1, r.Hot(), want)
		}
		all = append(all, r)
	}
	if e := f.router.Explain(Request{Key: k}, f.now); e.InFlight != MaxInFlight+5 || e.Upstream != home {
		t.Errorf("explained: %d in flight", e.InFlight)
	}
	for _, req := range []Request{{Key: testKey(2)}, {Key: k, Shared: true}, {Key: testKey(3), Synthetic: true}, {}} {
		r := f.start(req)
		r.Next(f.now)
		if r.Hot() != 0 {
			t.Errorf("%+v: hot %d", req, r.Hot())
		}
		r.End(f.now)
	}
	for _, r := range all {
		hot := r.Hot()
		r.End(f.now)
		r.End(f.now)
		if r.Hot() != hot {
			t.Errorf("hot %d, after its end %d", hot, r.Hot())
		}
	}
	if e := f.router.Explain(Request{Key: k}, f.now); e.InFlight != 0 {
		t.Errorf("%d in flight after the end of all", e.InFlight)
	}
}

// The counters are 0 after every request has ended, whatever its end.
func TestInFlightEndsAtZero(t *testing.T) {
	f := newFleet(t, 4, nil)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for n := range 500 {
				r := f.start(Request{Key: testKey(uint64(n%7 + worker)), Shared: n%5 == 0, Synthetic: n%5 == 0 || n%9 == 0})
				if n%3 > 0 && r.Next(f.now) != nil && n%3 > 1 {
					r.Answered([]int{200, 404, 503}[n%3], f.now)
				}
				r.End(f.now)
			}
		})
	}
	all.Wait()
	for i := range f.router.inFlight.counters {
		if n := f.router.inFlight.counters[i].Load(); n != 0 {
			t.Fatalf("counter %d is %d", i, n)
		}
	}
}
