package prefill

import (
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTokensOfAnUnknownModel(t *testing.T) {
	m := newModel()
	for _, c := range []struct {
		bytes int64
		media int
		want  int64
	}{{0, 0, 0}, {4_000, 0, 1_000}, {4_000, 2, 3_000}, {-5, -1, 0}, {1 << 40, 0, 1 << 38}} {
		if got := m.Tokens(c.bytes, c.media); got != c.want {
			t.Errorf("%d bytes, %d media: %d tokens, want %d", c.bytes, c.media, got, c.want)
		}
	}
	if m.Rate() != 32_000 || m.BytesPerToken() != 4 {
		t.Errorf("%v tokens/s, %v bytes a token", m.Rate(), m.BytesPerToken())
	}
}

// Media count by what usage shows beyond the text.
func TestMedia(t *testing.T) {
	m := newModel()
	for range 50 {
		m.LearnTokens(3_000, 0, 1_000, start)
		m.LearnTokens(3_000, 2, 3_400, start)
	}
	if got := m.MediaTokens(); math.Abs(got-1_200) > 20 {
		t.Errorf("%v tokens each, want 1200", got)
	}
	if got := m.Tokens(6_000, 3); got < 5_500 || got > 5_700 {
		t.Errorf("%d tokens, want about 5600", got)
	}
	before := m.MediaTokens()
	m.LearnTokens(300_000, 1, 1_000, start) // less than the text alone
	if got := m.MediaTokens(); got != before {
		t.Errorf("%v tokens each after a prompt that is too short", got)
	}
}

// Numbers that cannot be true change nothing.
func TestNonsenseIsIgnored(t *testing.T) {
	m := newModel()
	for _, prompt := range []int64{-1, 0, maxPrompt + 1, math.MaxInt64, math.MinInt64} {
		m.LearnTokens(1_000, 0, prompt, start)
		m.LearnTokens(1_000, 1, prompt, start)
	}
	m.LearnTokens(-1, 0, 100, start)
	m.LearnTokens(1_000, -1, 100, start)
	for _, uncached := range []int64{-1, math.MinInt64, maxPrompt + 1, math.MaxInt64} {
		m.LearnRate(uncached, true, time.Second, start)
	}
	for _, took := range []time.Duration{0, -1, maxTook + 1, math.MaxInt64, math.MinInt64} {
		m.LearnRate(1_000, true, took, start)
	}
	if m.Rate() != unknownRate || m.BytesPerToken() != unknownBytesPerToken || m.MediaTokens() != unknownMediaTokens {
		t.Errorf("%v tokens/s, %v bytes a token, %v tokens of a picture", m.Rate(), m.BytesPerToken(), m.MediaTokens())
	}
}

// Whatever is learned, the figures stay within the bounds of what is plausible.
func TestFiguresStayPlausible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, now := newModel(), start
		for range rapid.IntRange(0, 40).Draw(t, "lessons") {
			now = now.Add(time.Duration(rapid.Int64Range(-1e9, 1e11).Draw(t, "later")))
			m.LearnTokens(rapid.Int64().Draw(t, "bytes"), rapid.IntRange(-1, 3).Draw(t, "media"), rapid.Int64().Draw(t, "prompt"), now)
			m.LearnRate(rapid.Int64Range(0, maxPrompt).Draw(t, "uncached"), rapid.Bool().Draw(t, "certain"), time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "took")), now)
		}
		if r := m.Rate(); !(r >= slowestRate && r <= 2*fastestRate) {
			t.Fatalf("%v tokens/s", r)
		}
		if b := m.BytesPerToken(); !(b >= minBytesPerToken && b <= maxBytesPerToken) {
			t.Fatalf("%v bytes a token", b)
		}
		if e := m.MediaTokens(); !(e >= 1 && e <= maxPrompt) {
			t.Fatalf("%v tokens of a picture", e)
		}
		if n := m.Tokens(rapid.Int64Range(-1, 1<<40).Draw(t, "body"), rapid.IntRange(-1, 1000).Draw(t, "pictures")); n < 0 {
			t.Fatalf("%d tokens", n)
		}
	})
}

// Requests read the figures while answers teach them.
func TestLessonsAtOnce(t *testing.T) {
	m := newModel()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range 500 {
				m.LearnTokens(3_000, n%2, 1_000, start.Add(time.Duration(n)*time.Second))
				m.LearnRate(8_000, true, time.Second, start.Add(time.Duration(n)*time.Second))
				if m.Tokens(3_000, 1) <= 0 || m.Rate() <= 0 {
					t.Error("no tokens, or no rate")
				}
			}
		})
	}
	all.Wait()
}
