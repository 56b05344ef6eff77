package admin

import (
	"fmt"
	"time"

	"tether/session"
	"tether/session/identity"
)

// Guide says where requests go and why, and where sessions are. It changes nothing.
type Guide struct {
	Router     *session.Router
	Identifier *identity.Identifier
	// Read takes a request as it came over a connection, or as people keep one in a file.
	Read func(raw []byte) session.Reading
}

// Where is what a Guide says.
type Where struct {
	// Request tells of a request that was shown.
	Request *Request `json:"request,omitempty"`
	// Places has one for each model in question.
	Places []Place `json:"places"`
	// Note says what else there is to know.
	Note string `json:"note,omitempty"`
}

// Request is what was found in a request. None of its text is in it.
type Request struct {
	Method string `json:"method,omitempty"`
	// Path is the one on the list of those that are let through, ids in it as {id}; "" for none.
	Path string `json:"path,omitempty"`
	// Status and Refused are what it is answered at once.
	Status  int    `json:"status,omitempty"`
	Refused string `json:"refused,omitempty"`
	Note    string `json:"note,omitempty"`
	// Sources are all of them in their order, with what each gave.
	Sources []Source `json:"sources,omitempty"`
}

// Source is a source of session ids and what it gave.
type Source struct {
	Source  string `json:"source"`
	Finding string `json:"finding"`
}

// Place is where a session, or a request without one, goes. Upstreams go by their names.
type Place struct {
	// Session is the prefix of the session's hash, "" for none.
	Session string `json:"session,omitempty"`
	// Source is where its id comes from.
	Source string `json:"source,omitempty"`
	Model  string `json:"model,omitempty"`
	// Upstream gets it: "" where nobody may have it, or load or turn decides among the candidates.
	Upstream string `json:"upstream"`
	Outcome  string `json:"outcome"`
	Why      string `json:"why"`
	Home     string `json:"home,omitempty"`
	// Pin is "" for none. PinSkipped says why it is not followed.
	Pin        string `json:"pin,omitempty"`
	PinSkipped string `json:"pin_skipped,omitempty"`
	// Walk are all upstreams in the order in which they are looked at.
	Walk []Step `json:"walk"`
}

// Step is what becomes of one upstream.
type Step struct {
	Upstream string `json:"upstream"`
	State    string `json:"state"`
	Verdict  string `json:"verdict"`
	Why      string `json:"why,omitempty"`
}

// Where a session's id comes from, if that is not one source.
const (
	fromHeader = "the id as a header sends it"
	fromHashed = "the id as a cookie or a body field sends it"
	fromRandom = "random, made for each request"
)

// maxPlaces bounds the places of a session that has no pin, where no model is named.
const maxPlaces = 16

// Session says where the session goes under the model: under all known ones where it is nil. A session without a
// pin goes where a header with its id would.
func (g *Guide) Session(id string, model *string) (w Where, err error) {
	if err := checkNames(id, model); err != nil {
		return w, err
	}
	now := time.Now()
	models := g.models(model)
	w.Places = []Place{}
	for _, s := range g.Router.Lookup(g.Identifier, []byte(id), models, now) {
		w.Places = append(w.Places, g.session(s, now))
	}
	if len(w.Places) > 0 {
		return w, nil
	}
	w.Note = "no pin: this is where its first request would go"
	if model == nil && len(models) > 1 {
		models = models[:len(models)-1] // without the nameless one
	}
	if left := len(models) - maxPlaces; left > 0 {
		models = models[:maxPlaces]
		w.Note += fmt.Sprintf("; %d more models are known, name the one in question", left)
	}
	for _, m := range models {
		w.Places = append(w.Places, g.session(session.Session{Key: g.Identifier.Key([]byte(m), []byte(id)), Model: m}, now))
	}
	return w, nil
}

// models are those that are in question, an alias being its model: the last of the known ones is none, for requests that name no model.
func (g *Guide) models(one *string) []string {
	if one != nil {
		return []string{g.Identifier.Model(*one)}
	}
	return append(g.Router.Models(), "")
}

func (g *Guide) session(s session.Session, now time.Time) Place {
	p := place(g.Router.Explain(session.Request{Key: s.Key, Model: []byte(s.Model)}, now))
	p.Session, p.Model, p.Source = s.Key.String(), clip(s.Model), sourceOf(s)
	return p
}

func sourceOf(s session.Session) string {
	if s.Hashed {
		return fromHashed
	}
	return fromHeader
}

// Request says what is found in a request, and where it goes.
func (g *Guide) Request(raw []byte) Where {
	r := g.Read(raw)
	w := Where{Places: []Place{}, Request: &Request{
		Method: r.Method, Path: r.Path, Status: r.Status, Refused: r.Refused, Note: r.Note,
	}}
	for _, f := range r.Found {
		w.Request.Sources = append(w.Request.Sources, Source{Source: f.Source.String(), Finding: f.Finding.String()})
	}
	if r.Status == 0 && !r.Local {
		w.Places = append(w.Places, g.reading(&r))
	}
	return w
}

func (g *Guide) reading(r *session.Reading) Place {
	req := r.Request
	random := req.Synthetic && r.Source.Kind == 0
	if random && req.Response.IsZero() {
		req.Key = identity.Key{} // another each time: what is certain is who may get it
	}
	p := place(g.Router.Explain(req, time.Now()))
	p.Model = clip(string(req.Model))
	switch {
	case random:
		p.Source = fromRandom
		if req.Response.IsZero() {
			p.Outcome = session.New.String()
			p.Why = "the first of the order of a random id, which is another for each request"
		}
	case !req.Key.IsZero():
		p.Session, p.Source = req.Key.String(), r.Source.String()
	}
	return p
}

func place(e session.Explanation) Place {
	p := Place{Outcome: e.Outcome.String(), Why: e.Why, PinSkipped: e.PinSkipped, Walk: make([]Step, len(e.Steps))}
	if e.Upstream != nil {
		p.Upstream = e.Upstream.Name()
	}
	if e.Home != nil {
		p.Home = e.Home.Name()
	}
	if e.Pin != nil {
		p.Pin = e.Pin.Name()
	}
	for i, s := range e.Steps {
		p.Walk[i] = Step{Upstream: s.Upstream.Name(), State: s.Upstream.State().Words(), Verdict: string(s.Verdict), Why: s.Why}
	}
	return p
}
