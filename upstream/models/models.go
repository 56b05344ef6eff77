// Package models has the models of a server: the immutable List of them, and which list of a server is in force (Served). It
// does not ask servers: the registry assigns the configured models, and package health sets the listed ones. Packages session,
// proxy, admin and metrics read them.
package models

import (
	"encoding/json"
	"sync"
	"sync/atomic"
)

// List is an immutable list of the models that a server serves, LoRA adapters among them. A nil List is unknown.
type List struct {
	models []Model
	raw    map[string]json.RawMessage // by ID
	ids    *IDs
}

// Model is one entry of a server's list, as the server wrote it.
type Model struct {
	ID  string
	Raw json.RawMessage
}

// New makes a List. It owns models from then on.
func New(models []Model) *List {
	l := &List{models: models, raw: make(map[string]json.RawMessage, len(models))}
	for _, m := range models {
		l.raw[m.ID] = m.Raw
	}
	l.ids = sharedIDs(l.raw)
	return l
}

// All returns the models in the server's order; they must not be changed.
func (l *List) All() []Model {
	if l == nil {
		return nil
	}
	return l.models
}

// Has reports whether the model is on the list. An unknown list has none.
func (l *List) Has(model []byte) bool { return l != nil && l.ids.Has(model) }

// Served is what one server serves: what the configuration assigns to it, else what it lists. It must not be copied, and is safe
// for concurrent use.
type Served struct {
	ids      atomic.Pointer[IDs] // of Models
	assigned atomic.Pointer[List]
	listed   atomic.Pointer[List]
	needsKey atomic.Bool
	mu       sync.Mutex // serializes the changes of ids
}

// Assign sets the models that the configuration names; without any the server's own list is in force.
func (s *Served) Assign(names []string) {
	if len(names) == 0 {
		s.set(&s.assigned, nil)
		return
	}
	list := make([]Model, len(names))
	for i, name := range names {
		raw, _ := json.Marshal(struct { // two strings: it never fails
			ID     string `json:"id"`
			Object string `json:"object"`
		}{name, "model"})
		list[i] = Model{ID: name, Raw: raw}
	}
	s.set(&s.assigned, New(list))
}

// Assigned is what the configuration assigns to the server, nil if nothing.
func (s *Served) Assigned() *List { return s.assigned.Load() }

// Models is what the server serves: what it is assigned, else what it last listed, nil if it has listed nothing yet.
func (s *Served) Models() *List {
	if a := s.Assigned(); a != nil {
		return a
	}
	return s.listed.Load()
}

// SetModels sets the list that the server gave.
func (s *Served) SetModels(l *List) { s.set(&s.listed, l) }

func (s *Served) set(list *atomic.Pointer[List], to *List) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list.Store(to)
	var ids *IDs
	if l := s.Models(); l != nil {
		ids = l.ids
	}
	s.ids.Store(ids)
}

// IDs are those of Models, without a look at the list.
func (s *Served) IDs() *IDs { return s.ids.Load() }

// Entry is the entry of m for clients: as the server listed it, else m's own.
func (s *Served) Entry(m Model) json.RawMessage {
	if listed := s.listed.Load(); listed != nil {
		if raw, is := listed.raw[m.ID]; is {
			return raw
		}
	}
	return m.Raw
}

// NeedsKey reports whether the server refuses to list its models without an API key, or with the one that it was sent.
func (s *Served) NeedsKey() bool { return s.needsKey.Load() }

// SetNeedsKey sets what NeedsKey reports.
func (s *Served) SetNeedsKey(needs bool) { s.needsKey.Store(needs) }

// Parse reads a server's answer to GET /v1/models, {"data":[{"id":...},...]}, and reports whether it is one. Entries without an
// id are left out.
func Parse(body []byte) (*List, bool) {
	var answer struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Data == nil {
		return nil, false
	}
	var list []Model
	for _, raw := range answer.Data {
		var entry struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(raw, &entry); err == nil && entry.ID != "" {
			list = append(list, Model{ID: entry.ID, Raw: raw})
		}
	}
	return New(list), true
}
