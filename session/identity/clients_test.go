package identity

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/txtar"
)

// client is what one client sends in the course of a conversation, as testdata/clients has it: a section a turn, and
// where several agents take part, the agent's name and its turn. {{id}} and {{topic}} are the conversation's, {{turn}}
// is another one in every request.
type client struct {
	name, source string
	turns        []txtar.File
}

func clients(t *testing.T) (all []client) {
	t.Helper()
	files, err := filepath.Glob("testdata/clients/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no clients", err)
	}
	for _, f := range files {
		a, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, source, ok := strings.Cut(string(a.Comment), "source: ")
		if !ok || len(a.Files) < 2 {
			t.Fatalf("%s: no source, or no turns", f)
		}
		name, _ := strings.CutSuffix(filepath.Base(f), ".txtar")
		all = append(all, client{name: name, source: strings.TrimSpace(source), turns: a.Files})
	}
	return all
}

// turn is the request of a turn in the n-th conversation.
func (c client) turn(f txtar.File, n int) request {
	id := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, c.name, n))
	raw := strings.NewReplacer(
		"{{id}}", id.String(), "{{topic}}", fmt.Sprint("topic ", n), "{{turn}}", fmt.Sprintf("%x%x", f.Name, n),
	).Replace(string(f.Data))
	head, body, _ := strings.Cut(raw, "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	return request{headers: strings.Split(fields, "\n"), body: body, shape: shapeOf(line)}
}

func shapeOf(requestLine string) Shape {
	path, _, _ := strings.Cut(strings.Fields(requestLine)[1], "?")
	switch path {
	case "/v1/chat/completions", "/v1/messages":
		return Chat
	case "/v1/responses":
		return Responses
	}
	return Opaque
}

// agentOf is the agent whose turn a section is, "" where there is one alone.
func agentOf(f txtar.File) string {
	agent, _, several := strings.Cut(f.Name, " ")
	if !several {
		return ""
	}
	return agent
}

// The turns of a conversation have one key, whatever the client changes between them, and no other conversation has it.
func TestClients(t *testing.T) {
	id := mustIdentifier(t, nil)
	for _, c := range clients(t) {
		t.Run(c.name, func(t *testing.T) {
			keys := map[Key]int{}
			for n := range 3 {
				for _, f := range c.turns {
					got, s := c.turn(f, n).identify(id)
					if got.Source.String() != c.source || s.Ignored != 0 || !s.IsJSON {
						t.Fatalf("turn %s: source %s, want %s; %d ignored, JSON %v", f.Name, got.Source, c.source, s.Ignored, s.IsJSON)
					}
					keys[id.Key(s.Model, got.ID())] |= 1 << n
				}
			}
			if got := slices.Sorted(maps.Values(keys)); !slices.Equal(got, []int{1, 2, 4}) {
				t.Errorf("3 conversations have %d keys, held by %b", len(keys), got)
			}
		})
	}
}

// docs/CLIENTS.md names every source that is asked by default.
func TestClientsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/CLIENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range DefaultSources() {
		_, name, named := strings.Cut(s, ":")
		if named && !strings.Contains(strings.ToLower(string(text)), "`"+strings.ToLower(name)+"`") {
			t.Errorf("docs/CLIENTS.md does not name %s", s)
		}
	}
}

// Without what names it, a conversation is known by its opening all the same, where it has one.
func TestClientsByTheirOpening(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Sources = []string{"opening"} })
	for _, c := range clients(t) {
		if c.name == "openai-completions" || c.name == "responses-conversation" || agentOf(c.turns[0]) != "" {
			continue // no conversation in the body, or several
		}
		keys := map[string]int{}
		for n := range 3 {
			for _, f := range c.turns {
				got, _ := c.turn(f, n).identify(id)
				keys[string(got.ID())] |= 1 << n
			}
		}
		if got := slices.Sorted(maps.Values(keys)); !slices.Equal(got, []int{1, 2, 4}) {
			t.Errorf("%s: 3 conversations have %d keys, held by %b", c.name, len(keys), got)
		}
	}
}

// A Search is used for one request after another: nothing of one counts in the next.
func TestSearchIsReused(t *testing.T) {
	id := mustIdentifier(t, func(c *Config) { c.Subagents = Own })
	s := new(Search)
	var turns []request
	for _, c := range clients(t) {
		for _, f := range c.turns {
			turns = append(turns, c.turn(f, 0))
		}
	}
	turns = append(turns, request{body: hello, shape: Chat}, request{body: `{"input":"Hi"}`, shape: Responses}, request{body: "no JSON"})
	for _, n := range rand.Perm(len(turns)) {
		var got Identity
		turns[n].show(s, id)
		s.Identify(&got, false)
		fresh := new(Search)
		var want Identity
		turns[n].show(fresh, id)
		fresh.Identify(&want, false)
		if got != want || s.IsJSON != fresh.IsJSON || string(s.Model) != string(fresh.Model) {
			t.Errorf("%v\n%s: %s, not %s", turns[n].headers, turns[n].body, got.ID(), want.ID())
		}
	}
}

// With session.subagents: own a sub-agent is a session of its own, and the first agent is what it is without.
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
					t.Fatalf("%s: source %s, forward %v, made %v, %d ignored", f.Name, got.Source, got.Forwarded(), got.Synthetic(), s.Ignored)
				}
				sub := agent != "" && agent != "main"
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

// A sub-agent's id depends on both names, and comes back as any other does.
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
		t.Errorf("the id that was echoed is %s as X-Session-Id, %s before", back, a)
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
