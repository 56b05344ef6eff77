package session

import (
	"tether/ring"
	"tether/upstream"
)

// view is everything that one request is routed by: the settings, a table of upstreams, and the ring over them. Member i
// of the table is slot i of the ring. A view never changes; each request loads it once.
type view struct {
	cfg   Config
	table *upstream.Table
	ring  *ring.Ring
	// assigned holds the models that the configuration assigns to upstreams; it is nil if it assigns none.
	assigned map[string]bool
	// places is the number of upstreams that may get new sessions.
	places int
	// unrestricted is true if some upstream may serve other models, or there is no upstream.
	unrestricted bool
}

func newView(cfg Config, table *upstream.Table, rg *ring.Ring) *view {
	v := &view{cfg: cfg, table: table, ring: rg, unrestricted: len(table.Members) == 0}
	for _, m := range table.Members {
		if m.Weight > 0 {
			v.places++
		}
		v.unrestricted = v.unrestricted || m.Assigned() == nil
		for _, model := range m.Assigned().All() {
			if v.assigned == nil {
				v.assigned = map[string]bool{}
			}
			v.assigned[model.ID] = true
		}
	}
	return v
}

// upstream returns the upstream with index i, nil for -1.
func (v *view) upstream(i int) *upstream.Upstream {
	if i < 0 {
		return nil
	}
	return v.table.Members[i].Upstream
}

// ref returns the Ref of the upstream with index i.
func (v *view) ref(i int) upstream.Ref { return v.table.Members[i].Ref() }
