package demo

import (
	"strings"
	"testing"
	"time"
)

func TestCompare(t *testing.T) {
	on := Result{
		HitRate: 0.95, P50: 15 * time.Millisecond, P99: 300 * time.Millisecond, CalmP99: 18 * time.Millisecond,
		Orphans: Moved{Of: 16, Moved: 16}, Others: Moved{Of: 44, Moved: 0}, Turns: 511, Broken: 3,
	}
	off := Result{
		HitRate: 0.46, P50: 266 * time.Millisecond, P99: 374 * time.Millisecond, CalmP99: 370 * time.Millisecond,
		Orphans: Moved{Of: 14, Moved: 14}, Others: Moved{Of: 46, Moved: 45}, Turns: 469,
	}
	want := `
                                                  affinity on  affinity off
hit rate: prompt tokens cached, of all *          95.0 %       46.0 %
time to first token, p50 *                        15 ms        266 ms
time to first token, p99 until a server died *    18 ms        370 ms
time to first token, p99 in all *                 300 ms       374 ms
moved, of the conversations on the dead server    16 of 16     14 of 14
moved, of the conversations on the others         0 of 44      45 of 46
turns answered                                    511          469
answers that broke off, and were asked for again  3            0
requests that failed                              0            0
* second and later turns alone: the prompt of a first turn is in no cache`
	if got := strings.Join(compare(&on, &off), "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if err := checkPromises(&on, &off); err != nil {
		t.Error(err)
	}
}

func TestBrokenPromises(t *testing.T) {
	held := Result{HitRate: 0.9, Orphans: Moved{Of: 16, Moved: 16}, Others: Moved{Of: 44, Moved: 0}}
	off := Result{HitRate: 0.4}
	for want, change := range map[string]func(*Result){
		"a server died, and 1 of 44 conversations on other servers moved, want none": func(r *Result) { r.Others.Moved = 1 },
		"a server died, and only 15 of 16 of its conversations moved":                func(r *Result) { r.Orphans.Moved = 15 },
		"1 request failed with a server alive":                                       func(r *Result) { r.Failed = 1 },
		"the hit rate is 40.0 % with affinity and 40.0 % without":                    func(r *Result) { r.HitRate = off.HitRate },
	} {
		on := held
		change(&on)
		if err := checkPromises(&on, &off); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
