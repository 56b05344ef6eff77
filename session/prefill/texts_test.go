package prefill

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The ratio of frozen sequences of prompts.
func TestBytesPerToken(t *testing.T) {
	type prompt struct{ bytes, tokens float64 }
	for name, c := range map[string]struct {
		prompts []prompt
		times   int
		want    float64
	}{
		"none":                             {nil, 1, 4},
		"one, short":                       {[]prompt{{300, 12}}, 1, 4.2569},
		"one, of the usual length":         {[]prompt{{3_000, 1_000}}, 1, 3.4921},
		"one giant":                        {[]prompt{{3_000_000, 1_000_000}}, 1, 3.1080},
		"many of three bytes":              {[]prompt{{3_000, 1_000}}, 300, 3.0001},
		"rare giants are most of the work": {[]prompt{{3_000, 1_000}, {3_000, 1_000}, {3_000, 1_000}, {6_000_000, 1_000_000}}, 100, 5.9916},
		"token ids":                        {[]prompt{{60_000, 10_000}}, 300, 5.9999},
		"no body of the prompt":            {[]prompt{{100, 100_000}}, 9, 4},
		"a body that is not the prompt":    {[]prompt{{100_000, 10}}, 9, 4},
		"empty":                            {[]prompt{{0, 10}}, 9, 4},
	} {
		s := newTexts()
		for range c.times {
			for _, p := range c.prompts {
				s.learn(p.bytes, p.tokens)
			}
		}
		if got := s.ratio(); math.Abs(got-c.want) > 0.0001 {
			t.Errorf("%s: %.4f bytes a token, want %.4f", name, got, c.want)
		}
	}
}

// Whatever a server reports, the ratio stays within the bounds of plausible ratios, and 100 equal prompts make it theirs.
func TestBytesPerTokenHeals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newTexts()
		for range rapid.IntRange(0, 50).Draw(t, "lies") {
			s.learn(rapid.Float64Range(0, 1e9).Draw(t, "bytes"), rapid.Float64Range(1, 1e7).Draw(t, "tokens"))
		}
		if r := s.ratio(); !(r >= minBytesPerToken && r <= maxBytesPerToken) {
			t.Fatalf("%v bytes a token", r)
		}
		truth := rapid.Float64Range(1, 10).Draw(t, "truth")
		tokens := s.tokens / s.prompts * rapid.Float64Range(0.5, 2).Draw(t, "length")
		for range 300 {
			s.learn(tokens*truth, tokens)
		}
		if r := s.ratio(); math.Abs(r-truth) > 0.02*truth {
			t.Fatalf("%v bytes a token, want %v", r, truth)
		}
	})
}
