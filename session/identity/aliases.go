package identity

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Models is the models part of the configuration.
type Models struct {
	// Aliases are further names of models: a request for one is a request for the model behind it. Default: none.
	Aliases map[string]string `yaml:"aliases"`
}

// DefaultModels is the configuration that is in force where nothing else is said.
func DefaultModels() Models { return Models{Aliases: map[string]string{}} }

// maxAliases bounds the aliases.
const maxAliases = 1_000

// Validate reports every problem: the key below models, and what is wrong with it.
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

// ProblemOfModel is what keeps s from being the name of a model, "" for nothing: it is to be 1..512 bytes without control
// characters.
func ProblemOfModel(s string) string {
	control := func(c byte) bool { return c < ' ' || c == 0x7f }
	if len(s) > 0 && len(s) <= maxName && !slices.ContainsFunc([]byte(s), control) {
		return ""
	}
	return fmt.Sprintf("%.80q, want a name of 1..%d bytes without control characters", s, maxName)
}

// Alias is a name and the model behind it.
type Alias struct{ Name, Model string }

// Aliases are all that there are, by name.
func (id *Identifier) Aliases() []Alias { return id.sorted }

func sortedAliases(names map[string]string) (all []Alias) {
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, Alias{name, names[name]})
	}
	return all
}

// Model is the model behind a name: that of an alias, or the name itself.
func (id *Identifier) Model(name string) string {
	if a, is := id.aliases[name]; is {
		return a.model
	}
	return name
}

// alias is a model as it stands in requests in an alias's place.
type alias struct {
	model  string
	quoted []byte // as a JSON string
}

func newAliases(names map[string]string) map[string]alias {
	aliases := make(map[string]alias, len(names))
	for name, model := range names {
		aliases[name] = alias{model: model, quoted: asJSON(model)}
	}
	return aliases
}

// asJSON is s as a JSON string, without escapes that it can do without.
func asJSON(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string never fails
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// Edit is what of a body is another on the way to the upstream: the bytes From..To become Text.
type Edit struct {
	From, To int
	Text     []byte
}

// unalias replaces an alias by its model.
func (s *Search) unalias(from, to int, quoted bool) {
	a, is := s.id.aliases[string(s.Model)]
	if !is {
		return
	}
	s.model = append(s.model[:0], a.model...)
	s.Model = s.model
	s.Edit = Edit{From: from, To: to, Text: a.quoted}
	if !quoted {
		s.Edit.Text = s.model
	}
}
