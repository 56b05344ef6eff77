package config

import (
	"fmt"
	"slices"

	"tether/discovery"
	"tether/session/identity"
	"tether/upstream"
	"tether/upstream/transport"
)

// Merge returns the upstreams of the configuration and then those of its sources, in the order of the sources. sets has what
// each source has found, nil for nothing yet. Where two have the same name or URL, the first counts. problems has a line for each
// upstream that does not count.
func (c *Config) Merge(sets []*Set) (all []Upstream, problems []string) {
	m := merger{names: map[string]string{}, addresses: map[transport.Address]string{}}
	for i := range c.Upstreams {
		m.add("upstreams", c.Upstreams[i], false)
	}
	for i := range c.Discovery {
		d := &c.Discovery[i]
		for _, u := range d.upstreams(sets[i]) {
			m.add(d.Label(), u, true)
		}
	}
	return m.all, m.problems
}

// merger puts upstreams of several sources into one list.
type merger struct {
	all       []Upstream
	count     int                          // with ranks
	names     map[string]string            // where each name is from
	addresses map[transport.Address]string // where each address is from
	problems  []string
}

// add adds an upstream of a source, if it is valid beside those before it. found is false for one that was validated with all
// others.
func (m *merger) add(from string, u Upstream, found bool) {
	s := u.server().Spec
	if found {
		if problem := m.problemOf(&u, &s); problem != "" {
			m.problems = append(m.problems, from+": "+problem)
			return
		}
	}
	m.names[s.Name], m.addresses[s.Address] = from, from
	for rank := range s.Ranks {
		m.names[fmt.Sprintf("%s@%d", s.Name, rank)] = from
	}
	m.count += max(s.Ranks, 1)
	m.all = append(m.all, u)
}

// problemOf returns why an upstream does not count, "" if it does. It does not show addresses.
func (m *merger) problemOf(u *Upstream, s *upstream.Spec) string {
	has, named := m.names[s.Name]
	at, placed := m.addresses[s.Address]
	switch {
	case !validName.MatchString(s.Name):
		return fmt.Sprintf("%.200q does not count: want a name of 1..128 letters, digits and .:_-@/[]", s.Name)
	case s.Address == transport.Address{}:
		return fmt.Sprintf("%q does not count: its address cannot be used", s.Name)
	case slices.ContainsFunc(u.Models, func(model string) bool { return identity.ProblemOfModel(model) != "" }):
		return fmt.Sprintf("%q does not count: a name of its models has control characters, or is too long", s.Name)
	case named:
		return fmt.Sprintf("%q does not count: %s has the name already", s.Name, has)
	case placed:
		return fmt.Sprintf("%q does not count: %s has a server at its address already", s.Name, at)
	case len(m.all) > 0 && u.DataParallelRanks != m.all[0].DataParallelRanks:
		return fmt.Sprintf("%q does not count: it has %d data_parallel_ranks, and the first upstream has %d", s.Name, u.DataParallelRanks, m.all[0].DataParallelRanks)
	case m.count+max(s.Ranks, 1) > upstream.MaxUpstreams:
		return fmt.Sprintf("%q does not count: there are %d upstreams already", s.Name, m.count)
	}
	return ""
}

// SpecsOf returns the specs of a list that Merge returned.
func (c *Config) SpecsOf(all []Upstream) []upstream.Spec {
	servers := make([]discovery.Server, len(all))
	for i := range all {
		servers[i] = all[i].server()
	}
	if len(c.Discovery) == 0 {
		return discovery.Static(servers)
	}
	return discovery.Changing(servers)
}
