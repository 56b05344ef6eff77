package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"tether/session"
	"tether/session/identity"
	"tether/status"
)

// Guide explains where requests go and why, and where sessions are. It changes nothing.
type Guide struct {
	Router *session.Router
	// Identifier returns the identifier in force.
	Identifier func() *identity.Identifier
	// Read reads a request, as a connection delivers it or as people keep it in a file.
	Read func(raw []byte) session.Reading
	// Seen returns what is remembered of a session; nil if there is no past.
	Seen func(identity.Key, time.Time) status.Seen
}

// Where is the answer of a Guide.
type Where struct {
	// Request is what was found in the request in question; nil if the question was about a session.
	Request *Request `json:"request,omitempty"`
	// Places has one place for each model in question.
	Places []Place `json:"places"`
	// Placement is the placement in force and why it is not the configured one; "" if it is.
	Placement string `json:"placement,omitempty"`
	// Note limits or completes the answer.
	Note string `json:"note,omitempty"`
}

// placement returns Where's Placement.
func (g *Guide) placement() string {
	inForce, why := g.Router.Placement()
	if why == "" {
		return ""
	}
	return string(inForce) + ": " + why
}

// Request is what was found in a request. It holds no text of the request.
type Request struct {
	Method string `json:"method,omitempty"`
	// Path is the endpoint, with {id} for ids; "" if no endpoint matches.
	Path string `json:"path,omitempty"`
	// Status and Refused are tether's own answer, if no upstream gets the request.
	Status  int    `json:"status,omitempty"`
	Refused string `json:"refused,omitempty"`
	Note    string `json:"note,omitempty"`
	// Sources are all sources of session ids in their order.
	Sources []Source `json:"sources,omitempty"`
}

// Source is a source of session ids and what was found there.
type Source struct {
	Source  string `json:"source"`
	Finding string `json:"finding"`
}

// Place is where a session, or a request without one, goes. It gives upstreams by their names.
type Place struct {
	// Session is the prefix of the session's hash, "" without a session.
	Session string `json:"session,omitempty"`
	// Source is where the session's id was found.
	Source string `json:"source,omitempty"`
	Model  string `json:"model,omitempty"`
	// Upstream gets the request. It is "" if no upstream may have it, or if load or turn decides among the candidates.
	Upstream string `json:"upstream"`
	Outcome  string `json:"outcome"`
	// Away says in a word why the request does not go to the pin or the home of its session, "" if it does.
	Away string `json:"away,omitempty"`
	Why  string `json:"why"`
	Home string `json:"home,omitempty"`
	// Pin is the upstream of the session's pin, "" without a pin. PinSkipped says why the pin is not followed.
	Pin        string `json:"pin,omitempty"`
	PinSkipped string `json:"pin_skipped,omitempty"`
	// InFlight is how many requests are in flight under the session's id, if they are more than one conversation has.
	InFlight int `json:"in_flight,omitempty"`
	// Seen is what is remembered of the session; nil without a session or a past.
	Seen *status.Seen `json:"seen,omitempty"`
	// Walk lists all upstreams in the order in which they are considered.
	Walk []Step `json:"walk"`
}

// Step is one upstream of a walk, and its verdict.
type Step struct {
	Upstream string `json:"upstream"`
	State    string `json:"state"`
	Verdict  string `json:"verdict"`
	Why      string `json:"why,omitempty"`
	// Backlog is the time that the upstream needs for the prompts and requests that it has, in seconds, by what tether sent there.
	Backlog float64 `json:"backlog_seconds"`
	// Engine is what the server says of its load; nil if it says nothing, or not for a few seconds.
	Engine *Engine `json:"engine,omitempty"`
}

// Places that an id can be found in, other than one source.
const (
	fromHeader = "the id as a header sends it"
	fromHashed = "the id as a cookie or a body field sends it"
	fromRandom = "random, made for each request"
	fromWide   = ", and what follows it: many conversations open alike"
)

// maxPlaces limits the places of a session without a pin when the question names no model.
const maxPlaces = 16

// Session explains where the session goes under the model, or under all known models if model is nil. A session without
// a pin goes where a request with the id in a header would go. Every error is a *problem.
func (g *Guide) Session(id string, model *string) (w Where, err error) {
	if err := checkNames(id, model); err != nil {
		return w, err
	}
	now := time.Now()
	models := g.models(model)
	w.Places, w.Placement = []Place{}, g.placement()
	for _, s := range g.Router.Lookup(g.Identifier(), []byte(id), models, now) {
		w.Places = append(w.Places, g.sessionPlace(s, now))
	}
	if len(w.Places) > 0 {
		return w, nil
	}
	w.Note = "no pin: this is where its first request would go"
	if model == nil && len(models) > 1 {
		models = models[:len(models)-1] // without ""
	}
	if left := len(models) - maxPlaces; left > 0 {
		models = models[:maxPlaces]
		w.Note += fmt.Sprintf("; %d more models are known, name the one in question", left)
	}
	for _, m := range models {
		w.Places = append(w.Places, g.sessionPlace(session.Session{Key: g.Identifier().Key([]byte(m), []byte(id)), Model: m}, now))
	}
	return w, nil
}

