package identity

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/txtar"
)

// client is what one client sends in a conversation, as testdata/clients has it. Each section is a turn; with several
// agents its name is the agent's name and the turn. {{id}} and {{topic}} depend on the conversation, {{turn}} is different in
// each request.
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

// turn returns the request of a turn in the n-th conversation.
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

// agentOf returns the agent whose turn a section is, "" with a single agent.
func agentOf(f txtar.File) string {
	agent, _, several := strings.Cut(f.Name, " ")
	if !several {
		return ""
	}
	return agent
}

// All turns of a conversation have one key, whatever the client changes between them. No other conversation has this key.
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

// docs/CLIENTS.md names every default source.
func TestClientsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/CLIENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range defaultSources() {
		_, name, named := strings.Cut(s, ":")
		if named && !strings.Contains(strings.ToLower(string(text)), "`"+strings.ToLower(name)+"`") {
			t.Errorf("docs/CLIENTS.md does not name %s", s)
		}
	}
}

// Without its session id, a conversation that has an opening is recognized by the opening.
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
