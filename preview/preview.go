// Package preview says what another set of upstreams would change for sessions: who comes and goes, how many homes move, and which
// slots would keep homes where they are. It changes nothing. Package admin calls it for operators.
package preview

import (
	"encoding/binary"
	"slices"

	"github.com/zeebo/xxh3"

	"tether/ring"
	"tether/session"
	"tether/upstream"
	"tether/upstream/transport"
)

// Server is one server of the other set, as the admin API takes it. It has nothing secret.
type Server struct {
	Name    string            `json:"name"`
	Address transport.Address `json:"address"`
	Ranks   int               `json:"ranks"`
	Slot    int               `json:"slot"`
	Weight  int               `json:"weight"`
	Models  []string          `json:"models"`
}

// Preview is what another set of upstreams would change.
type Preview struct {
	// Added, Removed and Replaced are names of servers. A replaced one has another address or other ranks, and so a cache of its own.
	Added    []string `json:"added"`
	Removed  []string `json:"removed"`
	Replaced []string `json:"replaced"`
	// Reweighted are the servers that stay and get another weight.
	Reweighted []Reweighted `json:"reweighted"`
	// HomesMoved is the share of homes that move, 0..1, measured over a sample of keys.
	HomesMoved float64 `json:"homes_moved"`
	// Sessions is the number of pinned sessions now, SessionsMoved how many of them lose their upstream.
	Sessions      int `json:"sessions"`
	SessionsMoved int `json:"sessions_moved"`
	// Slots are slots for all servers of the other set with which fewer homes move: HomesMovedWithSlots. It is empty if there are none.
	Slots               []Slot  `json:"slots"`
	HomesMovedWithSlots float64 `json:"homes_moved_with_slots"`
}

// Reweighted is a server whose weight changes.
type Reweighted struct {
	Name string `json:"name"`
	From int    `json:"from"`
	To   int    `json:"to"`
}

// Slot is a slot for a server.
type Slot struct {
	Name string `json:"name"`
	Slot int    `json:"slot"`
}

// Of compares the upstreams of now with those that servers would make. pins returns the number of pins to an upstream.
func Of(now *upstream.Table, pins func(upstream.Ref) int, servers []Server) (Preview, error) {
	specs := specsOf(servers)
	next, err := tableOf(specs)
	if err != nil {
		return Preview{}, err
	}
	p := Preview{Added: []string{}, Removed: []string{}, Replaced: []string{}, Reweighted: []Reweighted{}, Slots: []Slot{}}
	p.compare(now, next)
	for _, m := range now.Members {
		n := pins(m.Ref())
		p.Sessions += n
		if other := next.Named(m.Name()); other == nil || other.Address() != m.Address() {
			p.SessionsMoved += n
		}
	}
	if p.HomesMoved, err = homesMoved(now, next); err != nil {
		return p, err
	}
	return p, p.suggest(now, specs)
}

// suggest fills in slots that keep more homes, if there are any.
func (p *Preview) suggest(now *upstream.Table, specs []upstream.Spec) error {
	better := withSlots(now, specs)
	if better == nil {
		return nil
	}
	next, err := tableOf(better)
	if err != nil {
		return err
	}
	moved, err := homesMoved(now, next)
	if err != nil || moved >= p.HomesMoved {
		return err
	}
	p.HomesMovedWithSlots = moved
	for _, s := range better {
		p.Slots = append(p.Slots, Slot{s.Name, s.Slot})
	}
	return nil
}

func specsOf(servers []Server) []upstream.Spec {
	specs := make([]upstream.Spec, len(servers))
	for i, s := range servers {
		specs[i] = upstream.Spec{Name: s.Name, Address: s.Address, Ranks: s.Ranks, Slot: s.Slot, Weight: s.Weight, Models: s.Models}
	}
	return specs
}

// tableOf returns the table of specs. The error is session.Check's.
func tableOf(specs []upstream.Spec) (*upstream.Table, error) {
	if err := session.Check(specs); err != nil {
		return nil, err
	}
	r := upstream.NewRegistry(nil)
	_, err := r.Apply(specs)
	return r.Table(), err
}

