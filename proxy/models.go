package proxy

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"tether/session"
	"tether/session/identity"
	"tether/upstream"
)

// knowsModels reports whether tether can list the models by itself: no upstream that is up asks for the client's API key for
// its list, and if any is up, some list is known. Otherwise an upstream gets the client's request.
func knowsModels(r *upstream.Registry) bool {
	up, known := false, false
	for _, m := range r.Table().Members {
		if m.State().Health() != upstream.Up {
			continue
		}
		if m.NeedsKey() {
			return false
		}
		up, known = true, known || m.Models() != nil
	}
	return known || !up
}

// ownAnswer gives the body of an answer that needs no upstream. own tells that tether answers the request, with body or f.
func (p *Proxy) ownAnswer(r *request, s *settings) (body []byte, own bool, f *fault) {
	switch {
	case !r.is(modelsAPI) && !r.is(modelAPI):
		return nil, false, nil
	case !knowsModels(p.registry):
		if r.is(modelAPI) {
			return nil, true, faultModelsUnknown
		}
		return nil, false, nil
	}
	list, f := p.models(s)
	switch {
	case f != nil:
	case r.is(modelAPI):
		body, f = list.one(string(r.pathID))
	default:
		body = list.all()
	}
	return body, true, f
}

// models gives the models of all upstreams that are up, and their aliases. A model is described once, as by the first upstream
// that has it.
func (p *Proxy) models(s *settings) (list modelList, f *fault) {
	list.seen = map[string]json.RawMessage{}
	up := false
	slow := p.router.Ready() // when no upstream is up, all may be slower than probes wait
	for _, m := range p.registry.Table().Members {
		if h := m.State().Health(); h != upstream.Up && !(slow && h == upstream.TimedOut) {
			continue
		}
		up = true
		for _, model := range m.Models().All() {
			list.add(model.ID, m.Entry(model))
		}
	}
	if !up {
		return list, faultNoUpstream
	}
	list.addAliases(s.identifier.Aliases())
	return list, nil
}

// modelList is a list of models, each once.
type modelList struct {
	entries [][]byte
	seen    map[string]json.RawMessage
}

// all is the answer with all models.
func (l *modelList) all() []byte {
	return append(append([]byte(`{"object":"list","data":[`), bytes.Join(l.entries, []byte{','})...), "]}"...)
}

// one is the answer with the model whose id ends a path. The id may hold slashes, plain or escaped.
func (l *modelList) one(path string) ([]byte, *fault) {
	id, err := url.PathUnescape(path)
	entry, is := l.seen[id]
	if err != nil || !is {
		return nil, faultNoModel
	}
	return entry, nil
}

func (l *modelList) add(id string, entry json.RawMessage) {
	if _, twice := l.seen[id]; !twice {
		l.seen[id] = entry
		l.entries = append(l.entries, entry)
	}
}

// addAliases adds the aliases of models that are on the list. An alias is described as its model, with its own id.
func (l *modelList) addAliases(all []identity.Alias) {
	for _, a := range all {
		if entry, is := l.seen[a.Model]; is {
			l.add(a.Name, renamed(entry, a.Name))
		}
	}
}

// renamed is an entry with another id.
func renamed(entry json.RawMessage, id string) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(entry))
	if _, err := d.Token(); err != nil { // the opening brace
		return entry
	}
	for d.More() {
		name, err := d.Token()
		from := d.InputOffset()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return entry
		}
		if name == "id" {
			return bytes.Join([][]byte{entry[:from], []byte(":" + quoted(id)), entry[d.InputOffset():]}, nil)
		}
	}
	return entry
}

// maxNamed bounds the models that an error names.
const maxNamed = 50

// unservedModel is the fault of a request for a model that the configuration gives to no upstream. It names the models that are
// served.
func unservedModel(r *session.Router, id *identity.Identifier) *fault {
	var names []string
	models, aliases := r.Models(), id.Aliases()
	for _, model := range models[:min(len(models), maxNamed)] {
		names = append(names, "`"+model+"`")
	}
	for _, a := range aliases[:min(len(aliases), maxNamed-len(names))] {
		names = append(names, "`"+a.Name+"`")
	}
	more := ""
	if left := len(models) + len(aliases) - len(names); left > 0 {
		more = " and " + strconv.Itoa(left) + " more"
	}
	message := quoted("The model is not served here. Models: " + strings.Join(names, ", ") + more + ".")
	return &fault{status: 404, kind: notFound, param: "model", reason: "model_not_found", message: message[1 : len(message)-1]}
}

// quoted is s as a JSON string.
func quoted(s string) string {
	text, _ := json.Marshal(s) // a string never fails
	return string(text)
}
