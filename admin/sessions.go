package admin

import (
	"net/http"
	"time"

	"tether/session"
)

// sessionView is a pin as the API shows it: never with the id.
type sessionView struct {
	Session  string `json:"session"`
	Model    string `json:"model"`
	Source   string `json:"source"`
	Upstream string `json:"upstream"`
	State    string `json:"state"`
	// From is where a session was that was moved.
	From string `json:"from,omitempty"`
}

func viewSession(s session.Session) sessionView {
	return sessionView{
		Session: s.Key.String(), Model: clip(s.Model), Source: sourceOf(s), Upstream: s.Upstream.Name(), State: s.Upstream.State().Words(),
	}
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	if hits, ok := s.lookup(w, r); ok {
		answerSessions(w, hits, viewSession)
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
	answerSessions(w, hits, viewSession)
}

// move pins a session to another upstream, under all models or under none: where a session that is pinned to it
// would not be served, the move would not outlast the next request.
func (s *Server) move(w http.ResponseWriter, r *http.Request) {
	to := s.deps.Registry.Table().Named(r.URL.Query().Get("to"))
	if to == nil {
		fail(w, 404, "no upstream of this name: want ?to=NAME")
		return
	}
	hits, ok := s.lookup(w, r)
	if !ok {
		return
	}
	for _, h := range hits {
		if why := s.guide.Router.Refusal(to.Upstream, h.Model); why != "" {
			fail(w, 409, "a session pinned there would not be served there: "+why)
			return
		}
	}
	now := time.Now()
	for _, h := range hits {
		s.guide.Router.Repin(h.Key, to.Upstream, now)
	}
	answerSessions(w, hits, func(h session.Session) sessionView {
		from := h.Upstream.Name()
		h.Upstream = to.Upstream
		v := viewSession(h)
		v.From = from
		return v
	})
}

// lookup gives the pins of the session in the path, or answers that there are none.
func (s *Server) lookup(w http.ResponseWriter, r *http.Request) ([]session.Session, bool) {
	var model *string
	if q := r.URL.Query(); q.Has("model") {
		one := q.Get("model")
		model = &one
	}
	id := r.PathValue("id")
	if err := checkNames(id, model); err != nil {
		failed(w, err)
		return nil, false
	}
	hits := s.guide.Router.Lookup(s.guide.Identifier, []byte(id), s.guide.models(model), time.Now())
	if len(hits) == 0 {
		fail(w, 404, "no pin of this session: it was never seen, or not for longer than session.ttl, or under a model that no upstream lists")
		return nil, false
	}
	return hits, true
}

func answerSessions(w http.ResponseWriter, hits []session.Session, view func(session.Session) sessionView) {
	views := make([]sessionView, len(hits))
	for i, h := range hits {
		views[i] = view(h)
	}
	answer(w, 200, map[string]any{"sessions": views})
}
