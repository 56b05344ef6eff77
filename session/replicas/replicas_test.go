package replicas

import (
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Unix(1e9, 0)

// many returns the evidence after n follow-ups in a span from a time on, one in every strange of them strange.
func many(e Evidence, n, strange int, from time.Time, span time.Duration) Evidence {
	for i := range n {
		e = e.With(i%strange != 0, from.Add(span*time.Duration(i)/time.Duration(n)))
	}
	return e
}

func TestVerdicts(t *testing.T) {
	fresh := Evidence{Since: start}
	settled := start.Add(settling)
	for name, c := range map[string]struct {
		e    Evidence
		want bool
	}{
		"all strange, while they are expected": {many(fresh, 1000, 1, start, settling-1), false},
		"all strange, but few":                 {many(fresh, enough-1, 1, settled, time.Second), false},
		"all strange":                          {many(fresh, enough+1, 1, settled, time.Second), true},
		"half of them":                         {many(fresh, 100, 2, settled, time.Minute), true},
		"a quarter":                            {many(fresh, 1000, 4, settled, time.Minute), false},
		"many, over so long that they fade":    {many(fresh, 100, 1, settled, 10*time.Hour), false},
		"suspected, then few strange ones":     {many(many(fresh, 100, 2, settled, time.Minute), 100, 5, settled.Add(time.Hour), time.Minute), true},
		"suspected, then none":                 {many(many(fresh, 100, 2, settled, time.Minute), 100, 100, settled.Add(time.Hour), time.Minute), false},
		"suspected, then silence":              {many(many(fresh, 100, 2, settled, time.Minute), 1, 1, settled.Add(24*time.Hour), time.Minute), true},
		"the clock was set back":               {many(many(fresh, 30, 1, settled.Add(time.Hour), time.Minute), 20, 1, settled.Add(time.Minute), time.Minute), true},
	} {
		if c.e.Suspected != c.want {
			t.Errorf("%s: suspected %v with %.1f known and %.1f strange", name, c.e.Suspected, c.e.Known, c.e.Strange)
		}
	}
}

// Each change of the verdict is told once, and a loss of pins is like a start.
func TestDetector(t *testing.T) {
	d := NewDetector(start)
	var told []bool
	d.OnChange(func(suspected bool, _ float64) { told = append(told, suspected) })
	now := start.Add(settling)
	note := func(n int, known bool) {
		for range n {
			d.Note(known, now)
		}
	}
	note(2*enough, false)
	if !d.Suspected() || len(told) != 1 || !told[0] {
		t.Errorf("suspected %v, told %v", d.Suspected(), told)
	}
	d.Lost(now)
	note(2*enough, true)
	if e := d.Evidence(); !d.Suspected() || e.Known != 0 || e.Since != now {
		t.Errorf("after a loss of pins: %+v", e)
	}
	now = now.Add(settling)
	note(2*enough, true)
	if d.Suspected() || len(told) != 2 || told[1] {
		t.Errorf("alone again: suspected %v, told %v", d.Suspected(), told)
	}
}

// Any number of requests may note and ask at once.
func TestDetectorTogether(t *testing.T) {
	d := NewDetector(start)
	changes := 0 // the detector calls one at a time
	d.OnChange(func(bool, float64) { changes++ })
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				d.Note(false, start.Add(settling))
				d.Suspected()
			}
		})
	}
	all.Wait()
	if e := d.Evidence(); e.Strange < 799.9 || changes != 1 || !d.Suspected() {
		t.Errorf("%+v, %d changes", e, changes)
	}
}
