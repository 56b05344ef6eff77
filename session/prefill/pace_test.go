package prefill

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_000_000, 0)

// The rate after frozen sequences of lessons, one every second.
func TestRate(t *testing.T) {
	type lesson struct {
		tokens float64
		took   time.Duration
	}
	for name, c := range map[string]struct {
		lessons []lesson
		times   int
		want    float64
	}{
		"none":                                {nil, 1, 32_000},
		"one moves it half the way":           {[]lesson{{8_000, time.Second}}, 1, 16_000},
		"ten":                                 {[]lesson{{8_000, time.Second}}, 10, 11_100},
		"a minute":                            {[]lesson{{2_000, time.Second}}, 60, 2_020},
		"a minute of a fast server":           {[]lesson{{500_000, time.Second}}, 60, 500_000},
		"too little work":                     {[]lesson{{minWork - 1, time.Second}}, 60, 32_000},
		"too short to lower it":               {[]lesson{{500, 49 * time.Millisecond}}, 60, 32_000},
		"hardly more than an answer takes":    {[]lesson{{10, 100 * time.Millisecond}, {500, 190 * time.Millisecond}}, 60, 32_000},
		"what an answer takes does not count": {[]lesson{{10, 100 * time.Millisecond}, {8_000, 1100 * time.Millisecond}}, 100, 8_000},
		"slower than servers are":             {[]lesson{{1_000, 101 * time.Second}}, 60, 32_000},
		"faster than servers are":             {[]lesson{{1_000_000, time.Millisecond}}, 60, 32_000},
		"a slow one of two":                   {[]lesson{{8_000, time.Second}, {8_000, 4 * time.Second}}, 100, 5_411},
	} {
		var p pace
		rate, now := float64(unknownRate), start
		for range c.times {
			for _, l := range c.lessons {
				now = now.Add(time.Second)
				rate, _ = p.learn(rate, l.tokens, l.took, now)
			}
		}
		if math.Abs(rate-c.want) > 0.01*c.want {
			t.Errorf("%s: %.0f tokens/s, want %.0f", name, rate, c.want)
		}
	}
}

// A wrong rate, up to 16 times either way, is right within a minute of lessons, whether they come each second or every ten. It never
// leaves the bounds, and errs on the fast side.
func TestRateHeals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		truth := rapid.Float64Range(1_000, 200_000).Draw(t, "truth")
		rate := truth * math.Pow(2, rapid.Float64Range(-4, 4).Draw(t, "wrong by"))
		every := time.Duration(rapid.IntRange(1, 10).Draw(t, "seconds between lessons")) * time.Second
		now := start
		p.last = now.UnixNano()
		for elapsed := every; elapsed <= time.Minute; elapsed += every {
			took := time.Duration(rapid.Float64Range(0.3, 20).Draw(t, "took") * 1e9)
			rate, _ = p.learn(rate, truth*took.Seconds(), took, now.Add(elapsed))
		}
		if rate < 0.9*truth || rate > 1.1*truth {
			t.Fatalf("%.0f tokens/s after a minute, want %.0f", rate, truth)
		}
	})
}

// Of lessons that differ, those of fast answers count more: others were slowed by what tether does not see.
func TestRateErrsOnTheFastSide(t *testing.T) {
	var p pace
	rate, now := 8_000., start
	for n := range 300 {
		now = now.Add(time.Second)
		took := time.Second
		if n%2 == 0 {
			took *= 2
		}
		rate, _ = p.learn(rate, 8_000, took, now)
	}
	if rate < math.Sqrt(4_000*8_000) {
		t.Errorf("%.0f tokens/s of answers at 4,000 and 8,000", rate)
	}
}

// The time of an answer without work follows the quick answers.
func TestOverhead(t *testing.T) {
	var p pace
	for range 100 {
		p.noteOverhead(0.02)
		p.noteOverhead(2)
	}
	if p.overhead < 0.02 || p.overhead > 0.023 {
		t.Errorf("%v s", p.overhead)
	}
}

// Lessons that give only a bound for the tokens never raise the rate above that of an unknown model, and do not count beside certain ones.
func TestRateAtMost(t *testing.T) {
	var p pace
	rate, now := float64(unknownRate), start
	lessons := func(n int, learn func(rate, tokens float64, took time.Duration, now time.Time) (float64, bool), tokens float64) {
		for range n {
			now = now.Add(time.Second)
			rate, _ = learn(rate, tokens, time.Second, now)
		}
	}
	for _, step := range []struct {
		name         string
		learn        func(rate, tokens float64, took time.Duration, now time.Time) (float64, bool)
		tokens, want float64
	}{
		{"at most 8,000", p.learnAtMost, 8_000, 8_000},
		{"at most 500,000, most of them cached", p.learnAtMost, 500_000, 32_000},
		{"at most 100, too few", p.learnAtMost, 100, 32_000},
		{"60,000 for certain", p.learn, 60_000, 60_000},
		{"at most 4,000, beside certain ones", p.learnAtMost, 4_000, 60_000},
	} {
		if lessons(100, step.learn, step.tokens); math.Abs(rate-step.want) > 0.01*step.want {
			t.Errorf("%s: %.0f tokens/s, want %.0f", step.name, rate, step.want)
		}
	}
	now = now.Add(certainFor)
	if lessons(100, p.learnAtMost, 4_000); math.Abs(rate-4_000) > 40 {
		t.Errorf("%.0f tokens/s long after the last certain lesson, want 4000", rate)
	}
}
