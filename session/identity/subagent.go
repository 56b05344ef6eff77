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

// splitSubagent replaces the id of a family, which the n-th source gave, by the id of its sub-agent, if the request is one
// of a sub-agent.
func (s *Search) splitSubagent(i *Identity, n int) {
	for k, a := range s.id.agents {
		c := &s.agents[k]
		if a.sessions&(1<<n) == 0 || c.state == absent || bytes.Equal(c.value, s.found[n].value) {
			continue
		}
		if c.state == ambiguous || !Valid(c.value) {
			s.Ignored++
			continue
		}
		i.setUUID(s.id.subagent(i.ID(), c.value))
	}
}
