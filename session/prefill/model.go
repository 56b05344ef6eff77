package prefill

import (
	"sync"
	"sync/atomic"
	"time"

	"tether/session/warm"
)

// Model is what is known about one model. It must not be copied.
type Model struct {
	// Caches has what the turns of conversations say about the caches of the model's servers.
	Caches warm.Caches

	bytesPerToken figure       // 0 before the first lesson
	mediaTokens   figure       // 0 before the first lesson
	rate          figure       // 0 before the first lesson
	fixed         figure       // the configured rate, 0 without one
	taught        atomic.Int64 // Unix ns of the last lesson

	// learning is held while the figures change. A lesson that finds it held is dropped: the next one is as good.
	learning sync.Mutex
	texts    texts
	pace     pace
}

func newModel() *Model { return &Model{texts: newTexts()} }

// Figures of a model that has learned nothing yet.
const (
	// unknownBytesPerToken is the usual length of a token of English text.
	unknownBytesPerToken = 4
	// unknownMediaTokens is what vision models make of a picture of about a megapixel.
	unknownMediaTokens = 1_000
	// unknownRate is faster than most servers read. A rate that is too fast costs balance; one that is four times too slow moves
	// conversations away from their caches (measured in simulations).
	unknownRate = 32_000
)

// maxPrompt is the greatest plausible number of tokens of a prompt.
const maxPrompt = 16 << 20

// Tokens is the expected number of tokens of a prompt: of a body of so many bytes, besides the bytes of its media, with so many
// pictures and recordings. It is never negative.
func (m *Model) Tokens(bytes int64, media int) int64 {
	return int64(float64(max(0, bytes))/m.BytesPerToken() + float64(max(0, media))*m.MediaTokens())
}

// BytesPerToken is how many bytes of a body make a token, 4 until known.
func (m *Model) BytesPerToken() float64 { return m.bytesPerToken.or(unknownBytesPerToken) }

// MediaTokens is how many tokens a picture or a recording has, 1,000 until known.
func (m *Model) MediaTokens() float64 { return m.mediaTokens.or(unknownMediaTokens) }

// Rate is how many tokens of prompts a server reads in a second: the configured rate, or else the learned one, 32,000 until known.
func (m *Model) Rate() float64 {
	if rate := m.MeasuredRate(); rate > 0 {
		return rate
	}
	return unknownRate
}

// MeasuredRate is Rate where it is configured or learned, otherwise 0.
func (m *Model) MeasuredRate() float64 {
	if fixed := m.fixed.Load(); fixed > 0 {
		return fixed
	}
	return m.rate.Load()
}

// LearnTokens notes that a prompt had so many tokens: of a body of so many bytes besides its media, with so many pictures and
// recordings. Numbers that cannot be true are ignored.
func (m *Model) LearnTokens(bytes int64, media int, prompt int64, now time.Time) {
	if bytes < 0 || media < 0 || prompt <= 0 || prompt > maxPrompt || !m.learning.TryLock() {
		return
	}
	defer m.learning.Unlock()
	if media == 0 {
		if m.texts.learn(float64(bytes), float64(prompt)) {
			m.bytesPerToken.Store(m.texts.ratio())
			m.taught.Store(now.UnixNano())
		}
		return
	}
	each := (float64(prompt) - float64(bytes)/m.BytesPerToken()) / float64(media)
	if each >= 1 && each <= maxPrompt {
		m.mediaTokens.Store(towards(m.mediaTokens.Load(), each, mediaWeight))
		m.taught.Store(now.UnixNano())
	}
}

// LearnRate notes that a server without another prompt generated the first byte of its answer took after a request. certain says that the
// server read exactly so many tokens, because it said how many it had in its cache. Otherwise it read at most so many, and the lesson
// counts only while there are no certain ones. Numbers that cannot be true are ignored.
func (m *Model) LearnRate(uncached int64, certain bool, took time.Duration, now time.Time) {
	if uncached < 0 || uncached > maxPrompt || took <= 0 || took > maxTook || !m.learning.TryLock() {
		return
	}
	defer m.learning.Unlock()
	learn := m.pace.learn
	if !certain {
		learn = m.pace.learnAtMost
	}
	if rate, ok := learn(m.rate.or(unknownRate), float64(uncached), took, now); ok {
		m.rate.Store(rate)
		m.taught.Store(now.UnixNano())
	}
}
