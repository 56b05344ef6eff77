package proxy

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/rogpeppe/go-internal/txtar"

	"tether/session/identity"
	"tether/sim"
)

// replay sends one turn of the n-th conversation, from the identity package's testdata/clients, and waits for its end.
func (r *rig) replay(f txtar.File, n int, more ...string) *answer {
	r.t.Helper()
	id := uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n))
	raw := strings.NewReplacer(
		"{{id}}", id.String(), "{{topic}}", fmt.Sprint("topic ", n), "{{turn}}", fmt.Sprintf("%x%x", f.Name, n),
	).Replace(string(f.Data))
	head, body, _ := strings.Cut(raw, "\n\n")
	lines := append(strings.Split(head, "\n"), more...)
	lines = append(lines, fmt.Sprint("Content-Length: ", len(body)), "", body)
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	c := r.dial()
	defer c.Close()
	c.send(strings.Join(lines, "\r\n"))
	a := c.receive()
	r.last()
	return a
}

func eachClient(t *testing.T, test func(t *testing.T, turns []txtar.File)) {
	t.Helper()
	files, err := filepath.Glob("../session/identity/testdata/clients/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no clients", err)
	}
	for _, path := range files {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { test(t, a.Files) })
	}
}

// agentOf is the agent whose turn a section is, "" if there is only one.
func agentOf(f txtar.File) string {
	agent, _, several := strings.Cut(f.Name, " ")
	if !several {
		return ""
	}
	return agent
}

const conversations = 6

// The requests of real clients reach one server and its cache, turn after turn, and server and client get the same id.
func TestClients(t *testing.T) {
	eachClient(t, func(t *testing.T, turns []txtar.File) {
		r := fleet(t, 4, sim.Config{})
		servers := map[string]bool{}
		for n := range conversations {
			first := r.replay(turns[0], n)
			r.want(first, 200, "new")
			r.wantForwarded(first)
			opened := r.last().PromptTokens
			for _, f := range turns[1:] {
				a := r.replay(f, n)
				r.want(a, 200, "pinned")
				r.wantForwarded(a)
				if a.server() != first.server() || a.Header.Get("X-Session-Id") != first.Header.Get("X-Session-Id") {
					t.Errorf("turn %s of %d: %s on %s, the first %s on %s", f.Name, n,
						a.Header.Get("X-Session-Id"), a.server(), first.Header.Get("X-Session-Id"), first.server())
				}
				if rec := r.last(); rec.CachedTokens == 0 && rec.PromptTokens > opened && opened >= 16 {
					t.Errorf("turn %s of %d: none of %d tokens was in the cache", f.Name, n, rec.PromptTokens)
				}
			}
			servers[first.server()] = true
		}
		if len(servers) == 1 {
			t.Errorf("%d conversations are all on one server", conversations)
		}
	})
}

// wantForwarded checks that the server got the id that the client got.
func (r *rig) wantForwarded(a *answer) {
	r.t.Helper()
	for _, s := range r.sims {
		seen := s.Requests()
		if len(seen) == 0 || seen[len(seen)-1].Header.Get("X-Request-Id") != a.Header.Get("X-Request-Id") {
			continue
		}
		if got, want := seen[len(seen)-1].Session, a.Header.Get("X-Session-Id"); got != want {
			r.t.Errorf("the server got the id %q, the client %q", got, want)
		}
		return
	}
	r.t.Error("no server has the request")
}

// With session.subagents: own each sub-agent has a server of its own, under an id that the client can send back like any other.
func TestSubagentsHaveTheirOwnServer(t *testing.T) {
	eachClient(t, func(t *testing.T, turns []txtar.File) {
		r := fleet(t, 4, sim.Config{}, func(r *rig) { r.identity.Subagents = identity.Own })
		apart := false
		for n := range conversations {
			home := map[string]*answer{} // by agent
			for _, f := range turns {
				a, agent := r.replay(f, n), agentOf(f)
				r.wantForwarded(a)
				if home[agent] == nil {
					r.want(a, 200, "new")
					home[agent] = a
					continue
				}
				r.want(a, 200, "pinned")
				back := r.replay(f, n, echoed(f, a)...)
				r.want(back, 200, "pinned")
				if at := home[agent].server(); a.server() != at || back.server() != at {
					t.Errorf("%s of %d: on %s, by the id that was echoed on %s, before on %s", f.Name, n, a.server(), back.server(), at)
				}
				apart = apart || agent != "" && home["main"].server() != a.server()
			}
		}
		if several := agentOf(turns[0]) != ""; several != apart {
			t.Errorf("several agents: %v; apart from the first: %v", several, apart)
		}
	})
}

// echoed is the header of a client that sends back the id it got, unless the client has an X-Session-Id of its own.
func echoed(f txtar.File, a *answer) []string {
	if strings.Contains(strings.ToLower(string(f.Data)), "\nx-session-id:") {
		return nil
	}
	return []string{"X-Session-Id: " + a.Header.Get("X-Session-Id")}
}
