package admin

import (
	"net/http"
	"time"

	"tether/session"
	"tether/status"
)

// sessionView is a pin as the API shows it. It never has the id.
type sessionView struct {
	Session  string `json:"session"`
	Model    string `json:"model"`
	Source   string `json:"source"`
	Upstream string `json:"upstream"`
	State    string `json:"state"`
	// From is the upstream that a moved session was pinned to before.
	From string `json:"from,omitempty"`
	// Home is true if no tether has told where the session is: then it is at home, if it exists.
	Home bool `json:"home,omitempty"`
}

func viewSession(s session.Session) sessionView {
	return sessionView{
		Session: s.Key.String(), Model: clip(s.Model), Source: sourceOf(s), Upstream: s.Upstream.Name(), State: s.Upstream.State().Words(), Home: s.Home,
	}
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	if hits, ok := s.lookup(w, r); ok {
		writeSessions(w, hits, viewSession)
	}
}

func (s *Server) forget(w http.ResponseWriter, r *http.Request) {
	hits, ok := s.lookup(w, r)
	if !ok {
		return
	}
	now := time.Now()
	for _, h := range hits {
		s.guide.Router.Forget(h.Key, now)
	}
	writeSessions(w, hits, viewSession)
}

// move pins a session to another upstream under all models, or changes nothing: if the upstream would not serve the
// session under one of the models, its next request would move it away again.
func (s *Server) move(w http.ResponseWriter, r *http.Request) {
	to := s.deps.Registry.Table().Named(r.URL.Query().Get("to"))
	if to == nil {
		writeError(w, 404, "no upstream of this name: want ?to=NAME")
		return
	}
	hits, ok := s.lookup(w, r)
	if !ok {
		return
	}
	for _, h := range hits {
		if why := s.guide.Router.Refusal(to.Upstream, h.Model); why != "" {
			writeError(w, 409, "a session pinned there would not be served there: "+why)
			return
		}
	}
	now := time.Now()
	for _, h := range hits {
		if s.guide.Router.Repin(h.Key, to.Upstream, now) && h.Upstream != to.Upstream {
			s.deps.Status.Moved(h.Upstream, to.Upstream, status.ByOperator)
		}
	}
	writeSessions(w, hits, func(h session.Session) sessionView {
		from := h.Upstream.Name()
		h.Upstream = to.Upstream
		v := viewSession(h)
		v.From, v.Home = from, false
		return v
	})
}

// lookup returns the pins of the session in the path. Without any, it answers 404 and returns false.
func (s *Server) lookup(w http.ResponseWriter, r *http.Request) ([]session.Session, bool) {
	var model *string
	if q := r.URL.Query(); q.Has("model") {
		one := q.Get("model")
		model = &one
	}
	id := r.PathValue("id")
	if err := checkNames(id, model); err != nil {
		writeProblem(w, err)
		return nil, false
	}
	hits := s.guide.Router.Lookup(s.guide.Identifier(), []byte(id), s.guide.models(model), time.Now())
	if len(hits) == 0 {
		writeError(w, 404, "no pin of this session: it was never seen, or not for longer than session.ttl, or under a model that no upstream lists")
		return nil, false
	}
	return hits, true
}

func writeSessions(w http.ResponseWriter, hits []session.Session, view func(session.Session) sessionView) {
	views := make([]sessionView, len(hits))
	for i, h := range hits {
		views[i] = view(h)
	}
	writeJSON(w, 200, map[string]any{"sessions": views})
}
