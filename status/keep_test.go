package status

import (
	"encoding/json"
	"testing"
	"time"

	"tether/session"
)

// Marks and samples are taken when their time has come, however often the past is kept.
func TestKeep(t *testing.T) {
	o := observe(t, "a")
	began := time.Now()
	w := o.of(o.up(0))
	for i := range 2000 { // 200 s
		o.step(began.Add(time.Duration(i) * 100 * time.Millisecond))
	}
	if n := w.past.recently.n; n != 40 {
		t.Errorf("%d marks in 200 s", n)
	}
	if n := w.past.line.n; n != 20 {
		t.Errorf("%d samples in 200 s", n)
	}
	if all, one := len(o.past.line.all()), len(w.past.line.all()); all != one {
		t.Errorf("%d samples of all, %d of the upstream", all, one)
	}
}

// After a long time the history has 15 minutes, and its size does not grow.
func TestHistoryIsBounded(t *testing.T) {
	o := observe(t, "a", "b")
	began := time.Now()
	size := 0
	for i := range 3 * samples {
		r := answered(o.up(i%2), session.Pinned)
		o.Done(&r)
		o.Happened("reload", "x")
		o.step(began.Add(time.Duration(i) * sampleEvery))
		if i == 2*samples {
			size = len(o.Past())
		}
	}
	var h History
	if err := json.Unmarshal(o.Past(), &h); err != nil {
		t.Fatal(err)
	}
	if len(h.Samples) != samples || len(h.Upstreams["b"].Requests) != samples || len(h.Events) != maxEvents || h.Every != 10 {
		t.Errorf("%d samples, %d of b, %d events", len(h.Samples), len(h.Upstreams["b"].Requests), len(h.Events))
	}
	if got := len(o.Past()); got > size+size/10 { // numbers become longer
		t.Errorf("the history grew from %d to %d bytes", size, got)
	}
}
