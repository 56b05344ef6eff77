package upstream

import "encoding/json"

// Models is an immutable list of the models that a server serves, LoRA adapters among them.
type Models struct {
	list    []Model
	entries map[string]json.RawMessage
}

// Model is one entry of a server's list, as the server wrote it.
type Model struct {
	ID  string
	Raw json.RawMessage
}

// NewModels takes over list.
func NewModels(list []Model) *Models {
	m := &Models{list: list, entries: make(map[string]json.RawMessage, len(list))}
	for _, e := range list {
		m.entries[e.ID] = e.Raw
	}
	return m
}

// All gives the entries in the server's order; they must not be changed.
func (m *Models) All() []Model {
	if m == nil {
		return nil
	}
	return m.list
}

// HasName reports whether the model is on the list. An unknown list has none.
func (m *Models) HasName(model []byte) bool {
	if m == nil {
		return false
	}
	_, has := m.entries[string(model)]
	return has
}

// assigned is the list of the models that the configuration names, nil for none.
func assigned(names []string) *Models {
	if len(names) == 0 {
		return nil
	}
	list := make([]Model, len(names))
	for i, name := range names {
		raw, _ := json.Marshal(struct { // of two strings: it never fails
			ID     string `json:"id"`
			Object string `json:"object"`
		}{name, "model"})
		list[i] = Model{ID: name, Raw: raw}
	}
	return NewModels(list)
}

// Assigned is what the server serves by the configuration, nil where that says nothing.
func (s *Server) Assigned() *Models { return s.assigned.Load() }

// Models is what the server serves: what it is assigned, or else what the server last said; nil while that is unknown.
func (s *Server) Models() *Models {
	if a := s.Assigned(); a != nil {
		return a
	}
	return s.listed.Load()
}

// SetModels notes what the server says that it serves.
func (s *Server) SetModels(m *Models) { s.listed.Store(m) }

// Entry is a model of Models in the server's words, or in few of ours where the server has not said any.
func (s *Server) Entry(m Model) json.RawMessage {
	if listed := s.listed.Load(); listed != nil {
		if raw, is := listed.entries[m.ID]; is {
			return raw
		}
	}
	return m.Raw
}