// models returns the given model, or the model of the given alias. If one is nil, it returns all known models, and last ""
// for requests that name no model.
func (g *Guide) models(one *string) []string {
	if one != nil {
		return []string{g.Identifier().Model(*one)}
	}
	return append(g.Router.Models(), "")
}

func (g *Guide) sessionPlace(s session.Session, now time.Time) Place {
	p := placeOf(g.Router.Explain(session.Request{Key: s.Key, Model: []byte(s.Model)}, now), now)
	p.Session, p.Model, p.Source, p.Seen = s.Key.String(), clip(s.Model), sourceOf(s), g.seen(s.Key, now)
	return p
}

func (g *Guide) seen(k identity.Key, now time.Time) *status.Seen {
	if g.Seen == nil {
		return nil
	}
	seen := g.Seen(k, now)
	return &seen
}

func sourceOf(s session.Session) string {
	if s.Hashed {
		return fromHashed
	}
	return fromHeader
}

// Request explains what is found in a request, and where the request goes.
func (g *Guide) Request(raw []byte) Where {
	r := g.Read(raw)
	w := Where{Places: []Place{}, Placement: g.placement(), Request: &Request{
		Method: r.Method, Path: r.Path, Status: r.Status, Refused: r.Refused, Note: r.Note,
	}}
	for _, f := range r.Found {
		w.Request.Sources = append(w.Request.Sources, Source{Source: f.Source.String(), Finding: f.Finding.String()})
	}
	if r.Status == 0 && !r.Local {
		w.Places = append(w.Places, g.readingPlace(&r))
	}
	return w
}

func (g *Guide) readingPlace(r *session.Reading) Place {
	req := r.Request
	random := req.Synthetic && r.Source.Kind == 0
	if random && req.Response.IsZero() {
		req.Key = identity.Key{} // another one for each request: only the candidates are certain
	}
	now := time.Now()
	p := placeOf(g.Router.Explain(req, now), now)
	p.Model = clip(string(req.Model))
	switch {
	case random:
		p.Source = fromRandom
		if req.Response.IsZero() {
			p.Outcome = session.New.String()
			p.Why = "the first of the order of a random id, which is another for each request"
		}
	case !req.Key.IsZero():
		p.Seen = g.seen(req.Key, now)
		if p.Session, p.Source = req.Key.String(), r.Source.String(); r.Wide {
			p.Source += fromWide
		}
	}
	return p
}

func placeOf(e session.Explanation, now time.Time) Place {
	p := Place{Outcome: e.Outcome.String(), Away: e.Away.String(), Why: e.Why, PinSkipped: e.PinSkipped, InFlight: e.InFlight, Walk: make([]Step, len(e.Steps))}
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
		p.Walk[i] = Step{
			Upstream: s.Upstream.Name(), State: s.Upstream.State().Words(), Verdict: string(s.Verdict), Why: s.Why, Backlog: s.Backlog, Engine: engineOf(s.Upstream, now),
		}
	}
	return p
}

// maxModel limits the name of a model in a question, in bytes. The data plane cuts longer names.
const maxModel = 512

// checkNames returns what is wrong with a session's id or a model's name as a *problem. model may be nil.
func checkNames(id string, model *string) error {
	if !identity.Valid([]byte(id)) {
		return &problem{400, "want a session id of 1..256 bytes of visible ASCII"}
	}
	if model != nil && len(*model) > maxModel {
		return &problem{400, "want a model's name of at most 512 bytes"}
	}
	return nil
}

// maxQuestion limits the body of /api/where, in bytes.
const maxQuestion = 64 << 10

// where answers where a session goes. The id is in the body, because query strings are logged.
func (s *Server) where(w http.ResponseWriter, r *http.Request) {
	var question struct {
		ID    string  `json:"id"`
		Model *string `json:"model"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxQuestion))
	d.DisallowUnknownFields()
	if err := d.Decode(&question); err != nil {
		writeProblem(w, problemOfBody(err, `want {"id": ID} or {"id": ID, "model": MODEL}`))
		return
	}
	found, err := s.guide.Session(question.ID, question.Model)
	if err != nil {
		writeProblem(w, err)
		return
	}
	writeJSON(w, 200, found)
}

// whereRequest answers where the request in the body goes. The body is the bytes of a whole request. Such bodies may be
// large, so one is handled at a time.
func (s *Server) whereRequest(w http.ResponseWriter, r *http.Request) {
	s.reading.Lock()
	defer s.reading.Unlock()
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.deps.Settings().MaxRequest))
	if err != nil {
		writeProblem(w, problemOfBody(err, "the body did not arrive"))
		return
	}
	writeJSON(w, 200, s.guide.Request(raw))
}

// problemOfBody returns the problem of a body that cannot be read: that it is too large, or else want.
func problemOfBody(err error, want string) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return &problem{413, "the body is too large"}
	}
	return &problem{400, want}
}
