package logs

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

var stall = flag.Duration("stall", 3*time.Second, "how long the logs stall under load; make test-logs takes a minute")

// Load of TestStallUnderLoad.
const (
	loadClients = 20
	loadPace    = 100 * time.Millisecond // between two requests of a client to the same tether
	// lateness is how much later than the twin's a stalled tether's latest response may be. A request that waits for a log is
	// late by the time that is left of the stall.
	lateness = 500 * time.Millisecond
)

// Two tethers in front of the same servers have the same clients, while a server dies and returns. Both logs of one tether
// stall and are then read again; the other has readers all the time. The requests of both take the same time, and no line is
// torn, out of order or uncounted.
func TestStallUnderLoad(t *testing.T) {
	first, second := simulated(t), simulated(t)
	out, errOut := fullPipe(t), fullPipe(t)
	twinOut, twinErr := newPipe(t), newPipe(t)
	stalled, twin := start(t, out.w, errOut.w, first, second), start(t, twinOut.w, twinErr.w, first, second)
	twinOut.read()
	twinErr.read()
	stalled.flood(4, 2000) // both queues are full all the time
	stalled.drainsUntilDropped()

	events := []func(){
		first.Kill,
		func() {
			if err := first.Restart(); err != nil {
				t.Error(err)
			}
		},
		func() { out.read(); errOut.read() },
	}
	took := load([]*world{stalled, twin}, *stall, events)
	errOut.await("the loss of the access log", isLossOf("access"))
	dropped, app := stalled.dropped("access"), stalled.dropped("app")
	twinDropped := twin.dropped("access") + twin.dropped("app")
	for _, w := range []*world{stalled, twin} {
		w.proxy.End(t, syscall.SIGINT, exitLimit)
	}

	lines, own, twinLines := out.all(), errOut.all(), twinOut.all()
	checkOrder(t, lines)
	checkOrder(t, twinLines)
	checkChanges(t, own)
	if len(lines)+dropped != stalled.total() {
		t.Errorf("%d lines and %d dropped ones, want the %d requests", len(lines), dropped, stalled.total())
	}
	if len(twinLines) != twin.total() || twinDropped > 0 {
		t.Errorf("twin: %d lines and %d dropped ones, want the %d requests", len(twinLines), twinDropped, twin.total())
	}
	for log, want := range map[string]int{"access": dropped, "app": app} {
		if got, _ := losses(own, log); got != want {
			t.Errorf("%s: %d lines reported as dropped, want %d", log, got, want)
		}
	}
	t.Logf("stalled for %v: %d requests, p50, p99 and max %v; not stalled: %v; %d lines dropped of %d", *stall, len(took[stalled]),
		quantiles(took[stalled]), quantiles(took[twin]), dropped, stalled.total())
	if late, most := slices.Max(took[stalled]), slices.Max(took[twin])+lateness; late > most {
		t.Errorf("a request took %v while the logs stalled, want at most %v", late, most)
	}
	if p99, most := quantiles(took[stalled])[1], quantiles(took[twin])[1]*2+50*time.Millisecond; p99 > most {
		t.Errorf("p99 of %v while the logs stalled, want at most %v", p99, most)
	}
}

// load has clients ask all worlds at the same pace. The events are spread over the duration of the stall, and the last one is
// its end; the load goes on for another third of it.
func load(worlds []*world, stall time.Duration, events []func()) map[*world][]time.Duration {
	var mu sync.Mutex
	took := map[*world][]time.Duration{}
	began := time.Now()
	var all sync.WaitGroup
	for i := range loadClients {
		all.Go(func() {
			c := newClient()
			defer c.CloseIdleConnections()
			order := slices.Clone(worlds)
			next := began.Add(loadPace * time.Duration(i) / loadClients)
			for ; next.Before(began.Add(stall * 4 / 3)); next = next.Add(loadPace) {
				time.Sleep(time.Until(next)) // the pace of a client
				slices.Reverse(order)
				for _, w := range order {
					one := w.chat(c, fmt.Sprint("load-", i))
					mu.Lock()
					took[w] = append(took[w], one)
					mu.Unlock()
				}
			}
		})
	}
	for i, event := range events {
		time.Sleep(time.Until(began.Add(stall * time.Duration(i+1) / time.Duration(len(events))))) // when the event is due
		event()
	}
	all.Wait()
	return took
}

func quantiles(all []time.Duration) []time.Duration {
	all = slices.Clone(all)
	slices.Sort(all)
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return []time.Duration{round(all[len(all)/2]), round(all[len(all)*99/100]), round(all[len(all)-1])}
}