// compare fills in what happens to each server.
func (p *Preview) compare(now, next *upstream.Table) {
	for _, s := range now.Servers {
		switch other := next.ServerNamed(s.Name()); {
		case other == nil:
			p.Removed = append(p.Removed, s.Name())
		case other.Address() != s.Address() || len(membersOf(next, other)) != len(membersOf(now, s)):
			p.Replaced = append(p.Replaced, s.Name())
		default:
			from, to := membersOf(now, s)[0].Weight, membersOf(next, other)[0].Weight
			if from != to {
				p.Reweighted = append(p.Reweighted, Reweighted{s.Name(), from, to})
			}
		}
	}
	for _, s := range next.Servers {
		if now.ServerNamed(s.Name()) == nil {
			p.Added = append(p.Added, s.Name())
		}
	}
}

// membersOf returns the upstreams of a server, which stand beside each other.
func membersOf(t *upstream.Table, s *upstream.Server) []upstream.Member {
	first := slices.IndexFunc(t.Members, func(m upstream.Member) bool { return m.Server == s })
	n := first
	for n < len(t.Members) && t.Members[n].Server == s {
		n++
	}
	return t.Members[first:n]
}

// withSlots returns the specs with the slots that servers have now; new servers get the free slots, the lowest first. It returns nil if
// the specs or the servers of now have no slots, or if not all specs can have one.
func withSlots(now *upstream.Table, specs []upstream.Spec) []upstream.Spec {
	taken := map[int]bool{}
	better := slices.Clone(specs)
	for i := range better {
		if better[i].Slot == ring.Unnumbered {
			return nil
		}
		better[i].Slot = ring.Unnumbered
		if s := now.ServerNamed(better[i].Name); s != nil {
			members := membersOf(now, s)
			if members[0].Slot == ring.Unnumbered {
				return nil
			}
			better[i].Slot = members[0].Slot / len(members)
			taken[better[i].Slot] = true
		}
	}
	free := 0
	for i := range better {
		if better[i].Slot != ring.Unnumbered {
			continue
		}
		for taken[free] {
			free++
		}
		if free >= ring.MaxSlots {
			return nil
		}
		better[i].Slot, taken[free] = free, true
	}
	return better
}

// sample is the number of keys over which the share of homes is measured: its standard error is at most half a per cent.
const sample = 10_000

// homesMoved returns the share of keys with another home in next.
func homesMoved(now, next *upstream.Table) (float64, error) {
	before, err := newHomes(now)
	if err != nil {
		return 0, err
	}
	after, err := newHomes(next)
	if err != nil {
		return 0, err
	}
	models := modelsOf(now, next)
	moved := 0
	var counter [8]byte
	for i := range sample {
		binary.LittleEndian.PutUint64(counter[:], uint64(i))
		key, model := xxh3.Hash(counter[:]), models[i%len(models)]
		if before.of(key, model) != after.of(key, model) {
			moved++
		}
	}
	return float64(moved) / sample, nil
}

// modelsOf returns the models that the configuration assigns in either table, or "" if it assigns none.
func modelsOf(tables ...*upstream.Table) (all []string) {
	for _, t := range tables {
		for _, m := range t.Members {
			for _, model := range m.Assigned().All() {
				all = append(all, model.ID)
			}
		}
	}
	if len(all) == 0 {
		return []string{""}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// homes are the homes of sessions over one table.
type homes struct {
	table    *upstream.Table
	ring     *ring.Ring
	assigned bool // the configuration assigns models
}

func newHomes(t *upstream.Table) (*homes, error) {
	h := &homes{table: t}
	slots := make([]ring.Slot, len(t.Members))
	for i, m := range t.Members {
		slots[i] = ring.Slot{Name: m.Name(), Number: m.Slot, Weight: m.Weight}
		h.assigned = h.assigned || m.Assigned() != nil
	}
	var err error
	h.ring, err = ring.New(slots)
	return h, err
}

// home is where a key goes while every upstream is up. The address is a part of it: a server at another address does not have the cache.
type home struct {
	name    string
	address transport.Address
}

// of returns the home of a key, zero for none. It places as session.Router does.
func (h *homes) of(key uint64, model string) home {
	walk := h.ring.Walk(key)
	if model != "" && h.assigned {
		walk = h.ring.Rendezvous(key)
	}
	i := walk.Next(func(i int) bool {
		a := h.table.Members[i].Assigned()
		return model == "" || a == nil || a.Has([]byte(model))
	})
	if i < 0 {
		return home{}
	}
	return home{h.table.Members[i].Name(), h.table.Members[i].Address()}
}
