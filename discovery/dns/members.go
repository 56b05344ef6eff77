package dns

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tether/discovery"
)

// members are the servers of the set: those of the last answer, and those that answers have lacked for less than keep.
type members struct {
	keep time.Duration
	list []member
}

type member struct {
	discovery.Found
	lacking time.Time // when an answer first lacked the server; zero if the last one has it
}

// take updates the set by an answer that has servers, and returns the set in the order of the names. A server that the
// answer lacks leaves at once if another server has its address now, or if the set would exceed discovery.MaxServers: those
// that have been lacking longest leave first.
func (m *members) take(found []discovery.Found, now time.Time) []discovery.Found {
	names, addresses := map[string]bool{}, map[string]bool{}
	next := make([]member, 0, len(found)+len(m.list))
	for _, f := range found {
		next = append(next, member{Found: f})
		names[f.Name], addresses[f.Address] = true, true
	}
	var lacking []member
	for _, old := range m.list {
		if old.lacking.IsZero() {
			old.lacking = now
		}
		if !names[old.Name] && !addresses[old.Address] && now.Sub(old.lacking) < m.keep {
			lacking = append(lacking, old)
		}
	}
	slices.SortStableFunc(lacking, func(a, b member) int { return b.lacking.Compare(a.lacking) })
	next = append(next, lacking[:min(len(lacking), max(0, discovery.MaxServers-len(next)))]...)
	slices.SortFunc(next, func(a, b member) int {
		return cmp.Or(cmp.Compare(len(a.Name), len(b.Name)), strings.Compare(a.Name, b.Name)) // vllm-2 before vllm-10
	})
	m.list = next
	set := make([]discovery.Found, len(next))
	for i := range next {
		set[i] = next[i].Found
	}
	return set
}
