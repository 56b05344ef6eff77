package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Models is the models section of the configuration.
type Models struct {
	// Aliases are other names of models: a request for an alias is a request for its model. Default: none.
	Aliases map[string]string `yaml:"aliases"`
}

// maxAliases is the greatest number of aliases.
const maxAliases = 1_000

// Validate reports every problem: its key below models, and its text.
func (m *Models) Validate(report func(key, problem string)) {
	if len(m.Aliases) > maxAliases {
		report("aliases", fmt.Sprintf("%d, want at most %d", len(m.Aliases), maxAliases))
	}
	for _, alias := range slices.Sorted(maps.Keys(m.Aliases)) {
		model := m.Aliases[alias]
		_, chained := m.Aliases[model]
		if problem := ProblemOfModel(alias); problem != "" {
			report("aliases", problem)
		} else if problem := ProblemOfModel(model); problem != "" {
			report("aliases."+alias, problem)
		} else if chained {
			report("aliases."+alias, fmt.Sprintf("%q is an alias itself, want a model", model))
		}
	}
}

// ProblemOfModel says why s cannot be the name of a model: a name is 1..512 bytes without control characters. It returns
// "" for a valid name.
func ProblemOfModel(s string) string {
	control := func(c byte) bool { return c < ' ' || c == 0x7f }
	if len(s) > 0 && len(s) <= maxName && !slices.ContainsFunc([]byte(s), control) {
		return ""
	}
	return fmt.Sprintf("%.80q, want a name of 1..%d bytes without control characters", s, maxName)
}

// Alias is another name of a model.
type Alias struct {
	Name, Model string
	quoted      []byte // Model as a JSON string
}

// newAliases returns the aliases in the order of their names.
func newAliases(models map[string]string) (all []Alias) {
	for _, name := range slices.Sorted(maps.Keys(models)) {
		all = append(all, Alias{Name: name, Model: models[name], quoted: asJSON(models[name])})
	}
	return all
}

// Aliases returns all aliases in the order of their names.
func (id *Identifier) Aliases() []Alias { return id.aliases }

// Model returns the model of an alias, or any other name unchanged.
func (id *Identifier) Model(name string) string {
	if a, is := id.byName[name]; is {
		return a.Model
	}
	return name
}

// asJSON returns s as a JSON string, without the escapes that JSON does not need.
func asJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string never fails
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Edit replaces body[From:To] with Text in what is sent upstream.
type Edit struct {
	From, To int
	Text     []byte
}

// replaceAlias replaces an alias by its model, in Model and with Edit.
func (s *Search) replaceAlias(from, to int, quoted bool) {
	a, is := s.id.byName[string(s.Model)]
	if !is {
		return
	}
	s.modelBuf = append(s.modelBuf[:0], a.Model...)
	s.Model = s.modelBuf
	s.Edit = Edit{From: from, To: to, Text: a.quoted}
	if !quoted {
		s.Edit.Text = s.modelBuf
	}
}
