package shared

// place is the number of an upstream's name. 0 is the empty name.
type place uint16

// maxNames bounds the names that are known at a time: as many as there may be upstreams, and some that are gone.
const maxNames = 1 << 14

// names numbers the names of upstreams, so that a binding needs no pointer.
type names struct {
	all     []string // by place; "" but for place 0 is free
	used    []bool   // by place: since the last forget
	numbers map[string]place
	free    []place
}

func newNames() names {
	return names{all: []string{""}, used: []bool{true}, numbers: map[string]place{"": 0}}
}

func (n *names) of(p place) string { return n.all[p] }

// number returns the place of a name, which it makes if there is room.
func (n *names) number(name string) (p place, ok bool) {
	if p, ok = n.numbers[name]; ok {
		n.used[p] = true
		return p, true
	}
	switch last := len(n.free) - 1; {
	case last >= 0:
		p, n.free = n.free[last], n.free[:last]
	case len(n.all) < maxNames:
		p = place(len(n.all))
		n.all, n.used = append(n.all, ""), append(n.used, false)
	default:
		return 0, false
	}
	n.all[p], n.used[p], n.numbers[name] = name, true, p
	return p, true
}

// use notes that a binding has the place.
func (n *names) use(p place) { n.used[p] = true }

// forget frees the places that were neither used nor numbered since the last call.
func (n *names) forget() {
	for p := 1; p < len(n.all); p++ {
		if name := n.all[p]; name != "" && !n.used[p] {
			delete(n.numbers, name)
			n.all[p] = ""
			n.free = append(n.free, place(p))
		}
		n.used[p] = false
	}
}
