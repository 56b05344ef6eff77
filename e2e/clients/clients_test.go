// Package clients runs the official clients of OpenAI's and Anthropic's APIs, for Go, Node and Python, through the built binary.
// None of them knows of tether. The clients for Node and Python need "make test-clients", which installs them.
//
// In this file, three simulated servers serve one or both of two models. Each client holds conversations by every call that it has
// for them. All bodies of a conversation contain its name, so that the requests of the servers tell which server received which turn.
package clients

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"tether/e2e/binary"
	"tether/sim"
)

const (
	// conversations is the number of conversations of each kind that a client holds with each model.
	conversations = 5
	turns         = 6
)

var models = []string{"llama", "mistral"}

func TestMain(m *testing.M) { os.Exit(binary.Main(m)) }

// fleet is tether in front of three servers, and the turns that they received.
type fleet struct {
	*binary.Tether

	mu    sync.Mutex
	turns map[string]map[string]int // guarded by mu: number of turns by conversation and server
	wrong []string                  // guarded by mu: servers that received a request for a model that they do not have
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{turns: map[string]map[string]int{}}
	var urls []string
	for i, served := range [][]string{models[:1], models, models[1:]} {
		name := fmt.Sprint("vllm-", i)
		s := sim.New(sim.Config{Name: name, Models: served, OnRequest: func(q sim.Seen) { f.note(name, served, q) }})
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		urls = append(urls, s.URL())
	}
	f.Tether = binary.Run(t, urls)
	return f
}

// named matches the name of a conversation. Its group is the model.
var named = regexp.MustCompile(`conversation-[a-z]+-[a-z]+-([a-z]+)-[0-9]+`)

func (f *fleet) note(server string, served []string, q sim.Seen) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := named.FindStringSubmatch(string(q.Body))
	if found == nil {
		return // a probe, or a look-up of a stored response
	}
	conversation, model := found[0], found[1]
	if f.turns[conversation] == nil {
		f.turns[conversation] = map[string]int{}
	}
	f.turns[conversation][server]++
	if !slices.Contains(served, model) {
		f.wrong = append(f.wrong, server)
	}
}

// judge checks that there are all kinds of conversations with both models, that all turns of each were on one server, and that the
// conversations were on more than one server. No client may count as one that left.
func (f *fleet) judge(t *testing.T, client string, kinds ...string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	used := map[string]bool{}
	count, elsewhere := 0, 0
	for conversation, servers := range f.turns {
		most, all := 0, 0
		for server, n := range servers {
			used[server] = true
			most, all = max(most, n), all+n
		}
		count += all
		elsewhere += all - most
		if all != turns {
			t.Errorf("%s: %d turns, want %d", conversation, all, turns)
		}
	}
	if want := len(kinds) * len(models) * conversations; len(f.turns) != want {
		t.Errorf("%d conversations, want %d: %v", len(f.turns), want, slices.Sorted(maps.Keys(f.turns)))
	}
	if elsewhere > 0 || len(f.wrong) > 0 || len(used) < 2 {
		t.Errorf("%d turns on another server, %d on servers without the model, on servers %v: %v", elsewhere, len(f.wrong), used, f.turns)
	}
	if m := text(t, f.Admin+"/metrics"); strings.Contains(m, `reason="client_left"`) { // many clients close a stream at its terminal event
		t.Errorf("requests count as left by their client: %s", regexp.MustCompile(`(?m)^tether_request_failures_total.*$`).FindString(m))
	}
	t.Logf("%s: %d conversations, %d turns, %d on a wrong server", client, len(f.turns), count, elsewhere)
}

// The clients of other languages keep their conversations on one server each.
func TestClients(t *testing.T) {
	home := os.Getenv("CLIENTS_E2E_HOME")
	if home == "" {
		t.Skip("no clients: make test-clients installs them")
	}
	for _, c := range []struct {
		name    string
		command []string
		kinds   []string
	}{
		{"openai-node", []string{"node", "openai_client.mjs"}, []string{"chat", "responses"}},
		{"openai-python", []string{filepath.Join(home, "venv/bin/python"), "openai_client.py"}, []string{"chat", "responses"}},
		{"anthropic-node", []string{"node", "anthropic_client.mjs"}, []string{"messages"}},
		{"anthropic-python", []string{filepath.Join(home, "venv/bin/python"), "anthropic_client.py"}, []string{"messages"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFleet(t)
			cmd := exec.CommandContext(t.Context(), c.command[0], c.command[1:]...)
			cmd.Env = append(os.Environ(), "BASE="+f.URL, "MODELS="+strings.Join(models, ","), fmt.Sprint("CONVERSATIONS=", conversations))
			var out, problems bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &problems
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s%s", err, &out, &problems)
			}
			if want := fmt.Sprintln(len(c.kinds) * len(models) * conversations * turns); out.String() != want {
				t.Errorf("the client counted %s turns, want %s", &out, want)
			}
			f.judge(t, c.name, c.kinds...)
		})
	}
}
