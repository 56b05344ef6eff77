// Package discovery says which upstream servers there are: each of its sources gives a set of named servers. The source of
// this package is the list in the configuration; it opens no file and no connection. The packages below it find servers at
// run time. Package config calls it.
//
// The types of found.go have no rules.
package discovery

import "tether/upstream"

// Server is one server that a source names.
type Server struct {
	// Spec is all that is known of the server, but for its slot.
	Spec upstream.Spec
	// Slot is the number that the source itself gives the server; nil leaves that to Slots.
	Slot *int
	// Label is where Slots looks for the number: the given name of the server, or the first label of its host.
	Label string
}

// Static returns the specs of a fixed list of servers, each with its slot.
func Static(servers []Server) []upstream.Spec {
	specs := make([]upstream.Spec, len(servers))
	for i, slot := range Slots(servers) {
		specs[i] = servers[i].Spec
		specs[i].Slot = slot
	}
	return specs
}
