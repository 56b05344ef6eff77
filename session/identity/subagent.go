package identity

import "bytes"

// Subagents says whose session the requests of a sub-agent belong to.
type Subagents string

const (
	// Family is that of the agent who started it: they share a server.
	Family Subagents = "family"
	// Own is one of its own: it has a place and a pin of its own.
	Own Subagents = "own"
)

// families are the clients whose sub-agents send the session id of the agent who started them, and say in a header
// which of them they are.
var families = [...]struct {
	agent  string
	beside []Source // where the session id stands
}{
	{"x-claude-code-agent-id", []Source{{FromHeader, "x-claude-code-session-id"}, {FromBody, "metadata.user_id"}}},
	{"thread-id", []Source{{FromHeader, "session-id"}}}, // Codex; its first agent's thread has the session's id
}

// agent is the header of a family, and the sources that it says more about, a bit each.
type agent struct {
	header string
	beside uint64
}

// agentsOf finds the sources that say less than a sub-agent does.
func agentsOf(sources []Source) (agents []agent) {
	for _, f := range families {
		a := agent{header: f.agent}
		for n, s := range sources {
			for _, b := range f.beside {
				if s == b {
					a.beside |= 1 << n
				}
			}
		}
		agents = append(agents, a)
	}
	return agents
}

// apart gives a sub-agent an id of its own in place of its family's, which the n-th source gave.
func (s *Search) apart(i *Identity, n int) {
	for k, a := range s.id.agents {
		c := &s.agents[k]
		if a.beside&(1<<n) == 0 || c.state == absent || bytes.Equal(c.value, s.found[n].value) {
			continue
		}
		if c.state == ambiguous || !Valid(c.value) {
			s.Ignored++
			continue
		}
		i.setUUID(s.id.subagent(i.ID(), c.value))
	}
}
