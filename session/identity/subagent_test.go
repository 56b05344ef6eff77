package identity

import (
	"testing"
)

// With session.subagents: own, a sub-agent is a session of its own. The session of the first agent does not change.
func TestSubagentsOfTheirOwn(t *testing.T) {
	family := mustIdentifier(t, nil)
	own := mustIdentifier(t, func(c *Config) { c.Subagents = Own })
	for _, c := range clients(t) {
		t.Run(c.name, func(t *testing.T) {
			of := map[string]string{} // agent by id
			for _, f := range c.turns {
				agent := agentOf(f)
				shared, _ := c.turn(f, 0).identify(family)
				got, s := c.turn(f, 0).identify(own)
				if got.Source != shared.Source || !got.Forwarded() || got.Synthetic() != shared.Synthetic() || s.Ignored != 0 {
					t.Fatalf("%s: source %s, forwarded %v, synthetic %v, %d ignored", f.Name, got.Source, got.Forwarded(), got.Synthetic(), s.Ignored)
				}
				sub := agent != "" && agent != "main"
				if shared.Subagent != sub || got.Subagent {
					t.Errorf("%s: a sub-agent of its family: %v, want %v; with a session of its own: %v", f.Name, shared.Subagent, sub, got.Subagent)
				}
				if same := string(got.ID()) == string(shared.ID()); same == sub {
					t.Errorf("%s: the family's id: %v", f.Name, same)
				}
				if sub && !isUUID(string(got.ID())) {
					t.Errorf("%s: the id is %q", f.Name, got.ID())
				}
				if other, seen := of[string(got.ID())]; seen && other != agent {
					t.Errorf("%s has the id of %s", f.Name, other)
				}
				of[string(got.ID())] = agent
			}
			agents := map[string]bool{}
			for _, a := range of {
				agents[a] = true
			}
			if len(agents) != len(of) {
				t.Errorf("%d agents have %d ids", len(agents), len(of))
			}
		})
	}
}

// The id of a sub-agent depends on both names. A client can send it back like every other id.
func TestSubagentIDs(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Subagents = Own })
	ask := func(headers ...string) string {
		got, _ := request{headers: headers, body: `{}`}.identify(id)
		return string(got.ID())
	}
	const session, agent = "X-Claude-Code-Session-Id: s", "x-claude-code-agent-id: a"
	a := ask(session, agent)
	if a == ask(session, agent+"b") || a == ask(session+"a", agent) || ask(session, agent+"b") == ask(session+"a", "x-claude-code-agent-id: b") {
		t.Error("two sub-agents share an id")
	}
	if a != ask(agent, session) || a != ask("x_claude_code_session_id: s", "X-CLAUDE-CODE-AGENT-ID: a") {
		t.Error("order or spelling of the headers makes another sub-agent")
	}
	if back := ask("X-Session-Id: "+a, session, agent); back != a {
		t.Errorf("the id that is sent back is %s as X-Session-Id, %s before", back, a)
	}
	for _, headers := range [][]string{{"X-Session-Id: s", agent}, {"Session-Id: s", agent}, {session, "thread-id: a"}} {
		if got := ask(headers...); got != "s" {
			t.Errorf("%v: %s", headers, got)
		}
	}
	for _, headers := range [][]string{{session, "x-claude-code-agent-id: a b"}, {session, agent, agent + "b"}} {
		got, s := request{headers: headers, body: `{}`}.identify(id)
		if string(got.ID()) != "s" || s.Ignored != 1 {
			t.Errorf("%v: %s, %d ignored", headers, got.ID(), s.Ignored)
		}
	}
	if got := ask(agent, "X-Request-Id: r"); got == a || got == "a" {
		t.Error("an agent without a session has a session's id")
	}
}
