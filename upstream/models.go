package upstream

import "encoding/json"

// Models is an immutable list of the models that a server says it serves, LoRA adapters among them.
type Models struct {
	list []Model
	ids  map[string]bool
}

// Model is one entry of a server's list, as the server wrote it.
type Model struct {
	ID  string
	Raw json.RawMessage
}

// NewModels takes over list.
func NewModels(list []Model) *Models {
	m := &Models{list: list, ids: make(map[string]bool, len(list))}
	for _, e := range list {
		m.ids[e.ID] = true
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
func (m *Models) HasName(model []byte) bool { return m != nil && m.ids[string(model)] }
