package admin

import (
	"net/http"
	"time"

	"tether/session/pins"
	"tether/session/prefill"
	"tether/upstream"
)

// upstreamView is an upstream as the API shows it. It never has the address.
type upstreamView struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason,omitempty"`
	Slot     int       `json:"slot"`
	Weight   int       `json:"weight"`
	InFlight int64     `json:"in_flight"`
	// MaxInFlight is the limit of the server, for all its ranks together; absent without one.
	MaxInFlight int64 `json:"max_in_flight,omitempty"`
	Pins        int   `json:"pins"`
	// Active is the number of sessions that were used within 5 minutes.
	Active int `json:"active"`
	// Drain is absent unless the upstream drains.
	Drain  *drainView `json:"drain,omitempty"`
	Models []string   `json:"models"`
	// Engine is what the server says of its load; nil if it says nothing, or not for a few seconds.
	Engine *Engine `json:"engine,omitempty"`
	// KVCapacity is the size of the KV cache in tokens, 0 if it is unknown.
	KVCapacity int64 `json:"kv_capacity_tokens,omitempty"`
	// MoreModels is how many further models Models leaves out.
	MoreModels int `json:"more_models,omitempty"`
}

// maxModels limits the models that are shown of an upstream: the upstream itself makes the list.
const maxModels = 1000

func (s *Server) view(m *upstream.Member) upstreamView {
	since, reason := m.Since()
	v := upstreamView{
		Name: m.Name(), State: m.State().Words(), Since: since, Reason: reason, Slot: m.Slot, Weight: m.Weight,
		InFlight: m.InFlight(), MaxInFlight: m.MaxInFlight(), Pins: s.deps.Pins.Pins(m.Ref()), Models: []string{},
	}
	v.Active, v.Drain = pins.Active(s.deps.Pins, m.Ref(), pins.MaxActive, time.Now()), s.deps.drainOf(m, time.Now())
	if v.Drain != nil && v.Drain.Drained {
		v.State += ", drained"
	}
	v.Engine, v.KVCapacity = engineOf(m.Upstream, time.Now()), m.KVCapacity()
	models := m.Models().All()
	if left := len(models) - maxModels; left > 0 {
		models, v.MoreModels = models[:maxModels], left
	}
	for _, model := range models {
		v.Models = append(v.Models, clip(model.ID))
	}
	return v
}

func (s *Server) upstreams(w http.ResponseWriter, _ *http.Request) {
	all := s.views(func(*upstream.Member) bool { return true })
	all["caches"] = s.caches()
	inForce, why := s.guide.Router.Placement()
	all["placement"] = placementView{string(inForce), why}
	writeJSON(w, 200, all)
}

// placementView is the placement in force as the API shows it, and why it is not the configured one.
type placementView struct {
	InForce string `json:"in_force"`
	Why     string `json:"why,omitempty"`
}

// cachesView is the state of the caches of a model as the API shows it.
type cachesView struct {
	Model string `json:"model"`
	State string `json:"state"` // ok or overrun
	// WarmTokens are the last prompts of the sessions that had a turn within WarmSeconds, CacheTokens what the caches hold; 0 if unknown.
	WarmTokens  int64   `json:"warm_tokens"`
	WarmSeconds float64 `json:"warm_seconds"`
	CacheTokens int64   `json:"cache_tokens"`
	// Shortfall is the share of what should be in the caches that the servers do not find there.
	Shortfall float64 `json:"shortfall"`
}

func (s *Server) caches() []cachesView {
	views := []cachesView{}
	if s.deps.Estimates == nil {
		return views
	}
	s.deps.Estimates.Each(func(name string, m *prefill.Model) {
		r := m.Caches.Report()
		v := cachesView{
			Model: clip(name), State: "ok", WarmTokens: r.Warm, WarmSeconds: r.Within.Seconds(), CacheTokens: r.Fit, Shortfall: r.Shortfall,
		}
		if r.Overrun {
			v.State = "overrun"
		}
		views = append(views, v)
	})
	return views
}

// views returns the views of the members that match.
func (s *Server) views(match func(*upstream.Member) bool) map[string]any {
	views := []upstreamView{}
	members := s.deps.Registry.Table().Members
	for i := range members {
		if match(&members[i]) {
			views = append(views, s.view(&members[i]))
		}
	}
	return map[string]any{"upstreams": views}
}
