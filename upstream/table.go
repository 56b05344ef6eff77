package upstream

// Table is one immutable set of upstreams.
type Table struct {
	// Members are in the configured order; the members of one server are in the order of their ranks.
	Members []Member
	// Servers are the servers of the members, each once, in the same order.
	Servers []*Server
	seats   []int // by seat, the index of the member, -1 for a free seat
}

// Member is an upstream and its place in the ring.
type Member struct {
	*Upstream
	Slot, Weight int
}

// Index returns the index in Members of the upstream that ref names, or -1 if the table does not have it, or no longer.
func (t *Table) Index(ref Ref) int {
	if seat := ref.Seat(); seat < len(t.seats) {
		if i := t.seats[seat]; i >= 0 && t.Members[i].ref == ref {
			return i
		}
	}
	return -1
}

// Named returns the member with that name, or nil.
func (t *Table) Named(name string) *Member {
	for i := range t.Members {
		if t.Members[i].name == name {
			return &t.Members[i]
		}
	}
	return nil
}

// ServerNamed returns the server with that name, or nil.
func (t *Table) ServerNamed(name string) *Server {
	for _, s := range t.Servers {
		if s.name == name {
			return s
		}
	}
	return nil
}
