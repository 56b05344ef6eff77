package identity

import (
	"bytes"
	"slices"
)

// Subagents says whose session the requests of a sub-agent belong to.
type Subagents string

const (
	// Family is the session of the agent that started the sub-agent: both share a server.
	Family Subagents = "family"
	// Own is a session of the sub-agent's own, with its own place and pin.
	Own Subagents = "own"
)

// families are the clients whose sub-agents send the session id of the agent that started them, and their own name in
// another header.
var families = [...]struct {
	header   string   // with the sub-agent's name
	sessions []Source // with the family's session id
}{
	{"x-claude-code-agent-id", []Source{{FromHeader, "x-claude-code-session-id"}, {FromBody, "metadata.user_id"}}},
	{"thread-id", []Source{{FromHeader, "session-id"}}}, // Codex; the thread of its first agent has the session's id
}

// agent is the header with the sub-agent's name, and the sources with the family's session id, a bit each.
type agent struct {
	header   string
	sessions uint64
}

// agentsOf returns the families, with those of the sources that have their session ids.
func agentsOf(sources []Source) (agents []agent) {
	for _, f := range families {
		a := agent{header: f.header}
		for n, s := range sources {
			if slices.Contains(f.sessions, s) {
				a.sessions |= 1 << n
			}
		}
		agents = append(agents, a)
	}
	return agents
}

// subagent finds out whether the request, whose id the n-th source gave, is one of a sub-agent. If sub-agents have sessions of their own,
// the id of the family is replaced by that of the sub-agent.
func (s *Search) subagent(i *Identity, n int) {
	for k, a := range s.id.agents {
		c := &s.agents[k]
		switch {
		case a.sessions&(1<<n) == 0 || c.state == absent || bytes.Equal(c.value, s.found[n].value):
		case c.state == present && Valid(c.value) && s.id.splits:
			i.setUUID(s.id.keyer.subagent(i.ID(), c.value))
		case c.state == present && Valid(c.value):
			i.Subagent = true
		case s.id.splits:
			s.Ignored++
		}
	}
}
