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
	answer(w, 200, s.views(func(*upstream.Member) bool { return true }))
}

// views shows the upstreams that are meant.
func (s *Server) views(meant func(*upstream.Member) bool) any {
	views := []upstreamView{}
	members := s.deps.Registry.Table().Members
	for i := range members {
		if meant(&members[i]) {
			views = append(views, s.view(&members[i]))
		}
	}
	return map[string]any{"upstreams": views}
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	hard := r.URL.Query().Get("hard") == "true"
	s.operate(w, r, func(d drainable) { d.Drain(hard) })
}

func (s *Server) undrain(w http.ResponseWriter, r *http.Request) { s.operate(w, r, drainable.Undrain) }

// drainable is an upstream, or a server with all its ranks.
type drainable interface {
	Drain(hard bool)
	Undrain()
}

// operate does it to what has the name in the path, and shows it.
func (s *Server) operate(w http.ResponseWriter, r *http.Request, do func(drainable)) {
	table, name := s.deps.Registry.Table(), r.PathValue("name")
	if m := table.Named(name); m != nil {
		do(m)
		answer(w, 200, s.view(m))
	} else if server := table.ServerNamed(name); server != nil {
		do(server)
		answer(w, 200, s.views(func(m *upstream.Member) bool { return m.Server == server }))
	} else {
		fail(w, 404, "no upstream of this name")
	}
}
