package admin

import (
	"net/http"
	"time"

	"tether/upstream"
)

// upstreamView is an upstream as the API shows it: never with its address.
type upstreamView struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Reason   string    `json:"reason,omitempty"`
	Slot     int       `json:"slot"`
	Weight   int       `json:"weight"`
	InFlight int64     `json:"in_flight"`
	Pins     int       `json:"pins"`
	Models   []string  `json:"models"`
	// MoreModels counts those that are not listed.
	MoreModels int `json:"more_models,omitempty"`
}

// maxModels bounds the models that are listed of an upstream: the list is its own.
const maxModels = 1000

func (s *Server) view(m *upstream.Member) upstreamView {
	since, reason := m.Since()
	v := upstreamView{
		Name: m.Name(), State: m.State().Words(), Since: since, Reason: reason, Slot: m.Slot, Weight: m.Weight,
		InFlight: m.InFlight(), Pins: s.deps.Pins.Pins(m.Ref()), Models: []string{},
	}
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
	views := []upstreamView{}
	members := s.deps.Registry.Table().Members
	for i := range members {
		views = append(views, s.view(&members[i]))
	}
	answer(w, 200, map[string]any{"upstreams": views})
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	if m := s.named(w, r); m != nil {
		m.Drain(r.URL.Query().Get("hard") == "true")
		answer(w, 200, s.view(m))
	}
}

func (s *Server) undrain(w http.ResponseWriter, r *http.Request) {
	if m := s.named(w, r); m != nil {
		m.Undrain()
		answer(w, 200, s.view(m))
	}
}

// named gives the upstream in the path, or answers that there is none.
func (s *Server) named(w http.ResponseWriter, r *http.Request) *upstream.Member {
	m := s.deps.Registry.Table().Named(r.PathValue("name"))
	if m == nil {
		fail(w, 404, "no upstream of this name")
	}
	return m
}
