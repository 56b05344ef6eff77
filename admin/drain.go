package admin

import (
	"net/http"
	"time"

	"tether/session/local"
	"tether/session/pins"
	"tether/session/shared"
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
	s.operate(w, &shared.Drain{Name: r.PathValue("name"), Move: moves[move], Idle: s.deps.Settings().DrainIdle, Left: within})
}

func (s *Server) undrain(w http.ResponseWriter, r *http.Request) {
	s.operate(w, &shared.Drain{Name: r.PathValue("name")})
}

// moves are the commands by the words of the API.
var moves = map[string]shared.Move{"never": shared.MoveNever, "idle": shared.MoveIdle, "now": shared.MoveNow}

// operate carries out a command for an upstream, or for a server with its upstreams, and shows the result.
func (s *Server) operate(w http.ResponseWriter, d *shared.Drain) {
	table := s.deps.Registry.Table()
	all := local.CarryOut(table, d, time.Now())
	if len(all) == 0 {
		writeError(w, 404, "no upstream of this name")
		return
	}
	if s.deps.Drained != nil {
		s.deps.Drained(d)
	}
	if m := table.Named(d.Name); m != nil {
		writeJSON(w, 200, s.view(m))
		return
	}
	writeJSON(w, 200, s.views(func(m *upstream.Member) bool { return m.Server.Name() == d.Name }))
}
