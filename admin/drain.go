package admin

import (
	"net/http"
	"time"

	"tether/session/pins"
	"tether/upstream"
)

// drainView is the drain of an upstream as the API shows it.
type drainView struct {
	// Move says which pinned sessions move with their next request: never, idle or now.
	Move string `json:"move"`
	// AllAt is when all of them move; absent unless Move is idle.
	AllAt *time.Time `json:"all_at,omitempty"`
	// Drained is true if no request is in flight, and no session that would return was used within session.drain_idle.
	Drained bool `json:"drained"`
	// RequestsLeft and SessionsLeft are what keeps the upstream from being drained.
	RequestsLeft int64 `json:"requests_left"`
	SessionsLeft int   `json:"sessions_left"`
}

// drainOf returns the drain of an upstream, nil without one.
func (d *Deps) drainOf(m *upstream.Member, now time.Time) *drainView {
	state := m.State()
	if !state.Draining() {
		return nil
	}
	v := &drainView{Move: "never", RequestsLeft: m.InFlight()}
	allAt := m.MovesAllAt()
	switch {
	case state.DrainingHard(), !allAt.IsZero() && !now.Before(allAt):
		v.Move = "now"
	case !allAt.IsZero():
		v.Move, v.AllAt = "idle", &allAt
	}
	if v.Move != "now" {
		v.SessionsLeft = pins.Active(d.Pins, m.Ref(), d.Settings().DrainIdle, now)
	}
	v.Drained = v.RequestsLeft == 0 && v.SessionsLeft == 0
	return v
}

// Limits of how long idle sessions may take to move, before all do.
const (
	defaultWithin = 10 * time.Minute
	maxWithin     = 24 * time.Hour
)

// drain keeps new sessions away from an upstream, or from all of a server. move says which pinned sessions move with their next
// request: never; idle, those that were silent for session.drain_idle, and all of them once the time within has passed; or now, all of
// them. hard=true is move=now.
func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	move, within := q.Get("move"), defaultWithin
	switch {
	case move == "":
		move = "never"
		if q.Get("hard") == "true" {
			move = "now"
		}
	case move != "never" && move != "idle" && move != "now":
		writeError(w, 400, "want ?move=never, idle or now")
		return
	}
	if q.Has("within") {
		var err error
		if within, err = time.ParseDuration(q.Get("within")); err != nil || within < 0 || within > maxWithin || move != "idle" {
			writeError(w, 400, "want ?move=idle&within=DURATION of 0s..24h, such as 10m")
			return
		}
	}
	now := time.Now()
	s.operate(w, r, func(d drainable, all []*upstream.Upstream) {
		for _, u := range all {
			u.MoveNone()
			if move == "idle" {
				u.MoveIdle(s.deps.Settings().DrainIdle, now.Add(within))
			}
		}
		d.Drain(move == "now")
	})
}

func (s *Server) undrain(w http.ResponseWriter, r *http.Request) {
	s.operate(w, r, func(d drainable, all []*upstream.Upstream) {
		d.Undrain()
		for _, u := range all {
			u.MoveNone()
		}
	})
}

// drainable is an upstream, or a server with all of its ranks.
type drainable interface {
	Drain(hard bool)
	Undrain()
}

// operate calls do with the upstream or server that the path names, and with its upstreams, and shows the result.
func (s *Server) operate(w http.ResponseWriter, r *http.Request, do func(drainable, []*upstream.Upstream)) {
	table, name := s.deps.Registry.Table(), r.PathValue("name")
	if m := table.Named(name); m != nil {
		do(m, []*upstream.Upstream{m.Upstream})
		writeJSON(w, 200, s.view(m))
		return
	}
	server := table.ServerNamed(name)
	if server == nil {
		writeError(w, 404, "no upstream of this name")
		return
	}
	var all []*upstream.Upstream
	for _, m := range table.Members {
		if m.Server == server {
			all = append(all, m.Upstream)
		}
	}
	do(server, all)
	writeJSON(w, 200, s.views(func(m *upstream.Member) bool { return m.Server == server }))
}
