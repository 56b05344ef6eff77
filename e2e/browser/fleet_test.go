package browser

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tether/e2e/binary"
	"tether/sim"
	"tether/wire/wiretest"
)

// fleet is a tether in front of simulated servers, and the conversations of its clients.
type fleet struct {
	t       *testing.T
	servers []*sim.Server
	tether  *binary.Tether
	page    string // the address of the status page
	file    string // the configuration

	data, admin string // the addresses of the listeners
}

// startFleet starts a tether in front of n servers called vllm-0 and so on, with more lines in its configuration.
func startFleet(t *testing.T, n int, cfg sim.Config, more string) *fleet {
	t.Helper()
	f := &fleet{t: t, file: filepath.Join(t.TempDir(), "tether.yaml")}
	lines := "upstreams:\n"
	for i := range n {
		c := cfg
		c.Name = fmt.Sprintf("vllm-%d", i)
		s := sim.New(c)
		if _, err := s.Start("127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Stop)
		f.servers = append(f.servers, s)
		lines += fmt.Sprintf("  - { name: %s, url: %q }\n", c.Name, s.URL())
	}
	lines += "health: { interval: 200ms }\nlog: { level: warn }\n" + more
	if err := os.WriteFile(f.file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	f.data, f.admin = wiretest.FreeAddr(t), wiretest.FreeAddr(t)
	f.tether = binary.RunAt(t, f.data, f.admin, nil, "-c", f.file)
	f.page = f.tether.Admin + "/"
	return f
}

// restart stops tether, calls meanwhile, and starts tether again on the same addresses.
func (f *fleet) restart(meanwhile func()) {
	f.t.Helper()
	f.tether.End(f.t, syscall.SIGINT, time.Minute)
	meanwhile()
	f.tether = binary.RunAt(f.t, f.data, f.admin, nil, "-c", f.file)
}

// get asks the API.
func (f *fleet) get(path string, into any) {
	f.t.Helper()
	res, err := http.Get(f.tether.Admin + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		f.t.Fatal(err)
	}
}

// sessionOf is the id of a conversation.
func sessionOf(n int) string { return fmt.Sprintf("conversation-%d", n) }

// talk lets n conversations have turns until the test ends, each after a pause.
func (f *fleet) talk(n int, pause time.Duration) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	for i := range n {
		all.Go(func() {
			messages := []map[string]string{{"role": "user", "content": strings.Repeat(fmt.Sprintf("Conversation %d speaks of many things. ", i), 40)}}
			for ctx.Err() == nil {
				if answer, ok := f.turn(ctx, client, sessionOf(i), messages); ok {
					messages = append(messages, map[string]string{"role": "assistant", "content": answer}, map[string]string{"role": "user", "content": "Go on, please, and say more about that."})
				}
				if len(messages) > 60 {
					messages = messages[:1]
				}
				select {
				case <-ctx.Done():
				case <-time.After(pause + time.Duration(i)*pause/time.Duration(n)):
				}
			}
		})
	}
	f.t.Cleanup(func() { cancel(); all.Wait(); client.CloseIdleConnections() })
}

// turn asks for an answer. It is not ok if a server died meanwhile.
func (f *fleet) turn(ctx context.Context, client *http.Client, id string, messages []map[string]string) (answer string, ok bool) {
	body, err := json.Marshal(map[string]any{"model": "tiny", "messages": messages, "max_tokens": 12})
	if err != nil {
		f.t.Error(err)
		return "", false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.tether.URL+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		f.t.Error(err)
		return "", false
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Session-Id", id)
	res, err := client.Do(req)
	if err != nil {
		return "", false
	}
	defer res.Body.Close()
	var reply struct {
		Choices []struct {
			Message struct{ Content string }
		}
	}
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || json.Unmarshal(text, &reply) != nil || len(reply.Choices) == 0 {
		return "", false
	}
	return reply.Choices[0].Message.Content, true
}

// usual is the pace of the simulated servers.
var usual = sim.Config{Models: []string{"tiny"}, PrefillPerToken: 20 * time.Microsecond, DecodePerToken: 4 * time.Millisecond}
