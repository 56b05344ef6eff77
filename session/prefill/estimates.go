package prefill

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tether/session/warm"
)

// Estimates has what is known about each model. It is safe for concurrent use.
type Estimates struct {
	common Model // of all models without an entry
	turns  warm.Sessions
	mu     sync.Mutex
	models atomic.Pointer[map[string]*Model] // immutable map: Add and Configure store a changed copy, and hold mu
}

// MaxModels is the greatest number of models that have an entry. All further models share one.
const MaxModels = 200

// staleAfter is how long after the last lesson of a model another one may take its entry, if all entries are taken.
const staleAfter = time.Hour

// New returns estimates that know nothing but the configuration.
func New(cfg Config) *Estimates {
	e := &Estimates{common: Model{texts: newTexts()}}
	e.models.Store(&map[string]*Model{})
	e.Configure(cfg)
	return e
}

// Configure applies another configuration. What was learned stays.
func (e *Estimates) Configure(cfg Config) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := maps.Clone(*e.models.Load())
	for name, m := range next {
		m.fixed.Store(cfg.PrefillRate[name])
	}
	for name, rate := range cfg.PrefillRate {
		if next[name] == nil {
			next[name] = newModel()
			next[name].fixed.Store(rate)
		}
	}
	e.models.Store(&next)
}

// Of returns what is known about a model, never nil. All models without an entry have the same.
func (e *Estimates) Of(model []byte) *Model {
	if m := (*e.models.Load())[string(model)]; m != nil {
		return m
	}
	return &e.common
}

// Has reports whether the model has an entry of its own.
func (e *Estimates) Has(model []byte) bool { return (*e.models.Load())[string(model)] != nil }

// Add gives a model an entry of its own. Only a model that a server lists may have one: clients can make up names without end. If all
// entries are taken, it takes the one that has learned nothing for the longest time, if that is longer than an hour; otherwise the model
// gets none.
func (e *Estimates) Add(model string, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	before := *e.models.Load()
	if before[model] != nil {
		return
	}
	next := maps.Clone(before)
	if len(next) >= MaxModels {
		stale := stalest(next, now)
		if stale == "" {
			return
		}
		delete(next, stale)
	}
	next[model] = newModel()
	next[model].taught.Store(now.UnixNano())
	e.models.Store(&next)
}

// stalest returns the model without a configured rate that has learned nothing for the longest time, "" if all have learned lately.
func stalest(models map[string]*Model, now time.Time) (name string) {
	oldest := now.Add(-staleAfter).UnixNano()
	for n, m := range models {
		if t := m.taught.Load(); t < oldest && m.fixed.Load() == 0 {
			name, oldest = n, t
		}
	}
	return name
}

// Note notes a turn of a conversation with the model, and returns what warm.Sessions.Note does.
func (e *Estimates) Note(m *Model, t warm.Turn) warm.Before {
	return e.turns.Note(&m.Caches, t)
}

// Each calls f with each model that has an entry, in the order of their names.
func (e *Estimates) Each(f func(name string, m *Model)) {
	models := *e.models.Load()
	for _, name := range slices.Sorted(maps.Keys(models)) {
		f(name, models[name])
	}
}
