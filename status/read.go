package status

import (
	"strings"
	"time"

	"tether/session"
	"tether/session/fates"
	"tether/session/pins"
	"tether/upstream"
)

// Limits of what is shown of a list of models, which the upstream makes.
const (
	maxModels    = 8
	maxModelName = 128
)

// liveWithin is how long a conversation counts as live after its last use.
const liveWithin = time.Minute

// view returns what a page shows of m, besides its figures.
func view(m *upstream.Member, sessions *pins.Map, now time.Time) Upstream {
	state := m.State()
	since, reason := m.Since()
	u := Upstream{
		Name: m.Name(), State: state.Words(), Since: since, Reason: reason, Health: healthWord(state), Draining: state.Draining(), Leaving: state.Leaving(),
		Weight: m.Weight, Pinned: sessions.Pins(m.Ref()), Live: pins.Active(sessions, m.Ref(), liveWithin, now),
		InFlight: m.InFlight(), MaxInFlight: m.MaxInFlight(), Backlog: round(session.BacklogSeconds(m.Upstream, now), 100), Models: []string{},
	}
	models := m.Models().All()
	for _, model := range models[:min(len(models), maxModels)] {
		u.Models = append(u.Models, clip(model.ID))
	}
	u.MoreModels = max(0, len(models)-maxModels)
	if l, known := m.EngineLoad(now); known {
		u.Running, u.Waiting = told(l.Running), told(l.Waiting)
		if u.KVUsage = told(l.KVUsage); u.KVUsage != nil {
			*u.KVUsage = round(*u.KVUsage, 1000)
		}
	}
	return u
}

func healthWord(s upstream.State) string {
	switch s.Health() {
	case upstream.Up:
		return "up"
	case upstream.Unknown:
		return "unknown"
	}
	return "down"
}

// told returns nil for a figure that is unknown.
func told[T int64 | float64](figure T) *T {
	if figure < 0 {
		return nil
	}
	return &figure
}

// clip shortens the name of a model that a server chose.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= maxModelName {
		return s
	}
	return strings.ToValidUTF8(s[:maxModelName], "") + "…"
}

// figures returns c and t as a page shows them. A figure without any answer that told it is nil.
func figures(c *counts, t *fates.Counts) Figures {
	f := Figures{Requests: c.requests, Errors: c.errors, Outcomes: make(map[string]uint64, len(c.outcomes))}
	for o, n := range c.outcomes {
		f.Outcomes[session.Outcome(o).String()] = n
	}
	f.Reported = t.Reported()
	for fate, n := range t.Tokens {
		f.Tokens = addWord(f.Tokens, fates.Fate(fate).String(), n)
	}
	for reason, n := range t.Moved {
		f.Moved = addWord(f.Moved, fates.Reason(reason).String(), n)
	}
	if t.Saved > 0 {
		seconds := round(t.Saved.Seconds(), 100)
		f.Saved = &seconds
	}
	if p50, p99 := c.firstByte.quantile(0.5), c.firstByte.quantile(0.99); p50 > 0 {
		f.P50, f.P99 = milliseconds(p50), milliseconds(p99)
	}
	return f
}

// addWord adds n to the word, and makes the map for the first one. 0 is left out.
func addWord(m map[string]int64, word string, n int64) map[string]int64 {
	if n == 0 {
		return m
	}
	if m == nil {
		m = map[string]int64{}
	}
	m[word] += n
	return m
}

// tokens are the fates of prompts.
type tokens struct {
	all  tokenCounts
	each map[string]tokenCounts // by the name of the upstream
}

type tokenCounts struct{ total, minute fates.Counts }

// tokensOf reads a tally.
func tokensOf(t *fates.Tally, now time.Time) tokens {
	read := tokens{each: map[string]tokenCounts{}}
	t.Each(now, func(upstream string, total, minute fates.Counts) {
		read.each[upstream] = tokenCounts{total, minute}
		read.all.total, read.all.minute = read.all.total.Plus(&total), read.all.minute.Plus(&minute)
	})
	return read
}

func milliseconds(d time.Duration) *float64 {
	ms := round(float64(d)/float64(time.Millisecond), 10)
	return &ms
}
